/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emergency cuts. Each is an ordinary ClusterSegmentPolicy in the store, in a unit of its own
 * ("cut:ID"), so that everything else sees a policy; and a line in the file cuts.json of --state,
 * which is written before the maps are, so that a daemon that starts again puts it back before it
 * applies anything.
 *
 * Its end is a moment of the boot clock: setting the wall clock makes it neither shorter nor
 * longer. The policy's expiresAt is that moment by the wall clock of now, in whole seconds, and is
 * put right when the clock was set (fence_cuts_refresh). The kernel ends it without the daemon.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/api/cut.h"
#include "lib/base/err.h"

struct fence_daemon;

#define FENCE_CUTS_MAX 64u

struct fence_cuts {
    struct fence_cut_entry *items[FENCE_CUTS_MAX]; /* oldest first */
    size_t count;
    uint64_t made; /* these count since the start */
    uint64_t ended;
    uint64_t undone;
};

/* Bring back what --state keeps and is not over. A file that cannot be read is a problem in status,
 * not an error. */
int fence_cuts_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_cuts_done(struct fence_daemon *daemon);

/*
 * Cut. 0: in force, on every endpoint of this node that it selects. -EINVAL: wrong in itself,
 * -ENOSPC: there are FENCE_CUTS_MAX already, -ENOMEM: nothing was done. Any other error: it is kept
 * and tried again, but not in force everywhere yet (-EINPROGRESS: the maps cannot be written at the
 * moment); `err` says where and why.
 */
int fence_cuts_add(struct fence_daemon *daemon, const struct fence_cut *cut, struct fence_err *err);

/* How many are not over of this origin; of these pods alone, unless `pods` is NULL. */
size_t fence_cuts_count(const struct fence_daemon *daemon, const char *origin, const char *pods);

/* Before a compile: drop those that are over, and move the ends that the wall clock has moved. */
void fence_cuts_refresh(struct fence_daemon *daemon);

/* "cuts" of status: {"active":N,"made":N,"ended":N,"undone":N}. */
void fence_cuts_add_status(cJSON *status, const struct fence_cuts *cuts);

/* The socket's operations cut, cuts and uncut. */
struct fence_client;
void fence_cuts_handle_cut(struct fence_client *client, const cJSON *request);
void fence_cuts_handle_list(struct fence_client *client, const cJSON *request);
void fence_cuts_handle_uncut(struct fence_client *client, const cJSON *request);
