/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of what came and what went are filled as it happens (store.c). Here they become pairs.
 */
#include <errno.h>

#include "lib/base/memory.h"
#include "lib/objects/moved.h"
#include "lib/objects/store_internal.h"

void fence_store_free_retired(struct fence_store *store)
{
    for (size_t i = 0; i < store->retired.count; i++)
        fence_object_free(&store->retired.items[i]);
    store->retired.count = 0;
}

/* Those that went, each with what is in force for it now. What came back was never gone. */
static size_t pair_those_that_went(struct fence_store *store)
{
    size_t count = 0;

    for (size_t i = 0; i < store->went.count; i++) {
        struct fence_object *before = store->went.items[i];
        struct fence_entry_key key = fence_entry_key_of(before);
        const struct fence_entry *now = fence_entry_index_find(&store->index, &key);

        if (before->in_force)
            continue;
        if (now)
            now->object->paired = true;
        store->changes[count++] =
            (struct fence_change){.before = before, .after = now ? now->object : NULL};
    }
    return count;
}

int fence_store_changes(struct fence_store *store, const struct fence_change **ret_changes,
                        size_t *ret_count)
{
    size_t most = store->came.count + store->went.count;
    size_t count;

    if (most > store->change_capacity) {
        if (FENCE_RESIZE(store->changes, most) < 0)
            return -ENOMEM;
        store->change_capacity = most;
    }
    count = pair_those_that_went(store);
    for (size_t i = 0; i < store->came.count; i++) {
        struct fence_object *after = store->came.items[i];

        if (after->in_force && !after->paired)
            store->changes[count++] = (struct fence_change){.after = after};
        after->paired = false;
    }
    *ret_changes = store->changes;
    *ret_count = count;
    return 0;
}

/* The lists of a first load are as long as the cluster is large. */
static void shorten(struct fence_object_list *list)
{
    list->count = 0;
    free(TAKE_PTR(list->items));
    list->capacity = 0;
}

void fence_store_changes_done(struct fence_store *store)
{
    for (size_t i = 0; i < store->went.count; i++) {
        store->went.items[i]->told = store->went.items[i]->in_force;
        store->went.items[i]->listed = false;
    }
    for (size_t i = 0; i < store->came.count; i++) {
        store->came.items[i]->told = store->came.items[i]->in_force;
        store->came.items[i]->listed = false;
    }
    fence_moved_forget(store);
    fence_store_free_retired(store);
    shorten(&store->came);
    shorten(&store->went);
    shorten(&store->retired);
    free(TAKE_PTR(store->changes));
    store->change_capacity = 0;
}
