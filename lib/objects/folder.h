/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of files as a source: what a ConfigMap volume looks like (data behind ..data, swapped
 * as one), or plain files edited in place. Follows changes by inotify; a change is read when the
 * folder has been quiet for a moment or at most 100 ms after the first event, so that a half
 * written file is rarely seen and never kept. What inotify cannot tell (a volume mounted over the
 * folder) is found within 5 s.
 *
 * An object that goes to another file and is refused there keeps its last good version, as it would
 * in the file that it was in.
 *
 * A folder that cannot be read, or that was a mounted volume and is an empty folder now, keeps
 * what it contributed.
 */
#pragma once

#include "lib/objects/store.h"

struct fence_folder; /* opaque */

/*
 * `state_dir` NULL: nothing is kept across restarts; else it is made when missing. Opens inotify;
 * the folder need not exist yet.
 * `order` as in fence_store_put.
 */
int fence_folder_new(const char *path, unsigned int order, const char *state_dir,
                     struct fence_folder **ret_folder, struct fence_err *err);
void fence_folder_free(struct fence_folder **folder);

/* Poll this for reading, then call fence_folder_handle. */
int fence_folder_fd(const struct fence_folder *folder);

/*
 * Read what changed, the first time everything. Returns 1 when objects changed. Errors end up as
 * problems in the store: under the path of the file or folder, or "state of <folder>". A negative
 * return means that memory ended; reading again goes on where it stopped.
 */
int fence_folder_read(struct fence_folder *folder, struct fence_store *store,
                      struct fence_err *err);

/*
 * Take in pending events. Returns ms until fence_folder_read should be called (0 = now), or -1
 * when nothing is pending.
 */
int fence_folder_handle(struct fence_folder *folder);

/* True when the folder was there and could be read the last time: part of the daemon's readiness.
 */
bool fence_folder_present(const struct fence_folder *folder);
const char *fence_folder_path(const struct fence_folder *folder);
