/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of objects. What is taken has a canonical text that is taken again and is its
 * own; the store takes the same file twice without a change, and gives back all that it was given.
 */
#include <string.h>

#include "lib/objects/store.h"
#include "test/fuzz/fuzz.h"

static void check_canonical(const struct fence_decoded *decoded)
{
    struct fence_decoded_list again = {0};

    FUZZ_HOLDS(fence_decode_stream(decoded->json, strlen(decoded->json), &again, NULL) == 0);
    FUZZ_HOLDS(again.count == 1 && again.items[0].object);
    FUZZ_HOLDS(strcmp(again.items[0].json, decoded->json) == 0);
    FUZZ_HOLDS(strcmp(again.items[0].id, decoded->id) == 0);
    fence_decoded_list_done(&again);
}

static int put(struct fence_store *store, const uint8_t *data, size_t size)
{
    struct fence_decoded_list list = {0};
    int r = fence_decode_stream((const char *)data, size, &list, NULL);

    if (r == 0)
        r = fence_store_put(store, 0, "file", &list, NULL);
    fence_decoded_list_done(&list);
    return r;
}

static void check_store(const uint8_t *data, size_t size)
{
    const struct fence_change *changes;
    struct fence_store *store = NULL;
    const struct fence_object *const *objects;
    size_t count = 0;

    FUZZ_HOLDS(fence_store_new(&store) == 0);
    FUZZ_HOLDS(put(store, data, size) >= 0);
    FUZZ_HOLDS(fence_store_changes(store, &changes, &count) == 0);
    FUZZ_HOLDS(count == fence_store_objects(store, &objects));
    for (size_t i = 0; i < count; i++)
        FUZZ_HOLDS(!changes[i].before && changes[i].after);
    fence_store_changes_done(store);
    FUZZ_HOLDS(put(store, data, size) == 0);
    FUZZ_HOLDS(fence_store_changes(store, &changes, &count) == 0 && count == 0);
    fence_store_remove(store, "file");
    FUZZ_HOLDS(fence_store_objects(store, &objects) == 0);
    fence_store_free(&store);
}

static void check_item(const struct fence_decoded *item)
{
    FUZZ_HOLDS(!item->object != !item->error);
    if (item->object)
        check_canonical(item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fence_decoded_list list = {0};

    if (fence_decode_stream((const char *)data, size, &list, NULL) < 0)
        return 0;
    for (size_t i = 0; i < list.count; i++)
        check_item(&list.items[i]);
    fence_decoded_list_done(&list);
    check_store(data, size);
    return 0;
}
