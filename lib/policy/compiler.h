/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the compiler: what its parts hand to each other (book.h: what they keep). In the order
 * of a run:
 *
 *   rulebook.c   policies; which of them select whom, in the order of judgement
 *   subjects.c   local endpoints -> Pod objects, labels, policies
 *   universe.c   what the rules in use can tell apart: atoms, blocks, port names, label keys
 *   shapes.c     namespace, labels, ports of a pod -> identity
 *   claims.c     who claims which address
 *   owners.c     who of them owns it
 *   services.c   services and slices -> backends of a port; backends.c finds services by backend
 *   routes.c     where the ports of an address lead
 *   peers.c      identity, block, named ports, route -> peer; prefixes
 *   classes.c    peers that no rule in use can tell apart
 *   sets.c       rule lists x classes -> tables
 *   tables.c     painted intervals -> a table, one for each content
 *   judge.c      matching rules of one class, in the order of judgement -> paint.c
 *   paint.c      decisions -> intervals
 */
#pragma once

#include "lib/policy/blocks.h"
#include "lib/policy/book.h"
#include "lib/policy/canonical.h"
#include "lib/policy/compile.h"
#include "lib/policy/intern.h"
#include "lib/policy/paint.h"

struct fence_compiler {
    struct fence_compile_options options;
    struct fence_plan *plan;
    struct fence_err *err; /* of the call under way */
    int64_t now;

    struct fence_intern namespace_names;
    struct fence_book_namespace *namespaces;
    size_t namespace_count;
    size_t namespace_capacity;

    struct fence_book_policy *policies;
    size_t policy_count;
    size_t policy_capacity;
    struct fence_indices free_policies;
    struct fence_indices cluster_policies;
    struct fence_indices expiring; /* policies with expiresAt */
    struct fence_indices leaving;  /* policies whose object has gone */

    struct fence_subject **subjects;
    size_t subject_count;
    size_t subject_capacity;
    const struct fence_object **annotated; /* Pod objects that name a container */
    size_t annotated_count;
    size_t annotated_capacity;

    struct fence_intern atom_texts;
    struct fence_atom *atoms; /* beside plan->atoms */
    size_t atom_capacity;
    struct fence_indices new_atoms; /* that peers have not been asked about */
    bool dead_atoms;
    bool settling;             /* atoms without users do not count any more */
    struct fence_counts names; /* of ports in egress rules in use */
    struct fence_counts keys;  /* system labels that policies in use select by */
    struct fence_counts block_uses;
    struct fence_blocks blocks;         /* of rules in use, and both families' whole */
    struct fence_blocks changed_blocks; /* that came or went when they were last arranged */

    struct fence_intern shape_keys;
    struct fence_shape *shapes;
    size_t shape_count;
    size_t shape_capacity;
    struct fence_indices free_shapes;
    struct fence_indices idle_shapes;

    const struct fence_object **nodes;
    size_t node_count;
    size_t node_capacity;
    struct fence_addr *host_addrs;
    size_t host_addr_count;
    struct fence_blocks unknowns; /* podCIDRs */
    bool unknowns_old;
    bool prefixes_old;
    struct fence_contest *contests;
    size_t contest_count;
    size_t contest_capacity;
    struct fence_indices free_contests;
    bool notes_old;

    struct fence_intern service_names;
    struct fence_book_service *services;
    size_t service_count;
    size_t service_capacity;
    struct fence_indices free_services;
    struct fence_indices changed_services;
    struct fence_addresses backends;    /* address -> services: see backends.c */
    struct fence_reaches node_reaches;  /* by node ports, of all services */
    const struct fence_object **hosted; /* pods with host ports */
    size_t hosted_count;
    size_t hosted_capacity;
    bool node_ports_old;
    bool nodes_marked; /* all of their addresses are, in this run */
    bool nodes_floating;
    bool routed;                    /* some marked address has ports that lead elsewhere */
    bool relocated;                 /* some peer lies in another block now */
    struct fence_indices reclassed; /* peers that have another class now */
    uint32_t *leading;              /* peers with ports that lead to others, by these */
    uint32_t *leading_ends;         /* of each peer led to, where those that lead there end */
    size_t leading_ends_count;
    bool leading_old; /* peers with a route came or went */

    struct fence_intern route_keys;
    struct fence_intern identity_texts;
    struct fence_intern peer_keys;
    struct fence_intern class_keys;
    struct fence_intern rule_keys;
    struct fence_intern set_texts;
    struct fence_intern table_keys;
    struct fence_book_set *sets; /* beside plan->sets */
    size_t set_capacity;
    struct fence_new_class *new_classes; /* that sets have not been asked about */
    size_t new_class_count;
    size_t new_class_capacity;

    struct fence_text text;              /* scratch */
    struct fence_text key;               /* scratch */
    struct fence_indices found;          /* scratch */
    struct fence_labels shown;           /* scratch: borrows its strings */
    struct fence_container_port *chosen; /* scratch: borrows its strings */
    size_t chosen_capacity;
    struct fence_targets rows;    /* scratch of classes */
    struct fence_targets legs;    /* scratch of routes */
    struct fence_reaches reaches; /* scratch */
    struct fence_indices tables;  /* scratch: of where a class's ports lead */
    struct fence_canvas enforced; /* scratch */
    struct fence_canvas shadow;   /* scratch */
};

int fence_out_of_memory(struct fence_err *err);

/* ---- namespaces.c ---- */
/* Index of the namespace, with one user more. */
int fence_namespace_use(struct fence_compiler *compiler, const char *name, uint32_t *ret_index);
void fence_namespace_leave(struct fence_compiler *compiler, uint32_t index);
int fence_namespace_change(struct fence_compiler *compiler, const struct fence_change *change);
void fence_namespaces_done(struct fence_compiler *compiler);

/* ---- rulebook.c ---- */
int fence_rulebook_change(struct fence_compiler *compiler, const struct fence_change *change);
/* Policies that have run out: whom they selected is to be looked at again. */
void fence_rulebook_expire(struct fence_compiler *compiler);
/* Which policies select the subject now. */
int fence_rulebook_select(struct fence_compiler *compiler, struct fence_subject *subject);
void fence_rulebook_leave(struct fence_compiler *compiler, struct fence_subject *subject);
/* Number (index + 1) of a rule in the plan; index FENCE_RULE_NONE is the isolation. */
int fence_rulebook_number(struct fence_compiler *compiler, uint32_t policy,
                          enum fence_direction direction, uint32_t index, uint32_t *ret_number);
/* Policies that have gone and that no set has any more. */
void fence_rulebook_settle(struct fence_compiler *compiler);
void fence_rulebook_done(struct fence_compiler *compiler);
int64_t fence_rulebook_next_expiry(const struct fence_compiler *compiler);

/* ---- subjects.c ---- */
int fence_subjects_put(struct fence_compiler *compiler, const struct fence_local *locals,
                       size_t count);
/* A Pod object came, changed or went. */
int fence_subjects_pod(struct fence_compiler *compiler, const struct fence_change *change);
int fence_subjects_resolve(struct fence_compiler *compiler);
int fence_subjects_compile(struct fence_compiler *compiler);
/* Fill in `wanted->ends`, see FENCE_PLAN_ENDS. */
int fence_subject_ends(struct fence_compiler *compiler, const struct fence_subject *subject,
                       struct fence_plan_endpoint *wanted);
void fence_subjects_done(struct fence_compiler *compiler);

/* ---- universe.c ---- */
/* A policy selects its first subject here, or none any more. */
int fence_universe_add(struct fence_compiler *compiler, uint32_t policy);
void fence_universe_remove(struct fence_compiler *compiler, uint32_t policy);
bool fence_counts_has(const struct fence_counts *counts, const char *name);
/* The blocks in use, arranged anew; 1 when they are others than before. */
int fence_universe_arrange(struct fence_compiler *compiler);
/* Forget names without users; `changed` says whether there were any. */
void fence_counts_settle(struct fence_counts *counts);
void fence_universe_done(struct fence_compiler *compiler);
void fence_atom_free(struct fence_compiler *compiler, uint32_t atom);

/* ---- shapes.c ---- */
struct fence_shape_key {
    uint32_t namespace_index;
    const struct fence_labels *labels;
    const struct fence_ports *ports;
    const char *name; /* owner or pod */
};
/* Index of the shape, with one use more; FENCE_PLAN_NONE never. */
int fence_shape_use(struct fence_compiler *compiler, const struct fence_shape_key *key,
                    uint32_t *ret_shape);
void fence_shape_leave(struct fence_compiler *compiler, uint32_t shape);
bool fence_shape_find(const struct fence_compiler *compiler, const struct fence_shape_key *key,
                      uint32_t *ret_shape);
/* What namespaces, label keys or port names have changed. Sets the namespaces' `stale` for those
 * whose pods have other peers now. */
int fence_shapes_refresh(struct fence_compiler *compiler);
void fence_shapes_settle(struct fence_compiler *compiler);
void fence_shapes_done(struct fence_compiler *compiler);
/* A label that the system adds: it makes no identity unless a policy in use selects by it. */
bool fence_label_is_system(const char *key);
const char *fence_missing_label(const struct fence_compile_options *options,
                                const struct fence_labels *labels);

/* ---- claims.c ---- */
uintptr_t fence_owner_of_subject(struct fence_subject *subject);
uintptr_t fence_owner_of_object(const struct fence_object *object);
int fence_claim(struct fence_compiler *compiler, const struct fence_addr *addr, uintptr_t owner);
int fence_unclaim(struct fence_compiler *compiler, const struct fence_addr *addr, uintptr_t owner);
int fence_claims_pod(struct fence_compiler *compiler, const struct fence_change *change);
int fence_claims_node(struct fence_compiler *compiler, const struct fence_change *change);
int fence_claims_host(struct fence_compiler *compiler, const struct fence_addr *addrs,
                      size_t count);
void fence_claims_done(struct fence_compiler *compiler);

/* ---- owners.c ---- */
/* Mark the addresses of pods in stale namespaces, which are then so no more. */
int fence_owners_refresh(struct fence_compiler *compiler);
/* Every marked address to the peer of its owner, but for those that have a route. */
int fence_owners_resolve(struct fence_compiler *compiler);
int fence_owners_note(struct fence_compiler *compiler);

/* ---- backends.c ---- */
/* The address is a backend of the service, or is not any more. -ENOMEM. */
int fence_backend_add(struct fence_compiler *compiler, const struct fence_addr *addr,
                      uint32_t service);
int fence_backend_remove(struct fence_compiler *compiler, const struct fence_addr *addr,
                         uint32_t service);
/* The services that it is a backend of; borrowed until the next of the above. */
size_t fence_backend_services(const struct fence_compiler *compiler, const struct fence_addr *addr,
                              const uint32_t **ret_services);
void fence_backends_done(struct fence_compiler *compiler);

/* ---- services.c ---- */
/* A Service or EndpointSlice came, changed or went. */
int fence_services_change(struct fence_compiler *compiler, const struct fence_change *change);
/* A Pod did: its host ports. */
int fence_services_pod(struct fence_compiler *compiler, const struct fence_change *change);
/* Where the ports of those that have changed lead; what depends on it is marked. */
int fence_services_gather(struct fence_compiler *compiler);
/* Somebody else has the address now: addresses that lead there are marked. */
int fence_backend_moved(struct fence_compiler *compiler, const struct fence_addr *addr);
/* Blocks or pod ranges are others now. */
int fence_services_float(struct fence_compiler *compiler);
/* Index of an object that is known. */
uint32_t fence_service_of(const struct fence_compiler *compiler, const struct fence_object *object);
bool fence_nodes_have_ports(const struct fence_compiler *compiler);
int fence_reaches_add(struct fence_reaches *reaches, const struct fence_reach *reach);
/* By position, address and port, each once. */
void fence_reaches_sort(struct fence_reaches *reaches);
void fence_services_done(struct fence_compiler *compiler);

/* ---- routes.c ---- */
/* Every marked address whose ports lead elsewhere to its peer. */
int fence_routes_resolve(struct fence_compiler *compiler);
void fence_route_free(struct fence_compiler *compiler, uint32_t route);

/* ---- peers.c ---- */
/* What a peer is made of; everything is borrowed. */
struct fence_peer_draft {
    uint32_t identity; /* index */
    uint32_t under;    /* index, or FENCE_PLAN_NONE: see struct fence_plan_peer */
    enum fence_identity_number reserved;
    struct fence_peer_view view; /* `where` is filled in from the address */
    uint32_t flags;
    uint32_t route; /* index, or FENCE_PLAN_NONE */
};
/* Fills in identity; -ENOMEM. */
int fence_peer_draft_reserved(struct fence_compiler *compiler, enum fence_identity_number number,
                              struct fence_peer_draft *ret_draft);
/* `where` is an address with full length, a prefix, or none: its class is what counts. */
int fence_peer_get(struct fence_compiler *compiler, const struct fence_peer_draft *draft,
                   const struct fence_prefix *where, uint32_t *ret_peer);
int fence_peers_reserve(struct fence_compiler *compiler);
/* The blocks are others now: peers and addresses follow. */
int fence_peers_rearrange(struct fence_compiler *compiler);
int fence_prefixes_refresh(struct fence_compiler *compiler);
void fence_peer_free(struct fence_compiler *compiler, uint32_t peer);
struct fence_prefix fence_where_of(const struct fence_compiler *compiler,
                                   const struct fence_prefix *where);

/* What an identity is made of; borrowed. */
struct fence_identity_draft {
    enum fence_identity_number reserved;
    enum fence_identity_kind kind;
    const char *content;
    const char *namespace_name;
    const char *app;
    const struct fence_labels *labels; /* NULL: none; need not be shared */
};
int fence_identity_get(struct fence_compiler *compiler, const struct fence_identity_draft *draft,
                       uint32_t *ret_identity);
void fence_identity_free(struct fence_compiler *compiler, uint32_t identity);

/* ---- classes.c ---- */
/* Class of a peer that looks like this; its route leads to peers that have their classes. */
int fence_class_get(struct fence_compiler *compiler, const struct fence_peer_view *view,
                    uint32_t route, uint32_t *ret_class);
/* One more, unless its port has it already. -ENOMEM. */
int fence_targets_add(struct fence_targets *targets, const struct fence_plan_target *target);
/* Peers with a route to others of which some have other classes now. */
int fence_classes_follow(struct fence_compiler *compiler);
/* Peers asked about the atoms that have come. */
int fence_classes_refine(struct fence_compiler *compiler);
/* Atoms without users go: classes that only they told apart become one. */
int fence_classes_coarsen(struct fence_compiler *compiler);
void fence_class_free(struct fence_compiler *compiler, uint32_t class);
bool fence_class_has(const struct fence_plan_class *class, uint32_t atom);
/* FENCE_PLAN_NONE: "nobody", whom only rules without peers mean. */
const struct fence_plan_class *fence_class_at(const struct fence_compiler *compiler,
                                              uint32_t class);

/* ---- sets.c ---- */
int fence_set_get(struct fence_compiler *compiler, const struct fence_subject *subject,
                  const struct fence_indices *policies, uint32_t *ret_set);
/* Ask all sets about the classes that have come. */
int fence_sets_refresh(struct fence_compiler *compiler);
/* Sets that remember many more answers than there are classes forget them. */
int fence_sets_settle(struct fence_compiler *compiler);
void fence_set_free(struct fence_compiler *compiler, uint32_t set);
void fence_rule_free(struct fence_compiler *compiler, uint32_t rule);
void fence_sets_done(struct fence_compiler *compiler);

/* ---- judge.c: the order of judgement ---- */
struct fence_judgement {
    struct fence_compiler *compiler;
    const struct fence_book_set *set;
    enum fence_direction direction;
    const struct fence_plan_class *class;
    const uint32_t *tables; /* of where the class's ports lead, one for each target */
};
/* Is the rule one that means the class? */
bool fence_book_rule_means(const struct fence_book_rule *rule,
                           const struct fence_plan_class *class);
/* Paint the canvas for this class; `shadow` counts Audit policies in. -ENOMEM, -E2BIG. */
int fence_judge(const struct fence_judgement *judgement, bool shadow, struct fence_canvas *canvas);

/* ---- tables.c ---- */
/* The table that the judgement paints, made when there is none like it. -ENOMEM, -E2BIG. */
int fence_table_paint(const struct fence_judgement *judgement, uint32_t *ret_table);
/* The one that denies everything because its set cannot be applied. -ENOMEM. */
int fence_table_closed(struct fence_compiler *compiler, uint32_t *ret_table);
void fence_table_free(struct fence_compiler *compiler, uint32_t table);
