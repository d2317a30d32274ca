/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

/* Keyed, because labels are chosen by users: nobody can aim at one bucket. */
#define HASH_NONFATAL_OOM                 1
#define HASH_FUNCTION(data, size, result) (result) = fence_hash_secret((data), (size))
#include <uthash.h>

struct fence_intern_entry {
    UT_hash_handle hh;
    uint32_t number;
    char data[];
};

/* What nests deeply here is uthash's macros. NOLINTBEGIN(readability-function-size) */
static struct fence_intern_entry *find(const struct fence_intern *table, const void *data,
                                       size_t size)
{
    struct fence_intern_entry *entry = NULL;

    HASH_FIND(hh, table->entries, data, size, entry);
    return entry;
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
    struct fence_intern_entry *entry = find(table, data, size);

    if (entry) {
        *ret_number = entry->number;
        return 0;
    }
    entry = calloc(1, sizeof(*entry) + size);
    if (!entry)
        return -ENOMEM;
    entry->number = number;
    memcpy(entry->data, data, size);
    HASH_ADD_KEYPTR(hh, table->entries, entry->data, size, entry);
    if (!entry->hh.tbl) {
        free(entry);
        return -ENOMEM;
    }
    *ret_number = number;
    return 1;
}

void fence_intern_remove(struct fence_intern *table, const void *data, size_t size)
{
    struct fence_intern_entry *entry = find(table, data, size);

    if (!entry)
        return;
    HASH_DEL(table->entries, entry);
    free(entry);
}

bool fence_intern_pop(struct fence_intern *table, uint32_t *ret_number)
{
    struct fence_intern_entry *entry = table->entries;

    if (!entry)
        return false;
    *ret_number = entry->number;
    HASH_DEL(table->entries, entry);
    free(entry);
    return true;
}

size_t fence_intern_count(const struct fence_intern *table)
{
    return HASH_COUNT(table->entries);
}

void fence_intern_done(struct fence_intern *table)
{
    struct fence_intern_entry *entry;
    struct fence_intern_entry *next;

    HASH_ITER (hh, table->entries, entry, next) {
        HASH_DEL(table->entries, entry);
        free(entry);
    }
    table->entries = NULL;
}
/* NOLINTEND(readability-function-size) */
