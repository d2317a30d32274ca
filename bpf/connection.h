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
