/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state folder holds what the store has of each file. It is read back when a file is met for
 * the first time and something of the folder cannot be taken, or when the folder is missing from
 * the start.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/folder_internal.h"
#include "lib/objects/state.h"

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* The enforcement goes on without it; what is lost is only that it outlives us. */
static void note_state(struct fence_folder_run *run, const struct fence_err *problem)
{
    run->state_failed = true;
    run->state_problem = *problem;
}

int fence_folder_restore(struct fence_folder_run *run, const char *unit)
{
    struct fence_decoded_list list = {0};
    struct fence_err problem;
    int r;

    if (!run->folder->state_dir)
        return 0;
    r = fence_state_load(run->folder->state_dir, unit, &list, &problem);
    if (r == -ENOENT)
        return 0;
    if (r < 0) {
        note_state(run, &problem);
        return r == -ENOMEM ? no_memory(run->err) : 0;
    }
    r = fence_store_restore(run->store, run->folder->order, unit, &list, run->err);
    fence_decoded_list_done(&list);
    run->changed = run->changed || r > 0;
    return r < 0 ? r : 0;
}

static void save_file(struct fence_folder_run *run, struct fence_known *known, const char *unit)
{
    FENCE_FREE char *json = NULL;
    FENCE_FREE char *copy = strdup(unit);
    struct fence_state_unit owner = {.unit = copy, .mounted = run->folder->mounted};
    struct fence_err problem;

    if (!run->folder->state_dir || known->saved)
        return;
    json = fence_store_unit_json(run->store, unit);
    if (!json || !copy)
        no_memory(&problem);
    else if (fence_state_save(run->folder->state_dir, &owner, json, &problem) == 0)
        known->saved = true;
    if (!known->saved)
        note_state(run, &problem);
}

static void forget_file(struct fence_folder_run *run, struct fence_known *known, const char *unit)
{
    struct fence_folder *folder = run->folder;
    struct fence_err problem;

    if (folder->state_dir && fence_state_forget(folder->state_dir, unit, &problem) < 0)
        note_state(run, &problem);
    fence_known_drop(&folder->known, known);
}

static int save_all(struct fence_folder_run *run, bool seen)
{
    struct fence_known *known, *next;

    HASH_ITER (hh, run->folder->known, known, next) {
        FENCE_FREE char *unit = fence_folder_unit(run->folder, known->name);

        if (!unit)
            return no_memory(run->err);
        if (!seen && !known->seen)
            forget_file(run, known, unit);
        /* of one that cannot be read there is nothing new to keep, and maybe something to lose */
        if (seen && known->seen && known->decoded)
            save_file(run, known, unit);
    }
    return 0;
}

int fence_folder_save(struct fence_folder_run *run)
{
    int r = save_all(run, true);

    return r < 0 ? r : save_all(run, false);
}

/* The name in this folder of a unit, NULL when it is another's. */
static const char *name_in_folder(const struct fence_folder *folder, const char *unit)
{
    size_t length = strlen(folder->path);

    if (strncmp(unit, folder->path, length) != 0 || unit[length] != '/' ||
        strchr(unit + length + 1, '/'))
        return NULL;
    return unit + length + 1;
}

int fence_folder_learn(struct fence_folder_run *run)
{
    struct fence_state_units units = {0};
    struct fence_folder *folder = run->folder;
    struct fence_err problem;
    int r;

    if (folder->started || !folder->state_dir)
        return 0;
    r = fence_state_list(folder->state_dir, &units, &problem);
    if (r < 0)
        note_state(run, &problem);
    r = 0;
    for (size_t i = 0; i < units.count && r == 0; i++) {
        const char *name = name_in_folder(folder, units.items[i].unit);

        if (name && !fence_known_obtain(&folder->known, name))
            r = no_memory(run->err);
        folder->mounted = folder->mounted || (name && units.items[i].mounted);
    }
    fence_state_units_done(&units);
    return r;
}

void fence_folder_report_state(struct fence_folder_run *run)
{
    struct fence_folder *folder = run->folder;

    if (run->state_failed)
        fence_store_broken(run->store, folder->order, folder->state_name, run->state_problem.text);
    else
        fence_store_remove(run->store, folder->state_name);
}
