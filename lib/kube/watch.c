/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/watch.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/kube/list.h"
#include "lib/kube/scan.h"

/* A bound for what is kept between events: one large object must not stay for ever. */
#define LINE_KEPT (64u << 10)

struct fence_kube_watch {
    const struct fence_kube_watch_ops *ops;
    void *context;
    struct fence_kube_text line;
    char version[128];
    char message[512];
};

static const char *const type_names[] = {
    [FENCE_KUBE_ADDED] = "\"ADDED\"",     [FENCE_KUBE_MODIFIED] = "\"MODIFIED\"",
    [FENCE_KUBE_DELETED] = "\"DELETED\"", [FENCE_KUBE_BOOKMARK] = "\"BOOKMARK\"",
    [FENCE_KUBE_ERROR] = "\"ERROR\"",
};

int fence_kube_watch_new(const struct fence_kube_watch_ops *ops, void *context,
                         struct fence_kube_watch **ret_watch)
{
    struct fence_kube_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return -ENOMEM;
    watch->ops = ops;
    watch->context = context;
    *ret_watch = watch;
    return 0;
}

void fence_kube_watch_free(struct fence_kube_watch **watch)
{
    if (!*watch)
        return;
    free((*watch)->line.data);
    free(*watch);
    *watch = NULL;
}

static const char *string_of(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));

    return text ? text : "";
}

static int read_type(const struct fence_kube_member *member, enum fence_kube_event_type *ret_type,
                     struct fence_err *err)
{
    for (size_t i = 0; member->value && i < FENCE_ARRAY_SIZE(type_names); i++) {
        if (member->size != strlen(type_names[i]) ||
            memcmp(member->value, type_names[i], member->size) != 0)
            continue;
        *ret_type = (enum fence_kube_event_type)i;
        return 0;
    }
    return fence_err_set(err, -EBADMSG, "an event of no known type");
}

/* Of the object, its metadata alone is parsed here: the rest is for who decodes the object. */
static int read_metadata(struct fence_kube_watch *watch, struct fence_kube_event *event,
                         struct fence_err *err)
{
    struct fence_kube_member metadata = {.name = "metadata"};
    const char *version, *end;
    cJSON *json;
    int r = fence_kube_members(event->object, event->size, &metadata, 1, err);

    if (r < 0 || !metadata.value)
        return r;
    json = cJSON_ParseWithLength(metadata.value, metadata.size);
    if (!json)
        return fence_err_set(err, -EBADMSG, "an event whose metadata is no JSON");
    version = string_of(json, "resourceVersion");
    end = string_of(cJSON_GetObjectItemCaseSensitive(json, "annotations"),
                    "k8s.io/initial-events-end");
    if (strlen(version) < sizeof(watch->version))
        snprintf(watch->version, sizeof(watch->version), "%s", version);
    else
        r = fence_err_set(err, -EBADMSG, "a resourceVersion of %zu bytes", strlen(version));
    event->initial_end = event->type == FENCE_KUBE_BOOKMARK && strcmp(end, "true") == 0;
    cJSON_Delete(json);
    return r;
}

static int read_status(struct fence_kube_watch *watch, struct fence_kube_event *event,
                       struct fence_err *err)
{
    cJSON *json = cJSON_ParseWithLength(event->object, event->size);
    const cJSON *code, *after;

    if (!json)
        return fence_err_set(err, -EBADMSG, "an error event that is no JSON");
    code = cJSON_GetObjectItemCaseSensitive(json, "code");
    after = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "details"),
                                             "retryAfterSeconds");
    if (cJSON_IsNumber(code) && code->valuedouble > 0 && code->valuedouble < 1000)
        event->status = (long)code->valuedouble;
    if (cJSON_IsNumber(after) && after->valuedouble > 0 && after->valuedouble < 86400)
        event->retry_after_ms = (long)(after->valuedouble * 1000);
    snprintf(watch->message, sizeof(watch->message), "%s", string_of(json, "message"));
    cJSON_Delete(json);
    return 0;
}

static int read_line(struct fence_kube_watch *watch, struct fence_err *err)
{
    struct fence_kube_member members[] = {{.name = "type"}, {.name = "object"}};
    struct fence_kube_event event = {.retry_after_ms = -1};
    int r = fence_kube_members(watch->line.data, watch->line.size, members, 2, err);

    if (r == 0)
        r = read_type(&members[0], &event.type, err);
    if (r < 0)
        return r;
    if (!members[1].value || *members[1].value != '{')
        return fence_err_set(err, -EBADMSG, "an event without an object");
    event.object = members[1].value;
    event.size = members[1].size;
    event.object[event.size] = '\0';
    watch->version[0] = watch->message[0] = '\0';
    event.version = watch->version;
    event.message = watch->message;
    r = read_metadata(watch, &event, err);
    if (r == 0 && event.type == FENCE_KUBE_ERROR)
        r = read_status(watch, &event, err);
    if (r < 0)
        return r;
    return watch->ops->event(watch->context, &event, err);
}

bool fence_kube_watch_is_cut(const struct fence_kube_watch *watch)
{
    for (size_t i = 0; i < watch->line.size; i++) {
        if (!fence_kube_is_blank(watch->line.data[i]))
            return true;
    }
    return false;
}

static int end_line(struct fence_kube_watch *watch, struct fence_err *err)
{
    int r = fence_kube_watch_is_cut(watch) ? read_line(watch, err) : 0;

    watch->line.size = 0;
    if (watch->line.capacity > LINE_KEPT) {
        free(watch->line.data);
        watch->line = (struct fence_kube_text){0};
    }
    return r;
}

int fence_kube_watch_feed(struct fence_kube_watch *watch, const char *data, size_t size,
                          struct fence_err *err)
{
    const char *end;
    size_t part;
    int r = 0;

    while (r == 0 && size) {
        end = memchr(data, '\n', size);
        part = end ? (size_t)(end - data) : size;
        r = fence_kube_text_add(&watch->line, data, part, FENCE_KUBE_OBJECT_MAX, err);
        if (r == 0 && end)
            r = end_line(watch, err);
        part += end != NULL;
        data += part;
        size -= part;
    }
    return r;
}
