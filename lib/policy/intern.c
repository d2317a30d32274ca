/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/intern.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/hash.h"

#define SIZE_MIN 16

enum slot_state {
    SLOT_FREE,
    SLOT_REMOVED, /* a search goes on behind it */
    SLOT_USED,
};

/* Equal hash, equal bytes: 128 bits under a key that nobody knows, so that whoever chooses labels
 * can make no two of them meet. */
struct fence_intern_slot {
    struct fence_hash hash;
    uint32_t number;
    uint32_t state;
};

/* Where a search begins. The size is no power of two: memory is what counts here. */
static size_t begin_of(const struct fence_intern *table, const struct fence_hash *hash)
{
    return (size_t)((hash->words[0] >> 32) * table->size >> 32);
}

static size_t after(const struct fence_intern *table, size_t slot)
{
    return slot + 1 == table->size ? 0 : slot + 1;
}

/* NULL when it is not there. */
static struct fence_intern_slot *find(const struct fence_intern *table,
                                      const struct fence_hash *hash)
{
    if (!table->size)
        return NULL;
    for (size_t i = begin_of(table, hash); table->slots[i].state != SLOT_FREE;
         i = after(table, i)) {
        struct fence_intern_slot *slot = &table->slots[i];

        if (slot->state == SLOT_USED && slot->hash.words[0] == hash->words[0] &&
            slot->hash.words[1] == hash->words[1])
            return slot;
    }
    return NULL;
}

/* It is not there, and there is room. */
static void put(struct fence_intern *table, const struct fence_hash *hash, uint32_t number)
{
    size_t i = begin_of(table, hash);

    while (table->slots[i].state == SLOT_USED)
        i = after(table, i);
    table->used += table->slots[i].state == SLOT_FREE;
    table->count++;
    table->slots[i] =
        (struct fence_intern_slot){.hash = *hash, .number = number, .state = SLOT_USED};
}

/* Four fifths full at most; removed ones make room first. */
static int reserve(struct fence_intern *table)
{
    struct fence_intern bigger = {.size = (table->count + 2) / 2 * 3};

    if ((table->used + 1) * 5 <= table->size * 4)
        return 0;
    if (bigger.size < SIZE_MIN)
        bigger.size = SIZE_MIN;
    bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].state == SLOT_USED)
            put(&bigger, &table->slots[i].hash, table->slots[i].number);
    free(table->slots);
    *table = bigger;
    return 0;
}

bool fence_intern_find(const struct fence_intern *table, const void *data, size_t size,
                       uint32_t *ret_number)
{
    const struct fence_hash hash = fence_hash_own(data, size);
    const struct fence_intern_slot *slot = find(table, &hash);

    if (slot)
        *ret_number = slot->number;
    return slot != NULL;
}

int fence_intern_put(struct fence_intern *table, const void *data, size_t size, uint32_t number,
                     uint32_t *ret_number)
{
    const struct fence_hash hash = fence_hash_own(data, size);
    const struct fence_intern_slot *slot = find(table, &hash);

    if (slot) {
        *ret_number = slot->number;
        return 0;
    }
    if (reserve(table) < 0)
        return -ENOMEM;
    put(table, &hash, number);
    *ret_number = number;
    return 1;
}

void fence_intern_remove(struct fence_intern *table, const void *data, size_t size)
{
    const struct fence_hash hash = fence_hash_own(data, size);
    struct fence_intern_slot *slot = find(table, &hash);

    if (!slot)
        return;
    slot->state = SLOT_REMOVED;
    table->count--;
}

bool fence_intern_next(const struct fence_intern *table, size_t *position, uint32_t *ret_number)
{
    while (*position < table->size) {
        const struct fence_intern_slot *slot = &table->slots[(*position)++];

        if (slot->state != SLOT_USED)
            continue;
        *ret_number = slot->number;
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
    free(table->slots);
    *table = (struct fence_intern){0};
}
