/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"

#define SIZE_MIN 16

/* There are thousands of them, mostly small: a hash table of pointers takes a third of what one of
 * linked entries does. */
struct fence_intern_entry {
    uint32_t hash;
    uint32_t number;
    uint32_t size;
    char data[];
};

/* In the place of one that went: a search goes on behind it. */
static struct fence_intern_entry removed;

/* Where the entry is, or the free slot behind which it is not. Keyed, because labels are chosen by
 * users: nobody can aim at one slot. */
static struct fence_intern_entry **find(const struct fence_intern *table, const void *data,
                                        size_t size, uint32_t hash)
{
    size_t mask = table->size - 1;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        const struct fence_intern_entry *entry = table->slots[i];

        if (!entry || (entry != &removed && entry->hash == hash && entry->size == size &&
                       memcmp(entry->data, data, size) == 0))
            return &table->slots[i];
    }
}

/* A free slot for an entry that is not there. */
static struct fence_intern_entry **free_slot(struct fence_intern *table, uint32_t hash)
{
    size_t mask = table->size - 1, i = hash & mask;

    while (table->slots[i] && table->slots[i] != &removed)
        i = (i + 1) & mask;
    return &table->slots[i];
}

/* Three quarters full at most; removed ones make room first. */
static int reserve(struct fence_intern *table)
{
    struct fence_intern bigger = {.size = table->size, .count = table->count};

    if ((table->used + 1) * 4 <= table->size * 3)
        return 0;
    if (!bigger.size)
        bigger.size = SIZE_MIN;
    while ((table->count + 1) * 2 > bigger.size)
        bigger.size *= 2;
    bigger.slots = calloc(bigger.size, sizeof(struct fence_intern_entry *));
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i] && table->slots[i] != &removed)
            *free_slot(&bigger, table->slots[i]->hash) = table->slots[i];
    bigger.used = bigger.count;
    free(table->slots);
    *table = bigger;
    return 0;
}

bool fence_intern_find(const struct fence_intern *table, const void *data, size_t size,
                       uint32_t *ret_number)
{
    const struct fence_intern_entry *entry =
        table->size ? *find(table, data, size, fence_hash_secret(data, size)) : NULL;

    if (entry)
        *ret_number = entry->number;
    return entry != NULL;
}

int fence_intern_put(struct fence_intern *table, const void *data, size_t size, uint32_t number,
                     uint32_t *ret_number)
{
    uint32_t hash = fence_hash_secret(data, size);
    struct fence_intern_entry **slot = table->size ? find(table, data, size, hash) : NULL;
    struct fence_intern_entry *entry;

    if (slot && *slot) {
        *ret_number = (*slot)->number;
        return 0;
    }
    if (reserve(table) < 0)
        return -ENOMEM;
    entry = malloc(sizeof(*entry) + size);
    if (!entry)
        return -ENOMEM;
    *entry = (struct fence_intern_entry){.hash = hash, .number = number, .size = (uint32_t)size};
    memcpy(entry->data, data, size);
    slot = free_slot(table, hash);
    table->used += !*slot;
    table->count++;
    *slot = entry;
    *ret_number = number;
    return 1;
}

void fence_intern_remove(struct fence_intern *table, const void *data, size_t size)
{
    struct fence_intern_entry **slot =
        table->size ? find(table, data, size, fence_hash_secret(data, size)) : NULL;

    if (!slot || !*slot)
        return;
    free(*slot);
    *slot = &removed;
    table->count--;
}

bool fence_intern_next(const struct fence_intern *table, size_t *position, uint32_t *ret_number)
{
    while (*position < table->size) {
        const struct fence_intern_entry *entry = table->slots[(*position)++];

        if (!entry || entry == &removed)
            continue;
        *ret_number = entry->number;
        return true;
    }
    return false;
}

size_t fence_intern_count(const struct fence_intern *table)
{
    return table->count;
}

void fence_intern_done(struct fence_intern *table)
{
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i] != &removed)
            free(table->slots[i]);
    free(table->slots);
    *table = (struct fence_intern){0};
}
