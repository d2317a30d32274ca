/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* When a connection entry has expired: the same answer in the kernel and in the daemon's sweep. */
#pragma once

#include "bpf/abi.h"

/* Numbers of our own: linux/in.h and netinet/in.h do not go together everywhere. */
#define FENCE_IP_ICMP   1
#define FENCE_IP_TCP    6
#define FENCE_IP_ICMPV6 58
#define FENCE_IP_SCTP   132

#define FENCE_SECONDS_UNREPLIED 60
#define FENCE_SECONDS_TCP_ESTABLISHED                                                              \
    (6 * 3600) /* a lost entry costs one look-up, no connection                                    \
                */
#define FENCE_SECONDS_TCP_CLOSED 10
#define FENCE_SECONDS_ICMP       30
#define FENCE_SECONDS_SCTP       1800
#define FENCE_SECONDS_OTHER      180

/* After a datagram flow was cut, what the asked side sends for so long is an answer on its way. */
#define FENCE_SECONDS_ANSWERS 5

/* An endpoint for whose connection no entry could be made recovers for so long, rounded up to
 * ticks. */
#define FENCE_SECONDS_FULL 3

/* A packet on another CPU may have been later than the one that looks, and here before it. */
#define FENCE_SECONDS_AHEAD 60

/* Seconds without a packet after which the entry counts as absent. */
static inline __u32 fence_connection_lifetime(__u8 protocol, __u16 flags)
{
    if (flags & FENCE_CONN_CLOSED)
        return FENCE_SECONDS_TCP_CLOSED;
    if (!(flags & FENCE_CONN_REPLIED))
        return FENCE_SECONDS_UNREPLIED;
    if (protocol == FENCE_IP_TCP)
        return FENCE_SECONDS_TCP_ESTABLISHED;
    if (protocol == FENCE_IP_ICMP || protocol == FENCE_IP_ICMPV6)
        return FENCE_SECONDS_ICMP;
    return protocol == FENCE_IP_SCTP ? FENCE_SECONDS_SCTP : FENCE_SECONDS_OTHER;
}

/*
 * Jiffies since `seen`, at least 0. Stamps are 32 bits wide, which is 49 days at 1,000 a second;
 * what is older was swept long before, or looks old all the same but for a minute in 49 days.
 */
static inline __u32 fence_jiffies_since(__u64 now, __u32 seen, __u32 hz)
{
    __u32 ahead = FENCE_SECONDS_AHEAD * hz;
    __u32 since = (__u32)now - seen + ahead;

    return since < ahead ? 0 : since - ahead;
}

static inline int fence_connection_expired(__u8 protocol, __u64 state, __u64 now, __u32 hz)
{
    return fence_jiffies_since(now, FENCE_STATE_SEEN(state), hz) >
           hz * fence_connection_lifetime(protocol, FENCE_STATE_FLAGS(state));
}
