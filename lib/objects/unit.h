/* SPDX-License-Identifier: Apache-2.0 */
/* What one file contributes to the store, or one of the parts of a source that has many. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HASH_NONFATAL_OOM 1 /* running out of memory is an error to report, not the end */
#include <uthash.h>

#include "lib/base/hash.h"
#include "lib/objects/model.h"
#include "lib/objects/texts.h"

struct fence_unit;

/* A valid object: of the file as it is, or its last good version. */
struct fence_entry {
    struct fence_object *object;
    __u64 text; /* fence_hash_text of its canonical one: equal hash, equal object */
    const struct fence_unit *unit;
};

/* Something to tell about an object of the file. */
struct fence_note {
    char *id;
    char *text;
    unsigned int line;
    bool kept;
    bool warning;
    bool nameless; /* refused without a name or kind to know it by */
};

struct fence_unit {
    unsigned int order;
    char *path;
    const char *shown;           /* what it is called: shared, or the path itself */
    bool part;                   /* of a source; no texts are kept */
    bool second_hand;            /* as struct fence_store_part has it */
    char *problem;               /* why the whole file could not be read; NULL when it could */
    struct fence_entry *entries; /* sorted by id, ids unique */
    size_t count;
    struct fence_texts texts; /* canonical, of the entries in their order */
    struct fence_note *notes;
    size_t note_count;
    UT_hash_handle hh; /* of the store, by path */
};

/* `shown` NULL: the path. */
struct fence_unit *fence_unit_new(unsigned int order, const char *path, const char *shown);
void fence_unit_free(struct fence_unit **unit);
/* By order, then path. */
int fence_unit_compare(const struct fence_unit *a, const struct fence_unit *b);
/* As fence_store_unit_json; NULL for a part of a source too. */
char *fence_unit_json(const struct fence_unit *unit);

/* The units of a store by path, a uthash. -ENOMEM. */
struct fence_unit *fence_unit_find(struct fence_unit *units, const char *path);
int fence_unit_link(struct fence_unit **units, struct fence_unit *unit);
void fence_unit_unlink(struct fence_unit **units, struct fence_unit *unit);

void fence_notes_free(struct fence_note *notes, size_t count);
