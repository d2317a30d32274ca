/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

#define SIZE_MIN 16

/* In the place of one that went: a search goes on behind it. */
static struct fence_slot_entry removed;

/* Keyed, because users choose what is in here: nobody can aim at one slot. */
static uint32_t hash_of(const struct fence_slot_key *key)
{
    return fence_hash_secret(key->bytes, key->size);
}

struct fence_slot_entry *fence_slots_find(const struct fence_slots *slots,
                                          const struct fence_slot_key *key)
{
    uint32_t hash = hash_of(key);

    for (size_t i = hash; slots->size; i++) {
        struct fence_slot_entry *entry = slots->items[i & (slots->size - 1)];

        if (!entry)
            return NULL;
        if (entry != &removed && entry->hash == hash && entry->size == key->size &&
            (!key->size || memcmp((char *)entry + key->offset, key->bytes, key->size) == 0))
            return entry;
    }
    return NULL;
}

/* A slot for an entry that is not there. */
static struct fence_slot_entry **free_slot(const struct fence_slots *slots, uint32_t hash)
{
    size_t mask = slots->size - 1, i = hash & mask;

    while (slots->items[i] && slots->items[i] != &removed)
        i = (i + 1) & mask;
    return &slots->items[i];
}

/* Three quarters full at most; removed ones make room first. */
static int reserve(struct fence_slots *slots)
{
    struct fence_slots bigger = {.size = slots->size, .count = slots->count, .used = slots->count};
    struct fence_slot_entry *entry;
    size_t position = 0;

    if ((slots->used + 1) * 4 <= slots->size * 3)
        return 0;
    if (!bigger.size)
        bigger.size = SIZE_MIN;
    while ((slots->count + 1) * 2 > bigger.size)
        bigger.size *= 2;
    bigger.items = calloc(bigger.size, sizeof(struct fence_slot_entry *));
    if (!bigger.items)
        return -ENOMEM;
    while ((entry = fence_slots_next(slots, &position)))
        *free_slot(&bigger, entry->hash) = entry;
    free(slots->items);
    *slots = bigger;
    return 0;
}

int fence_slots_add(struct fence_slots *slots, struct fence_slot_entry *entry,
                    const struct fence_slot_key *key)
{
    struct fence_slot_entry **slot;

    if (key->size > UINT32_MAX || reserve(slots) < 0)
        return -ENOMEM;
    *entry = (struct fence_slot_entry){.hash = hash_of(key), .size = (uint32_t)key->size};
    slot = free_slot(slots, entry->hash);
    slots->used += !*slot;
    slots->count++;
    *slot = entry;
    return 0;
}

void fence_slots_remove(struct fence_slots *slots, const struct fence_slot_entry *entry)
{
    size_t mask = slots->size - 1, i = entry->hash & mask;

    while (slots->items[i] != entry)
        i = (i + 1) & mask;
    slots->items[i] = &removed;
    if (--slots->count == 0)
        fence_slots_done(slots);
}

struct fence_slot_entry *fence_slots_next(const struct fence_slots *slots, size_t *position)
{
    while (*position < slots->size) {
        struct fence_slot_entry *entry = slots->items[(*position)++];

        if (entry && entry != &removed)
            return entry;
    }
    return NULL;
}

void fence_slots_done(struct fence_slots *slots)
{
    free(slots->items);
    *slots = (struct fence_slots){0};
}
