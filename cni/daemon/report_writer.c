/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/report_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/kube/backoff.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
/* FENCE_REPORT_CALLS in each: ten statuses a second at most. */
#define TICK_MS   500

/* In the order of enum fence_desk_kind. */
static const struct fence_kube_resource resources[] = {
    {"SegmentPolicy", "podfence.io/v1alpha1", "segmentpolicies", ""},
    {"ClusterSegmentPolicy", "podfence.io/v1alpha1", "clustersegmentpolicies", ""},
    {"NodeReport", "podfence.io/v1alpha1", "nodereports", ""},
};
_Static_assert(FENCE_ARRAY_SIZE(resources) == FENCE_DESK_KINDS, "every kind is asked for");

/* ---- what the API server has ----------------------------------------------------------------- */

static int take(struct fence_daemon *daemon, unsigned int resource, const char *json, size_t size,
                int (*put)(struct fence_desk *, enum fence_desk_kind, const cJSON *))
{
    cJSON *object = cJSON_ParseWithLength(json, size);
    int r = object ? put(daemon->report.writer.desk, (enum fence_desk_kind)resource, object) : 0;

    cJSON_Delete(object);
    return r;
}

static int on_object(void *context, unsigned int resource, char *json, size_t size,
                     struct fence_err *err)
{
    (void)err;
    return take(context, resource, json, size, fence_desk_object);
}

static int on_deleted(void *context, unsigned int resource, char *json, size_t size,
                      struct fence_err *err)
{
    (void)err;
    return take(context, resource, json, size, fence_desk_deleted);
}

static void on_begun(void *context, unsigned int resource)
{
    struct fence_daemon *daemon = context;

    fence_desk_begin(daemon->report.writer.desk, (enum fence_desk_kind)resource);
}

static int on_ended(void *context, unsigned int resource, struct fence_err *err)
{
    struct fence_daemon *daemon = context;

    (void)err;
    fence_desk_end(daemon->report.writer.desk, (enum fence_desk_kind)resource);
    return 0;
}

static void on_settled(void *context)
{
    (void)context;
}

static const struct fence_kube_ops ops = {.object = on_object,
                                          .deleted = on_deleted,
                                          .begun = on_begun,
                                          .ended = on_ended,
                                          .settled = on_settled};

/* The kind that has not been listed yet; NULL when all have. */
static const char *unlisted(const struct fence_report_writer *writer,
                            struct fence_kube_state *state)
{
    for (unsigned int i = 0; i < FENCE_ARRAY_SIZE(resources); i++) {
        fence_kube_state(writer->kube, i, state);
        if (!state->listed)
            return resources[i].kind;
    }
    return NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* `why` is "" when nothing is wrong. */
static void set_problem(struct fence_daemon *daemon, struct fence_err *problem, const char *what,
                        const char *why)
{
    struct fence_err now = {""};

    if (*why)
        fence_err_set(&now, 0, "%s: %s", what, why);
    if (strcmp(now.text, problem->text) == 0)
        return;
    *problem = now;
    daemon->reconcile.problems_changed = true;
}

static void set_status_problem(struct fence_daemon *daemon, const char *what, const char *why)
{
    set_problem(daemon, &daemon->report.writer.problem, what, why);
}

static void set_event_problem(struct fence_daemon *daemon, const char *why)
{
    set_problem(daemon, &daemon->report.writer.telling.problem,
                "Events of refused policies cannot be written", why);
}

static bool is_success(const struct fence_kube_answer *answer)
{
    return answer->code == 0 && answer->status >= 200 && answer->status < 300;
}

static uint64_t wait_ns(struct fence_daemon *daemon, const struct fence_kube_answer *answer)
{
    const struct fence_reflector_world *world = fence_kube_world(daemon->report.writer.kube);

    return fence_backoff_ms(&fence_backoff_missing, daemon->report.writer.failures++,
                            world->random(world->context), answer->retry_after_ms) *
           NS_PER_MS;
}

/* Of one policy alone: it has changed, has gone, or is not taken as it is. */
static bool is_of_one(long status)
{
    return status == 404 || status == 409 || status == 422;
}

static void status_answered(void *context, const struct fence_kube_answer *answer)
{
    struct fence_report_writing *writing = context;
    struct fence_daemon *daemon = writing->daemon;
    struct fence_report_writer *writer = &daemon->report.writer;
    uint64_t now = fence_clock_boot_ns(), again = now;

    writing->call = NULL;
    if (is_success(answer)) {
        writer->written++;
        writer->failures = 0;
        set_status_problem(daemon, "", "");
        if (answer->json)
            (void)fence_desk_object(writer->desk, fence_desk_kind_of(writing->id), answer->json);
    } else {
        writer->refused++;
        again += wait_ns(daemon, answer);
        if (!is_of_one(answer->status))
            writer->not_before = again;
        if (answer->status != 409 && answer->status != 404)
            set_status_problem(daemon, "statuses of policies cannot be written", answer->problem);
    }
    fence_desk_answered(writer->desk, writing->id, again);
}

static void write_status(struct fence_daemon *daemon, struct fence_report_writing *writing,
                         const struct fence_desk_write *write)
{
    struct fence_kube_request request = {.method = "PATCH",
                                         .path = write->path,
                                         .content_type = "application/apply-patch+yaml",
                                         .body = write->body};

    writing->daemon = daemon;
    memcpy(writing->id, write->id, sizeof(writing->id));
    if (fence_kube_call(fence_kube_world(daemon->report.writer.kube), &request, status_answered,
                        writing, &writing->call) == 0)
        return;
    fence_desk_answered(daemon->report.writer.desk, write->id, fence_clock_boot_ns() + NS_PER_S);
}

static void write_statuses(struct fence_daemon *daemon)
{
    struct fence_report_writer *writer = &daemon->report.writer;
    uint64_t now = fence_clock_boot_ns();
    struct fence_desk_write write;

    for (size_t i = 0; i < FENCE_REPORT_CALLS; i++) {
        if (writer->writings[i].call)
            continue;
        if (!fence_desk_next(writer->desk, now, (int64_t)(fence_clock_wall_ns() / NS_PER_S),
                             &write))
            return;
        write_status(daemon, &writer->writings[i], &write);
        free(write.body);
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

static void stop_telling(struct fence_report_telling *telling)
{
    free(telling->texts.body);
    telling->texts.body = NULL;
    telling->busy = telling->told = false;
}

/* It has to be told another time. */
static void put_off(struct fence_daemon *daemon, const struct fence_kube_answer *answer)
{
    struct fence_report_writer *writer = &daemon->report.writer;

    writer->telling.refused++;
    set_event_problem(daemon, answer->problem);
    fence_event_book_failed(writer->book, writer->telling.refusal.id,
                            fence_clock_boot_ns() + wait_ns(daemon, answer));
    stop_telling(&writer->telling);
}

/* One that has gone meanwhile needs no Event. */
static void object_answered(void *context, const struct fence_kube_answer *answer)
{
    struct fence_daemon *daemon = context;
    struct fence_report_telling *telling = &daemon->report.writer.telling;

    telling->call = NULL;
    if (!is_success(answer) && answer->status != 404) {
        put_off(daemon, answer);
        return;
    }
    if (fence_event_format(&telling->refusal, answer->json, daemon->options.node_name,
                           fence_clock_wall_ns(), &telling->texts) < 0) {
        stop_telling(telling);
        return;
    }
    telling->told = true;
}

/* 409: another writer has told it. */
static void event_answered(void *context, const struct fence_kube_answer *answer)
{
    struct fence_daemon *daemon = context;
    struct fence_report_writer *writer = &daemon->report.writer;

    writer->telling.call = NULL;
    if (!is_success(answer) && answer->status != 409) {
        put_off(daemon, answer);
        return;
    }
    writer->telling.written += answer->status != 409;
    set_event_problem(daemon, "");
    stop_telling(&writer->telling);
}

static void go_on_telling(struct fence_daemon *daemon)
{
    struct fence_report_writer *writer = &daemon->report.writer;
    struct fence_report_telling *telling = &writer->telling;
    struct fence_kube_request request = {.method = "GET"};
    char path[1024];

    if (telling->call)
        return;
    if (!telling->busy &&
        !fence_event_book_next(writer->book, fence_clock_boot_ns(), &telling->refusal))
        return;
    telling->busy = true;
    if (telling->told) {
        request.method = "POST";
        request.path = telling->texts.path;
        request.content_type = "application/json";
        request.body = telling->texts.body;
    } else if (fence_event_object_path(telling->refusal.id, path, sizeof(path))) {
        request.path = path;
    } else {
        stop_telling(telling);
        return;
    }
    (void)fence_kube_call(fence_kube_world(writer->kube), &request,
                          telling->told ? event_answered : object_answered, daemon, &telling->call);
}

/* ---- a tick ---------------------------------------------------------------------------------- */

static int see_refusals(const struct fence_daemon *daemon, struct fence_event_book *book)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(daemon->store, &problems);
    char path[1024];
    int r = 0;

    fence_event_book_begin(book);
    for (size_t i = 0; i < count && r == 0; i++)
        if (!problems[i].warning && strcmp(problems[i].unit, FENCE_KUBERNETES_SOURCE) == 0 &&
            fence_event_object_path(problems[i].id, path, sizeof(path)))
            r = fence_event_book_refused(book, problems[i].id, problems[i].text);
    fence_event_book_end(book);
    return r;
}

static int see(struct fence_daemon *daemon)
{
    FENCE_CLEANUP(fence_report_views_done) struct fence_report_views views = {0};
    struct fence_report_writer *writer = &daemon->report.writer;
    int r = fence_report_views(daemon, &views);

    if (r == 0)
        r = fence_desk_see(writer->desk, views.items, views.count);
    return r < 0 ? r : see_refusals(daemon, writer->book);
}

void fence_report_writer_see(struct fence_daemon *daemon)
{
    if (daemon->report.writer.kube && fence_sources_all_seen(&daemon->sources))
        (void)see(daemon);
}

static void timer_fired(void *context)
{
    struct fence_daemon *daemon = context;
    struct fence_report_writer *writer = &daemon->report.writer;
    struct fence_kube_state state;
    const char *missing;

    if (!writer->kube)
        return;
    missing = unlisted(writer, &state);
    if (missing || !writer->listed)
        set_status_problem(daemon, missing ? missing : "", missing ? state.problem : "");
    writer->listed = !missing;
    if (missing)
        return;
    /* without memory it is as it was, until the next tick */
    if (!fence_sources_all_seen(&daemon->sources) || see(daemon) < 0 ||
        fence_clock_boot_ns() < writer->not_before)
        return;
    write_statuses(daemon);
    go_on_telling(daemon);
}

static void kube_ready(void *context, uint32_t events)
{
    struct fence_daemon *daemon = context;

    (void)events;
    if (daemon->report.writer.kube)
        fence_kube_handle(daemon->report.writer.kube);
}

/* ---- to lead --------------------------------------------------------------------------------- */

static void stop(struct fence_daemon *daemon)
{
    struct fence_report_writer *writer = &daemon->report.writer;

    if (!writer->kube)
        return;
    for (size_t i = 0; i < FENCE_REPORT_CALLS; i++)
        fence_kube_call_cancel(&writer->writings[i].call);
    fence_kube_call_cancel(&writer->telling.call);
    stop_telling(&writer->telling);
    fence_timer_after(&writer->timer, TICK_MS, 0);
    fence_loop_forget(&daemon->loop, &writer->watch);
    fence_kube_free(&writer->kube);
    fence_desk_free(&writer->desk);
    fence_event_book_free(&writer->book);
    set_status_problem(daemon, "", "");
    set_event_problem(daemon, "");
}

static int begin(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_report_writer *writer = &daemon->report.writer;
    struct fence_kube_options options = {.user_agent = "podfenced",
                                         .resources = resources,
                                         .count = FENCE_ARRAY_SIZE(resources),
                                         .ops = &ops,
                                         .context = daemon};
    int r;

    writer->listed = false;
    writer->desk = fence_desk_new();
    writer->book = fence_event_book_new();
    if (!writer->desk || !writer->book)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = fence_kube_new(&daemon->sources.kube_config, &options, &writer->kube, err);
    if (r < 0)
        return r;
    writer->watch = (struct fence_fd_watch){
        .fd = fence_kube_fd(writer->kube), .ready = kube_ready, .context = daemon};
    r = fence_loop_watch(&daemon->loop, &writer->watch, EPOLLIN, err);
    if (r == 0)
        r = fence_timer_after(&writer->timer, TICK_MS, TICK_MS);
    return r;
}

void fence_report_writer_lead(struct fence_daemon *daemon, bool held)
{
    struct fence_report_writer *writer = &daemon->report.writer;
    struct fence_err err = {""};

    if (writer->timer.fd < 0)
        return;
    stop(daemon);
    if (!held || begin(daemon, &err) == 0)
        return;
    stop(daemon);
    fence_desk_free(&writer->desk);
    fence_event_book_free(&writer->book);
    set_status_problem(daemon, "statuses of policies cannot be written", err.text);
}

int fence_report_writer_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_report_writer *writer = &daemon->report.writer;
    int r = fence_timer_open(&daemon->loop, &writer->timer, CLOCK_MONOTONIC, err);

    writer->timer.fire = timer_fired;
    writer->timer.context = daemon;
    return r;
}

void fence_report_writer_done(struct fence_daemon *daemon)
{
    stop(daemon);
    fence_timer_close(&daemon->loop, &daemon->report.writer.timer);
}

void fence_report_writer_nodes(const struct fence_daemon *daemon, size_t *ret_nodes,
                               size_t *ret_current)
{
    const struct fence_report_writer *writer = &daemon->report.writer;

    *ret_nodes = *ret_current = 0;
    if (writer->kube)
        fence_desk_count(writer->desk, ret_nodes, ret_current);
}

void fence_report_writer_add_status(const struct fence_daemon *daemon, cJSON *json)
{
    const struct fence_report_writer *writer = &daemon->report.writer;
    size_t nodes, current;

    fence_report_writer_nodes(daemon, &nodes, &current);
    cJSON_AddNumberToObject(json, "statuses", (double)writer->written);
    cJSON_AddNumberToObject(json, "events", (double)writer->telling.written);
    cJSON_AddNumberToObject(json, "nodes", (double)nodes);
    cJSON_AddNumberToObject(json, "current", (double)current);
}
