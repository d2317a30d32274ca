/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what was seen to policies: one for each workload that has pods where the flows come from. It
 * allows every connection that was made, at the level of labels, and isolates the directions in
 * which some was. Left out are connections with the pod's own node, which are always allowed, and
 * refused ones. What cannot be said or is not known is told in words.
 */
#pragma once

#include "lib/learn/links.h"

struct fence_learn_options {
    enum fence_kind kind;          /* FENCE_OBJECT_NETWORK_POLICY or FENCE_OBJECT_SEGMENT_POLICY */
    bool audit;                    /* the policies are put into Audit mode */
    bool isolate_both;             /* also a direction in which nothing was seen */
    const char *const *namespaces; /* only workloads of these; none = all */
    size_t namespace_count;
    const struct fence_world *world; /* nodes with their addresses, pods; may be NULL */
};

/* ICMP: type << 8 | code. */
struct fence_learn_port {
    unsigned int protocol;
    uint16_t first;
    uint16_t last;
};

/* One peer and its ports. */
struct fence_learn_rule {
    uint32_t peer;               /* number of the workload, or FENCE_LEARN_NOBODY: blocks */
    struct fence_prefix *blocks; /* sorted */
    size_t block_count;
    struct fence_learn_port *ports; /* sorted, joined where all between were seen */
    size_t port_count;
    size_t port_capacity;
    uint64_t count; /* the evidence: connections */
    int64_t first;  /* seconds since 1970 */
    int64_t last;
};

#define FENCE_LEARN_NAME_MAX 96

struct fence_learn_policy {
    uint32_t workload;
    char name[FENCE_LEARN_NAME_MAX];
    bool isolates[FENCE_DIRECTIONS];
    struct fence_learn_rule *rules[FENCE_DIRECTIONS];
    size_t rule_count[FENCE_DIRECTIONS];
    size_t rule_capacity[FENCE_DIRECTIONS];
    struct fence_learn_texts left_out[FENCE_DIRECTIONS]; /* seen, and not in the rules */
    struct fence_learn_texts notes;
};

struct fence_learn_proposal {
    struct fence_learn_links links;
    struct fence_learn_policy *policies; /* sorted by namespace and name */
    size_t count;
    size_t capacity;
    struct fence_learn_texts notes;  /* about all of it, sentences; bounded */
    struct fence_prefix *exceptions; /* pod ranges of the nodes: not part of the world */
    size_t exception_count;
    size_t exception_capacity;
};

/* -ENOMEM. `flows` and the options have to outlive the proposal; fence_learn_proposal_done
 * afterwards, whatever the result. */
int fence_learn_propose(const struct fence_learn_flows *flows,
                        const struct fence_learn_options *options,
                        struct fence_learn_proposal *proposal);
void fence_learn_proposal_done(struct fence_learn_proposal *proposal);

/* "2026-11-27T09:00:00Z". */
const char *fence_learn_time(int64_t seconds, char buffer[32]);

/* The parts of fence_learn_propose. */

/* A rule's peer at one port. */
struct fence_learn_candidate {
    uint32_t subject; /* workload */
    unsigned int direction;
    uint32_t peer; /* workload, or FENCE_LEARN_NOBODY */
    struct fence_prefix blocks[FENCE_LEARN_ADDRESSES_MAX];
    size_t block_count;
    unsigned int protocol;
    uint16_t port;
    uint64_t count;
    int64_t first;
    int64_t last;
};

/* One direction of a workload, while it is put together. */
struct fence_learn_side {
    uint64_t own_node;   /* connections from or to the pod's own node */
    uint64_t services;   /* connections to addresses of services */
    uint64_t unresolved; /* of these, to such of which the objects do not know all that is behind */
    uint64_t behind;     /* connections that only the other end had as one with a pod */
    uint64_t audited;
    uint64_t unheard; /* connections with the world whose address is not known */
    bool made;        /* its own hook let connections through that were made */
    bool unknown;     /* a peer of which too little is known: better left open */
    bool world;       /* all of the world stands for many addresses */
    struct fence_learn_texts left_out;
};

struct fence_learn_sides {
    struct fence_learn_side (*items)[FENCE_DIRECTIONS]; /* by workload */
    size_t count;
    struct fence_learn_candidate *candidates;
    size_t candidate_count;
    size_t candidate_capacity;
};

/* What is behind a port of services: pods at their own port. Zeroed = none; `items` is the
 * caller's. */
struct fence_learn_backend {
    uint32_t workload;
    uint16_t port;
};

struct fence_learn_backends {
    struct fence_learn_backend *items;
    size_t count;
    size_t capacity;
};

/* Behind the link's destination (services.c): 1 when that is all of them, 0 when some are not
 * known, -ENOMEM. `world` may be NULL. */
int fence_learn_backends_find(const struct fence_learn_proposal *proposal,
                              const struct fence_world *world, const struct fence_learn_link *link,
                              struct fence_learn_backends *backends);

/* Candidates and remarks of every workload (candidates.c). -ENOMEM. */
int fence_learn_sides_find(const struct fence_learn_proposal *proposal,
                           const struct fence_learn_options *options,
                           struct fence_learn_sides *sides);
void fence_learn_sides_done(struct fence_learn_sides *sides);

/* Notes of one policy, which takes what its sides left out, and of the whole (notes.c). -ENOMEM. */
int fence_learn_note_policy(struct fence_learn_side sides[FENCE_DIRECTIONS],
                            struct fence_learn_policy *policy);
int fence_learn_note_all(const struct fence_learn_flows *flows,
                         const struct fence_learn_options *options,
                         const struct fence_learn_sides *sides,
                         struct fence_learn_proposal *proposal);
