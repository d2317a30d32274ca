/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps: a list as a stream (which goes on as the watch), or in pages where the server has no such
 * stream; then watches, each from the version of the last event. Invariants:
 * - a watch is begun only from a version that a whole list or a later event had;
 * - a list that was begun is ended, or begun again: never is a watch gone on with in between;
 * - a list is ended only by what says that all of it came: a page with a version and no token, the
 *   closing bookmark with its version;
 * - what ends an exchange decides about the next step, and sets when it is due.
 *
 * Silence: bookmarks come about once a minute, so that a watch without a byte for 100 s hangs, or
 * waits for a version of the future (after a restored etcd). It is begun again; a second one that
 * stays silent is checked by a list. A server that sends no bookmarks at all is asked for such
 * lists less and less often: the patience doubles up to more than a watch lasts.
 */
#include "lib/kube/reflector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/kube/backoff.h"
#include "lib/kube/explain.h"
#include "lib/kube/list.h"
#include "lib/kube/query.h"
#include "lib/kube/watch.h"

#define MS              1000000ull
#define SILENCE_MS      100000u
#define SILENCE_MAX_MS  800000u
#define LIST_SILENCE_MS 30000u
#define GRACE_NS        (1000 * MS) /* the exchange itself ends first, and its dead connection with it */
#define SHORT_NS        (1000 * MS) /* a watch that ends sooner, without an event, is a failure */
/* A server that leads on for ever must not be followed for ever. */
#define LIST_MAX_MS     600000u /* of all its pages */
#define PAGES_MAX       4000u
#define REPORTS_MAX     3 /* failures in a row after which a watch that reports errors is a list */

struct fence_reflector {
    struct fence_reflector_options options;
    struct fence_kube_state state; /* its strings are those below */
    enum fence_kube_verb step;     /* that runs, or is due */
    bool unstreamable;             /* the server has no streaming lists */
    bool listing;                  /* of the step: the list is not ended */
    bool expired;                  /* of the exchange: the version is too old */
    bool told;                     /* of the exchange: an event came */
    uint64_t counted;              /* of the exchange: what state.bytes has of it */
    bool resume;                   /* after a failure of a watch: watch again, do not list */
    int failed;                    /* of the exchange: what a handler returned */
    unsigned int failures;         /* in a row */
    unsigned int silences;         /* in a row */
    uint64_t silence_ms;
    uint64_t due_ns;
    uint64_t begun_ns;
    uint64_t list_begun_ns;
    unsigned int pages;
    long status, retry_after_ms;
    struct fence_http_exchange *exchange;
    struct fence_kube_list *list;
    struct fence_kube_watch *watch;
    char *token; /* of the next page; NULL: the first */
    struct fence_err err;
    char version[FENCE_KUBE_VERSION_MAX];
    char answer[1024]; /* the begin of a body that is no success */
};

static const char unversioned[] = "a list without a resourceVersion";
static const char endless[] = "a list that does not end";

static uint64_t now(const struct fence_reflector *reflector)
{
    return reflector->options.world->now_ns(reflector->options.world->context);
}

static uint32_t draw(const struct fence_reflector *reflector)
{
    return reflector->options.world->random(reflector->options.world->context);
}

int fence_reflector_new(const struct fence_reflector_options *options,
                        struct fence_reflector **ret_reflector)
{
    struct fence_reflector *reflector = calloc(1, sizeof(*reflector));

    if (!reflector)
        return -ENOMEM;
    reflector->options = *options;
    if (!options->silence_ms)
        reflector->options.silence_ms = SILENCE_MS;
    reflector->silence_ms = reflector->options.silence_ms;
    *ret_reflector = reflector;
    return 0;
}

static void drop_exchange(struct fence_reflector *reflector)
{
    const struct fence_reflector_world *world = reflector->options.world;

    if (reflector->exchange)
        world->cancel(world->context, &reflector->exchange);
    reflector->exchange = NULL;
    fence_kube_list_free(&reflector->list);
    fence_kube_watch_free(&reflector->watch);
}

void fence_reflector_free(struct fence_reflector **reflector)
{
    if (!*reflector)
        return;
    drop_exchange(*reflector);
    free((*reflector)->token);
    free(*reflector);
    *reflector = NULL;
}

/* From the beginning. */
static void to_list(struct fence_reflector *reflector)
{
    reflector->step = reflector->unstreamable ? FENCE_KUBE_PAGE : FENCE_KUBE_STREAM;
    free(reflector->token);
    reflector->token = NULL;
}

static void at_once(struct fence_reflector *reflector)
{
    reflector->due_ns = now(reflector);
    reflector->err.text[0] = '\0';
}

/* The text is in reflector->err. */
static void again_later(struct fence_reflector *reflector, enum fence_kube_phase phase)
{
    const struct fence_backoff_limits *limits =
        phase == FENCE_KUBE_WAITING ? &fence_backoff_failure : &fence_backoff_missing;
    uint64_t wait =
        fence_backoff_ms(limits, reflector->failures, draw(reflector), reflector->retry_after_ms);

    if (reflector->step != FENCE_KUBE_WATCH || !reflector->resume)
        to_list(reflector);
    reflector->failures++;
    reflector->state.failures++;
    reflector->state.phase = phase;
    reflector->due_ns = now(reflector) + wait * MS;
    reflector->state.retry_at_ns = reflector->due_ns;
}

static int tell(struct fence_reflector *reflector, char *json, size_t size, bool is_gone)
{
    const struct fence_reflector_options *options = &reflector->options;

    return (is_gone ? options->ops->deleted : options->ops->object)(
        options->context, options->index, json, size, &reflector->err);
}

static int on_item(void *context, char *json, size_t size, struct fence_err *err)
{
    (void)err; /* the same one */
    return tell(context, json, size, false);
}

static bool keep_version(struct fence_reflector *reflector, const char *version)
{
    if (!fence_kube_is_version(version))
        return false;
    snprintf(reflector->version, sizeof(reflector->version), "%s", version);
    return true;
}

static int list_ended(struct fence_reflector *reflector)
{
    const struct fence_reflector_options *options = &reflector->options;
    int r = options->ops->ended(options->context, options->index, &reflector->err);

    if (r < 0)
        return r;
    reflector->listing = false;
    reflector->state.listed = true;
    reflector->state.streaming = reflector->step == FENCE_KUBE_STREAM;
    reflector->step = FENCE_KUBE_WATCH;
    reflector->state.phase = FENCE_KUBE_WATCHING;
    return 0;
}

static int on_error(struct fence_reflector *reflector, const struct fence_kube_event *event)
{
    reflector->retry_after_ms = event->retry_after_ms;
    reflector->expired = event->status == 410;
    if (reflector->listing && event->status != 410 && event->status != 429)
        reflector->unstreamable = true;
    fence_err_set(&reflector->err, 0, "the watch ended with %ld: %s", event->status,
                  event->message);
    fence_kube_make_printable(reflector->err.text);
    return -ECANCELED;
}

static int on_event(void *context, struct fence_kube_event *event, struct fence_err *err)
{
    struct fence_reflector *reflector = context;
    int r = 0;

    (void)err; /* the same one */
    if (event->type == FENCE_KUBE_ERROR)
        return on_error(reflector, event);
    reflector->told = true;
    if (!reflector->listing) {
        reflector->state.events++;
        reflector->failures = 0;
    }
    if (event->type != FENCE_KUBE_BOOKMARK)
        r = tell(reflector, event->object, event->size, event->type == FENCE_KUBE_DELETED);
    if (r < 0)
        return r;
    if (!keep_version(reflector, event->version) && reflector->listing && event->initial_end)
        return fence_err_set(&reflector->err, -EBADMSG, "%s", unversioned);
    return reflector->listing && event->initial_end ? list_ended(reflector) : 0;
}

static const struct fence_kube_list_ops list_ops = {.item = on_item};
static const struct fence_kube_watch_ops watch_ops = {.event = on_event};

static int on_head(void *context, const struct fence_http_head *head)
{
    struct fence_reflector *reflector = context;
    const struct fence_reflector_options *options = &reflector->options;

    reflector->status = head->status;
    reflector->retry_after_ms = head->retry_after_ms;
    reflector->state.heard_ns = now(reflector);
    if (head->status != 200)
        return 0;
    reflector->err.text[0] = '\0';
    if (reflector->listing && !reflector->token) {
        reflector->version[0] = '\0';
        options->ops->begun(options->context, options->index);
    }
    if (reflector->step == FENCE_KUBE_PAGE)
        reflector->failed = fence_kube_list_new(&list_ops, reflector, &reflector->list);
    else
        reflector->failed = fence_kube_watch_new(&watch_ops, reflector, &reflector->watch);
    return reflector->failed;
}

static int on_body(void *context, const char *data, size_t size)
{
    struct fence_reflector *reflector = context;

    reflector->state.heard_ns = now(reflector);
    reflector->silences = 0;
    /* a watch may last for ever, and is never compressed; of a page its end tells */
    if (reflector->step != FENCE_KUBE_PAGE) {
        reflector->state.bytes += size;
        reflector->counted += size;
    }
    if (!reflector->listing)
        reflector->silence_ms = reflector->options.silence_ms;
    if (reflector->list)
        reflector->failed = fence_kube_list_feed(reflector->list, data, size, &reflector->err);
    else if (reflector->watch)
        reflector->failed = fence_kube_watch_feed(reflector->watch, data, size, &reflector->err);
    else
        fence_kube_collect(reflector->answer, sizeof(reflector->answer), data, size);
    return reflector->failed;
}

static uint64_t list_limit_ns(const struct fence_reflector *reflector)
{
    return reflector->list_begun_ns + LIST_MAX_MS * MS;
}

static bool lasts_too_long(const struct fence_reflector *reflector)
{
    return now(reflector) >= list_limit_ns(reflector);
}

static int page_ended(struct fence_reflector *reflector)
{
    FENCE_FREE char *token = NULL;
    const char *version, *next;
    int r = fence_kube_list_end(reflector->list, &reflector->err);

    if (r < 0)
        return r;
    version = fence_kube_list_version(reflector->list);
    next = fence_kube_list_continue(reflector->list);
    /* the first page's: what came later is told again by the watch, and nothing is left out */
    if (reflector->token ? !fence_kube_is_version(version) : !keep_version(reflector, version))
        return fence_err_set(&reflector->err, -EBADMSG, "%s", unversioned);
    if (!*next)
        return list_ended(reflector);
    if (++reflector->pages >= PAGES_MAX || lasts_too_long(reflector))
        return fence_err_set(&reflector->err, -EBADMSG, "%s", endless);
    if (reflector->token && strcmp(next, reflector->token) == 0)
        return fence_err_set(&reflector->err, -EBADMSG, "a page that leads to itself");
    token = strdup(next);
    if (!token)
        return fence_err_set(&reflector->err, -ENOMEM, "out of memory");
    free(reflector->token);
    reflector->token = TAKE_PTR(token);
    return 0;
}

/* All of an answer with status 200 came. */
static void ended_well(struct fence_reflector *reflector)
{
    bool was_short = now(reflector) - reflector->begun_ns < SHORT_NS && !reflector->told;

    if (reflector->step == FENCE_KUBE_PAGE) {
        reflector->failed = page_ended(reflector);
        if (reflector->failed < 0)
            again_later(reflector, FENCE_KUBE_WAITING);
        else
            at_once(reflector);
        return;
    }
    reflector->resume = !reflector->listing;
    if (reflector->listing) {
        reflector->unstreamable = true; /* it told events, but not where the list ends */
        fence_err_set(&reflector->err, 0, "a streaming list that did not end");
    } else if (fence_kube_watch_is_cut(reflector->watch)) {
        fence_err_set(&reflector->err, 0, "the watch ended in the middle of a line");
    } else if (was_short) {
        fence_err_set(&reflector->err, 0, "the watch ended at once");
    } else {
        reflector->failures = 0;
        at_once(reflector);
        return;
    }
    again_later(reflector, FENCE_KUBE_WAITING);
}

static void refused(struct fence_reflector *reflector)
{
    const struct fence_reflector_world *world = reflector->options.world;
    enum fence_kube_phase phase = FENCE_KUBE_WAITING;
    long status = reflector->status;

    fence_kube_explain(status, reflector->answer, &reflector->err);
    /* of a watch: these say that the fault may be in the version */
    reflector->resume =
        status == 401 || status == 403 || status == 429 || status == 502 || status == 503;
    if (status == 401)
        world->renew_token(world->context);
    if (status == 401 || status == 403)
        phase = FENCE_KUBE_REFUSED;
    if (status == 404)
        phase = FENCE_KUBE_ABSENT;
    if (reflector->step == FENCE_KUBE_STREAM && (status == 400 || status == 422)) {
        reflector->unstreamable = true;
        to_list(reflector);
        at_once(reflector);
        return;
    }
    again_later(reflector, phase);
}

/* When the exchange that runs is given up. */
static uint64_t silent_at_ns(const struct fence_reflector *reflector)
{
    uint64_t since = reflector->state.heard_ns > reflector->begun_ns ? reflector->state.heard_ns
                                                                     : reflector->begun_ns;

    since += (reflector->listing ? LIST_SILENCE_MS : reflector->silence_ms) * MS;
    return reflector->listing && since > list_limit_ns(reflector) ? list_limit_ns(reflector)
                                                                  : since;
}

static void was_silent(struct fence_reflector *reflector)
{
    /* a server that does not know of streaming lists and takes the request for a watch */
    if (reflector->step == FENCE_KUBE_STREAM && reflector->status == 200)
        reflector->unstreamable = true;
    fence_err_set(&reflector->err, 0, "%s",
                  reflector->listing && lasts_too_long(reflector)
                      ? endless
                      : "nothing was heard for a long time");
    reflector->resume = !reflector->listing && ++reflector->silences < 2;
    if (!reflector->listing && !reflector->resume) {
        reflector->silences = 0;
        if (reflector->silence_ms < SILENCE_MAX_MS)
            reflector->silence_ms *= 2;
    }
    again_later(reflector, FENCE_KUBE_WAITING);
}

/* By the network or by a handler. */
static void broken_off(struct fence_reflector *reflector, const struct fence_http_end *end)
{
    int failed = reflector->failed;

    /* an object that could not be kept is told again by a list alone */
    reflector->resume = failed == 0 || (failed == -ECANCELED && !reflector->expired &&
                                        reflector->failures < REPORTS_MAX);
    if (failed == -EBADMSG && reflector->listing)
        reflector->unstreamable = true;
    if (failed == 0)
        fence_err_set(&reflector->err, 0, "%.800s", end->message);
    else if (!*reflector->err.text)
        fence_err_set(&reflector->err, 0, "%s", strerror(-failed));
    again_later(reflector, FENCE_KUBE_WAITING);
}

static void on_end(void *context, const struct fence_http_end *end)
{
    struct fence_reflector *reflector = context;

    reflector->exchange = NULL;
    if (end->bytes > reflector->counted)
        reflector->state.bytes += end->bytes - reflector->counted;
    if (end->code == 0 && reflector->status == 200 && reflector->failed == 0) {
        ended_well(reflector);
    } else if (end->code == 0 && reflector->status != 200) {
        refused(reflector);
    } else if (end->code == -ETIMEDOUT && now(reflector) + GRACE_NS >= silent_at_ns(reflector)) {
        was_silent(reflector);
    } else {
        broken_off(reflector, end);
    }
    drop_exchange(reflector);
}

static const struct fence_http_ops http_ops = {.head = on_head, .body = on_body, .end = on_end};

static void not_begun(struct fence_reflector *reflector, int code)
{
    const struct fence_err *why = reflector->options.world->start_err;
    const char *text = why && code != -ENOMEM ? why->text : strerror(-code);

    reflector->exchange = NULL;
    reflector->resume = true;
    fence_err_set(&reflector->err, 0, "the request could not be begun: %.800s", text);
    again_later(reflector, FENCE_KUBE_WAITING);
}

static void start(struct fence_reflector *reflector)
{
    const struct fence_reflector_world *world = reflector->options.world;
    const struct fence_kube_query query = {.resource = reflector->options.resource,
                                           .verb = reflector->step,
                                           .version = reflector->version,
                                           .token = reflector->token,
                                           .timeout_s = 290 + draw(reflector) % 301};
    FENCE_FREE char *path = fence_kube_query_path(&query);
    struct fence_http_request request = {
        .method = "GET", .path = path, .accept = "application/json"};
    /* a stream goes on as a watch */
    const bool is_page = reflector->step == FENCE_KUBE_PAGE;
    int r = -ENOMEM;

    reflector->listing = reflector->step != FENCE_KUBE_WATCH;
    reflector->begun_ns = now(reflector);
    if (!reflector->listing) {
        reflector->state.watches++;
    } else if (!reflector->token) {
        reflector->state.lists++;
        reflector->list_begun_ns = reflector->begun_ns;
        reflector->pages = 0;
    }
    request.idle_ms = is_page ? LIST_SILENCE_MS : (unsigned int)reflector->silence_ms;
    reflector->state.phase = reflector->listing ? FENCE_KUBE_LISTING : FENCE_KUBE_WATCHING;
    reflector->state.retry_at_ns = 0;
    reflector->expired = reflector->told = reflector->resume = false;
    reflector->failed = 0;
    reflector->counted = 0;
    reflector->status = 0;
    reflector->retry_after_ms = -1;
    reflector->answer[0] = '\0';
    if (path)
        r = world->start(world->context, &request, &http_ops, reflector, &reflector->exchange);
    if (r < 0)
        not_begun(reflector, r);
}

uint64_t fence_reflector_due_ns(const struct fence_reflector *reflector)
{
    return reflector->exchange ? silent_at_ns(reflector) + GRACE_NS : reflector->due_ns;
}

void fence_reflector_tick(struct fence_reflector *reflector)
{
    if (now(reflector) < fence_reflector_due_ns(reflector))
        return;
    if (!reflector->exchange) {
        start(reflector);
        return;
    }
    drop_exchange(reflector);
    was_silent(reflector);
}

void fence_reflector_state(const struct fence_reflector *reflector,
                           struct fence_kube_state *ret_state)
{
    *ret_state = reflector->state;
    ret_state->problem = reflector->err.text;
    ret_state->status = reflector->status;
    ret_state->version = reflector->version;
}
