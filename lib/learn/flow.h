/* SPDX-License-Identifier: Apache-2.0 */
/* What was seen, as learning takes it in: connections counted by workload, never by address. */
#pragma once

#include <stdint.h>

#include "lib/base/addr.h"
#include "lib/base/labels.h"

enum fence_learn_end_kind {
    FENCE_LEARN_WORKLOAD,
    FENCE_LEARN_NODE, /* another node */
    FENCE_LEARN_RESERVED,
};

/* One end. All texts and arrays are borrowed. */
struct fence_learn_end {
    enum fence_learn_end_kind kind;
    uint32_t reserved;                 /* RESERVED: enum fence_identity_number */
    const char *namespace_name;        /* WORKLOAD */
    const char *app;                   /* WORKLOAD: shown name */
    const struct fence_labels *labels; /* WORKLOAD: of its pods; NULL = none */
    const char *node;                  /* NODE: its name */
    const struct fence_prefix *addrs;  /* RESERVED: those that are known */
    size_t addr_count;
    uint64_t omitted; /* connections whose address found no place */
    uint64_t unheard; /* connections whose address was not told */
};

enum fence_learn_verdict {
    FENCE_LEARN_FORWARDED,
    FENCE_LEARN_DROPPED,
    FENCE_LEARN_AUDIT, /* let through, and an Audit policy would not have */
};

struct fence_learn_flow {
    struct fence_learn_end source;
    struct fence_learn_end destination;
    unsigned int protocol;  /* IP protocol number */
    uint16_t port;          /* of the destination; ICMP: type << 8 | code; else 0 */
    unsigned int direction; /* enum fence_direction: of the hook that judged */
    enum fence_learn_verdict verdict;
    unsigned int reason;      /* enum fence_reason */
    const char *policy;       /* Kind/namespace/name, "" = none */
    const char *audit_policy; /* the same */
    uint32_t rule;            /* FENCE_RULE_NONE = none */
    uint32_t audit_rule;
    uint64_t count;
    int64_t first_seen; /* seconds since 1970 */
    int64_t last_seen;
};

struct fence_learn_flows {
    const struct fence_learn_flow *items;
    size_t count;
    int64_t since; /* seconds since 1970: from when everything was counted */
    int64_t until;
    uint64_t lost; /* flows that were not kept */
};

/* May this flow be told from: was it let through, and did its packet open a connection? */
bool fence_learn_is_seen(const struct fence_learn_flow *flow);
/* Has it ports (TCP, UDP, SCTP), or a type and a code (ICMP, ICMPv6)? */
bool fence_learn_has_ports(unsigned int protocol);
bool fence_learn_is_icmp(unsigned int protocol);
