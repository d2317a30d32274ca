/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pods had open before they were enrolled, from the kernel's connection tracking.
 *
 * It is read after the filters are on, so that every connection is older than the reading, or is
 * tracked by the filters from its first packet; and written before the pod is resolved, while
 * everything passes: the first packet that policy judges finds the right opener. What the filters
 * have tracked in between stays, but who opened it is conntrack's to say: it has seen the first
 * packet, and the filters may have taken an answer for one. What conntrack does not know is
 * forgotten once the pod is resolved (unenforced.h), as where there is no conntrack at all.
 *
 * The table is read a few milliseconds a turn; nothing is applied meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cni/daemon/loop.h"
#include "lib/datapath/seed.h"

struct fence_daemon;

struct fence_seeding {
    struct fence_conntrack_dump *dump; /* NULL: nothing is being read */
    struct fence_fd_watch watch;
    struct fence_seed_view view;
    struct fence_seed_list seeds;
    uint64_t began_ns; /* boot time */
    uint64_t ended_ns; /* 0: what was read is not enough any more */
    bool wanted;       /* there may be endpoints that need it */
    bool
        interrupted; /* some were resolved by a daemon that was killed before it had settled them */
    bool told;       /* that there is nothing to be had */
};

/* There are newly enrolled endpoints; `interrupted`: or ones that the daemon before us has left. */
void fence_seeding_want(struct fence_seeding *seeding, bool interrupted);

/* May be applied now? If not, it is being read, and the daemon is made dirty afterwards. */
bool fence_seeding_ready(struct fence_daemon *daemon);

/* Forget all connections of the slot but those that were read. */
int fence_seeding_keep(struct fence_daemon *daemon, uint32_t slot, struct fence_err *err);

void fence_seeding_done(struct fence_daemon *daemon);
