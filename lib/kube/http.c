/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of libcurl's calls (head and body handlers) exchanges can neither be added nor removed:
 * these are marked, and looked after when the call has returned.
 */
#include "lib/kube/http.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/kube/http_end.h"
#include "lib/kube/http_loop.h"
#include "lib/kube/http_retry.h"
#include "lib/kube/http_setup.h"
#include "lib/kube/token.h"

#define HEAD_MAX (256u << 10)
#define MS_NS    1000000ull

struct fence_http {
    struct fence_http_setup setup;
    struct fence_token token;
    struct fence_http_loop loop;
    uint64_t heard_ns; /* anything, of any exchange */
    bool is_http2;     /* the last answer */
    LIST_HEAD(, fence_http_exchange) exchanges;
};

struct fence_http_exchange {
    LIST_ENTRY(fence_http_exchange) place;
    struct fence_http *http;
    const struct fence_http_ops *ops;
    void *context;
    CURL *easy;
    struct curl_slist *headers;
    char *body;
    uint64_t idle_ns; /* 0 = no limit, both */
    uint64_t total_ns;
    uint64_t started_ns;
    uint64_t heard_ns;
    size_t head_bytes;
    long retry_after_ms;
    bool is_added;     /* to the multi handle */
    bool is_cancelled; /* inside of a call of libcurl */
    bool is_ended;     /* `end` is being called */
    bool is_refused;   /* by a handler */
    bool has_head;     /* `head` has been called */
    const char *why;   /* we broke it off, NULL = did not */
    char detail[CURL_ERROR_SIZE];
};

static uint64_t deadline_of(const struct fence_http_exchange *exchange)
{
    uint64_t at = FENCE_HTTP_NEVER;

    if (exchange->idle_ns > 0)
        at = exchange->heard_ns + exchange->idle_ns;
    if (exchange->total_ns > 0 && exchange->started_ns + exchange->total_ns < at)
        at = exchange->started_ns + exchange->total_ns;
    return at;
}

static void set_timer(struct fence_http *http)
{
    const struct fence_http_exchange *exchange;
    uint64_t at = FENCE_HTTP_NEVER;

    LIST_FOREACH(exchange, &http->exchanges, place)
    if (deadline_of(exchange) < at)
        at = deadline_of(exchange);
    fence_http_loop_set_timer(&http->loop, at);
}

/* ---- what comes -------------------------------------------------------------------------------
 */

static bool starts_with(const char *data, size_t size, const char *prefix)
{
    return size >= strlen(prefix) && strncasecmp(data, prefix, strlen(prefix)) == 0;
}

static bool goes_on(struct fence_http_exchange *exchange, int r)
{
    if (r < 0)
        exchange->is_refused = true;
    return r >= 0 && !exchange->is_cancelled;
}

static void heard(struct fence_http_exchange *exchange)
{
    exchange->heard_ns = fence_clock_boot_ns();
    exchange->http->heard_ns = exchange->heard_ns;
}

static bool tell_head(struct fence_http_exchange *exchange)
{
    struct fence_http_head head = {.content_type = "", .retry_after_ms = exchange->retry_after_ms};
    char *type = NULL;
    long version = 0;

    curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_VERSION, &version);
    exchange->http->is_http2 = version == CURL_HTTP_VERSION_2_0;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &head.status);
    curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_TYPE, &type);
    if (head.status < 200)
        return true; /* the real one comes */
    if (type)
        head.content_type = type;
    exchange->has_head = true;
    return goes_on(exchange, exchange->ops->head(exchange->context, &head));
}

/* One line at a time; an empty one ends them. Trailers come after the body, and are not told. */
static size_t take_header(char *data, size_t one, size_t count, void *context)
{
    static const char retry_after[] = "Retry-After:";
    struct fence_http_exchange *exchange = context;
    size_t size = one * count;

    if (exchange->is_cancelled)
        return 0;
    heard(exchange);
    exchange->head_bytes += size;
    if (exchange->head_bytes > HEAD_MAX) {
        exchange->why = "its headers are too large";
        return 0;
    }
    if (exchange->has_head)
        return size;
    if (starts_with(data, size, "HTTP/"))
        exchange->retry_after_ms = -1;
    else if (starts_with(data, size, retry_after))
        exchange->retry_after_ms =
            fence_http_retry_after_ms(data + strlen(retry_after), size - strlen(retry_after));
    else if (size <= 2 && (*data == '\r' || *data == '\n') && !tell_head(exchange))
        return 0;
    return size;
}

static size_t take_body(char *data, size_t one, size_t count, void *context)
{
    struct fence_http_exchange *exchange = context;
    size_t size = one * count;

    if (exchange->is_cancelled)
        return 0;
    heard(exchange);
    if (!goes_on(exchange, exchange->ops->body(exchange->context, data, size)))
        return 0;
    return size;
}

/* ---- beginning --------------------------------------------------------------------------------
 */

static bool add_header(struct fence_http_exchange *exchange, const char *name, const char *value)
{
    FENCE_FREE char *line = NULL;
    struct curl_slist *list;

    if (asprintf(&line, "%s%s", name, value) < 0) {
        line = NULL;
        return false;
    }
    list = curl_slist_append(exchange->headers, line);
    if (!list)
        return false;
    exchange->headers = list;
    return true;
}

static bool set_headers(struct fence_http_exchange *exchange,
                        const struct fence_http_request *request, const char *token)
{
    const struct fence_http_setup *setup = &exchange->http->setup;

    if (request->accept && !add_header(exchange, "Accept: ", request->accept))
        return false;
    if (request->body && !add_header(exchange, "Expect:", ""))
        return false;
    if (request->content_type && !add_header(exchange, "Content-Type: ", request->content_type))
        return false;
    if (token && !add_header(exchange, "Authorization: Bearer ", token))
        return false;
    if (setup->host_header && !add_header(exchange, setup->host_header, ""))
        return false;
    return curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, exchange->headers) == CURLE_OK;
}

static bool set_request(struct fence_http_exchange *exchange,
                        const struct fence_http_request *request)
{
    CURL *easy = exchange->easy;
    FENCE_FREE char *url = NULL;

    if (asprintf(&url, "%s%s", exchange->http->setup.base, request->path) < 0) {
        url = NULL;
        return false;
    }
    if (request->body &&
        (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size) !=
             CURLE_OK ||
         curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body) != CURLE_OK))
        return false;
    return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
}

/* What the original cannot have: the exchange itself. */
static bool set_handlers(struct fence_http_exchange *exchange)
{
    CURL *easy = exchange->easy;

    return curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->detail) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) == CURLE_OK &&
           fence_http_loop_adopt(&exchange->http->loop, easy);
}

static void exchange_free(struct fence_http_exchange *exchange)
{
    if (!exchange)
        return;
    if (exchange->is_added)
        curl_multi_remove_handle(exchange->http->loop.multi, exchange->easy);
    curl_easy_cleanup(exchange->easy);
    curl_slist_free_all(exchange->headers);
    free(exchange);
}

static void exchange_free_p(struct fence_http_exchange **exchange)
{
    exchange_free(*exchange);
    *exchange = NULL;
}

/* libcurl calls set_call_time in it, and begins when that time has come. */
static bool add(struct fence_http_exchange *exchange)
{
    exchange->is_added =
        curl_multi_add_handle(exchange->http->loop.multi, exchange->easy) == CURLM_OK;
    return exchange->is_added;
}

/* NULL: no memory. */
static struct fence_http_exchange *
exchange_new(struct fence_http *http, const struct fence_http_request *request, const char *token)
{
    FENCE_CLEANUP(exchange_free_p) struct fence_http_exchange *exchange = NULL;

    exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        return NULL;
    *exchange = (struct fence_http_exchange){
        .http = http,
        .idle_ns = request->idle_ms * MS_NS,
        .total_ns = request->total_ms * MS_NS,
        .started_ns = fence_clock_boot_ns(),
        .retry_after_ms = -1,
    };
    exchange->heard_ns = exchange->started_ns;
    exchange->easy = curl_easy_duphandle(http->setup.easy);
    if (!exchange->easy || !set_request(exchange, request) || !set_handlers(exchange) ||
        !set_headers(exchange, request, token))
        return NULL;
    return TAKE_PTR(exchange);
}

/* NOLINTNEXTLINE(readability-function-size): who is told, and with what, is one thing */
int fence_http_start(struct fence_http *http, const struct fence_http_request *request,
                     const struct fence_http_ops *ops, void *context,
                     struct fence_http_exchange **ret_exchange, struct fence_err *err)
{
    FENCE_CLEANUP(exchange_free_p) struct fence_http_exchange *exchange = NULL;
    const char *token = NULL;
    int r = fence_token_get(&http->token, &token, err);

    if (r < 0)
        return r;
    exchange = exchange_new(http, request, token);
    if (!exchange || (!http->loop.is_inside && !add(exchange)))
        return fence_err_set(err, -ENOMEM, "%s %s: no memory", request->method, request->path);
    exchange->ops = ops;
    exchange->context = context;
    LIST_INSERT_HEAD(&http->exchanges, exchange, place);
    *ret_exchange = TAKE_PTR(exchange);
    set_timer(http);
    return 0;
}

/* ---- ending -----------------------------------------------------------------------------------
 */

/* In its handler it may be cancelled still, and other exchanges may be started and cancelled. */
static void tell_end(struct fence_http_exchange *exchange, int code, const char *message)
{
    struct fence_http_end end = {.code = code, .message = message};
    long head = 0;
    curl_off_t body = 0;

    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &end.status);
    curl_easy_getinfo(exchange->easy, CURLINFO_HEADER_SIZE, &head);
    curl_easy_getinfo(exchange->easy, CURLINFO_SIZE_DOWNLOAD_T, &body);
    end.bytes = (uint64_t)head + (uint64_t)body;
    exchange->is_ended = true;
    LIST_REMOVE(exchange, place);
    exchange->ops->end(exchange->context, &end);
    exchange_free(exchange);
}

static void end_by_curl(struct fence_http_exchange *exchange, CURLcode result)
{
    struct fence_http *http = exchange->http;
    struct fence_http_failure failure = {
        .code = result, .detail = exchange->detail, .where = http->setup.where};
    struct fence_err message = {.text = ""};
    long os_error = 0;
    int code = 0;

    curl_easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &os_error);
    failure.os_error = (int)os_error;
    if (exchange->is_refused)
        code =
            fence_err_set(&message, -ECANCELED, "%s: the answer was not taken", http->setup.where);
    else if (exchange->why)
        code = fence_err_set(&message, -EIO, "%s: %s", http->setup.where, exchange->why);
    else if (result != CURLE_OK)
        code = fence_http_describe(&failure, &message);
    if (result != CURLE_OK)
        http->is_http2 = false; /* who comes next may have one exchange a connection */
    tell_end(exchange, code, message.text);
}

/*
 * Connections may be dead when nothing is heard at all, and would take the next exchange too: they
 * are shut, which ends what else is on them. One that was just opened is given its time.
 */
static void end_by_time(struct fence_http_exchange *exchange, uint64_t now)
{
    struct fence_http *http = exchange->http;
    bool is_total = exchange->total_ns > 0 && now >= exchange->started_ns + exchange->total_ns;
    uint64_t limit = is_total ? exchange->total_ns : exchange->idle_ns;
    struct fence_err message;

    if (now - http->heard_ns >= limit)
        fence_http_loop_shut(&http->loop, now - limit / 2);
    fence_err_set(&message, 0,
                  is_total ? "%s: no whole answer in %llu ms" : "%s: nothing heard for %llu ms",
                  http->setup.where, (unsigned long long)(limit / MS_NS));
    tell_end(exchange, -ETIMEDOUT, message.text);
}

static void drop(struct fence_http_exchange *exchange)
{
    LIST_REMOVE(exchange, place);
    exchange_free(exchange);
}

void fence_http_cancel(struct fence_http *http, struct fence_http_exchange **exchange)
{
    struct fence_http_exchange *one = TAKE_PTR(*exchange);

    if (!one || one->is_ended)
        return;
    one->is_cancelled = true;
    if (http->loop.is_inside)
        return;
    drop(one);
    set_timer(http);
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

/* What was cancelled or started inside of libcurl. */
static void catch_up(struct fence_http *http)
{
    struct fence_http_exchange *exchange, *next;

    for (exchange = LIST_FIRST(&http->exchanges); exchange; exchange = next) {
        next = LIST_NEXT(exchange, place);
        if (exchange->is_cancelled)
            drop(exchange);
    }
    /* from the start again after each end, whose handler may change the list */
    exchange = LIST_FIRST(&http->exchanges);
    while (exchange) {
        if (exchange->is_added || add(exchange)) {
            exchange = LIST_NEXT(exchange, place);
            continue;
        }
        end_by_curl(exchange, CURLE_OUT_OF_MEMORY);
        exchange = LIST_FIRST(&http->exchanges);
    }
}

static void collect_ends(struct fence_http *http)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->loop.multi, &left))) {
        struct fence_http_exchange *exchange = NULL;
        CURLcode result = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        end_by_curl(exchange, result);
    }
}

static void end_the_late(struct fence_http *http)
{
    uint64_t now = fence_clock_boot_ns();
    struct fence_http_exchange *exchange = LIST_FIRST(&http->exchanges);

    while (exchange) {
        if (deadline_of(exchange) > now) {
            exchange = LIST_NEXT(exchange, place);
            continue;
        }
        end_by_time(exchange, now);
        exchange = LIST_FIRST(&http->exchanges); /* its handler may have changed the list */
    }
}

void fence_http_handle(struct fence_http *http)
{
    fence_http_loop_run(&http->loop);
    fence_http_loop_share(&http->loop, http->is_http2);
    catch_up(http);
    collect_ends(http);
    end_the_late(http);
    set_timer(http);
}

int fence_http_fd(const struct fence_http *http)
{
    return http->loop.epoll_fd;
}

void fence_http_renew_token(struct fence_http *http)
{
    fence_token_renew(&http->token);
}

unsigned int fence_http_connections(const struct fence_http *http)
{
    return (unsigned int)http->loop.count;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

void fence_http_free(struct fence_http **http)
{
    struct fence_http *old = TAKE_PTR(*http);
    struct fence_http_exchange *exchange, *next;

    if (!old)
        return;
    for (exchange = LIST_FIRST(&old->exchanges); exchange; exchange = next) {
        next = LIST_NEXT(exchange, place);
        drop(exchange);
    }
    fence_http_loop_done(&old->loop);
    fence_http_setup_done(&old->setup);
    fence_token_done(&old->token);
    free(old);
}

int fence_http_new(const struct fence_kube_config *config, const char *user_agent,
                   struct fence_http **ret_http, struct fence_err *err)
{
    FENCE_CLEANUP(fence_http_free) struct fence_http *http = calloc(1, sizeof(*http));
    int r;

    if (!http)
        return fence_err_set(err, -ENOMEM, "no memory");
    r = fence_http_loop_init(&http->loop, err);
    if (r == 0)
        r = fence_http_setup_init(&http->setup, config, user_agent, err);
    if (r == 0)
        r = fence_token_init(&http->token, config->token, config->token_file, err);
    if (r < 0)
        return r;
    *ret_http = TAKE_PTR(http);
    return 0;
}
