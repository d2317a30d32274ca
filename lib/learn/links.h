/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows put together: who opened connections to whom and to which port, as the hooks at both ends
 * saw it. A connection that one end let out and the other refused was not made, so nothing is to be
 * learned from it.
 */
#pragma once

#include "lib/learn/flow.h"
#include "lib/learn/workloads.h"

enum fence_learn_id_kind {
    FENCE_LEARN_ID_WORKLOAD,
    FENCE_LEARN_ID_NODE,
    FENCE_LEARN_ID_RESERVED,
    FENCE_LEARN_ID_UNSAYABLE, /* pods whose namespace or labels no selector can have */
};

struct fence_learn_id {
    uint32_t kind;   /* enum fence_learn_id_kind */
    uint32_t number; /* of the workload, of the node, or enum fence_identity_number */
};

/* What the hook of one end made of it. Counts are connections. */
struct fence_learn_hook {
    uint64_t passed;
    uint64_t audited; /* of these, an Audit policy would have refused */
    uint64_t dropped;
    bool exempt; /* the end is let through unenforced */
};

/* More addresses of one link stand for all of the world. */
#define FENCE_LEARN_ADDRESSES_MAX 16u

struct fence_learn_link {
    struct fence_learn_id source;
    struct fence_learn_id destination;
    unsigned int protocol;
    uint16_t port;
    struct fence_learn_hook hooks[FENCE_DIRECTIONS];
    int64_t first; /* of what passed; seconds since 1970 */
    int64_t last;
    int64_t dropped_last;
    unsigned int dropped_reason;
    const char *dropped_policy;                           /* "" = none */
    struct fence_prefix addrs[FENCE_LEARN_ADDRESSES_MAX]; /* of the world's end, sorted */
    size_t addr_count;
    bool omitted;     /* there were others */
    uint64_t unheard; /* connections whose address was not told */
};

struct fence_learn_links {
    struct fence_learn_workloads workloads;
    struct fence_learn_texts nodes; /* their names */
    struct fence_intern node_numbers;
    struct fence_learn_link *items;
    size_t count;
    size_t capacity;
    struct fence_intern numbers;
};

/*
 * No more links than flows. `world` (may be NULL) has further pods, from which selectors keep
 * apart. The flows have to outlive the links. -ENOMEM; fence_learn_links_done afterwards, whatever
 * the result.
 */
int fence_learn_links_find(struct fence_learn_links *links, const struct fence_learn_flows *flows,
                           const struct fence_world *world);
void fence_learn_links_done(struct fence_learn_links *links);

/* Connections were made: what passed at one hook, and was not refused throughout at the other. */
bool fence_learn_link_is_made(const struct fence_learn_link *link);
/* How many: as many as the hook that saw more of them. */
uint64_t fence_learn_link_count(const struct fence_learn_link *link);

/* "shop/web", "node n1", "world", ... for people. */
const char *fence_learn_id_name(const struct fence_learn_links *links,
                                const struct fence_learn_id *id, char buffer[300]);
/* "TCP/5432", "ICMP type 8 code 0", "protocol 47". */
const char *fence_learn_port_name(unsigned int protocol, unsigned int port, char buffer[48]);
