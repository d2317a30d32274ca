/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/late.h"
#include "cni/daemon/leftover.h"
#include "cni/daemon/vanished.h"
#include "lib/base/clock.h"
#include "lib/policy/compile.h"

#define SWEEP_MS 10000
#define RETRY_MS 1000

#define NS_PER_SECOND 1000000000

/* Or the clock was set: then the moments that the kernel waits for are others now. */
static void expiry_fired(void *context)
{
    struct fence_daemon *daemon = context;

    if (daemon->reconcile.plan)
        fence_plan_touch_endpoints(daemon->reconcile.plan);
    daemon->dirty = true;
}

static void retry_fired(void *context)
{
    struct fence_daemon *daemon = context;

    daemon->dirty = true;
}

/* Did somebody write endpoints without telling us (a lost datagram, a plugin that was killed)? */
static bool endpoints_changed(struct fence_daemon *daemon)
{
    struct fence_endpoint_list now = {0};
    struct fence_err err = {""};
    bool changed;

    if (fence_locals_list(&daemon->pins, &now, &err) < 0) {
        fence_log(FENCE_LOG_ERROR, "%s", err.text);
        return false;
    }
    changed = !fence_locals_identical(&now, &daemon->reconcile.after);
    fence_endpoint_list_done(&now);
    return changed;
}

static void sweep_fired(void *context)
{
    struct fence_daemon *daemon = context;
    struct fence_reconcile *reconcile = &daemon->reconcile;
    struct fence_err err = {""};

    fence_sources_read(daemon);
    if (daemon->takeover.from.number)
        return; /* the older layout says which endpoints there are */
    fence_unenforced_enrol(daemon);
    fence_vanished_check(daemon);
    fence_leftover_remove(daemon);
    fence_adopt_run(daemon);
    if (!reconcile->plan)
        return;
    fence_flowbook_look(daemon); /* while all numbers still have their names */
    if (fence_apply_sweep(reconcile->apply, &err) < 0)
        fence_log(FENCE_LOG_WARNING, "cannot sweep: %s", err.text);
    if (endpoints_changed(daemon)) {
        fence_plan_touch_endpoints(reconcile->plan);
        daemon->dirty = true;
    }
    if (reconcile->report.failure_count)
        daemon->dirty = true;
}

static int open_timer(struct fence_daemon *daemon, struct fence_timer *timer, int clock,
                      void (*fire)(void *context), struct fence_err *err)
{
    int result = fence_timer_open(&daemon->loop, timer, clock, err);

    timer->fire = fire;
    timer->context = daemon;
    return result;
}

int fence_reconcile_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;
    int result = open_timer(daemon, &reconcile->expiry, CLOCK_REALTIME, expiry_fired, err);

    if (result == 0)
        result = open_timer(daemon, &reconcile->sweep, CLOCK_MONOTONIC, sweep_fired, err);
    if (result == 0)
        result = open_timer(daemon, &reconcile->retry, CLOCK_MONOTONIC, retry_fired, err);
    if (result < 0)
        return result;
    fence_timer_after(&reconcile->sweep, SWEEP_MS, SWEEP_MS);
    return fence_apply_new(&daemon->pins, &reconcile->apply, err);
}

/* A compiler that failed half way is of no use: the next one is fed everything. */
static void drop_compiler(struct fence_reconcile *reconcile)
{
    reconcile->plan = NULL;
    fence_compiler_free(&reconcile->compiler);
}

void fence_reconcile_done(struct fence_daemon *daemon)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;

    fence_timer_close(&daemon->loop, &reconcile->expiry);
    fence_timer_close(&daemon->loop, &reconcile->sweep);
    fence_timer_close(&daemon->loop, &reconcile->retry);
    drop_compiler(reconcile);
    fence_locals_done(&reconcile->locals);
    fence_endpoint_list_done(&reconcile->after);
    fence_apply_report_done(&reconcile->report);
    fence_apply_free(&reconcile->apply);
}

static const struct fence_object *find_object(void *context, enum fence_kind kind,
                                              const char *namespace_name, const char *name)
{
    return fence_store_find(context, kind, namespace_name, name);
}

static int make_compiler(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_options *options = &daemon->options;
    const struct fence_compile_options choices = {
        .node_name = *options->node_name ? options->node_name : NULL,
        .required_labels = options->required_labels.items,
        .required_label_count = options->required_labels.count,
        .own_node_egress_is_policy = options->own_node_egress_is_policy,
        .find = find_object,
        .find_context = daemon->store,
    };

    return fence_compiler_new(&choices, &daemon->reconcile.compiler, err);
}

static int feed_all_objects(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_objects(daemon->store, &objects);
    int result = 0;

    for (size_t i = 0; result == 0 && i < count; i++) {
        const struct fence_change change = {.after = objects[i]};

        result = fence_compiler_change(daemon->reconcile.compiler, &change, err);
    }
    return result;
}

static int feed_changes(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_change *changes;
    size_t count = 0;
    int result = fence_store_changes(daemon->store, &changes, &count);

    if (result < 0)
        return fence_err_set(err, result, "%s", strerror(-result));
    for (size_t i = 0; result == 0 && i < count; i++)
        result = fence_compiler_change(daemon->reconcile.compiler, &changes[i], err);
    return result;
}

static int feed(struct fence_daemon *daemon, const struct fence_locals *locals,
                struct fence_err *err)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;
    int result;

    if (reconcile->compiler) {
        result = feed_changes(daemon, err);
    } else {
        result = make_compiler(daemon, err);
        if (result == 0)
            result = feed_all_objects(daemon, err);
    }
    if (result == 0)
        result = fence_compiler_host(reconcile->compiler, daemon->node.addrs,
                                     daemon->node.addr_count, err);
    if (result == 0)
        result = fence_compiler_locals(reconcile->compiler, locals->items, locals->count, err);
    return result;
}

/* What one apply says more than the one before it, in the same try. */
static void add_report(struct fence_apply_report *report, struct fence_apply_report *more)
{
    report->writes += more->writes;
    report->changed_endpoints += more->changed_endpoints;
    if (report->failure_count == 0) {
        free(report->failures);
        report->failures = more->failures;
        report->failure_count = more->failure_count;
        report->failure_capacity = more->failure_capacity;
        *more = (struct fence_apply_report){0};
    }
    fence_apply_report_done(more);
}

static int apply(struct fence_daemon *daemon, struct fence_apply_report *report,
                 struct fence_err *err)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;
    struct fence_apply_report more = {0};
    int result =
        fence_apply(reconcile->apply, fence_compiler_plan(reconcile->compiler), &more, err);

    if (result < 0)
        return fence_err_prefix(err, result, "apply");
    add_report(report, &more);
    return 0;
}

/* Refine and flip, then coarsen until all is said: see lib/policy/compile.c. */
static int run_and_settle(struct fence_daemon *daemon, struct fence_apply_report *report,
                          struct fence_err *err)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;
    const int64_t now = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND);
    int more = fence_compiler_run(reconcile->compiler, now, err) < 0 ? -ENOMEM : 1;

    if (more > 0)
        fence_inforce_compiled(daemon);
    while (more > 0) {
        int result = apply(daemon, report, err);

        if (result < 0)
            return result;
        more = fence_compiler_settle(reconcile->compiler, err);
    }
    return more < 0 ? fence_err_prefix(err, more, "compile") : 0;
}

/* Compile for `locals` and apply. */
static int compile_and_apply(struct fence_daemon *daemon, const struct fence_locals *locals,
                             struct fence_apply_report *ret_report, struct fence_err *err)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;
    struct fence_apply_report report = {0};
    int result = feed(daemon, locals, err);

    if (result < 0)
        result = fence_err_prefix(err, result, "compile");
    else
        result = run_and_settle(daemon, &report, err);
    if (result < 0) {
        fence_apply_report_done(&report);
        drop_compiler(reconcile);
        return result;
    }
    fence_audit_policies(daemon);
    fence_store_changes_done(daemon->store);
    reconcile->plan = fence_compiler_plan(reconcile->compiler);
    fence_timer_at(&reconcile->expiry, reconcile->plan->next_expiry);
    *ret_report = report;
    return 0;
}

/* Remember how the maps look now. What has come in since the plan was made gets the next one. */
static void take_after(struct fence_daemon *daemon)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;
    struct fence_endpoint_list after = {0};

    if (fence_locals_list(&daemon->pins, &after, NULL) < 0)
        return;
    fence_endpoint_list_done(&reconcile->after);
    reconcile->after = after;
    if (!fence_locals_same(&after, &reconcile->locals.records))
        daemon->dirty = true;
}

static int try_once(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;
    struct fence_apply_report report = {0};
    struct fence_locals locals = {0};
    const uint64_t before = fence_clock_boot_ns();
    int result =
        fence_locals_read(&daemon->pins, daemon->options.labels_from_annotations, &locals, err);

    if (result == 0)
        result = compile_and_apply(daemon, &locals, &report, err);
    if (result < 0) {
        fence_locals_done(&locals);
        return result;
    }
    fence_locals_done(&reconcile->locals);
    reconcile->locals = locals;
    fence_apply_report_done(&reconcile->report);
    reconcile->report = report;
    reconcile->applies++;
    reconcile->applied_at = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND);
    reconcile->applied_us = (fence_clock_boot_ns() - before) / 1000;
    reconcile->failed += reconcile->report.failure_count > 0;
    fence_histogram_add(&reconcile->seconds, (double)reconcile->applied_us / 1e6);
    fence_devices_check(daemon);
    fence_late_settle(daemon, &reconcile->locals.records);
    take_after(daemon);
    fence_report_applied(daemon);
    fence_inforce_applied(daemon);
    fence_log(FENCE_LOG_DEBUG, "applied: %zu writes, %zu endpoints changed, %llu us", report.writes,
              report.changed_endpoints, (unsigned long long)reconcile->applied_us);
    return 0;
}

void fence_reconcile_run(struct fence_daemon *daemon)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;

    daemon->dirty = false;
    if (!fence_seeding_ready(daemon)) {
        fence_timer_after(&reconcile->retry, RETRY_MS, 0);
        return;
    }
    reconcile->problems_changed = true;
    if (!fence_sources_all_seen(&daemon->sources))
        return;
    reconcile->error.text[0] = '\0';
    fence_cuts_refresh(daemon);
    if (try_once(daemon, &reconcile->error) < 0) {
        reconcile->failed++;
        fence_timer_after(&reconcile->retry, RETRY_MS, 0);
    }
}

const struct fence_plan_endpoint *fence_reconcile_endpoint(const struct fence_reconcile *reconcile,
                                                           uint32_t ifindex)
{
    const struct fence_plan *plan = reconcile->plan;

    for (size_t i = 0; plan && i < plan->endpoints_list.count; i++)
        if (plan->endpoints[i].item.live && plan->endpoints[i].ifindex == ifindex)
            return &plan->endpoints[i];
    return NULL;
}

const char *fence_reconcile_closed(const struct fence_reconcile *reconcile,
                                   const struct fence_plan_endpoint *endpoint)
{
    const char *problem = NULL;

    if (endpoint->set != FENCE_PLAN_NONE)
        problem = reconcile->plan->sets[endpoint->set].problem;
    if (problem)
        return problem;
    for (size_t i = 0; i < reconcile->after.count; i++)
        if (reconcile->after.items[i].ifindex == endpoint->ifindex &&
            reconcile->after.items[i].endpoint.flags & FENCE_EP_NOT_APPLIED)
            return "its policy could not be written; see the failures";
    return NULL;
}
