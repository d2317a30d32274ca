/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/alarm/reach.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

struct fence_reach_ports {
    uint32_t count;
    struct {
        uint32_t port;
        uint32_t ms; /* when it was tried last; wraps, which compares well within a window */
    } items[FENCE_REACH_PORTS];
};

static uint32_t ms_of(uint64_t ns)
{
    return (uint32_t)(ns / 1000000);
}

static bool is_over(uint64_t then_ns, uint64_t now_ns, uint64_t window_ns)
{
    /* of several rings read in turns one may be a little behind */
    return now_ns > then_ns && now_ns - then_ns > window_ns;
}

static void forget_peer(struct fence_reach *reach, uint32_t i)
{
    if (reach->items[i].ports) {
        free(reach->items[i].ports);
        reach->trackers--;
    }
    reach->items[i] = reach->items[--reach->count];
}

/* Drops what is over for both windows; returns the peer's place, or `count` when it has none. */
static uint32_t sweep(struct fence_reach *reach, const struct fence_reach_attempt *attempt,
                      uint32_t *ret_peers)
{
    uint64_t longer = attempt->peer_window_ns > attempt->port_window_ns ? attempt->peer_window_ns
                                                                        : attempt->port_window_ns;
    uint32_t found = UINT32_MAX, i = 0;

    *ret_peers = 0;
    while (i < reach->count) {
        const struct fence_reach_peer *peer = &reach->items[i];

        if (is_over(peer->last_ns, attempt->now_ns, longer)) {
            forget_peer(reach, i);
            continue;
        }
        if (peer->key == attempt->peer)
            found = i;
        else
            *ret_peers += !is_over(peer->last_ns, attempt->now_ns, attempt->peer_window_ns);
        i++;
    }
    return found == UINT32_MAX ? reach->count : found;
}

static uint32_t oldest(const struct fence_reach *reach, bool tracked)
{
    uint32_t found = 0;
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < reach->count; i++)
        if ((!tracked || reach->items[i].ports) && reach->items[i].last_ns < least) {
            least = reach->items[i].last_ns;
            found = i;
        }
    return found;
}

/* A place for one more: a new one, or that of the longest untried. NULL without memory. */
static struct fence_reach_peer *make_place(struct fence_reach *reach)
{
    if (reach->count == FENCE_REACH_PEERS)
        forget_peer(reach, oldest(reach, false));
    else if (FENCE_GROW(reach->items, reach->capacity, reach->count) < 0)
        return NULL;
    return &reach->items[reach->count++];
}

/* Its second port: from now on all are kept. */
static bool track(struct fence_reach *reach, struct fence_reach_peer *peer)
{
    if (reach->trackers == FENCE_REACH_TRACKERS) {
        struct fence_reach_peer *loser = &reach->items[oldest(reach, true)];

        peer->ports = TAKE_PTR(loser->ports);
    } else {
        peer->ports = malloc(sizeof(*peer->ports));
        reach->trackers += peer->ports != NULL;
    }
    if (!peer->ports)
        return false;
    peer->ports->count = 1;
    peer->ports->items[0].port = peer->port;
    peer->ports->items[0].ms = ms_of(peer->port_ns);
    return true;
}

/* Notes the port; returns how many are within the window. */
static uint32_t add_port(struct fence_reach_ports *ports, const struct fence_reach_attempt *attempt)
{
    uint32_t now = ms_of(attempt->now_ns), window = ms_of(attempt->port_window_ns), kept = 0;
    uint32_t last = 0, least = 0;
    bool known = false;

    for (uint32_t i = 0; i < ports->count; i++) {
        uint32_t age = now - ports->items[i].ms;

        if (ports->items[i].port == attempt->port) {
            ports->items[i].ms = now;
            known = true;
        } else if ((int32_t)age > 0 && age > window) {
            continue;
        }
        ports->items[kept] = ports->items[i];
        if ((int32_t)age > (int32_t)least) {
            least = age;
            last = kept;
        }
        kept++;
    }
    ports->count = kept;
    if (known)
        return kept;
    if (kept < FENCE_REACH_PORTS)
        last = ports->count++;
    ports->items[last].port = attempt->port;
    ports->items[last].ms = now;
    return ports->count;
}

static uint32_t count_port(struct fence_reach *reach, struct fence_reach_peer *peer,
                           const struct fence_reach_attempt *attempt)
{
    if (!peer->ports && peer->port != attempt->port &&
        !is_over(peer->port_ns, attempt->now_ns, attempt->port_window_ns) && !track(reach, peer))
        return 1;
    if (peer->ports)
        return add_port(peer->ports, attempt);
    peer->port = attempt->port;
    peer->port_ns = attempt->now_ns;
    return 1;
}

void fence_reach_add(struct fence_reach *reach, const struct fence_reach_attempt *attempt,
                     struct fence_reach_counts *ret_counts)
{
    uint32_t others, at = sweep(reach, attempt, &others);
    struct fence_reach_peer *peer;

    *ret_counts = (struct fence_reach_counts){.peers = others + 1, .ports = 1};
    if (at < reach->count) {
        peer = &reach->items[at];
    } else {
        peer = make_place(reach);
        if (!peer)
            return;
        *peer = (struct fence_reach_peer){
            .key = attempt->peer, .port = attempt->port, .port_ns = attempt->now_ns};
    }
    if (attempt->now_ns > peer->last_ns)
        peer->last_ns = attempt->now_ns;
    ret_counts->ports = count_port(reach, peer, attempt);
}

uint32_t fence_reach_peers(const struct fence_reach *reach, uint64_t now_ns, uint64_t window_ns)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < reach->count; i++)
        count += !is_over(reach->items[i].last_ns, now_ns, window_ns);
    return count;
}

size_t fence_reach_bytes(const struct fence_reach *reach)
{
    return reach->capacity * sizeof(*reach->items) +
           reach->trackers * sizeof(struct fence_reach_ports);
}

void fence_reach_done(struct fence_reach *reach)
{
    for (uint32_t i = 0; i < reach->count; i++)
        free(reach->items[i].ports);
    free(reach->items);
    *reach = (struct fence_reach){0};
}
