/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/base/memory.h"
#include "test/kube/server/watch.h"

/* Forgotten in batches, so that it costs little. */
static void trim(const struct server *server, struct resource *resource)
{
    struct history *history = &resource->history;

    if (history->count >= 2 * server->history)
        history_forget(history, history->changes[history->count - server->history - 1].number);
}

/* Takes `change`'s references. */
static void tell(struct server *server, struct resource *resource, const struct change *change)
{
    if (history_add(&resource->history, change) < 0) {
        version_unref(change->before);
        version_unref(change->after);
        history_forget(&resource->history, change->number);
    }
    trim(server, resource);
    watches_wake(resource);
}

int commit_object(struct server *server, struct resource *resource, cJSON *object,
                  struct version **ret_version)
{
    struct change change = {.number = server->number + 1};
    struct version *version = version_new(object, change.number);
    int result;

    if (!version)
        return -EINVAL;
    result = objects_put(&resource->objects, version, &change.before);
    if (result < 0) {
        version_unref(version);
        return result;
    }
    server->number++;
    change.after = version_ref(version);
    tell(server, resource, &change);
    *ret_version = version;
    return 0;
}

int commit_deletion(struct server *server, struct resource *resource, const char *key,
                    struct version **ret_version)
{
    struct change change = {.number = server->number + 1, .deleted = true};
    struct version *there = objects_get(&resource->objects, key);
    cJSON *object;

    if (!there)
        return -ENOENT;
    object = version_tree(there);
    change.after = version_new(object, change.number);
    cJSON_Delete(object);
    if (!change.after)
        return -ENOMEM;
    server->number++;
    change.before = objects_take(&resource->objects, key);
    *ret_version = version_ref(change.after);
    tell(server, resource, &change);
    return 0;
}

/* ---- new objects ---------------------------------------------------------------------------- */

static void new_uid(char uid[37])
{
    unsigned char bytes[16] = {0};

    (void)!getrandom(bytes, sizeof(bytes), 0);
    snprintf(uid, 37, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-a%01x%02x-%02x%02x%02x%02x%02x%02x",
             bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6] & 15, bytes[7],
             bytes[8] & 15, bytes[9], bytes[10], bytes[11], bytes[12], bytes[13], bytes[14],
             bytes[15]);
}

static void now_text(char text[24])
{
    const time_t now = time(NULL);
    struct tm parts;

    (void)gmtime_r(&now, &parts);
    (void)strftime(text, 24, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* As a namespace gets them: its label, finalizers, Active. A pod waits. */
static int complete_kind(const struct resource *resource, cJSON *object)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    cJSON *labels, *status;

    if (!strcmp(resource->plural, "namespaces")) {
        labels = json_object(metadata, "labels");
        status = json_object(object, "status");
        if (!labels || !status ||
            json_set(labels, "kubernetes.io/metadata.name",
                     cJSON_CreateString(json_text(metadata, "name"))) < 0 ||
            json_set(status, "phase", cJSON_CreateString("Active")) < 0)
            return -ENOMEM;
    }
    if (!strcmp(resource->plural, "pods") && !cJSON_GetObjectItemCaseSensitive(object, "status")) {
        status = json_object(object, "status");
        if (!status || json_set(status, "phase", cJSON_CreateString("Pending")) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* In front are the members that every object has, in the API's order; then what the client sent. */
static cJSON *order_metadata(const struct resource *resource, const cJSON *given)
{
    static const char *const first[] = {"name", "generateName", "namespace", "uid",
                                        "resourceVersion"};
    cJSON *metadata = cJSON_CreateObject();
    char uid[37], now[24];
    const cJSON *member;

    new_uid(uid);
    now_text(now);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(first); i++) {
        const char *text = json_text(given, first[i]);

        if (!strcmp(first[i], "uid") && !text[0])
            text = uid;
        if (text[0] || i == FENCE_ARRAY_SIZE(first) - 1)
            cJSON_AddStringToObject(metadata, first[i], text);
    }
    member = cJSON_GetObjectItemCaseSensitive(given, "generation");
    if (resource->generations)
        cJSON_AddNumberToObject(metadata, "generation", member ? member->valuedouble : 1);
    cJSON_AddStringToObject(
        metadata, "creationTimestamp",
        json_text(given, "creationTimestamp")[0] ? json_text(given, "creationTimestamp") : now);
    cJSON_ArrayForEach(member, given)
    {
        if (!cJSON_GetObjectItemCaseSensitive(metadata, member->string))
            cJSON_AddItemToObject(metadata, member->string, cJSON_Duplicate(member, true));
    }
    return metadata;
}

int complete_object(const struct resource *resource, cJSON *object)
{
    cJSON *given = cJSON_DetachItemFromObjectCaseSensitive(object, "metadata");
    cJSON *metadata = order_metadata(resource, given);
    cJSON *rest = object->child;

    cJSON_Delete(given);
    if (!metadata)
        return -ENOMEM;
    object->child = NULL; /* so that metadata is the first */
    if (!cJSON_AddItemToObject(object, "metadata", metadata)) {
        object->child = rest;
        cJSON_Delete(metadata);
        return -ENOMEM;
    }
    if (rest) {
        metadata->prev = rest->prev; /* cJSON: the first one's prev is the last */
        metadata->next = rest;
        rest->prev = metadata;
    }
    return complete_kind(resource, object);
}
