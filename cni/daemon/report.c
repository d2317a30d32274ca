/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/policies.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/kube/backoff.h"
#include "lib/policy/lookup.h"
#include "lib/report/digest.h"
#include "lib/report/node.h"
#include "lib/report/text.h"

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull
/* All nodes together write so many reports in a second at most. */
#define RATE      50u

/* ---- the policies ---------------------------------------------------------------------------- */

/* Takes `id`, also when it fails; NULL: without memory. */
static int add_view(struct fence_report_views *views, const struct fence_desk_view *view, char *id)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    if (!id || FENCE_GROW(views->ids, views->id_capacity, views->count) < 0 ||
        FENCE_GROW(views->items, views->capacity, views->count) < 0) {
        free(id);
        return -ENOMEM;
    }
    views->ids[views->count] = id;
    views->items[views->count] = *view;
    views->items[views->count++].id = id;
    return 0;
}

static int add_objects(const struct fence_daemon *daemon, enum fence_kind kind,
                       struct fence_report_views *views)
{
    const int64_t now = (int64_t)(fence_clock_wall_ns() / NS_PER_S);
    const struct fence_object *const *objects;
    size_t count = fence_store_kind(daemon->store, kind, &objects);

    for (size_t i = 0; i < count; i++) {
        const char *unit = fence_store_unit_of(daemon->store, objects[i]);
        struct fence_desk_view view = {.generation = objects[i]->policy.generation,
                                       .content = objects[i]->policy.content,
                                       .over = fence_policy_is_over(objects[i], now)};

        if (!unit || strcmp(unit, FENCE_KUBERNETES_SOURCE) != 0)
            continue;
        if (add_view(views, &view, fence_object_id(objects[i])) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct fence_desk_view *)a)->id, ((const struct fence_desk_view *)b)->id);
}

/* The refusal of an object whose last good version is among the first `count`, or of no other. */
static int add_refusal(struct fence_report_views *views, size_t count,
                       const struct fence_problem *problem)
{
    struct fence_desk_view view = {.id = problem->id, .refused = problem->text}, *known = NULL;

    if (count)
        known = bsearch(&view, views->items, count, sizeof(*views->items), by_id);
    if (known) {
        known->refused = problem->text;
        known->kept = true;
        return 0;
    }
    return add_view(views, &view, strdup(problem->id));
}

int fence_report_views(const struct fence_daemon *daemon, struct fence_report_views *ret_views)
{
    const struct fence_problem *problems;
    size_t problem_count = fence_store_problems(daemon->store, &problems), count;
    int r = add_objects(daemon, FENCE_OBJECT_SEGMENT_POLICY, ret_views);

    if (r == 0)
        r = add_objects(daemon, FENCE_OBJECT_CLUSTER_SEGMENT_POLICY, ret_views);
    count = ret_views->count;
    if (count)
        qsort(ret_views->items, count, sizeof(*ret_views->items), by_id);
    for (size_t i = 0; i < problem_count && r == 0; i++)
        if (!problems[i].warning && strcmp(problems[i].unit, FENCE_KUBERNETES_SOURCE) == 0 &&
            fence_desk_kind_of(problems[i].id) != FENCE_DESK_KINDS)
            r = add_refusal(ret_views, count, &problems[i]);
    if (r < 0)
        fence_report_views_done(ret_views);
    return r;
}

void fence_report_views_done(struct fence_report_views *views)
{
    for (size_t i = 0; i < views->count; i++)
        free(views->ids[i]);
    free(views->ids);
    free(views->items);
    *views = (struct fence_report_views){0};
}

/* ---- this node's report ---------------------------------------------------------------------- */

static void add_failures(const struct fence_daemon *daemon, enum fence_kind kind,
                         const struct fence_shortfalls *shortfalls,
                         struct fence_node_report *report)
{
    const struct fence_object *const *objects;
    size_t count = shortfalls ? fence_store_kind(daemon->store, kind, &objects) : 0;
    char text[FENCE_ERR_MAX];

    for (size_t i = 0; i < count; i++) {
        FENCE_FREE char *id = NULL;
        size_t place = report->failing;

        if (!fence_shortfalls_find(shortfalls, objects[i], text, sizeof(text)))
            continue;
        report->failing++;
        id = place < FENCE_NODE_REPORT_FAILURES ? fence_object_id(objects[i]) : NULL;
        if (!id)
            continue;
        fence_report_copy(report->failures[place].policy, sizeof(report->failures[place].policy),
                          id);
        fence_report_copy(report->failures[place].text, sizeof(report->failures[place].text), text);
    }
}

/* New string, NULL without memory. */
static char *format_report(const struct fence_daemon *daemon)
{
    FENCE_CLEANUP(fence_report_views_done) struct fence_report_views views = {0};
    FENCE_CLEANUP(fence_shortfalls_free)
    struct fence_shortfalls *shortfalls = fence_shortfalls_new(daemon);
    FENCE_FREE struct fence_node_report *report = calloc(1, sizeof(*report));

    if (!report || fence_report_views(daemon, &views) < 0)
        return NULL;
    report->node = daemon->options.node_name;
    report->node_uid = daemon->report.node_uid;
    for (size_t i = 0; i < views.count; i++)
        if (!views.items[i].refused)
            fence_report_digest_add(&report->digest, views.items[i].id, views.items[i].generation,
                                    views.items[i].content);
    add_failures(daemon, FENCE_OBJECT_SEGMENT_POLICY, shortfalls, report);
    add_failures(daemon, FENCE_OBJECT_CLUSTER_SEGMENT_POLICY, shortfalls, report);
    return fence_node_report_format(report);
}

static uint32_t draw(const struct fence_daemon *daemon)
{
    const struct fence_reflector_world *world = fence_kubernetes_world(daemon->sources.kubernetes);

    return world->random(world->context);
}

/* Between two reports: at least a second, and the more nodes the longer. */
static uint64_t interval_ns(const struct fence_daemon *daemon)
{
    uint64_t nodes = fence_store_count(daemon->store, FENCE_OBJECT_NODE);
    uint64_t ns = nodes > RATE ? nodes * NS_PER_S / RATE : NS_PER_S;

    return ns + draw(daemon) % (ns / 4);
}

static void set_timer(struct fence_daemon *daemon)
{
    uint64_t now = fence_clock_boot_ns(), at = daemon->report.not_before;

    fence_timer_after(&daemon->report.timer, at > now ? (int)((at - now) / NS_PER_MS) + 1 : 0, 0);
}

static void failed(struct fence_daemon *daemon, const char *what, const char *why, long asked_ms)
{
    struct fence_report *report = &daemon->report;
    uint64_t wait =
        fence_backoff_ms(&fence_backoff_missing, report->failures++, draw(daemon), asked_ms);

    report->refused++;
    fence_err_set(&report->problem, 0, "%s: %s", what, why);
    report->not_before = fence_clock_boot_ns() + wait * NS_PER_MS;
    daemon->reconcile.problems_changed = true;
    set_timer(daemon);
}

static void report_answered(void *context, const struct fence_kube_answer *answer)
{
    struct fence_daemon *daemon = context;
    struct fence_report *report = &daemon->report;

    report->call = NULL;
    if (answer->code || answer->status < 200 || answer->status >= 300) {
        free(report->sending);
        report->sending = NULL;
        failed(daemon, "this node's report cannot be written", answer->problem,
               answer->retry_after_ms);
        return;
    }
    free(report->sent);
    report->sent = TAKE_PTR(report->sending);
    report->written++;
    report->failures = 0;
    if (*report->problem.text)
        daemon->reconcile.problems_changed = true;
    report->problem.text[0] = '\0';
    report->not_before = fence_clock_boot_ns() + interval_ns(daemon);
    set_timer(daemon); /* it may have changed meanwhile */
}

/* Without it the report only stays when the node goes. */
static void node_answered(void *context, const struct fence_kube_answer *answer)
{
    struct fence_daemon *daemon = context;
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(answer->json, "metadata");
    const char *uid = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "uid"));

    daemon->report.call = NULL;
    if (uid && strlen(uid) < sizeof(daemon->report.node_uid))
        memcpy(daemon->report.node_uid, uid, strlen(uid) + 1);
    set_timer(daemon);
}

static int ask_for_node(struct fence_daemon *daemon)
{
    struct fence_kube_request request = {.method = "GET"};
    char path[512];

    snprintf(path, sizeof(path), "/api/v1/nodes/%s", daemon->options.node_name);
    request.path = path;
    daemon->report.asked = true;
    return fence_kube_call(fence_kubernetes_world(daemon->sources.kubernetes), &request,
                           node_answered, daemon, &daemon->report.call);
}

static int write_report(struct fence_daemon *daemon)
{
    struct fence_report *report = &daemon->report;
    FENCE_FREE char *body = format_report(daemon);
    struct fence_kube_request request = {
        .method = "PATCH", .content_type = "application/apply-patch+yaml", .body = body};
    char path[512];
    int r;

    if (!body)
        return -ENOMEM;
    if (report->sent && strcmp(report->sent, body) == 0)
        return 0;
    snprintf(path, sizeof(path),
             "/apis/podfence.io/v1alpha1/nodereports/%s?fieldManager=podfenced&force=true",
             daemon->options.node_name);
    request.path = path;
    r = fence_kube_call(fence_kubernetes_world(daemon->sources.kubernetes), &request,
                        report_answered, daemon, &report->call);
    if (r == 0)
        report->sending = TAKE_PTR(body);
    return r;
}

static void timer_fired(void *context)
{
    struct fence_daemon *daemon = context;
    struct fence_report *report = &daemon->report;
    int r;

    /* what is not applied yet is told when it is */
    if (report->call || daemon->dirty || *daemon->reconcile.error.text ||
        !daemon->reconcile.applies)
        return;
    if (fence_clock_boot_ns() < report->not_before) {
        set_timer(daemon);
        return;
    }
    r = report->asked ? write_report(daemon) : ask_for_node(daemon);
    if (r < 0)
        failed(daemon, "this node's report cannot be made", strerror(-r), -1);
}

void fence_report_applied(struct fence_daemon *daemon)
{
    if (daemon->inforce.waiting)
        fence_report_writer_see(daemon);
    if (daemon->report.timer.fd >= 0 && !daemon->report.call)
        set_timer(daemon);
}

/* ---- start and status ------------------------------------------------------------------------ */

/* A name that is part of a path. */
static bool is_node_name(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length < 254 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length && *name != '.';
}

int fence_report_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_report *report = &daemon->report;
    int r;

    if (!daemon->sources.kubernetes || !daemon->options.report)
        return 0;
    if (!is_node_name(daemon->options.node_name))
        return fence_err_set(err, -EINVAL,
                             "--node-name %s is no name of a node in Kubernetes (lower case "
                             "letters, digits, '-' and '.'), as its report would be called",
                             daemon->options.node_name);
    r = fence_timer_open(&daemon->loop, &report->timer, CLOCK_MONOTONIC, err);
    if (r < 0)
        return r;
    report->timer.fire = timer_fired;
    report->timer.context = daemon;
    return fence_report_writer_init(daemon, err);
}

void fence_report_done(struct fence_daemon *daemon)
{
    struct fence_report *report = &daemon->report;

    fence_report_writer_done(daemon);
    fence_kube_call_cancel(&report->call);
    fence_timer_close(&daemon->loop, &report->timer);
    free(report->sent);
    free(report->sending);
    report->sent = report->sending = NULL;
}

void fence_report_problem(const struct fence_daemon *daemon, char *text, size_t size)
{
    const struct fence_report *report = &daemon->report;
    const char *lease = daemon->leader.lease ? fence_lease_problem(daemon->leader.lease) : "";

    *text = '\0';
    if (*report->problem.text)
        snprintf(text, size, "%s", report->problem.text);
    else if (*lease)
        snprintf(text, size, "the Lease %s/podfence cannot be had: %s",
                 daemon->sources.own_namespace, lease);
    else if (*report->writer.problem.text)
        snprintf(text, size, "%s", report->writer.problem.text);
    else if (*report->writer.telling.problem.text)
        snprintf(text, size, "%s", report->writer.telling.problem.text);
}

cJSON *fence_report_json(const struct fence_daemon *daemon)
{
    const struct fence_report *report = &daemon->report;
    char problem[FENCE_ERR_MAX + 64];
    cJSON *json;

    if (report->timer.fd < 0)
        return cJSON_CreateNull();
    json = cJSON_CreateObject();
    fence_report_problem(daemon, problem, sizeof(problem));
    cJSON_AddNumberToObject(json, "written", (double)report->written);
    cJSON_AddStringToObject(json, "problem", problem);
    cJSON_AddBoolToObject(json, "leads", daemon->leader.held);
    cJSON_AddStringToObject(json, "leader",
                            daemon->leader.lease ? fence_lease_holder(daemon->leader.lease) : "");
    fence_report_writer_add_status(daemon, json);
    return json;
}
