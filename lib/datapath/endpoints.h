/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints and endpoint_info maps. Two programs write them, the plugin and the daemon; they
 * take turns by an flock on the pinned directory, held for a few map operations only, and wait for
 * it at most FENCE_LOCK_WAIT_MS.
 */
#pragma once

#include <stddef.h>

#include "lib/datapath/pins.h"

#define FENCE_LOCK_WAIT_MS 1000

/* Returns a descriptor to close, or -ETIMEDOUT; -ESTALE: this layout has been removed. */
int fence_endpoints_lock(const struct fence_pins *pins, struct fence_err *err);

struct fence_endpoint_record {
    __u32 ifindex;
    struct fence_endpoint endpoint;
    struct fence_endpoint_info info;
};

struct fence_endpoint_list {
    struct fence_endpoint_record *items; /* sorted by ifindex */
    size_t count;
    size_t capacity;
};
int fence_endpoints_list(const struct fence_pins *pins, struct fence_endpoint_list *ret_list,
                         struct fence_err *err);
/* The same of another layout, whose values the reader understands. */
typedef void (*fence_endpoint_reader)(const void *value, struct fence_endpoint *ret_endpoint);
int fence_endpoints_list_by(const struct fence_pins *pins, fence_endpoint_reader reader,
                            struct fence_endpoint_list *ret_list, struct fence_err *err);
/* Info without an endpoint: half written or half removed by somebody who was killed. */
int fence_endpoints_leftover(const struct fence_pins *pins, struct fence_endpoint_list *ret_list,
                             struct fence_err *err);
void fence_endpoint_list_done(struct fence_endpoint_list *list);

/* -ENOENT when there is none. */
int fence_endpoint_get(const struct fence_pins *pins, __u32 ifindex,
                       struct fence_endpoint_record *ret_record);
/* Exact match of container ID and interface name. One that was half written or half removed is
 * found too: its endpoint is all zero. */
int fence_endpoint_find(const struct fence_pins *pins, const char *container_id, const char *ifname,
                        struct fence_endpoint_record *ret_record);

/*
 * Create or replace; picks record->endpoint.slot when it is 0. Info is written before the endpoint,
 * so that an endpoint always has one. Caller holds the lock. -E2BIG: the map is full.
 */
int fence_endpoint_put(const struct fence_pins *pins, struct fence_endpoint_record *record,
                       struct fence_err *err);

/* Change an existing one; -ENOENT when it has gone. Caller holds the lock. */
int fence_endpoint_update(const struct fence_pins *pins, __u32 ifindex,
                          const struct fence_endpoint *endpoint, struct fence_err *err);

/*
 * Remove the endpoint, detach, then remove its connections, fragments, event limits
 * and info. Goes on after an error and returns the first; the info then stays, so that the endpoint
 * is found again by fence_endpoint_find and fence_endpoints_leftover. Needs no lock and may be
 * called with it; without TCX it takes well under a millisecond, with it tens.
 */
int fence_endpoint_remove(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);

/* Forget the connections of a slot: their next packets are judged anew. */
int fence_endpoint_forget(const struct fence_pins *pins, __u32 slot, struct fence_err *err);
