/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a subject has tried to reach lately, and on how many ports: exact sliding windows over
 * bounded sets. Inside lib/alarm.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* More peers or ports than these change no answer: thresholds are smaller (config.c). */
#define FENCE_REACH_PEERS    256u
#define FENCE_REACH_PORTS    64u
#define FENCE_REACH_TRACKERS 32u /* peers of which more than one port is known */

struct fence_reach_ports; /* opaque */

struct fence_reach_peer {
    uint64_t key;
    uint64_t last_ns;
    uint64_t port_ns;                /* when `port` was tried last */
    uint32_t port;                   /* the first one */
    struct fence_reach_ports *ports; /* all of them, from the second on; else NULL */
};

/* Zeroed = empty. */
struct fence_reach {
    struct fence_reach_peer *items;
    uint32_t count;
    uint32_t capacity;
    uint32_t trackers;
};

struct fence_reach_attempt {
    uint64_t peer;
    uint32_t port; /* with the protocol in it */
    uint64_t now_ns;
    uint64_t peer_window_ns;
    uint64_t port_window_ns;
};

/* Distinct ones within their windows, this attempt among them. Without memory: of what is known. */
struct fence_reach_counts {
    uint32_t peers;
    uint32_t ports; /* of this peer */
};
void fence_reach_add(struct fence_reach *reach, const struct fence_reach_attempt *attempt,
                     struct fence_reach_counts *ret_counts);
/* Peers tried within the window. */
uint32_t fence_reach_peers(const struct fence_reach *reach, uint64_t now_ns, uint64_t window_ns);
size_t fence_reach_bytes(const struct fence_reach *reach);
void fence_reach_done(struct fence_reach *reach);
