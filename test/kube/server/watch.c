/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch is read by its connection's own thread. What it has to say comes in this order: the
 * objects that are there (if asked for), the bookmark that ends them, changes, bookmarks; a line at
 * a time, so that a line is an HTTP chunk. With nothing to say the thread sleeps in poll on an
 * eventfd that every change of its kind writes to, and on the connection, whose end it sees at
 * once.
 */
#include "test/kube/server/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "test/kube/server/answer.h"
#include "test/kube/server/api.h"
#include "test/kube/server/selector.h"

/* The real one sends a bookmark so long before its end. */
#define LAST_BOOKMARK_MS 2000
/* And ends what did not say how long after half an hour or more. */
#define DEFAULT_SECONDS  1800

struct watch {
    struct exchange *exchange; /* gone before the watch is freed */
    struct server *server;
    struct counter *counter;
    struct resource *resource;
    struct watch *next;
    struct selector selector;
    bool bookmarks;
    int wake_fd;
    struct objects initial; /* references; those that match are told as ADDED */
    size_t initial_next;
    bool initial_end;  /* their bookmark is still to be sent */
    uint64_t begun_at; /* changes up to this one are known to the client */
    uint64_t cursor;   /* in the history, counted from its very beginning */
    int64_t end_ms, bookmark_ms;
    enum watch_ending ending;
    bool failed; /* its error was the last that it says */
    char *line;  /* being sent */
    size_t size, sent;
    uint64_t total;
};

static void watch_free(void *context)
{
    struct watch *watch = context;
    struct server *server = watch->server;

    pthread_mutex_lock(&server->lock);
    for (struct watch **at = &watch->resource->watches; *at; at = &(*at)->next)
        if (*at == watch) {
            *at = watch->next;
            if (watch->counter)
                watch->counter->open--;
            break;
        }
    pthread_mutex_unlock(&server->lock);
    selector_done(&watch->selector);
    objects_done(&watch->initial);
    if (watch->wake_fd >= 0)
        close(watch->wake_fd);
    free(watch->line);
    free(watch);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static int begin_line(struct watch *watch, FILE **ret_out)
{
    free(TAKE_PTR(watch->line));
    watch->sent = 0;
    *ret_out = open_memstream(&watch->line, &watch->size);
    return *ret_out ? 0 : -ENOMEM;
}

static void object_line(struct watch *watch, const char *type, const struct version *version)
{
    FILE *out;

    if (begin_line(watch, &out) < 0)
        return;
    fprintf(out, "{\"type\":\"%s\",\"object\":", type);
    print_object(out, watch->resource, version, watch->exchange->partial);
    fputs("}\n", out);
    fclose(out);
}

static void status_line(struct watch *watch, cJSON *status)
{
    FENCE_FREE char *json = cJSON_PrintUnformatted(status);
    FILE *out;

    cJSON_Delete(status);
    if (!json || begin_line(watch, &out) < 0)
        return;
    fprintf(out, "{\"type\":\"ERROR\",\"object\":%s}\n", json);
    fclose(out);
}

/* An object without a name; what its Go type always prints follows the metadata. */
static void bookmark_line(struct watch *watch, uint64_t number, bool initial_end)
{
    const struct resource *resource = watch->resource;
    const bool partial = watch->exchange->partial;
    FENCE_FREE char *api_version = resource_api_version(resource);
    const char *rest = "";
    FILE *out;

    if (begin_line(watch, &out) < 0)
        return;
    if (!strcmp(resource->kind, "Pod"))
        rest = ",\"spec\":{\"containers\":null},\"status\":{}";
    else if (!strcmp(resource->plural, "namespaces"))
        rest = ",\"spec\":{},\"status\":{}";
    if (resource->custom && !partial)
        fprintf(out, "{\"type\":\"BOOKMARK\",\"object\":{\"apiVersion\":\"%s\",\"kind\":\"%s\"",
                api_version, resource->kind);
    else
        fprintf(out, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\"",
                partial ? "PartialObjectMetadata" : resource->kind,
                partial ? "meta.k8s.io/v1" : api_version);
    fprintf(out, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"%s}%s}}\n", number,
            initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "",
            partial ? "" : rest);
    fclose(out);
}

/* The state before, with the number of the change by which it stopped to match. */
static void gone_line(struct watch *watch, const struct change *change)
{
    cJSON *object = version_tree(change->before);
    struct version *version = version_new(object, change->number);

    cJSON_Delete(object);
    if (version)
        object_line(watch, "DELETED", version);
    version_unref(version);
}

static void change_line(struct watch *watch, const struct change *change)
{
    const bool before = change->before && selector_matches(&watch->selector, change->before);
    const bool after = !change->deleted && selector_matches(&watch->selector, change->after);

    if (after)
        object_line(watch, before ? "MODIFIED" : "ADDED", change->after);
    else if (before && change->deleted)
        object_line(watch, "DELETED", change->after);
    else if (before)
        gone_line(watch, change);
}

static void too_old_line(struct watch *watch, uint64_t asked)
{
    status_line(watch, status_new(410, "Expired", NULL,
                                  "too old resource version: %" PRIu64 " (%" PRIu64 ")", asked,
                                  watch->resource->history.forgotten));
    watch->ending = WATCH_ENDS;
    watch->failed = true;
}

/* ---- what comes next: under the lock -------------------------------------------------------- */

static void next_initial(struct watch *watch)
{
    while (watch->initial_next < watch->initial.count && !watch->line) {
        const struct version *version = watch->initial.items[watch->initial_next++];

        if (selector_matches(&watch->selector, version))
            object_line(watch, "ADDED", version);
    }
    if (!watch->line && watch->initial_end) {
        watch->initial_end = false;
        bookmark_line(watch, watch->begun_at, true);
    }
}

static void next_change(struct watch *watch)
{
    const struct history *history = &watch->resource->history;

    if (watch->cursor < history->first) {
        too_old_line(watch, watch->begun_at);
        return;
    }
    while (watch->cursor < history->first + history->count && !watch->line) {
        const struct change *change = &history->changes[watch->cursor++ - history->first];

        if (change->number > watch->begun_at)
            change_line(watch, change);
    }
}

static void next_bookmark(struct watch *watch)
{
    const struct server *server = watch->server;
    const int64_t now = now_ms();

    if (!watch->bookmarks || now < watch->bookmark_ms || now >= watch->end_ms)
        return;
    watch->bookmark_ms = now + server->bookmark_ms;
    if (now < watch->end_ms - LAST_BOOKMARK_MS &&
        watch->bookmark_ms > watch->end_ms - LAST_BOOKMARK_MS)
        watch->bookmark_ms = watch->end_ms - LAST_BOOKMARK_MS;
    if (server->number >= watch->begun_at)
        bookmark_line(watch, server->number, false);
}

/* In the middle of a line, as of a server that was killed. */
static void next_cut(struct watch *watch)
{
    FILE *out;

    watch->ending = WATCH_CUT;
    if (begin_line(watch, &out) < 0)
        return;
    fputs("{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"", out);
    fclose(out);
}

static void next_line(struct watch *watch)
{
    free(TAKE_PTR(watch->line));
    if (watch->ending == WATCH_CUT_LINE) {
        next_cut(watch);
        return;
    }
    if (watch->failed || watch->ending == WATCH_CUT)
        return;
    next_initial(watch);
    if (!watch->line)
        next_change(watch);
    if (!watch->line && watch->ending == WATCH_GOES_ON)
        next_bookmark(watch);
    if (!watch->line && now_ms() >= watch->end_ms)
        watch->ending = WATCH_ENDS;
}

/* ---- the connection's thread ---------------------------------------------------------------- */

static ssize_t send_line(struct watch *watch, char *buffer, size_t max)
{
    const struct effect *effect = &watch->exchange->effect;
    size_t size = watch->size - watch->sent;

    if (size > max)
        size = max;
    if (effect->piece > 0 && size > (size_t)effect->piece)
        size = (size_t)effect->piece;
    if (effect->cut_after >= 0 && watch->total + size > (uint64_t)effect->cut_after)
        size = (size_t)((uint64_t)effect->cut_after - watch->total);
    if (!size)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    memcpy(buffer, watch->line + watch->sent, size);
    watch->sent += size;
    watch->total += size;
    answer_count(watch->exchange, size);
    return (ssize_t)size;
}

static long wait_ms(const struct watch *watch)
{
    const int64_t due =
        watch->bookmarks && watch->bookmark_ms < watch->end_ms ? watch->bookmark_ms : watch->end_ms;
    const int64_t now = now_ms();

    return due > now ? (long)(due - now) : 0;
}

static ssize_t read_watch(void *context, uint64_t position, char *buffer, size_t max)
{
    struct watch *watch = context;
    struct server *server = watch->server;
    enum watch_ending ending;
    uint64_t events;

    (void)position;
    if (watch->exchange->effect.silent) {
        (void)exchange_wait(watch->exchange, -1, -1);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    for (;;) {
        if (watch->line && watch->sent < watch->size)
            return send_line(watch, buffer, max);
        pthread_mutex_lock(&server->lock);
        next_line(watch);
        ending = watch->ending; /* with no line, all that was before this end has been told */
        pthread_mutex_unlock(&server->lock);
        if (watch->line)
            continue;
        if (ending == WATCH_ENDS)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (ending != WATCH_GOES_ON ||
            exchange_wait(watch->exchange, wait_ms(watch), watch->wake_fd) == WOKEN_GONE)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        (void)!read(watch->wake_fd, &events, sizeof(events));
    }
}

void watches_wake(struct resource *resource)
{
    const uint64_t one = 1;

    for (struct watch *watch = resource->watches; watch; watch = watch->next)
        (void)!write(watch->wake_fd, &one, sizeof(one));
}

size_t watches_end(struct server *server, const struct resource *resource, enum watch_ending ending)
{
    size_t count = 0;

    for (size_t i = 0; i < server->resource_count; i++) {
        if (resource && server->resources[i] != resource)
            continue;
        for (struct watch *watch = server->resources[i]->watches; watch; watch = watch->next) {
            watch->ending = ending;
            count++;
        }
        watches_wake(server->resources[i]);
    }
    return count;
}

size_t watches_count(const struct server *server)
{
    size_t count = 0;

    for (size_t i = 0; i < server->resource_count; i++)
        for (struct watch *watch = server->resources[i]->watches; watch; watch = watch->next)
            count++;
    return count;
}

/* ---- beginning ------------------------------------------------------------------------------ */

static cJSON *list_options_status(const char *message)
{
    cJSON *details = cJSON_CreateObject();
    cJSON *cause = cJSON_CreateObject();

    cJSON_AddStringToObject(details, "group", "meta.k8s.io");
    cJSON_AddStringToObject(details, "kind", "ListOptions");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(details, "causes"), cause);
    cJSON_AddStringToObject(cause, "reason", "FieldValueForbidden");
    cJSON_AddStringToObject(cause, "message", message);
    cJSON_AddStringToObject(cause, "field", "resourceVersionMatch");
    return status_new(422, "Invalid", details,
                      "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: %s", message);
}

static bool check_options(struct exchange *exchange, uint64_t *ret_version,
                          enum MHD_Result *ret_result)
{
    const char *match = exchange_query(exchange, "resourceVersionMatch");
    const char *text = exchange_query(exchange, "resourceVersion");

    if (query_number(exchange, "resourceVersion", 0, ret_version) < 0) {
        *ret_result = answer_failure(exchange, 500, NULL,
                                     "resourceVersion: Invalid value: \"%s\": strconv.ParseUint: "
                                     "parsing \"%s\": invalid syntax",
                                     text, text);
        return false;
    }
    if (exchange_flag(exchange, "sendInitialEvents") &&
        (!match || strcmp(match, "NotOlderThan") != 0)) {
        *ret_result =
            answer_json(exchange, 422,
                        list_options_status("Forbidden: sendInitialEvents requires setting "
                                            "resourceVersionMatch to NotOlderThan"));
        return false;
    }
    return true;
}

static int watch_new(struct exchange *exchange, struct watch **ret_watch, struct fence_err *err)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    uint64_t seconds = DEFAULT_SECONDS;
    int result;

    if (!watch)
        return -ENOMEM;
    watch->exchange = exchange;
    watch->server = exchange->server;
    watch->counter = exchange->counter;
    watch->resource = exchange->target.resource;
    watch->bookmarks = exchange_flag(exchange, "allowWatchBookmarks");
    watch->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    result = selector_parse(exchange_query(exchange, "labelSelector"),
                            exchange_query(exchange, "fieldSelector"), exchange->target.name_space,
                            &watch->selector, err);
    if (query_number(exchange, "timeoutSeconds", DEFAULT_SECONDS, &seconds) < 0 || !seconds)
        seconds = DEFAULT_SECONDS;
    watch->end_ms = now_ms() + (int64_t)seconds * 1000;
    watch->bookmark_ms = now_ms() + exchange->server->bookmark_ms;
    if (watch->bookmark_ms > watch->end_ms - LAST_BOOKMARK_MS && seconds * 1000 > LAST_BOOKMARK_MS)
        watch->bookmark_ms = watch->end_ms - LAST_BOOKMARK_MS;
    if (result < 0 || watch->wake_fd < 0) {
        watch_free(watch);
        return result < 0 ? result : -EMFILE;
    }
    *ret_watch = watch;
    return 0;
}

/* Under the lock: from here on nothing is missed. */
static int begin(struct watch *watch, uint64_t version)
{
    struct server *server = watch->server;
    struct resource *resource = watch->resource;
    const bool initial = exchange_flag(watch->exchange, "sendInitialEvents") || !version;

    watch->begun_at = initial ? server->number : version;
    watch->cursor = resource->history.first;
    if (!initial && version < resource->history.forgotten)
        too_old_line(watch, version);
    if (initial && history_objects(&resource->history, &resource->objects, server->number,
                                   &watch->initial) < 0)
        return -ENOMEM;
    watch->initial_end = initial && watch->bookmarks;
    watch->next = resource->watches;
    resource->watches = watch;
    if (watch->counter)
        watch->counter->open++;
    return 0;
}

enum MHD_Result watch_answer(struct exchange *exchange)
{
    struct server *server = exchange->server;
    struct fence_err err = {"out of memory"};
    struct MHD_Response *response;
    enum MHD_Result answered;
    struct watch *watch = NULL;
    uint64_t version = 0;
    int result;

    if (!check_options(exchange, &version, &answered))
        return answered;
    if (watch_new(exchange, &watch, &err) < 0)
        return answer_failure(exchange, 400, "BadRequest", "%s", err.text);
    pthread_mutex_lock(&server->lock);
    result = begin(watch, version);
    pthread_mutex_unlock(&server->lock);
    response = result == 0 ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536, read_watch,
                                                               watch, watch_free)
                           : NULL;
    if (!response) {
        watch_free(watch);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    (void)MHD_add_response_header(response, "Cache-Control", "no-cache, private");
    return answer_queue(exchange, 200, response);
}
