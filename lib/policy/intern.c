/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

struct fence_intern_entry {
    struct fence_slot_entry slot;
    uint32_t number;
    char data[];
};

static struct fence_slot_key key_of(const void *data, size_t size)
{
    return (struct fence_slot_key){data, size, offsetof(struct fence_intern_entry, data)};
}

static struct fence_intern_entry *find(const struct fence_intern *table, const void *data,
                                       size_t size)
{
    const struct fence_slot_key key = key_of(data, size);

    return (struct fence_intern_entry *)fence_slots_find(&table->slots, &key);
}

bool fence_intern_find(const struct fence_intern *table, const void *data, size_t size,
                       uint32_t *ret_number)
{
    const struct fence_intern_entry *entry = find(table, data, size);

    if (entry)
        *ret_number = entry->number;
    return entry != NULL;
}

int fence_intern_put(struct fence_intern *table, const void *data, size_t size, uint32_t number,
                     uint32_t *ret_number)
{
    const struct fence_slot_key key = key_of(data, size);
    struct fence_intern_entry *entry = find(table, data, size);

    if (entry) {
        *ret_number = entry->number;
        return 0;
    }
    entry = malloc(sizeof(*entry) + size);
    if (!entry)
        return -ENOMEM;
    entry->number = number;
    memcpy(entry->data, data, size);
    if (fence_slots_add(&table->slots, &entry->slot, &key) < 0) {
        free(entry);
        return -ENOMEM;
    }
    *ret_number = number;
    return 1;
}

void fence_intern_remove(struct fence_intern *table, const void *data, size_t size)
{
    struct fence_intern_entry *entry = find(table, data, size);

    if (entry)
        fence_slots_remove(&table->slots, &entry->slot);
    free(entry);
}

bool fence_intern_next(const struct fence_intern *table, size_t *position, uint32_t *ret_number)
{
    const struct fence_intern_entry *entry =
        (const struct fence_intern_entry *)fence_slots_next(&table->slots, position);

    if (entry)
        *ret_number = entry->number;
    return entry != NULL;
}

size_t fence_intern_count(const struct fence_intern *table)
{
    return table->slots.count;
}

void fence_intern_done(struct fence_intern *table)
{
    struct fence_slot_entry *entry;
    size_t position = 0;

    while ((entry = fence_slots_next(&table->slots, &position)))
        free(entry);
    fence_slots_done(&table->slots);
}
