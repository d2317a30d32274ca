/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/shared.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

struct fence_shared_entry {
    struct fence_slot_entry slot;
    size_t references;
    char header[]; /* aligned; then the bytes */
};

_Static_assert(offsetof(struct fence_shared_entry, header) % 8 == 0, "headers hold pointers");

static struct fence_slot_key key_of(const struct fence_shared_pool *pool, const void *bytes,
                                    size_t size)
{
    return (struct fence_slot_key){bytes, size,
                                   offsetof(struct fence_shared_entry, header) + pool->header_size};
}

static struct fence_shared_entry *find(const struct fence_shared_pool *pool, const void *bytes,
                                       size_t size)
{
    const struct fence_slot_key key = key_of(pool, bytes, size);

    return (struct fence_shared_entry *)fence_slots_find(&pool->entries, &key);
}

static struct fence_shared_entry *add(struct fence_shared_pool *pool, const void *bytes,
                                      size_t size)
{
    const struct fence_slot_key key = key_of(pool, bytes, size);
    struct fence_shared_entry *entry = calloc(1, sizeof(*entry) + pool->header_size + size);

    if (!entry)
        return NULL;
    if (size)
        memcpy(entry->header + pool->header_size, bytes, size);
    if (fence_slots_add(&pool->entries, &entry->slot, &key) < 0) {
        free(entry);
        return NULL;
    }
    if (pool->fill)
        pool->fill(entry->header, size);
    return entry;
}

const void *fence_shared_get(struct fence_shared_pool *pool, const void *bytes, size_t size)
{
    struct fence_shared_entry *entry = find(pool, bytes, size);

    if (!entry)
        entry = add(pool, bytes, size);
    if (!entry)
        return NULL;
    entry->references++;
    return entry->header;
}

static struct fence_shared_entry *entry_of(const void *header)
{
    union {
        const void *given;
        char *bytes;
    } both = {.given = header};

    return (void *)(both.bytes - offsetof(struct fence_shared_entry, header));
}

void fence_shared_ref(const void *header)
{
    entry_of(header)->references++;
}

void fence_shared_unref(struct fence_shared_pool *pool, const void *header)
{
    struct fence_shared_entry *entry = entry_of(header);

    if (--entry->references)
        return;
    fence_slots_remove(&pool->entries, &entry->slot);
    if (pool->destroy)
        pool->destroy(entry->header);
    free(entry);
}

/* ---- strings -------------------------------------------------------------------------------- */

static struct fence_shared_pool strings;

const char *fence_shared_string(const char *text)
{
    return fence_shared_get(&strings, text, strlen(text) + 1);
}

const char *fence_shared_string_ref(const char *shared)
{
    fence_shared_ref(shared);
    return shared;
}

void fence_shared_string_unref(const char **shared)
{
    const char *gone = TAKE_PTR(*shared);

    if (gone)
        fence_shared_unref(&strings, gone);
}

/* ---- label sets ----------------------------------------------------------------------------- */

/* Known by their items: the strings in these are shared, so equal sets have equal bytes. */
static void fill_labels(void *header, size_t size)
{
    struct fence_labels *labels = header;

    labels->items = (struct fence_label *)(labels + 1);
    labels->count = size / sizeof(struct fence_label);
    for (size_t i = 0; i < labels->count; i++) {
        fence_shared_ref(labels->items[i].key);
        fence_shared_ref(labels->items[i].value);
    }
}

static void drop_items(struct fence_label *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *key = items[i].key;
        const char *value = items[i].value;

        fence_shared_string_unref(&key);
        fence_shared_string_unref(&value);
    }
}

static void destroy_labels(void *header)
{
    struct fence_labels *labels = header;

    drop_items(labels->items, labels->count);
}

static struct fence_shared_pool label_sets = {
    .header_size = sizeof(struct fence_labels), .fill = fill_labels, .destroy = destroy_labels};

/* Strings that nobody may write to, in a struct that others own theirs with. */
static char *borrow(const char *shared)
{
    union {
        const char *given;
        char *borrowed;
    } both = {.given = shared};

    return both.borrowed;
}

const struct fence_labels *fence_shared_labels(const struct fence_labels *from)
{
    FENCE_FREE struct fence_label *items = calloc(from->count + 1, sizeof(*items));
    const struct fence_labels *shared = NULL;
    size_t count = 0;

    if (!from->count)
        return fence_shared_labels_none();
    if (!items)
        return NULL;
    while (count < from->count) {
        items[count].key = borrow(fence_shared_string(from->items[count].key));
        items[count].value = borrow(fence_shared_string(from->items[count].value));
        count++;
        if (!items[count - 1].key || !items[count - 1].value)
            break;
    }
    if (count == from->count && items[count - 1].key && items[count - 1].value)
        shared = fence_shared_get(&label_sets, items, count * sizeof(*items));
    drop_items(items, count);
    return shared;
}

const struct fence_labels *fence_shared_labels_ref(const struct fence_labels *shared)
{
    if (shared != fence_shared_labels_none())
        fence_shared_ref(shared);
    return shared;
}

void fence_shared_labels_unref(const struct fence_labels **shared)
{
    const struct fence_labels *gone = TAKE_PTR(*shared);

    if (gone && gone != fence_shared_labels_none())
        fence_shared_unref(&label_sets, gone);
}

const struct fence_labels *fence_shared_labels_none(void)
{
    static const struct fence_labels none;

    return &none;
}
