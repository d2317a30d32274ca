/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of objects. What is taken has a canonical text that is taken again and is its
 * own; the store takes the same file twice without a change, and gives back all that it was given.
 * And as an object of the API, of its kind or any: what both readers take is the same object, and a
 * list that has it once more is no change. And as an AddressSlice.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/objects/live.h"
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

/* ---- as the API tells it -------------------------------------------------------------------- */

/* The same once more is no change, in a list neither; what is gone leaves nothing. */
static void check_slice(struct fence_store *store, struct fence_live *live, char *text, size_t size)
{
    size_t pods;

    fence_live_address_slice(live, text, size, NULL);
    pods = fence_store_count(store, FENCE_OBJECT_POD);
    fence_live_address_slices_begin(live);
    FUZZ_HOLDS(fence_live_address_slice(live, text, size, NULL) == 0);
    FUZZ_HOLDS(fence_live_address_slices_end(live, NULL) == 0);
    FUZZ_HOLDS(fence_store_count(store, FENCE_OBJECT_POD) == pods);
    FUZZ_HOLDS(fence_live_address_slice_deleted(live, text, size, NULL) >= 0);
}

static void check_live(enum fence_kind kind, char *text, size_t size)
{
    struct fence_store *store = NULL;
    struct fence_live *live = NULL;
    int first;

    FUZZ_HOLDS(fence_store_new(&store) == 0);
    FUZZ_HOLDS(fence_live_new(store, 0, "api", &live, NULL) == 0);
    first = fence_live_object(live, kind, text, size, NULL);
    FUZZ_HOLDS(first == (int)fence_store_count(store, kind));
    fence_live_begin(live, kind);
    FUZZ_HOLDS(fence_live_object(live, kind, text, size, NULL) == 0);
    FUZZ_HOLDS(fence_live_end(live, kind, NULL) == 0);
    FUZZ_HOLDS(fence_live_deleted(live, kind, text, size, NULL) == first);
    FUZZ_HOLDS(fence_store_count(store, kind) == 0);
    fence_live_config_map(live, text, size, NULL);
    fence_live_config_map_deleted(live, text, size, NULL);
    check_slice(store, live, text, size);
    for (unsigned int each = 0; each < FENCE_OBJECT_KINDS; each++)
        FUZZ_HOLDS(fence_store_count(store, (enum fence_kind)each) == 0);
    fence_live_free(&live);
    fence_store_free(&store);
}

/* `list` is what it is as a file, which need not be JSON. */
static void check_json(const struct fence_decoded_list *list, const char *text, size_t size)
{
    const struct fence_json json = {text, size};
    struct fence_decoded decoded = {0};
    char *id, *id_of_file;

    if (list->count != 1 || !list->items[0].object ||
        fence_decode_json(list->items[0].object->kind, &json, &decoded, NULL) < 0)
        return;
    id = fence_decoded_id(&decoded);
    id_of_file = fence_decoded_id(&list->items[0]);
    FUZZ_HOLDS(decoded.object ? decoded.text == list->items[0].text
                              : strncmp(decoded.error, "not valid JSON: ", 16) == 0);
    FUZZ_HOLDS(strcmp(id, id_of_file) == 0);
    free(id);
    free(id_of_file);
    fence_decoded_done(&decoded);
}

static void check_api(const struct fence_decoded_list *list, const uint8_t *data, size_t size)
{
    enum fence_kind kind = (enum fence_kind)(size % FENCE_OBJECT_KINDS);
    char *text = malloc(size + 1);

    FUZZ_HOLDS(text);
    memcpy(text, data, size);
    text[size] = '\0';
    check_json(list, text, size);
    if (list->count && list->items[0].object)
        kind = list->items[0].object->kind;
    check_live(kind, text, size);
    free(text);
}

/* ---- all of it ------------------------------------------------------------------------------ */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fence_decoded_list list = {0};
    int r = fence_decode_stream((const char *)data, size, &list, NULL);

    check_api(&list, data, size);
    if (r < 0)
        return 0;
    check_items(&list);
    fence_decoded_list_done(&list);
    check_store(data, size);
    return 0;
}
