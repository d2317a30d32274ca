/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the compiler: what its steps hand to each other.
 *
 *   subjects.c  local endpoints -> Pod objects, labels
 *   rulebook.c  policies in the order of judgement, which of them select whom
 *   blocks.c    blocks of their rules -> the class of an address
 *   peers.c     addresses and prefixes -> peers and identities
 *   workloads.c pods and nodes -> peers.c
 *   sets.c      rule lists x peers -> sets of tables
 *   judge.c     matching rules of one peer, in the order of judgement -> paint.c
 *   paint.c     decisions -> intervals
 */
#pragma once

#include "lib/base/err.h"
#include "lib/policy/canonical.h"
#include "lib/policy/intern.h"
#include "lib/policy/lookup.h"
#include "lib/policy/paint.h"
#include "lib/policy/plan.h"

/* One rule of a policy: `matches` has a bit for each peer of the plan. */
struct fence_book_rule {
    const struct fence_rule *rule;
    uint64_t *matches;
    uint32_t ordinal; /* over all rules in use */
    uint32_t number;  /* index into plan rules + 1; 0 = not there yet */
};

struct fence_book_policy {
    const struct fence_object *object;
    char *id;
    bool in_use;            /* selects at least one endpoint of this node */
    struct fence_text text; /* canonical, made when first needed */
    struct fence_book_rule *rules[FENCE_DIRECTIONS];
    uint32_t isolation_number[FENCE_DIRECTIONS]; /* as number above */
};

/* Positions in fence_compile_state.policies, ascending. */
struct fence_selection {
    uint32_t *items;
    size_t count;
    size_t capacity;
};

/* A local endpoint and what is known of the pod behind it. */
struct fence_subject {
    const struct fence_local *local;
    const struct fence_object *pod; /* NULL: labels come from the runtime */
    const char *namespace_name;
    const struct fence_labels *namespace_labels;
    const struct fence_labels *labels; /* NULL while pending */
    const char *pending;               /* static text */
    bool incomplete;
    struct fence_selection policies;
};

/* Labels of a namespace without a Namespace object: its name only. */
struct fence_bare_namespace {
    struct fence_labels labels;
};

struct fence_block_node {
    struct fence_prefix prefix;
    uint32_t parent; /* index of the next wider block, or FENCE_PLAN_NONE */
};

/* Sorted, each prefix once. */
struct fence_blocks {
    struct fence_block_node *items;
    size_t count;
    size_t capacity;
};

/* Who owns an address. */
struct fence_claimant {
    const struct fence_object *pod;  /* NULL: no Pod object */
    const struct fence_local *local; /* NULL: not on this node */
    const struct fence_object *node; /* NULL: no node, or the host without a Node object */
    bool disputed;
};

struct fence_compile_state {
    const struct fence_world *world;
    const struct fence_plan *previous;
    struct fence_plan *plan;
    struct fence_err *err;

    struct fence_intern bare_names; /* namespace name -> bare_namespaces */
    struct fence_bare_namespace **bare_namespaces;
    size_t bare_count;
    size_t bare_capacity;

    struct fence_subject *subjects; /* one for each of world->locals */
    bool *pod_is_local;             /* one for each Pod object of the world */

    struct fence_book_policy *policies; /* in the order of judgement, without those that are over */
    size_t policy_count;
    size_t policy_capacity;
    uint32_t rule_count; /* rules in use */

    struct fence_intern selected_keys; /* label keys that some policy selects pods by */
    struct fence_intern egress_names;  /* port names of egress rules in use */

    struct fence_blocks blocks;   /* of rules in use, and both families' whole */
    struct fence_blocks unknowns; /* podCIDRs */

    struct fence_claimant *claimants; /* one for each of plan->addresses */
    size_t claimant_count;
    size_t claimant_capacity;
    struct fence_text identity_text;    /* scratch */
    struct fence_text peer_text;        /* scratch */
    struct fence_labels shown;          /* scratch: borrows its strings */
    struct fence_container_port *named; /* scratch: borrows its strings */
    size_t named_capacity;

    struct fence_intern identities; /* content -> index */
    struct fence_intern peers;
    struct fence_intern addresses;
    struct fence_intern sets;
    struct fence_intern tables;
};

int fence_out_of_memory(struct fence_err *err);

/* subjects.c */
int fence_subjects_resolve(struct fence_compile_state *state);
/* Labels of a namespace; they live as long as the world and the state. */
int fence_namespace_labels(struct fence_compile_state *state, const char *name,
                           const struct fence_labels **ret_labels);

/* rulebook.c */
int fence_rulebook_make(struct fence_compile_state *state);
/* Which policies select each subject, and thus which are in use. */
int fence_rulebook_select(struct fence_compile_state *state);
/* Which rules in use mean which peers. */
int fence_rulebook_match(struct fence_compile_state *state);
void fence_rulebook_done(struct fence_compile_state *state);
/* Number (index + 1) of a rule in the plan; index FENCE_RULE_NONE is the isolation. */
int fence_rulebook_number(struct fence_compile_state *state, uint32_t policy,
                          enum fence_direction direction, uint32_t index, uint32_t *ret_number);

/* blocks.c */
int fence_blocks_make(struct fence_compile_state *state);
/* Most specific block that covers the prefix; FENCE_PLAN_NONE when none does. */
uint32_t fence_blocks_find(const struct fence_blocks *blocks, const struct fence_prefix *prefix);
struct fence_prefix fence_whole_prefix(const struct fence_addr *addr);

/* peers.c */
/* What a peer is made of; everything is borrowed and copied when the peer is a new one. */
struct fence_peer_draft {
    enum fence_identity_number reserved; /* FENCE_IDENTITY_NONE when it is none of them */
    enum fence_identity_kind kind;
    const char *app;                        /* NULL: none */
    const struct fence_text *identity_text; /* NULL: by the reserved name */
    struct fence_peer_view view;            /* `where` is filled in from the address */
    uint32_t flags;
};
/* `where` is an address with full length, or a prefix: its class is what counts. */
int fence_peer_add(struct fence_compile_state *state, const struct fence_peer_draft *draft,
                   const struct fence_prefix *where, uint32_t *ret_peer);
int fence_identity_add(struct fence_compile_state *state, const struct fence_peer_draft *draft,
                       uint32_t *ret_identity);
/* A draft without a workload behind it: world, pending, incomplete. */
struct fence_peer_draft fence_peer_draft_reserved(enum fence_identity_number identity);
int fence_peers_reserve(struct fence_compile_state *state);
int fence_peers_carry(struct fence_compile_state *state);
/* All prefixes with the peers that they lead to. */
int fence_prefixes_add(struct fence_compile_state *state);

/* workloads.c: pods, endpoints and nodes. */
int fence_workloads_add(struct fence_compile_state *state);
/* Index of the identity of a subject that is neither pending nor incomplete. */
int fence_subject_identity(struct fence_compile_state *state, const struct fence_subject *subject,
                           uint32_t *ret_identity);

/* sets.c */
int fence_set_for(struct fence_compile_state *state, const struct fence_subject *subject,
                  const struct fence_selection *policies, uint32_t *ret_set);

/* judge.c: the order of judgement */
struct fence_judgement {
    struct fence_compile_state *state;
    const struct fence_subject *subject;
    const struct fence_selection *policies;
    enum fence_direction direction;
    uint32_t peer;
};
/*
 * Behind the last peer of the plan stands "nobody": a peer that only rules without peers mean. Its
 * table is what most peers of an allow-list share.
 */
const struct fence_peer_view *fence_book_view(const struct fence_compile_state *state,
                                              uint32_t peer);
/* Is the rule one that means the peer? */
static inline bool fence_book_rule_means(const struct fence_book_rule *rule, uint32_t peer)
{
    return rule->matches[peer / 64] >> peer % 64 & 1;
}
/* Paint the canvas for this peer; `shadow` counts Audit policies in. -ENOMEM, -E2BIG. */
int fence_judge(const struct fence_judgement *judgement, bool shadow, struct fence_canvas *canvas);
