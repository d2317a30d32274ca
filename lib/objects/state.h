/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Last good objects on disk (--state), so that they outlive the daemon. One file a unit, a List of
 * canonical JSON objects, named by a hash of the unit's path; its first line says whose it is.
 *
 * The daemon keeps more in the folder, in files with names. One that it cannot read it renames,
 * with FENCE_STATE_BROKEN behind its name.
 */
#pragma once

#include "lib/objects/decode.h"

#define FENCE_STATE_ALARMS "alarms.json" /* what is usual, for alarms */
#define FENCE_STATE_CUTS   "cuts.json"   /* emergency cuts in force */
#define FENCE_STATE_FLOWS  "flows.jsonl" /* the flow book */
#define FENCE_STATE_BROKEN ".broken"

/* What the first line of a state file says. */
struct fence_state_unit {
    char *unit;
    bool mounted; /* its folder was a mount point */
};

struct fence_state_units {
    struct fence_state_unit *items;
    size_t count;
    size_t capacity;
};

/* All units that the folder `dir` keeps something of; files that are none of ours are left out,
 * and what was left unfinished by a process that was killed is removed. */
int fence_state_list(const char *dir, struct fence_state_units *ret_units, struct fence_err *err);
void fence_state_units_done(struct fence_state_units *units);

/* -ENOENT when nothing is kept. */
int fence_state_load(const char *dir, const char *unit, struct fence_decoded_list *ret_list,
                     struct fence_err *err);
/* `json` as fence_store_unit_json gives it; written only when it is not there already. */
int fence_state_save(const char *dir, const struct fence_state_unit *unit, const char *json,
                     struct fence_err *err);
int fence_state_forget(const char *dir, const char *unit, struct fence_err *err);
/* Remove one of the files with names, and its broken one. 1 when there was one, 0, or an error. */
int fence_state_remove(const char *dir, const char *name, struct fence_err *err);
