/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of pointers to entries that are found by bytes of their own: what there are
 * thousands of small ones of. A third of the memory that linked entries take.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Every entry begins with it; its bytes lie behind, all of a table at the same offset. */
struct fence_slot_entry {
    uint32_t hash;
    uint32_t size; /* of the bytes */
};

/* Zeroed = empty. The entries are the caller's. */
struct fence_slots {
    struct fence_slot_entry **items;
    size_t size;
    size_t count;
    size_t used; /* that are not free: removed entries too */
};

struct fence_slot_key {
    const void *bytes;
    size_t size;
    size_t offset; /* of the bytes in an entry */
};

struct fence_slot_entry *fence_slots_find(const struct fence_slots *slots,
                                          const struct fence_slot_key *key);
/* An entry that is not there yet, with these bytes in it; hash and size are filled in. -ENOMEM. */
int fence_slots_add(struct fence_slots *slots, struct fence_slot_entry *entry,
                    const struct fence_slot_key *key);
void fence_slots_remove(struct fence_slots *slots, const struct fence_slot_entry *entry);
/* Walk them, in no order: start with *position = 0; NULL at the end. */
struct fence_slot_entry *fence_slots_next(const struct fence_slots *slots, size_t *position);
/* Not the entries. */
void fence_slots_done(struct fence_slots *slots);
