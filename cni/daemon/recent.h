/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The latest records, for who asks about what has been. 4,096 of them, less than 1 MB, and the
 * names that they refer to: shared with all that have the same, at most 5 KB for each record if
 * none were.
 */
#pragma once

#include "lib/api/resolve.h"

#define FENCE_RECENT_MAX 4096u

/* Zeroed = not in use: keeps nothing. */
struct fence_recent {
    struct fence_resolved *items; /* by number, modulo FENCE_RECENT_MAX */
    uint64_t newest;              /* number, 0 = there was none */
};

int fence_recent_init(struct fence_recent *recent);
void fence_recent_done(struct fence_recent *recent);

/* The next one, whose number is that of the last one and 1. Takes its references. */
void fence_recent_add(struct fence_recent *recent, struct fence_resolved *resolved);

/* Number of the oldest one that is still there; newest + 1 when none is. */
uint64_t fence_recent_oldest(const struct fence_recent *recent);
/* From the oldest to the newest number. */
const struct fence_resolved *fence_recent_get(const struct fence_recent *recent, uint64_t number);
