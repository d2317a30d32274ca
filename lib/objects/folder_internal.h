/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the folder: folder.c reads it, folder_state.c keeps what was last good. */
#pragma once

#include "lib/objects/folder.h"
#include "lib/objects/known.h"

struct fence_watch;

struct fence_folder {
    char *path;
    char *state_dir;  /* NULL = none */
    char *state_name; /* the unit under which troubles with the state are listed */
    unsigned int order;
    struct fence_watch *watch;
    struct fence_known *known; /* uthash by name */
    bool present;
    bool started;         /* has been read, or been found missing */
    bool mounted;         /* was a mount point when it was last there */
    uint64_t first_event; /* ns, 0 = nothing pending */
    uint64_t last_event;
};

/* One run of fence_folder_read. */
struct fence_folder_run {
    struct fence_folder *folder;
    struct fence_store *store;
    struct fence_err *err;
    bool changed;
    bool refused; /* an object of the scan: another file may have had it */
    struct fence_err state_problem;
    bool state_failed;
};

/* The unit of a file, a new string; NULL when out of memory. */
char *fence_folder_unit(const struct fence_folder *folder, const char *name);

/* At start: whatever the state has of this folder counts as known, so that it is removed when the
 * folder has no such file any more. -ENOMEM. */
int fence_folder_learn(struct fence_folder_run *run);
/* Bring back what was last good in a unit that the store has nothing of. -ENOMEM. */
int fence_folder_restore(struct fence_folder_run *run, const char *unit);
/* Keep what the store has of the files that were seen, then forget those that were not, here too:
 * what they had may have gone into another one. -ENOMEM. */
int fence_folder_save(struct fence_folder_run *run);
/* List what was wrong with the state. */
void fence_folder_report_state(struct fence_folder_run *run);
