/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/index.h"

#include <errno.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/objects/model.h"

#define SIZE_MIN 64

/* In the place of a chain that went: a search goes on behind it. */
static struct fence_entry removed;

static size_t hash_of(const struct fence_entry_key *key)
{
    char text[512];
    int size =
        snprintf(text, sizeof(text), "%d/%s/%s", (int)key->kind, key->namespace_name, key->name);

    return fence_hash_secret(text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text));
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

/* Where the chain is, or the free slot where it would be. */
static size_t slot_of(const struct fence_entry_index *index, const struct fence_entry_key *key)
{
    size_t mask = index->size - 1;
    size_t i = hash_of(key) & mask;

    while (index->slots[i] && (index->slots[i] == &removed || !has_key(index->slots[i], key)))
        i = (i + 1) & mask;
    return i;
}

static int resize(struct fence_entry_index *index, size_t size)
{
    struct fence_entry_index bigger = {.size = size, .count = index->count, .used = index->count};

    bigger.slots = calloc(size, sizeof(struct fence_entry *));
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < index->size; i++) {
        struct fence_entry_key key;

        if (!index->slots[i] || index->slots[i] == &removed)
            continue;
        key = fence_entry_key_of(index->slots[i]->object);
        bigger.slots[slot_of(&bigger, &key)] = index->slots[i];
    }
    free(index->slots);
    *index = bigger;
    return 0;
}

int fence_entry_index_reserve(struct fence_entry_index *index, size_t more)
{
    size_t size = index->size ? index->size : SIZE_MIN;

    if (index->size && (index->used + more) * 4 <= index->size * 3)
        return 0;
    while ((index->count + more) * 3 > size * 2)
        size *= 2;
    return resize(index, size);
}

struct fence_entry *fence_entry_index_find(const struct fence_entry_index *index,
                                           const struct fence_entry_key *key)
{
    return index->size ? index->slots[slot_of(index, key)] : NULL;
}

void fence_entry_index_add(struct fence_entry_index *index, struct fence_entry *entry)
{
    struct fence_entry_key key = fence_entry_key_of(entry->object);
    struct fence_entry **place = &index->slots[slot_of(index, &key)];

    if (!*place) {
        index->count++;
        index->used++;
    }
    while (*place && fence_unit_compare((*place)->unit, entry->unit) < 0)
        place = &(*place)->next;
    entry->next = *place;
    *place = entry;
}

void fence_entry_index_remove(struct fence_entry_index *index, struct fence_entry *entry)
{
    struct fence_entry_key key = fence_entry_key_of(entry->object);
    struct fence_entry **slot = &index->slots[slot_of(index, &key)];
    struct fence_entry **place = slot;

    while (*place && *place != entry)
        place = &(*place)->next;
    if (!*place)
        return;
    *place = entry->next;
    entry->next = NULL;
    if (*slot)
        return;
    *slot = &removed;
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
