/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random packets that are nearly right: header chains, fragments, lengths that lie, payload that
 * looks like the ports of an allowed connection. The same for the same seed.
 */
#pragma once

#include "test/bpf/frame.h"
#include "test/policy/rng.h"

#define GENERATE_SEQUENCE_MAX 4

struct generated {
    struct frame frame;
    unsigned int segment; /* gso_size, 0 = a packet of its own */
};

/* One datagram or connection's worth of packets, in any order, between the pod and one other end;
 * how many. */
size_t generate_sequence(struct rng *rng, enum fence_direction direction,
                         struct generated packets[GENERATE_SEQUENCE_MAX]);
