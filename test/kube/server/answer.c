/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "lib/base/memory.h"

#define GZIP_FROM    (128u << 10)
#define CHUNKED_FROM 2048 /* as Go's server: what it has whole by then has a length */
#define PIECE        2048

/* ---- a body --------------------------------------------------------------------------------- */

struct body {
    struct exchange *exchange;
    char *data;
    size_t size;  /* of data */
    size_t limit; /* so much is sent, then the connection is cut */
    size_t piece;
    bool cut;
};

static void body_free(void *context)
{
    struct body *body = context;

    free(body->data);
    free(body);
}

void answer_count(struct exchange *exchange, size_t size)
{
    pthread_mutex_lock(&exchange->server->lock);
    if (exchange->counter)
        exchange->counter->bytes += size;
    pthread_mutex_unlock(&exchange->server->lock);
}

static ssize_t read_body(void *context, uint64_t position, char *buffer, size_t max)
{
    struct body *body = context;
    size_t size;

    if (body->exchange->effect.silent) {
        (void)exchange_wait(body->exchange, -1, -1);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (position >= body->limit)
        return body->cut ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    size = body->limit - (size_t)position;
    if (size > body->piece)
        size = body->piece;
    if (size > max)
        size = max;
    memcpy(buffer, body->data + position, size);
    answer_count(body->exchange, size);
    return (ssize_t)size;
}

/* What the fault makes of it. Returns the length that is said. */
static uint64_t spoil(struct body *body, const struct effect *effect)
{
    uint64_t said = body->size >= CHUNKED_FROM ? MHD_SIZE_UNKNOWN : body->size;

    body->limit = body->size;
    body->piece = effect->piece > 0 ? (size_t)effect->piece : PIECE;
    if (effect->piece > 0)
        said = MHD_SIZE_UNKNOWN;
    if (effect->length) {
        said = effect->length < 0 && (size_t)-effect->length > body->size
                   ? 0
                   : body->size + (uint64_t)effect->length;
        body->cut = said > body->size;
        if (said < body->size)
            body->limit = said;
    }
    if (effect->cut_after >= 0 && (size_t)effect->cut_after < body->limit) {
        body->limit = (size_t)effect->cut_after;
        body->cut = true;
    }
    if (effect->silent)
        said = MHD_SIZE_UNKNOWN;
    return said;
}

static bool accepts_gzip(const struct exchange *exchange)
{
    const char *accepted = exchange_header(exchange, "Accept-Encoding");

    return accepted && strstr(accepted, "gzip");
}

/* In place of *data. False: it stays as it is. */
static bool compress_body(char **data, size_t *size)
{
    z_stream stream = {.next_in = (unsigned char *)*data, .avail_in = (unsigned int)*size};
    FENCE_FREE char *out = NULL;
    size_t bound;

    /* 16: with gzip's header; level 1 as the API server's */
    if (deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    bound = deflateBound(&stream, *size);
    out = malloc(bound);
    stream.next_out = (unsigned char *)out;
    stream.avail_out = (unsigned int)bound;
    if (!out || deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        deflateEnd(&stream);
        return false;
    }
    *size = stream.total_out;
    deflateEnd(&stream);
    free(*data);
    *data = TAKE_PTR(out);
    return true;
}

static void count_status(struct exchange *exchange, unsigned int status)
{
    struct server *server = exchange->server;

    pthread_mutex_lock(&server->lock);
    if (exchange->counter)
        exchange->counter->statuses[status / 100 % 6]++;
    if (exchange->verb)
        counters_log(&server->counters, exchange->method, exchange->uri, status);
    pthread_mutex_unlock(&server->lock);
}

enum MHD_Result answer_queue(struct exchange *exchange, unsigned int status,
                             struct MHD_Response *response)
{
    enum MHD_Result result;
    char text[24];

    if (!response)
        return MHD_NO;
    if (exchange->effect.retry_after >= 0) {
        snprintf(text, sizeof(text), "%ld", exchange->effect.retry_after);
        (void)MHD_add_response_header(response, "Retry-After", text);
    }
    count_status(exchange, status);
    result = MHD_queue_response(exchange->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result answer_text(struct exchange *exchange, unsigned int status, const char *type,
                            char *body, size_t size)
{
    struct body *answer = body ? calloc(1, sizeof(*answer)) : NULL;
    struct MHD_Response *response;
    bool compressed;
    uint64_t said;

    if (!answer) {
        free(body);
        return MHD_NO;
    }
    compressed = size >= GZIP_FROM && accepts_gzip(exchange) && compress_body(&body, &size);
    *answer = (struct body){.exchange = exchange, .data = body, .size = size};
    said = spoil(answer, &exchange->effect);
    response = MHD_create_response_from_callback(said, 65536, read_body, answer, body_free);
    if (!response) {
        body_free(answer);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-cache, private");
    if (compressed) {
        (void)MHD_add_response_header(response, "Content-Encoding", "gzip");
        (void)MHD_add_response_header(response, "Vary", "Accept-Encoding");
    }
    return answer_queue(exchange, status, response);
}

enum MHD_Result answer_json(struct exchange *exchange, unsigned int status, cJSON *object)
{
    FENCE_FREE char *json = cJSON_PrintUnformatted(object);
    char *line = NULL;
    int size = -1;

    cJSON_Delete(object);
    if (json)
        size = asprintf(&line, "%s\n", json);
    if (size < 0)
        return MHD_NO;
    return answer_text(exchange, status, "application/json", line, (size_t)size);
}

enum MHD_Result answer_plain(struct exchange *exchange, unsigned int status, const char *text)
{
    char *line = NULL;
    const int size = asprintf(&line, "%s\n", text);

    if (size < 0)
        return MHD_NO;
    return answer_text(exchange, status, "text/plain; charset=utf-8", line, (size_t)size);
}

/* ---- Status --------------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 0))) static cJSON *
status_va(unsigned int code, const char *reason, cJSON *details, const char *format, va_list args)
{
    cJSON *status = cJSON_CreateObject();
    FENCE_FREE char *message = NULL;

    if (vasprintf(&message, format, args) < 0)
        message = NULL;
    cJSON_AddStringToObject(status, "kind", "Status");
    cJSON_AddStringToObject(status, "apiVersion", "v1");
    cJSON_AddObjectToObject(status, "metadata");
    cJSON_AddStringToObject(status, "status", "Failure");
    cJSON_AddStringToObject(status, "message", message ? message : "");
    if (reason)
        cJSON_AddStringToObject(status, "reason", reason);
    if (details)
        cJSON_AddItemToObject(status, "details", details);
    cJSON_AddNumberToObject(status, "code", code);
    return status;
}

cJSON *status_new(unsigned int code, const char *reason, cJSON *details, const char *format, ...)
{
    cJSON *status;
    va_list args;

    va_start(args, format);
    status = status_va(code, reason, details, format, args);
    va_end(args);
    return status;
}

cJSON *status_details(const struct target *target)
{
    cJSON *details = cJSON_CreateObject();

    if (target->name[0])
        cJSON_AddStringToObject(details, "name", target->name);
    if (target->resource && target->resource->group[0])
        cJSON_AddStringToObject(details, "group", target->resource->group);
    if (target->resource)
        cJSON_AddStringToObject(details, "kind", target->resource->plural);
    return details;
}

char *status_resource(const struct resource *resource)
{
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", resource->plural, resource->group[0] ? "." : "",
                 resource->group) < 0)
        return NULL;
    return text;
}

enum MHD_Result answer_failure(struct exchange *exchange, unsigned int code, const char *reason,
                               const char *format, ...)
{
    cJSON *status;
    va_list args;

    va_start(args, format);
    status = status_va(code, reason, NULL, format, args);
    va_end(args);
    return answer_json(exchange, code, status);
}

enum MHD_Result answer_not_found(struct exchange *exchange)
{
    FENCE_FREE char *resource = status_resource(exchange->target.resource);

    return answer_json(exchange, 404,
                       status_new(404, "NotFound", status_details(&exchange->target),
                                  "%s \"%s\" not found", resource, exchange->target.name));
}

enum MHD_Result answer_fault(struct exchange *exchange)
{
    const struct effect *effect = &exchange->effect;

    if (effect->text)
        return answer_text(exchange, effect->status, "application/json", strdup(effect->text),
                           strlen(effect->text));
    switch (effect->status) {
    case 429:
        return answer_plain(exchange, 429, "Too many requests, please try again later.");
    case 401:
        return answer_failure(exchange, 401, "Unauthorized", "Unauthorized");
    case 403:
        return answer_failure(exchange, 403, "Forbidden", "forbidden by a test");
    case 404:
        return answer_plain(exchange, 404, "404 page not found");
    case 410:
        return answer_failure(exchange, 410, "Expired",
                              "The resourceVersion for the provided list is too old.");
    case 503:
        return answer_failure(exchange, 503, "ServiceUnavailable",
                              "the server is currently unable to handle the request");
    default:
        return answer_failure(exchange, effect->status, "InternalError",
                              "Internal error occurred: by a test");
    }
}
