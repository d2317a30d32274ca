/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/index.h"

#include <errno.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/objects/model.h"

#define SIZE_MIN 64

/* In the place of one that went: a search goes on behind it. */
static struct fence_entry removed;

static unsigned int hash_of(const struct fence_entry_key *key)
{
    char text[512];
    int size =
        snprintf(text, sizeof(text), "%d/%s/%s", (int)key->kind, key->namespace_name, key->name);

    return fence_hash_secret(text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text));
}

/* Where a search begins. The size is no power of two: memory is what counts here. */
static size_t begin_of(const struct fence_entry_index *index, const struct fence_entry_key *key)
{
    return (size_t)((uint64_t)hash_of(key) * index->size >> 32);
}

static size_t after(const struct fence_entry_index *index, size_t slot)
{
    return slot + 1 == index->size ? 0 : slot + 1;
}

static bool has_key(const struct fence_entry *entry, const struct fence_entry_key *key)
{
    const struct fence_object *object = entry->object;

    return object->kind == key->kind && strcmp(object->name, key->name) == 0 &&
           strcmp(object->namespace_name, key->namespace_name) == 0;
}

void fence_entry_index_done(struct fence_entry_index *index)
{
    free(index->slots);
    *index = (struct fence_entry_index){0};
}

static void put(struct fence_entry_index *index, struct fence_entry *entry)
{
    const struct fence_entry_key key = fence_entry_key_of(entry->object);
    size_t i = begin_of(index, &key);

    while (index->slots[i] && index->slots[i] != &removed)
        i = after(index, i);
    index->used += !index->slots[i];
    index->count++;
    index->slots[i] = entry;
}

static int resize(struct fence_entry_index *index, size_t size)
{
    struct fence_entry_index bigger = {.size = size};
    struct fence_entry *entry;
    size_t position = 0;

    bigger.slots = calloc(size, sizeof(struct fence_entry *));
    if (!bigger.slots)
        return -ENOMEM;
    while ((entry = fence_entry_index_next(index, &position)))
        put(&bigger, entry);
    free(index->slots);
    *index = bigger;
    return 0;
}

/* Four fifths full at most; removed ones make room first. */
int fence_entry_index_reserve(struct fence_entry_index *index, size_t more)
{
    size_t wanted = (index->count + more) / 2 * 3;

    if (index->size && (index->used + more) * 5 <= index->size * 4)
        return 0;
    return resize(index, wanted > SIZE_MIN ? wanted : SIZE_MIN);
}

struct fence_entry *fence_entry_index_find(const struct fence_entry_index *index,
                                           const struct fence_entry_key *key)
{
    struct fence_entry *first = NULL;

    if (!index->size)
        return NULL;
    for (size_t i = begin_of(index, key); index->slots[i]; i = after(index, i)) {
        struct fence_entry *entry = index->slots[i];

        if (entry != &removed && has_key(entry, key) &&
            (!first || fence_unit_compare(entry->unit, first->unit) < 0))
            first = entry;
    }
    return first;
}

struct fence_entry *fence_entry_index_find_in(const struct fence_entry_index *index,
                                              const struct fence_entry_key *key,
                                              const struct fence_unit *unit)
{
    if (!index->size)
        return NULL;
    for (size_t i = begin_of(index, key); index->slots[i]; i = after(index, i)) {
        struct fence_entry *entry = index->slots[i];

        if (entry != &removed && entry->unit == unit && has_key(entry, key))
            return entry;
    }
    return NULL;
}

void fence_entry_index_add(struct fence_entry_index *index, struct fence_entry *entry)
{
    put(index, entry);
}

void fence_entry_index_remove(struct fence_entry_index *index, const struct fence_entry *entry)
{
    const struct fence_entry_key key = fence_entry_key_of(entry->object);
    size_t i = begin_of(index, &key);

    while (index->slots[i] && index->slots[i] != entry)
        i = after(index, i);
    if (!index->slots[i])
        return;
    index->slots[i] = &removed;
    index->count--;
}

struct fence_entry *fence_entry_index_next(const struct fence_entry_index *index, size_t *position)
{
    while (*position < index->size) {
        struct fence_entry *entry = index->slots[(*position)++];

        if (entry && entry != &removed)
            return entry;
    }
    return NULL;
}
