/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/base64.h>

#include "lib/base/memory.h"
#include "test/kube/server/answer.h"
#include "test/kube/server/selector.h"

#define TOO_LARGE_MS 3000

struct list {
    uint64_t number; /* of the answer */
    uint64_t limit;  /* 0 = none */
    char *start;     /* key from which on, NULL = all */
    bool exact;      /* as it was right after change `number` */
    struct selector selector;
};

static void list_done(struct list *list)
{
    free(list->start);
    selector_done(&list->selector);
}

/* ---- one object ----------------------------------------------------------------------------- */

static void print_kind(FILE *out, const struct resource *resource, const char *kind)
{
    FENCE_FREE char *api_version = resource_api_version(resource);

    if (resource->custom)
        fprintf(out, "\"apiVersion\":\"%s\",\"kind\":\"%s\"", api_version, kind);
    else
        fprintf(out, "\"kind\":\"%s\",\"apiVersion\":\"%s\"", kind, api_version);
}

static void print_metadata(FILE *out, const struct version *version)
{
    cJSON *object = version_tree(version);
    FENCE_FREE char *metadata =
        cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(object, "metadata"));

    fprintf(
        out,
        "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":%s}",
        metadata ? metadata : "{}");
    cJSON_Delete(object);
}

void print_object(FILE *out, const struct resource *resource, const struct version *version,
                  bool partial)
{
    if (partial) {
        print_metadata(out, version);
        return;
    }
    fputc('{', out);
    print_kind(out, resource, resource->kind);
    fputc(',', out); /* an object has its metadata at least */
    fwrite(version->json + 1, 1, version->size - 1, out);
}

enum MHD_Result get_answer(struct exchange *exchange)
{
    struct server *server = exchange->server;
    const struct target *target = &exchange->target;
    FENCE_FREE char *key = object_key(target->name_space, target->name);
    struct version *version;
    char *body = NULL;
    size_t size = 0;
    FILE *out;

    pthread_mutex_lock(&server->lock);
    version = key ? version_ref(objects_get(&target->resource->objects, key)) : NULL;
    pthread_mutex_unlock(&server->lock);
    if (!version)
        return answer_not_found(exchange);
    out = open_memstream(&body, &size);
    if (out) {
        print_object(out, target->resource, version, exchange->partial);
        fputc('\n', out);
        fclose(out);
    }
    version_unref(version);
    return answer_text(exchange, 200, "application/json", body, size);
}

/* ---- continue tokens: base64url of {"v":"meta.k8s.io/v1","rv":258,"start":"/lab/shell\u0000"} -
 */

static char *token_of(int64_t number, const char *last)
{
    FENCE_FREE char *json = NULL;
    char *token;
    const int size =
        asprintf(&json, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%" PRId64 ",\"start\":\"%s%s\\u0000\"}",
                 number, number < 0 ? "" : "/", last);

    if (size < 0) {
        json = NULL;
        return NULL;
    }
    token = calloc(1, BASE64_ENCODE_RAW_LENGTH((size_t)size) + 1);
    if (!token)
        return NULL;
    base64_encode_raw(token, (size_t)size, (const uint8_t *)json);
    for (char *c = token; *c; c++) {
        if (*c == '+')
            *c = '-';
        if (*c == '/')
            *c = '_';
        if (*c == '=')
            *c = '\0';
    }
    return token;
}

/* "start" ends with a NUL, which cJSON's text ends with too: what follows a key "a" directly is
 * "a\0", so that keys above "a" are meant. */
static int parse_token(const char *token, int64_t *ret_number, char **ret_after)
{
    const size_t size = strlen(token);
    FENCE_FREE uint8_t *json = calloc(1, BASE64_DECODE_LENGTH(size) + 1);
    struct base64_decode_ctx context;
    size_t decoded = BASE64_DECODE_LENGTH(size);
    const cJSON *number;
    cJSON *object;
    const char *start;

    base64url_decode_init(&context);
    if (!json || !base64_decode_update(&context, &decoded, json, size, token))
        return -EINVAL;
    json[decoded] = '\0';
    for (char *nul; (nul = strstr((char *)json, "\\u0000"));) /* cJSON refuses these */
        memmove(nul, nul + 6, strlen(nul + 6) + 1);
    object = cJSON_Parse((char *)json);
    number = cJSON_GetObjectItemCaseSensitive(object, "rv");
    start = json_text(object, "start");
    if (!cJSON_IsNumber(number) || !start[0]) {
        cJSON_Delete(object);
        return -EINVAL;
    }
    *ret_number = (int64_t)number->valuedouble;
    *ret_after = strdup(start[0] == '/' ? start + 1 : start);
    cJSON_Delete(object);
    return *ret_after ? 0 : -ENOMEM;
}

/* ---- what is asked for ---------------------------------------------------------------------- */

int query_number(const struct exchange *exchange, const char *name, uint64_t otherwise,
                 uint64_t *ret_number)
{
    const char *text = exchange_query(exchange, name);
    char *end;

    *ret_number = otherwise;
    if (!text || !text[0])
        return 0;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return errno || *end || text[0] < '0' || text[0] > '9' ? -EINVAL : 0;
}

static enum MHD_Result expired(struct exchange *exchange, const char *after)
{
    FENCE_FREE char *token = token_of(-1, after);
    cJSON *status = status_new(
        410, "Expired", NULL,
        "The provided continue parameter is too old to display a consistent list result. You can "
        "start a new list without the continue parameter, or use the continue token in this "
        "response to retrieve the remainder of the results. Continuing with the provided token "
        "results in an inconsistent list - objects that were created, modified, or deleted "
        "between the time the first chunk was returned and now may show up in the list.");

    cJSON_AddStringToObject(cJSON_GetObjectItemCaseSensitive(status, "metadata"), "continue",
                            token ? token : "");
    return answer_json(exchange, 410, status);
}

static enum MHD_Result too_large(struct exchange *exchange, uint64_t asked, uint64_t now)
{
    cJSON *details = cJSON_CreateObject();
    cJSON *cause = cJSON_CreateObject();
    cJSON *causes = cJSON_AddArrayToObject(details, "causes");

    (void)exchange_wait(exchange, TOO_LARGE_MS, -1);
    cJSON_AddStringToObject(cause, "reason", "ResourceVersionTooLarge");
    cJSON_AddStringToObject(cause, "message", "Too large resource version");
    cJSON_AddItemToArray(causes, cause);
    cJSON_AddNumberToObject(details, "retryAfterSeconds", 1);
    exchange->effect.retry_after = 1;
    return answer_json(exchange, 504,
                       status_new(504, "Timeout", details,
                                  "Timeout: Too large resource version: %" PRIu64
                                  ", current: %" PRIu64,
                                  asked, now));
}

struct bounds {
    uint64_t now, forgotten;
};

static struct bounds bounds_of(struct exchange *exchange)
{
    struct bounds bounds;

    pthread_mutex_lock(&exchange->server->lock);
    bounds.now = exchange->server->number;
    bounds.forgotten = exchange->target.resource->history.forgotten;
    pthread_mutex_unlock(&exchange->server->lock);
    return bounds;
}

/* True: go on. False: *ret_result is the answer. */
static bool read_continue(struct exchange *exchange, const char *token, struct list *list,
                          enum MHD_Result *ret_result)
{
    const struct bounds bounds = bounds_of(exchange);
    int64_t number = 0;

    if (parse_token(token, &number, &list->start) < 0) {
        *ret_result = answer_failure(exchange, 400, "BadRequest",
                                     "invalid continue token: continue key is not valid");
        return false;
    }
    list->number = number < 0 ? bounds.now : (uint64_t)number;
    list->exact = number >= 0;
    if (list->exact && list->number < bounds.forgotten) {
        *ret_result = expired(exchange, list->start);
        return false;
    }
    return true;
}

static bool read_version(struct exchange *exchange, struct list *list, enum MHD_Result *ret_result)
{
    const struct bounds bounds = bounds_of(exchange);
    const char *text = exchange_query(exchange, "resourceVersion");
    const char *match = exchange_query(exchange, "resourceVersionMatch");
    uint64_t asked = 0;

    if (query_number(exchange, "resourceVersion", 0, &asked) < 0) {
        *ret_result = answer_failure(exchange, 400, "BadRequest",
                                     "invalid resource version: resourceVersion: Invalid value: "
                                     "\"%s\": strconv.ParseUint: parsing \"%s\": invalid syntax",
                                     text, text);
        return false;
    }
    if (text && !asked && (!match || strcmp(match, "Exact") != 0))
        list->limit = 0; /* any version will do: from the cache, whole */
    list->exact = asked && ((match && !strcmp(match, "Exact")) || (!match && list->limit));
    list->number = list->exact ? asked : bounds.now;
    if (asked > bounds.now) {
        *ret_result = too_large(exchange, asked, bounds.now);
        return false;
    }
    if (list->exact && asked < bounds.forgotten) {
        *ret_result = answer_failure(exchange, 410, "Expired",
                                     "The resourceVersion for the provided list is too old.");
        return false;
    }
    return true;
}

static bool read_list(struct exchange *exchange, struct list *list, enum MHD_Result *ret_result)
{
    const char *token = exchange_query(exchange, "continue");
    struct fence_err err = {""};

    if (query_number(exchange, "limit", 0, &list->limit) < 0) {
        *ret_result = answer_failure(exchange, 400, "BadRequest", "limit is no number");
        return false;
    }
    if (selector_parse(exchange_query(exchange, "labelSelector"),
                       exchange_query(exchange, "fieldSelector"), exchange->target.name_space,
                       &list->selector, &err) < 0) {
        *ret_result = answer_failure(exchange, 400, "BadRequest", "%s", err.text);
        return false;
    }
    if (token && token[0])
        return read_continue(exchange, token, list, ret_result);
    return read_version(exchange, list, ret_result);
}

/* ---- the answer ----------------------------------------------------------------------------- */

struct page {
    struct objects all; /* as they were */
    size_t begin, end;  /* end: where the next page begins */
    size_t remaining;
};

/* How many of those that match are from `begin` on: all, or up to the limit. */
static void find_page(const struct list *list, struct page *page)
{
    uint64_t count = 0;

    if (list->start) {
        page->begin = objects_at(&page->all, list->start);
        if (page->begin < page->all.count &&
            !strcmp(page->all.items[page->begin]->key, list->start))
            page->begin++;
    }
    page->end = page->all.count;
    for (size_t i = page->begin; i < page->all.count; i++) {
        if (!selector_matches(&list->selector, page->all.items[i]))
            continue;
        if (list->limit && count == list->limit) {
            page->end = i;
            break;
        }
        count++;
    }
    for (size_t i = page->end; i < page->all.count; i++)
        page->remaining += selector_matches(&list->selector, page->all.items[i]);
}

static void print_items(FILE *out, const struct exchange *exchange, const struct list *list,
                        const struct page *page)
{
    const struct resource *resource = exchange->target.resource;
    const char *between = "";

    fputs("\"items\":[", out);
    for (size_t i = page->begin; i < page->end; i++) {
        const struct version *version = page->all.items[i];

        if (!selector_matches(&list->selector, version))
            continue;
        fputs(between, out);
        between = ",";
        if (resource->custom || exchange->partial)
            print_object(out, resource, version, exchange->partial);
        else
            fwrite(version->json, 1, version->size, out);
    }
    fputs("]", out);
}

/* With a selector the real one does not know how many remain. */
static void print_list_metadata(FILE *out, const struct list *list, const struct page *page,
                                bool custom)
{
    const bool selects = list->selector.label_count || list->selector.field_count;
    FENCE_FREE char *token = NULL;

    if (page->remaining)
        token = token_of((int64_t)list->number, page->all.items[page->end - 1]->key);
    fputs("\"metadata\":{", out);
    if (custom)
        fprintf(out, "\"continue\":\"%s\",", token ? token : "");
    if (custom && token && !selects)
        fprintf(out, "\"remainingItemCount\":%zu,", page->remaining);
    fprintf(out, "\"resourceVersion\":\"%" PRIu64 "\"", list->number);
    if (!custom && token)
        fprintf(out, ",\"continue\":\"%s\"", token);
    if (!custom && token && !selects)
        fprintf(out, ",\"remainingItemCount\":%zu", page->remaining);
    fputs("}", out);
}

static void print_list(FILE *out, const struct exchange *exchange, const struct list *list,
                       const struct page *page)
{
    const struct resource *resource = exchange->target.resource;
    FENCE_FREE char *api_version = resource_api_version(resource);

    if (resource->custom && !exchange->partial) {
        fprintf(out, "{\"apiVersion\":\"%s\",", api_version);
        print_items(out, exchange, list, page);
        fprintf(out, ",\"kind\":\"%sList\",", resource->kind);
        print_list_metadata(out, list, page, true);
        fputs("}\n", out);
        return;
    }
    fprintf(out, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",",
            exchange->partial ? "PartialObjectMetadata" : resource->kind,
            exchange->partial ? "meta.k8s.io/v1" : api_version);
    print_list_metadata(out, list, page, false);
    fputc(',', out);
    print_items(out, exchange, list, page);
    fputs("}\n", out);
}

enum MHD_Result list_answer(struct exchange *exchange)
{
    struct server *server = exchange->server;
    FENCE_CLEANUP(list_done) struct list list = {.start = NULL};
    struct resource *resource = exchange->target.resource;
    struct page page = {.begin = 0};
    enum MHD_Result answered;
    char *body = NULL;
    size_t size = 0;
    FILE *out;
    int result;

    if (!read_list(exchange, &list, &answered))
        return answered;
    pthread_mutex_lock(&server->lock);
    if (!list.exact)
        list.number = server->number;
    result = history_objects(&resource->history, &resource->objects, list.number, &page.all);
    pthread_mutex_unlock(&server->lock);
    out = result == 0 ? open_memstream(&body, &size) : NULL;
    if (out) {
        find_page(&list, &page);
        print_list(out, exchange, &list, &page);
        fclose(out);
    }
    objects_done(&page.all);
    return answer_text(exchange, 200, "application/json", body, size);
}
