/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of policy sets: (set, class, direction) -> table. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"

static struct fence_policy_key key_of(const struct apply_set *set, __u32 where)
{
    return (struct fence_policy_key){
        .set = set->number,
        .class = where >> 1,
        .direction = where & 1,
    };
}

static int compare_entries(const void *a, const void *b)
{
    __u32 one = ((const struct apply_entry *)a)->where;
    __u32 other = ((const struct apply_entry *)b)->where;

    return one < other ? -1 : one > other;
}

void apply_entries_sort(struct apply_entry *entries, size_t count)
{
    if (count)
        qsort(entries, count, sizeof(*entries), compare_entries);
}

static struct apply_table *find_table(const struct apply_set *set, __u32 where)
{
    struct apply_entry wanted = {.where = where};
    struct apply_entry *found =
        set->count ? bsearch(&wanted, set->entries, set->count, sizeof(wanted), compare_entries)
                   : NULL;

    return found ? found->table : NULL;
}

struct apply_table *apply_table_of(const struct apply_set *set, __u32 class, __u32 direction)
{
    struct apply_table *table = find_table(set, apply_where(class, direction));

    return table ? table : find_table(set, apply_where(FENCE_CLASS_ANY, direction));
}

/* Entries on their way into the map, in one call for all. The set has room for them. */
struct batch {
    struct fence_policy_key *keys;
    struct fence_policy_table *values;
    __u32 count;
};

static void batch_done(struct batch *batch)
{
    free(batch->keys);
    free(batch->values);
}

static int batch_init(struct batch *batch, struct apply_set *set, size_t most)
{
    batch->keys = calloc(most, sizeof(*batch->keys));
    batch->values = calloc(most, sizeof(*batch->values));
    if (!batch->keys || !batch->values)
        return -ENOMEM;
    return apply_grow((void **)&set->entries, &set->capacity, set->count + most,
                      sizeof(*set->entries));
}

/* Behind those that the set has; not yet one of them. */
static void batch_add(struct batch *batch, const struct apply_set *set,
                      const struct apply_entry *entry)
{
    batch->keys[batch->count] = key_of(set, entry->where);
    batch->values[batch->count] = (struct fence_policy_table){
        .offset = entry->table->offset,
        .count = entry->table->count,
    };
    set->entries[set->count + batch->count++] = *entry;
}

/* The set has what was written, also when the rest could not be. */
static int batch_write(struct fence_apply *apply, const struct batch *batch, struct apply_set *set)
{
    __u32 written = batch->count;
    int r = apply_put_all(apply, FENCE_MAP_POLICIES, batch->keys, batch->values, &written);

    for (__u32 i = 0; i < written; i++)
        set->entries[set->count++].table->references++;
    apply_entries_sort(set->entries, set->count);
    return r;
}

int apply_entries_add(struct fence_apply *apply, struct apply_set *set,
                      const struct apply_entry *wanted, size_t count)
{
    FENCE_CLEANUP(batch_done) struct batch batch = {0};
    size_t k = 0;

    if (count == 0)
        return 0;
    if (batch_init(&batch, set, count) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        while (k < set->count && set->entries[k].where < wanted[i].where)
            k++;
        if (k == set->count || set->entries[k].where != wanted[i].where)
            batch_add(&batch, set, &wanted[i]);
    }
    return batch.count ? batch_write(apply, &batch, set) : 0;
}

int apply_entries_remove(struct fence_apply *apply, struct apply_set *set)
{
    while (set->count) {
        struct fence_policy_key key = key_of(set, set->entries[set->count - 1].where);
        int r = apply_delete(apply, FENCE_MAP_POLICIES, &key);

        if (r < 0)
            return r;
        set->entries[--set->count].table->references--;
    }
    return 0;
}

int apply_entries_forget_classes(struct fence_apply *apply, struct apply_set *set,
                                 const unsigned char *keep)
{
    size_t kept = 0;
    int first = 0;

    for (size_t i = 0; i < set->count; i++) {
        struct apply_entry entry = set->entries[i];
        struct fence_policy_key key = key_of(set, entry.where);
        bool goes = key.class < apply->classes.limit && !keep[key.class];
        int r = goes ? apply_delete(apply, FENCE_MAP_POLICIES, &key) : 0;

        if (goes && r == 0) {
            entry.table->references--;
            continue;
        }
        set->entries[kept++] = entry;
        first = first ? first : r;
    }
    set->count = kept;
    return first;
}
