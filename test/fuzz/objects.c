/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of objects. What is taken has a canonical text that is taken again and is its
 * own; the store takes the same file twice without a change, and gives back all that it was given.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/objects/store.h"
#include "test/fuzz/fuzz.h"

static void check_canonical(const struct fence_decoded *decoded, const char *text)
{
    struct fence_decoded_list again = {0};
    struct fence_lines lines = {0};
    char *id = fence_decoded_id(decoded), *id_again;

    FUZZ_HOLDS(fence_decode_stream(text, strlen(text), &again, NULL) == 0);
    FUZZ_HOLDS(again.count == 1 && again.items[0].object);
    FUZZ_HOLDS(fence_texts_read(&again.texts, &lines) == 0 && lines.count == 1);
    FUZZ_HOLDS(strcmp(lines.items[0], text) == 0);
    FUZZ_HOLDS(memcmp(&again.items[0].text, &decoded->text, sizeof(decoded->text)) == 0);
    id_again = fence_decoded_id(&again.items[0]);
    FUZZ_HOLDS(id && id_again && strcmp(id, id_again) == 0);
    free(id);
    free(id_again);
    fence_lines_done(&lines);
    fence_decoded_list_done(&again);
}

/* Each item has its line, an empty one when it was refused. */
static void check_item(const struct fence_decoded *item, const char *line)
{
    FUZZ_HOLDS(!item->object != !item->error);
    FUZZ_HOLDS(!item->object == !*line);
    if (item->object)
        check_canonical(item, line);
}

static void check_items(const struct fence_decoded_list *list)
{
    struct fence_lines lines = {0};

    FUZZ_HOLDS(fence_texts_read(&list->texts, &lines) == 0 && lines.count == list->count);
    for (size_t i = 0; i < list->count; i++)
        check_item(&list->items[i], lines.items[i]);
    fence_lines_done(&lines);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fence_decoded_list list = {0};

    if (fence_decode_stream((const char *)data, size, &list, NULL) < 0)
        return 0;
    check_items(&list);
    fence_decoded_list_done(&list);
    check_store(data, size);
    return 0;
}
