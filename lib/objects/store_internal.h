/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the store: store.c takes units in and says what is in force, changes.c says what that
 * changed, problems.c what is wrong, moved.c what another unit may keep.
 */
#pragma once

#include "lib/objects/index.h"
#include "lib/objects/store.h"
#include "lib/objects/unit.h"

struct fence_object_list {
    struct fence_object **items;
    size_t count;
    size_t capacity;
};

struct fence_moved; /* moved.c */

struct fence_store {
    struct fence_unit **units;
    size_t unit_count;
    size_t unit_capacity;
    struct fence_unit *by_path; /* uthash */
    struct fence_entry_index index;
    size_t entry_total;
    size_t note_total;
    size_t count_of_kind[FENCE_OBJECT_KINDS]; /* in force */

    struct fence_object_list came;    /* into force since the changes were last done with */
    struct fence_object_list went;    /* of those that were in force then */
    struct fence_object_list retired; /* of no unit any more */
    struct fence_moved *moved;        /* left their unit since then (moved.h) */
    size_t moved_count;
    size_t moved_capacity;
    bool moves; /* note them */
    struct fence_change *changes;
    size_t change_capacity;

    size_t reserved;                     /* objects that the list has room for */
    const struct fence_object **objects; /* in force, sorted; each kind in its place or not yet */
    unsigned int listed;                 /* whose objects are there, a bit a kind */

    struct fence_problem *problems;
    char **conflict_texts; /* and ids: two of each */
    size_t problems_reserved;
    size_t problem_count;
    size_t conflict_text_count;
    bool problems_old;
};

/* An array of so many elements, its content kept. -ENOMEM. */
int fence_store_resize(void **items, size_t count, size_t size);
#define FENCE_RESIZE(items, count) fence_store_resize((void **)&(items), (count), sizeof(*(items)))
#define FENCE_RESIZE_POINTERS(items, count)                                                        \
    fence_store_resize((void **)&(items), (count), sizeof(void *))

/* What is handed out is a cache: building it changes nothing that the caller could see. */
struct fence_store *fence_store_writable(const struct fence_store *store);

/* changes.c */
void fence_store_free_retired(struct fence_store *store);
/* problems.c: room for `notes` and a problem of each unit, and for every entry to be a conflict. */
int fence_store_reserve_problems(struct fence_store *store, size_t notes);
void fence_store_forget_texts(struct fence_store *store);
