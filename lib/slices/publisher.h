/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All pods and nodes of a cluster, published as address slices: a client of its own that watches
 * them and the slices, the packer, and the writes. For who has the Lease. All slices of the API
 * server are the publisher's: what it does not know is deleted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/kube/config.h"
#include "lib/slices/packer.h"

struct fence_publisher; /* opaque */

/* Copies what it needs of the configuration. */
int fence_publisher_new(const struct fence_kube_config *config,
                        struct fence_publisher **ret_publisher, struct fence_err *err);
/* What is on its way may be written or not. */
void fence_publisher_free(struct fence_publisher **publisher);

/* Poll this for reading, then call fence_publisher_handle: sockets and timers behind one
 * descriptor. */
int fence_publisher_fd(const struct fence_publisher *publisher);
void fence_publisher_handle(struct fence_publisher *publisher);

struct fence_publisher_state {
    struct fence_packer_count count;
    uint64_t writes;     /* requests that were taken, since it was made */
    uint64_t bytes;      /* of their bodies */
    uint64_t failures;   /* requests that were not */
    uint64_t received;   /* bytes of pods, nodes and slices */
    const char *problem; /* valid until the next call; "" = nothing is wrong */
};
void fence_publisher_state(const struct fence_publisher *publisher,
                           struct fence_publisher_state *ret_state);
