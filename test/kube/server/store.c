/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"

/* ---- JSON ----------------------------------------------------------------------------------- */

const char *json_text(const cJSON *object, const char *member)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));

    return text ? text : "";
}

int json_set(cJSON *object, const char *member, cJSON *value)
{
    if (!value)
        return -ENOMEM;
    if (cJSON_GetObjectItemCaseSensitive(object, member)
            ? cJSON_ReplaceItemInObjectCaseSensitive(object, member, value)
            : cJSON_AddItemToObject(object, member, value))
        return 0;
    cJSON_Delete(value);
    return -ENOMEM;
}

cJSON *json_object(cJSON *object, const char *member)
{
    cJSON *found = cJSON_GetObjectItemCaseSensitive(object, member);

    if (cJSON_IsObject(found))
        return found;
    if (json_set(object, member, cJSON_CreateObject()) < 0)
        return NULL;
    return cJSON_GetObjectItemCaseSensitive(object, member);
}

/* ---- versions ------------------------------------------------------------------------------- */

char *object_key(const char *name_space, const char *name)
{
    char *key = NULL;

    if (asprintf(&key, "%s%s%s", name_space, name_space[0] ? "/" : "", name) < 0)
        return NULL;
    return key;
}

static int fill(struct version *version, const cJSON *object)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(metadata, "labels");
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");
    const char *slash;

    version->name_space = strdup(json_text(metadata, "namespace"));
    version->key = object_key(json_text(metadata, "namespace"), json_text(metadata, "name"));
    version->node = strdup(json_text(spec, "nodeName"));
    version->json = cJSON_PrintUnformatted(object);
    if (cJSON_IsObject(labels))
        version->labels = cJSON_Duplicate(labels, true);
    if (!version->name_space || !version->key || !version->node || !version->json ||
        (cJSON_IsObject(labels) && !version->labels))
        return -ENOMEM;
    slash = strchr(version->key, '/');
    version->name = slash ? slash + 1 : version->key;
    version->size = strlen(version->json);
    return version->name[0] ? 0 : -EINVAL;
}

struct version *version_new(cJSON *object, uint64_t number)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    struct version *version = NULL;
    char text[24];

    cJSON_DeleteItemFromObjectCaseSensitive(object, "kind");
    cJSON_DeleteItemFromObjectCaseSensitive(object, "apiVersion");
    snprintf(text, sizeof(text), "%" PRIu64, number);
    if (!cJSON_IsObject(metadata) ||
        json_set(metadata, "resourceVersion", cJSON_CreateString(text)) < 0)
        return NULL;
    version = calloc(1, sizeof(*version));
    if (!version)
        return NULL;
    version->references = 1;
    version->number = number;
    if (fill(version, object) < 0) {
        version_unref(version);
        return NULL;
    }
    return version;
}

struct version *version_ref(struct version *version)
{
    if (version)
        version->references++;
    return version;
}

void version_unref(struct version *version)
{
    if (!version || --version->references > 0)
        return;
    free(version->key);
    free(version->name_space);
    free(version->node);
    free(version->json);
    cJSON_Delete(version->labels);
    free(version);
}

cJSON *version_tree(const struct version *version)
{
    return cJSON_Parse(version->json);
}

/* ---- objects -------------------------------------------------------------------------------- */

size_t objects_at(const struct objects *objects, const char *key)
{
    size_t low = 0, high = objects->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (strcmp(objects->items[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct objects *objects, size_t index, const char *key)
{
    return index < objects->count && !strcmp(objects->items[index]->key, key);
}

struct version *objects_get(const struct objects *objects, const char *key)
{
    const size_t index = objects_at(objects, key);

    return is_at(objects, index, key) ? objects->items[index] : NULL;
}

int objects_put(struct objects *objects, struct version *version, struct version **ret_before)
{
    const size_t index = objects_at(objects, version->key);

    if (is_at(objects, index, version->key)) {
        *ret_before = objects->items[index];
        objects->items[index] = version;
        return 0;
    }
    if (fence_array_grow((void **)&objects->items, &objects->capacity, objects->count,
                         sizeof(void *)) < 0)
        return -ENOMEM;
    memmove(objects->items + index + 1, objects->items + index,
            (objects->count - index) * sizeof(struct version *));
    objects->items[index] = version;
    objects->count++;
    *ret_before = NULL;
    return 0;
}

struct version *objects_take(struct objects *objects, const char *key)
{
    const size_t index = objects_at(objects, key);
    struct version *version;

    if (!is_at(objects, index, key))
        return NULL;
    version = objects->items[index];
    objects->count--;
    memmove(objects->items + index, objects->items + index + 1,
            (objects->count - index) * sizeof(struct version *));
    return version;
}

void objects_done(struct objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        version_unref(objects->items[i]);
    free(TAKE_PTR(objects->items));
    objects->count = 0;
    objects->capacity = 0;
}

/* ---- history -------------------------------------------------------------------------------- */

int history_add(struct history *history, const struct change *change)
{
    if (FENCE_GROW(history->changes, history->capacity, history->count) < 0)
        return -ENOMEM;
    history->changes[history->count++] = *change;
    return 0;
}

void history_forget(struct history *history, uint64_t number)
{
    size_t gone = 0;

    while (gone < history->count && history->changes[gone].number <= number) {
        version_unref(history->changes[gone].before);
        version_unref(history->changes[gone].after);
        gone++;
    }
    if (gone)
        memmove(history->changes, history->changes + gone,
                (history->count - gone) * sizeof(*history->changes));
    history->count -= gone;
    history->first += gone;
    if (number > history->forgotten)
        history->forgotten = number;
}

static int undo(struct objects *objects, const struct change *change)
{
    struct version *other = NULL;

    if (!change->before) {
        version_unref(objects_take(objects, change->after->key));
        return 0;
    }
    if (objects_put(objects, version_ref(change->before), &other) < 0) {
        version_unref(change->before);
        return -ENOMEM;
    }
    version_unref(other);
    return 0;
}

int history_objects(const struct history *history, const struct objects *now, uint64_t number,
                    struct objects *ret_objects)
{
    struct objects objects = {.count = now->count, .capacity = now->count + 1};

    objects.items = calloc(objects.capacity, sizeof(struct version *));
    if (!objects.items)
        return -ENOMEM;
    for (size_t i = 0; i < now->count; i++)
        objects.items[i] = version_ref(now->items[i]);
    for (size_t i = history->count; i > 0 && history->changes[i - 1].number > number; i--)
        if (undo(&objects, &history->changes[i - 1]) < 0) {
            objects_done(&objects);
            return -ENOMEM;
        }
    *ret_objects = objects;
    return 0;
}
