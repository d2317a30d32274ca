/* SPDX-License-Identifier: Apache-2.0 */
/* POST, PUT, PATCH and DELETE. */
#include "test/kube/server/write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/kube/server/answer.h"
#include "test/kube/server/api.h"
#include "test/kube/server/patch.h"

/* What a write ends with: under the lock it is decided, and answered after that. */
struct outcome {
    unsigned int code;       /* 0: answered with `version` */
    unsigned int status;     /* and this */
    struct version *version; /* a reference */
    char message[256];
};

static enum MHD_Result answer_outcome(struct exchange *exchange, struct outcome *outcome)
{
    struct target *target = &exchange->target;
    char *body = NULL;
    size_t size = 0;
    FILE *out;

    if (outcome->code) {
        const char *reason = outcome->code == 409 ? "Conflict" : "BadRequest";

        if (strstr(outcome->message, "already exists"))
            reason = "AlreadyExists";
        if (outcome->code == 404)
            reason = "NotFound";
        return answer_json(
            exchange, outcome->code,
            status_new(outcome->code, reason, status_details(target), "%s", outcome->message));
    }
    out = open_memstream(&body, &size);
    if (out) {
        print_object(out, target->resource, outcome->version, exchange->partial);
        fputc('\n', out);
        fclose(out);
    }
    version_unref(outcome->version);
    return answer_text(exchange, outcome->status, "application/json", body, size);
}

__attribute__((format(printf, 3, 4))) static void fail(struct outcome *outcome, unsigned int code,
                                                       const char *format, ...)
{
    va_list args;

    outcome->code = code;
    va_start(args, format);
    vsnprintf(outcome->message, sizeof(outcome->message), format, args);
    va_end(args);
}

static void fail_with_name(struct outcome *outcome, unsigned int code, const struct target *target,
                           const char *what)
{
    FENCE_FREE char *resource = status_resource(target->resource);

    fail(outcome, code, "%s \"%s\" %s", resource, target->name, what);
}

static void commit(struct server *server, const struct target *target, cJSON *object,
                   struct outcome *outcome)
{
    struct version *version = NULL;

    if (commit_object(server, target->resource, object, &version) < 0)
        fail(outcome, 500, "out of memory");
    outcome->version = version_ref(version);
}

/* ---- POST ----------------------------------------------------------------------------------- */

/* The name into the target: of the object, or a new one after generateName. */
static int read_name(struct target *target, cJSON *metadata)
{
    const char *name = json_text(metadata, "name"), *begin = json_text(metadata, "generateName");
    static atomic_uint generated;
    char made[254];

    if (!name[0] && begin[0]) {
        snprintf(made, sizeof(made), "%.240s%05u", begin, ++generated);
        if (json_set(metadata, "name", cJSON_CreateString(made)) < 0)
            return -ENOMEM;
        name = json_text(metadata, "name");
    }
    if (!name[0] || strlen(name) >= sizeof(target->name) || strchr(name, '/'))
        return -EINVAL;
    snprintf(target->name, sizeof(target->name), "%s", name);
    return 0;
}

/* The namespace of the path is the object's. */
static int read_namespace(const struct target *target, cJSON *metadata)
{
    const char *own = json_text(metadata, "namespace");

    if (!target->resource->namespaced) {
        cJSON_DeleteItemFromObjectCaseSensitive(metadata, "namespace");
        return 0;
    }
    if (own[0] && strcmp(own, target->name_space) != 0)
        return -EINVAL;
    return json_set(metadata, "namespace", cJSON_CreateString(target->name_space));
}

static void create(struct server *server, struct target *target, cJSON *object,
                   struct outcome *outcome)
{
    FENCE_FREE char *key = object_key(target->name_space, target->name);
    struct resource *namespaces = resources_find(server, "", "namespaces");

    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, "metadata"),
                                            "uid");
    if (target->resource->has_status && strcmp(target->resource->plural, "pods") != 0)
        cJSON_DeleteItemFromObjectCaseSensitive(object, "status");
    if (objects_get(&target->resource->objects, key)) {
        fail_with_name(outcome, 409, target, "already exists");
        return;
    }
    if (target->name_space[0] && !objects_get(&namespaces->objects, target->name_space)) {
        fail(outcome, 404, "namespaces \"%s\" not found", target->name_space);
        return;
    }
    outcome->status = 201;
    if (complete_object(target->resource, object) < 0)
        fail(outcome, 500, "out of memory");
    else
        commit(server, target, object, outcome);
}

static enum MHD_Result create_from(struct exchange *exchange, cJSON *object)
{
    struct server *server = exchange->server;
    struct outcome outcome = {.code = 0};
    cJSON *metadata = json_object(object, "metadata");

    if (read_name(&exchange->target, metadata) < 0 ||
        read_namespace(&exchange->target, metadata) < 0)
        return answer_failure(exchange, 422, "Invalid",
                              "the object's name or namespace does not fit the request");
    pthread_mutex_lock(&server->lock);
    create(server, &exchange->target, object, &outcome);
    pthread_mutex_unlock(&server->lock);
    return answer_outcome(exchange, &outcome);
}

static bool is_protobuf(const struct exchange *exchange)
{
    const char *type = exchange_header(exchange, "Content-Type");

    return type && strstr(type, "protobuf");
}

/* 415 lets clients try again in JSON. */
static enum MHD_Result answer_unsupported(struct exchange *exchange, const char *accepted)
{
    return answer_failure(exchange, 415, "UnsupportedMediaType",
                          "the body of the request was in an unknown format - accepted media types "
                          "include: %s",
                          accepted);
}

enum MHD_Result create_answer(struct exchange *exchange)
{
    struct fence_err err = {""};
    cJSON *object = parse_object(exchange->body, exchange->size, &err);
    enum MHD_Result result;

    if (!object && is_protobuf(exchange))
        return answer_unsupported(exchange, "application/json, application/yaml");
    if (!object)
        return answer_failure(exchange, 400, "BadRequest", "%s", err.text);
    result = create_from(exchange, object);
    cJSON_Delete(object);
    return result;
}

/* ---- PUT and PATCH -------------------------------------------------------------------------- */

static void keep_member(const cJSON *from, cJSON *to, const char *member)
{
    const cJSON *there = cJSON_GetObjectItemCaseSensitive(from, member);

    if (there)
        (void)json_set(to, member, cJSON_Duplicate(there, true));
    else
        cJSON_DeleteItemFromObjectCaseSensitive(to, member);
}

static bool is_spec_equal(const cJSON *one, const cJSON *two)
{
    cJSON *a = cJSON_Duplicate(one, true), *b = cJSON_Duplicate(two, true);
    static const char *const others[] = {"metadata", "status", "kind", "apiVersion"};
    bool equal;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(others); i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(a, others[i]);
        cJSON_DeleteItemFromObjectCaseSensitive(b, others[i]);
    }
    equal = cJSON_Compare(a, b, true);
    cJSON_Delete(a);
    cJSON_Delete(b);
    return equal;
}

static void count_generation(const cJSON *before, cJSON *after)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(after, "metadata");
    const cJSON *generation = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(before, "metadata"), "generation");

    if (generation && !is_spec_equal(before, after))
        (void)json_set(metadata, "generation", cJSON_CreateNumber(generation->valuedouble + 1));
}

/* What only the server writes stays, and what this subresource does not have. */
static void keep_others(const struct target *target, const cJSON *before, cJSON *after)
{
    static const char *const own[] = {
        "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation"};
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(before, "metadata");
    cJSON *metadata = json_object(after, "metadata");

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(own); i++)
        keep_member(old, metadata, own[i]);
    if (target->resource->has_status && !target->subresource[0])
        keep_member(before, after, "status");
}

/* Only the status of `after` counts then. */
static void keep_all_but_status(const cJSON *before, cJSON *after)
{
    cJSON *status = cJSON_DetachItemFromObjectCaseSensitive(after, "status");
    const cJSON *member;

    while (after->child)
        cJSON_Delete(cJSON_DetachItemViaPointer(after, after->child));
    cJSON_ArrayForEach(member, before)
    {
        if (strcmp(member->string, "status") != 0)
            cJSON_AddItemToObject(after, member->string, cJSON_Duplicate(member, true));
    }
    if (status)
        cJSON_AddItemToObject(after, "status", status);
}

static bool is_stale(const cJSON *sent, const struct version *there)
{
    const char *number =
        json_text(cJSON_GetObjectItemCaseSensitive(sent, "metadata"), "resourceVersion");

    return number[0] && strtoull(number, NULL, 10) != there->number;
}

static void replace(struct server *server, const struct target *target, const struct version *there,
                    cJSON *after, struct outcome *outcome)
{
    cJSON *before = version_tree(there);

    cJSON_DeleteItemFromObjectCaseSensitive(after, "kind");
    cJSON_DeleteItemFromObjectCaseSensitive(after, "apiVersion");
    if (target->subresource[0])
        keep_all_but_status(before, after);
    keep_others(target, before, after);
    count_generation(before, after);
    outcome->status = 200;
    if (cJSON_Compare(before, after, true)) /* nothing has changed: nobody is told */
        outcome->version = version_ref(objects_get(&target->resource->objects, there->key));
    else
        commit(server, target, after, outcome);
    cJSON_Delete(before);
}

static void conflict(struct outcome *outcome, const struct target *target)
{
    FENCE_FREE char *resource = status_resource(target->resource);

    fail(outcome, 409,
         "Operation cannot be fulfilled on %s \"%s\": the object has been modified; please apply "
         "your changes to the latest version and try again",
         resource, target->name);
}

/* `patch` NULL: `sent` is the whole object. */
static void update(struct exchange *exchange, const cJSON *sent, bool is_patch, bool strategic,
                   struct outcome *outcome)
{
    const struct target *target = &exchange->target;
    FENCE_FREE char *key = object_key(target->name_space, target->name);
    struct version *there = objects_get(&target->resource->objects, key);
    cJSON *after;

    if (!there) {
        fail_with_name(outcome, 404, target, "not found");
        return;
    }
    if (is_stale(sent, there)) {
        conflict(outcome, target);
        return;
    }
    after = is_patch ? version_tree(there) : cJSON_Duplicate(sent, true);
    if (!after || (is_patch && patch_merge(after, sent, strategic) < 0))
        fail(outcome, 500, "out of memory");
    else
        replace(exchange->server, target, there, after, outcome);
    cJSON_Delete(after);
}

static enum MHD_Result update_from(struct exchange *exchange, const cJSON *sent, bool is_patch,
                                   bool strategic)
{
    struct outcome outcome = {.code = 0};

    pthread_mutex_lock(&exchange->server->lock);
    update(exchange, sent, is_patch, strategic, &outcome);
    pthread_mutex_unlock(&exchange->server->lock);
    return answer_outcome(exchange, &outcome);
}

enum MHD_Result update_answer(struct exchange *exchange)
{
    struct fence_err err = {""};
    cJSON *object = parse_object(exchange->body, exchange->size, &err);
    enum MHD_Result result;

    if (!object && is_protobuf(exchange))
        return answer_unsupported(exchange, "application/json, application/yaml");
    if (!object)
        return answer_failure(exchange, 400, "BadRequest", "%s", err.text);
    result = update_from(exchange, object, false, false);
    cJSON_Delete(object);
    return result;
}

static bool is_there(struct exchange *exchange)
{
    FENCE_FREE char *key = object_key(exchange->target.name_space, exchange->target.name);
    bool there;

    pthread_mutex_lock(&exchange->server->lock);
    there = objects_get(&exchange->target.resource->objects, key) != NULL;
    pthread_mutex_unlock(&exchange->server->lock);
    return there;
}

/* Server-side apply makes what is not there; who owns which field is not kept, so it is a merge. */
static enum MHD_Result apply(struct exchange *exchange, cJSON *object)
{
    cJSON *metadata = json_object(object, "metadata");

    if (exchange->target.subresource[0] || is_there(exchange))
        return update_from(exchange, object, true, true);
    if (json_set(metadata, "name", cJSON_CreateString(exchange->target.name)) < 0)
        return MHD_NO;
    return create_from(exchange, object);
}

enum MHD_Result patch_answer(struct exchange *exchange)
{
    const char *type = exchange_header(exchange, "Content-Type");
    struct fence_err err = {""};
    enum MHD_Result result;
    cJSON *patch;

    if (!type)
        type = "";
    patch = parse_object(exchange->body, exchange->size, &err);
    if (!patch)
        return answer_failure(exchange, 400, "BadRequest", "%s", err.text);
    if (!strncmp(type, "application/apply-patch+yaml", 28))
        result = apply(exchange, patch);
    else if (!strncmp(type, "application/merge-patch+json", 28))
        result = update_from(exchange, patch, true, false);
    else if (!strncmp(type, "application/strategic-merge-patch+json", 38) &&
             !exchange->target.resource->custom)
        result = update_from(exchange, patch, true, true);
    else
        result = answer_unsupported(exchange,
                                    "application/merge-patch+json, application/apply-patch+yaml");
    cJSON_Delete(patch);
    return result;
}

/* ---- DELETE --------------------------------------------------------------------------------- */

/* A pod or a namespace is marked before it goes; both at once here, as of one that runs nowhere. */
static void mark(struct server *server, const struct target *target, const struct version *there)
{
    cJSON *object = version_tree(there);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    const bool is_namespace = !strcmp(target->resource->plural, "namespaces");
    struct outcome ignored = {.code = 0};
    char now[24];
    const time_t seconds = time(NULL);
    struct tm parts;

    (void)gmtime_r(&seconds, &parts);
    (void)strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &parts);
    (void)json_set(metadata, "deletionTimestamp", cJSON_CreateString(now));
    if (is_namespace)
        (void)json_set(json_object(object, "status"), "phase", cJSON_CreateString("Terminating"));
    else
        (void)json_set(metadata, "deletionGracePeriodSeconds", cJSON_CreateNumber(0));
    commit(server, target, object, &ignored);
    version_unref(ignored.version);
    cJSON_Delete(object);
}

/* What is in a namespace goes before it. */
static void empty_namespace(struct server *server, const char *name)
{
    for (size_t i = 0; i < server->resource_count; i++) {
        struct resource *resource = server->resources[i];

        for (size_t at = resource->objects.count; at > 0; at--) {
            struct version *there = resource->objects.items[at - 1], *gone = NULL;
            FENCE_FREE char *key = strdup(there->key);

            if (key && !strcmp(there->name_space, name) &&
                commit_deletion(server, resource, key, &gone) == 0)
                version_unref(gone);
        }
    }
}

static struct version *delete_object(struct server *server, const struct target *target)
{
    FENCE_FREE char *key = object_key(target->name_space, target->name);
    const struct version *there = objects_get(&target->resource->objects, key);
    const bool is_namespace = !strcmp(target->resource->plural, "namespaces");
    struct version *gone = NULL;

    if (!there)
        return NULL;
    if (is_namespace || !strcmp(target->resource->plural, "pods"))
        mark(server, target, there);
    if (is_namespace)
        empty_namespace(server, target->name);
    (void)commit_deletion(server, target->resource, key, &gone);
    return gone;
}

static enum MHD_Result answer_success(struct exchange *exchange, const struct version *gone)
{
    cJSON *status = cJSON_CreateObject(), *details = status_details(&exchange->target);
    cJSON *object = version_tree(gone);
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");

    cJSON_AddStringToObject(status, "kind", "Status");
    cJSON_AddStringToObject(status, "apiVersion", "v1");
    cJSON_AddObjectToObject(status, "metadata");
    cJSON_AddStringToObject(status, "status", "Success");
    cJSON_AddStringToObject(details, "uid", json_text(metadata, "uid"));
    cJSON_AddItemToObject(status, "details", details);
    cJSON_Delete(object);
    return answer_json(exchange, 200, status);
}

enum MHD_Result delete_answer(struct exchange *exchange)
{
    struct server *server = exchange->server;
    const char *plural = exchange->target.resource->plural;
    struct outcome outcome = {.status = 200};
    enum MHD_Result result;

    pthread_mutex_lock(&server->lock);
    outcome.version = delete_object(server, &exchange->target);
    pthread_mutex_unlock(&server->lock);
    if (!outcome.version)
        return answer_not_found(exchange);
    if (!strcmp(plural, "pods") || !strcmp(plural, "namespaces"))
        return answer_outcome(exchange, &outcome);
    result = answer_success(exchange, outcome.version);
    version_unref(outcome.version);
    return result;
}
