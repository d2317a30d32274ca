/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of compiling: everything that should be in the pinned maps, still without numbers.
 * Things refer to each other by index into the plan's arrays; lib/datapath/apply gives them
 * numbers and keeps those that the pinned maps already use for the same content.
 *
 * `content` strings are canonical texts: equal text means equal meaning, for ever. That is what
 * lets a restarted daemon find its own numbers again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/policy/match.h"

#define FENCE_PLAN_NONE UINT32_MAX

struct fence_plan_identity {
    char *content;
    uint32_t reserved; /* enum fence_identity_number when it is a reserved one, else 0 */
    uint32_t kind;     /* enum fence_identity_kind */
    char *namespace_name;
    char *app;    /* shown name: label, owner or pod name */
    char *labels; /* "key=value,..." */
};

/*
 * What a peer looks like to a rule, with its own copies, so that a later plan can still judge it.
 * Counted references: a plan shares it with the plan that carries the peer on.
 */
struct fence_plan_view {
    unsigned int references;
    struct fence_peer_view view; /* points into the members below */
    char *namespace_name;
    struct fence_labels namespace_labels;
    struct fence_labels labels;
    struct fence_container_port *ports;
    size_t port_count;
    size_t port_capacity;
};

struct fence_plan_peer {
    char *content;                /* identity, most specific block, named ports */
    uint32_t reserved;            /* enum fence_peer_number when it is a reserved one, else 0 */
    uint32_t identity;            /* index */
    uint32_t flags;               /* enum fence_peer_flag */
    bool carried;                 /* of the previous plan only: no address leads to it any more */
    struct fence_plan_view *view; /* for the compiler */
};

struct fence_plan_address {
    struct fence_addr addr;
    uint32_t peer; /* index */
};

struct fence_plan_prefix {
    struct fence_prefix prefix;
    uint32_t peer; /* index */
};

struct fence_plan_rule {
    char *policy;       /* Kind/namespace/name or Kind/name */
    uint32_t index;     /* FENCE_RULE_NONE = the policy's isolation */
    uint32_t direction; /* enum fence_direction */
};

/* rule and shadow_rule of its intervals: index into rules + 1, 0 = none. */
struct fence_plan_table {
    struct fence_interval *intervals;
    size_t count;
    size_t capacity;
};

struct fence_plan_entry {
    uint32_t peer;      /* index */
    uint32_t direction; /* enum fence_direction */
    uint32_t table;     /* index */
};

struct fence_plan_set {
    char *content; /* the rules that apply to its endpoints, named ports resolved */
    uint32_t fallback[FENCE_DIRECTIONS]; /* table of each peer without an entry; depends on content
                                            only and allows nothing that "pending" is denied */
    struct fence_plan_entry *entries;    /* peers whose table is another one */
    size_t entry_count;
    size_t entry_capacity;
    char *problem; /* why it cannot be used (its endpoints are closed), NULL when fine */
};

struct fence_plan_endpoint {
    uint64_t created_ns; /* of the endpoint that is meant; 0 = whatever has the index */
    uint32_t ifindex;
    uint32_t flags;      /* FENCE_EP_PENDING, INCOMPLETE, EXEMPT, NOT_APPLIED as it should be */
    uint32_t identity;   /* index, or FENCE_PLAN_NONE while pending */
    uint32_t set;        /* index, or FENCE_PLAN_NONE: set 0 */
    uint32_t next_set;   /* index, or FENCE_PLAN_NONE */
    int64_t takeover;    /* wall clock, seconds since 1970; 0 = none */
    const char *pending; /* static text why it is pending, NULL when resolved */
};

/* Something worth showing in `podfencectl status` that is nobody's error. */
struct fence_plan_note {
    char *subject; /* pod, address, policy */
    char *text;
};

#define FENCE_PLAN_LIST(type, name)                                                                \
    struct type *name;                                                                             \
    size_t name##_count;                                                                           \
    size_t name##_capacity

struct fence_plan {
    FENCE_PLAN_LIST(fence_plan_identity, identities);
    FENCE_PLAN_LIST(fence_plan_peer, peers);
    FENCE_PLAN_LIST(fence_plan_address, addresses);
    FENCE_PLAN_LIST(fence_plan_prefix, prefixes); /* always with 0.0.0.0/0 and ::/0 */
    FENCE_PLAN_LIST(fence_plan_rule, rules);
    FENCE_PLAN_LIST(fence_plan_table, tables); /* no two equal */
    FENCE_PLAN_LIST(fence_plan_set, sets);
    FENCE_PLAN_LIST(fence_plan_endpoint, endpoints);
    FENCE_PLAN_LIST(fence_plan_note, notes);
    int64_t next_expiry; /* when the daemon has to compile again, 0 = never */
};

void fence_plan_free(struct fence_plan **plan);
