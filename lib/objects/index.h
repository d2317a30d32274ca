/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of a store by kind, namespace and name: open addressing, a pointer a slot. One object
 * may have entries in several units.
 */
#pragma once

#include "lib/objects/unit.h"

/* Zeroed = empty. */
struct fence_entry_index {
    struct fence_entry **slots;
    size_t size;
    size_t count;
    size_t used; /* entries, and slots of removed ones */
};

struct fence_entry_key {
    enum fence_kind kind;
    const char *namespace_name;
    const char *name;
};

static inline struct fence_entry_key fence_entry_key_of(const struct fence_object *object)
{
    return (struct fence_entry_key){object->kind, object->namespace_name, object->name};
}

void fence_entry_index_done(struct fence_entry_index *index);
/* Room for so many more. -ENOMEM. */
int fence_entry_index_reserve(struct fence_entry_index *index, size_t more);
/* That of the unit that counts, NULL when there is none. */
struct fence_entry *fence_entry_index_find(const struct fence_entry_index *index,
                                           const struct fence_entry_key *key);
/* That of this unit, NULL when there is none. */
struct fence_entry *fence_entry_index_find_in(const struct fence_entry_index *index,
                                              const struct fence_entry_key *key,
                                              const struct fence_unit *unit);
/* There is room. */
void fence_entry_index_add(struct fence_entry_index *index, struct fence_entry *entry);
void fence_entry_index_remove(struct fence_entry_index *index, const struct fence_entry *entry);
/* All of them: begin with *position 0; NULL at the end. */
struct fence_entry *fence_entry_index_next(const struct fence_entry_index *index, size_t *position);
