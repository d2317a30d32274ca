/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of many is elected to write for all, by a Lease (coordination.k8s.io/v1), as client-go's
 * leader election does it: the holder renews it; who sees it unchanged for its duration, by its own
 * clock, takes it with the version that it saw. For what may be done twice without harm: between
 * two holders there may be a moment in which both believe that they are it.
 *
 * Thousands may want it: each looks the less often the higher its rank, so that 5,000 of them
 * together ask two to four times a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/kube/reflector.h"

struct fence_lease; /* opaque */

/* All that it points to outlives the lease. */
struct fence_lease_options {
    const char *namespace_name; /* of the Lease; a name that needs no encoding, as the next two */
    const char *name;
    const char *identity;    /* who we are: the node */
    unsigned int duration_s; /* 0 = 30: so long after the holder's death somebody else has it. It
                                is renewed at a third of it, and counts as held for two */
    const struct fence_reflector_world *world;
};

/* -ENOMEM. The first look is due at once (rank 0). */
int fence_lease_new(const struct fence_lease_options *options, struct fence_lease **ret_lease);
/* Cancels what is on its way. It stays ours until it runs out, unless it has been given. */
void fence_lease_free(struct fence_lease **lease);

/* 0 looks at every third of the duration, n so many times less often, up to an hour. */
void fence_lease_set_rank(struct fence_lease *lease, unsigned int rank);

/* Boot time at which fence_lease_tick is to be called. Also after every exchange. */
uint64_t fence_lease_due_ns(const struct fence_lease *lease);
void fence_lease_tick(struct fence_lease *lease);

/* Is it ours now? False as soon as it could not be renewed for two thirds of its duration. */
bool fence_lease_is_held(const struct fence_lease *lease);
/* Give it back, if it is held: the next who looks takes it. True as long as that is on its way. */
bool fence_lease_give(struct fence_lease *lease);
/* Who held it when last looked at; "" when nobody did. */
const char *fence_lease_holder(const struct fence_lease *lease);
/* Why it cannot be read or written; "" when it can. */
const char *fence_lease_problem(const struct fence_lease *lease);
