/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new content of a unit from what was decoded and what it had: worked out first, so that it
 * can fail without a trace, then committed, which cannot fail.
 */
#pragma once

#include "lib/objects/store.h"
#include "lib/objects/unit.h"

/* One entry to be: from the file, kept from before, or both when they are the same. */
struct fence_choice {
    struct fence_decoded *decoded;
    struct fence_entry *old;
};

struct fence_merge {
    struct fence_choice *choices; /* sorted by id */
    size_t count;
    size_t *gone; /* places in the unit of the entries that do not stay and have no new version */
    size_t gone_count;
    struct fence_note *notes;
    size_t note_count;
    size_t note_capacity;
    struct fence_entry *entries; /* room for `count` of them */
    struct fence_texts texts;    /* of the entries */
    bool unchanged;              /* every old entry is still there, and nothing else */
};

/*
 * What of the unit stays that `list` does not name; NULL: only what a refused object may have been.
 * -ENOMEM. Borrows from `unit` and `list` until it is committed or done.
 */
int fence_merge_new(struct fence_unit *unit, struct fence_decoded_list *list,
                    const struct fence_store_rest *rest, struct fence_merge *ret_merge);
void fence_merge_done(struct fence_merge *merge);
/*
 * Make it the unit's content, taking objects out of the list. When it is unchanged, the unit's
 * entries stay where they are. Otherwise the old entries, with the objects that are no more the
 * unit's, become the caller's. Ends the merge.
 */
void fence_merge_commit(struct fence_merge *merge, struct fence_unit *unit,
                        struct fence_entry **ret_old, size_t *ret_old_count);
