/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the pinned layout (abi.h) has of what is reported: flows, counters, events. */
#pragma once

#include "bpf/addr.h"

/* flows: LRU_PERCPU_HASH, one count per new connection or refused first packet. */
struct fence_flow_key {
    __u32 source;      /* identity */
    __u32 destination; /* identity */
    __u16 port;        /* destination port, or ICMP type << 8 | code */
    __u8 protocol;
    __u8 direction; /* of the hook that judged it */
    __u8 verdict;
    __u8 shadow;
    __u16 pad;
};

struct fence_flow {
    __u64 count;
    __u64 first_seen; /* jiffies, since this entry was made */
    __u64 last_seen;  /* jiffies */
    __u32 rule;       /* that decided last: number in `rules`, 0 = none */
    __u32 shadow_rule;
    __u32 told_at; /* jiffies of the last connection that was told, on this CPU */
    __u32 told;    /* how many of `count` are told, or told with it as a number; 32 bits of it */
    __u8 reason;   /* enum fence_reason, of the last */
    __u8 shadow_reason;
    __u8 pad[6];
};

/*
 * observed: ARRAY by enum fence_hearing -> jiffies until which somebody wants to hear of
 * connections that are simply allowed. Drops, cuts and what audited policies would deny are told
 * always.
 */
enum fence_hearing {
    FENCE_HEARING_ALL, /* of each of them */
    /* Of one a second of each flow, and of the first one in a second with each remote address, with
     * the number of others of the flow that were left out before: what alarms need. */
    FENCE_HEARING_ALIKE,
    FENCE_HEARINGS,
};

/* counters: PERCPU_ARRAY, index reason * FENCE_DIRECTIONS + direction. */
struct fence_counter {
    __u64 packets;
    __u64 bytes;
};

/*
 * event_limits: LRU_HASH; keeps a flood of drops to a bounded number of records, with counts. Two
 * limits for each drop: of what is equal to it, and of what is alike (endpoint, reason and
 * direction are the same), whatever its address and port.
 */
struct fence_event_key {
    __u32 ifindex;
    __u8 reason;
    __u8 direction;
    __u8 protocol;
    __u8 alike; /* 1: the second limit; protocol, remote and port are 0 */
    struct fence_addr remote;
    __u32 port; /* destination */
};

struct fence_event_limit {
    __u64 since; /* jiffies; the second in which `sent` are counted */
    __u32 sent;
    __u32 suppressed; /* left out and not told yet; taken by an atomic exchange */
    /* of what was told last: */
    struct fence_addr local;
    __u32 identity;
    __u32 peer_identity;
    __u32 set;
    __u32 rule;
    __u16 ethertype;
    __u16 pad[3];
};

enum fence_event_type {
    FENCE_EVENT_VERDICT = 1, /* a new connection's verdict */
    FENCE_EVENT_DROP = 2,    /* a refused packet */
    FENCE_EVENT_CUT = 3,     /* an established connection's verdict has changed */
    /* No packet of its own: so many drops were left out, and nothing has told of them since. With
     * protocol 0, port 0 and no address at the other end: drops of that endpoint, reason and
     * direction, of any kind. */
    FENCE_EVENT_SUPPRESSED = 4,
};

/* events: ring buffer. */
struct fence_event {
    __u64 time_ns; /* CLOCK_BOOTTIME */
    struct fence_addr source;
    struct fence_addr destination;
    __u32 ifindex;
    __u32 identity; /* of the endpoint */
    __u32 peer;
    __u32 peer_identity;
    __u32 set;
    __u32 rule;
    __u32 shadow_rule;
    __u32 suppressed;       /* equal drops, or connections of the flow, left out before this one */
    __u16 source_port;      /* ICMP: 0 */
    __u16 destination_port; /* ICMP: type << 8 | code, of this packet */
    __u16 ethertype;
    __u8 protocol;
    __u8 direction;
    __u8 type; /* enum fence_event_type */
    __u8 verdict;
    __u8 reason;
    __u8 shadow;
    __u8 shadow_reason;
    __u8 tcp_flags;
    __u8 pad[2];
};

FENCE_ASSERT_SIZE(fence_flow_key, 16);
FENCE_ASSERT_SIZE(fence_flow, 48);
FENCE_ASSERT_SIZE(fence_counter, 16);
FENCE_ASSERT_SIZE(fence_event_key, 28);
FENCE_ASSERT_SIZE(fence_event_limit, 56);
FENCE_ASSERT_SIZE(fence_event, 88);
