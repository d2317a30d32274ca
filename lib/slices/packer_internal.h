/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/slices: groups, entries and slices, each in a list of its slice or of what is to do.
 */
#pragma once

/* uthash ends the process when memory does, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <string.h>
#include <uthash.h>

#include "lib/slices/packer.h"

#define SLICE_NAME 80u

struct slice;

struct group {
    UT_hash_handle hh;
    char *text;
    size_t uses;
    char slice[SLICE_NAME]; /* where it was put last; "" = nowhere yet */
};

struct entry {
    UT_hash_handle hh; /* by key, of its kind */
    char *key;
    struct group *group; /* NULL of a node */
    char *text;
    size_t size; /* of text */
    struct slice *slice;
    struct entry *next, **link; /* of the slice */
    bool marked;                /* of the list that is being told */
    bool too_large;
};

struct slice {
    UT_hash_handle hh; /* by name */
    char name[SLICE_NAME];
    enum fence_packer_kind kind;          /* of its entries */
    struct entry *entries, **entries_end; /* as they came: another writer reads them in order */
    size_t count, bytes;
    char version[64]; /* the API server has it; "" = it does not */
    char *found;      /* before the start: what the API server has, as JSON */
    bool marked;
    bool dirty;
    bool is_on_its_way;
    bool changed; /* meanwhile */
    bool roomy;   /* in the list of those with room */
    bool refused; /* with what is in it now */
    uint64_t again_ns;
    struct slice *next_dirty, **link_dirty;
    struct slice *next_roomy, **link_roomy;
};

struct fence_packer {
    struct entry *entries[2]; /* by kind */
    struct group *groups;
    struct slice *slices;
    struct slice *dirty, **dirty_end; /* who waits longest comes first */
    struct slice *roomy[2];
    uint64_t seed, named;
    size_t placed[2]; /* entries in slices, by kind */
    size_t dirty_count, on_their_way, too_large;
    bool started;
    bool listing; /* the API server's slices */
    bool complete, complete_on_its_way;
    uint64_t complete_again_ns;
};

/* The text of its group counts with each entry: too much rather than too little. */
static inline size_t entry_size(const struct entry *entry)
{
    return entry->size + (entry->group ? strlen(entry->group->text) : 0);
}

void packer_slice_changed(struct fence_packer *packer, struct slice *slice);
/* What the API server says of a slice. */
int packer_slice_found(struct fence_packer *packer, const cJSON *object);
/* Is that what is in it? If so nothing is to be written. */
void packer_slice_compare(struct fence_packer *packer, struct slice *slice, const cJSON *object);
void packer_slice_lost(struct fence_packer *packer, const char *name);
struct slice *packer_slice_find(const struct fence_packer *packer, const char *name);
/* A new one if `name` is NULL. NULL without memory. */
struct slice *packer_slice_add(struct fence_packer *packer, enum fence_packer_kind kind,
                               const char *name);
void packer_slice_free(struct fence_packer *packer, struct slice *slice);
/* Where entries may be put. */
bool packer_slice_has_room(const struct slice *slice, const struct entry *entry);
void packer_slice_put(struct fence_packer *packer, struct slice *slice, struct entry *entry);
void packer_slice_take(struct fence_packer *packer, struct entry *entry);
