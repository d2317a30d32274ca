/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/vanished.h"
#include "lib/base/clock.h"
#include "lib/policy/compile.h"

#define SWEEP_MS 10000
#define RETRY_MS 1000

#define NS_PER_SECOND 1000000000

static void expiry_fired(void *context)
{
    struct fence_daemon *daemon = context;

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
    fence_unenforced_enrol(daemon);
    fence_vanished_remove(daemon);
    if (!reconcile->plan)
        return;
    if (fence_apply_sweep(reconcile->apply, &err) < 0)
        fence_log(FENCE_LOG_WARNING, "cannot sweep: %s", err.text);
    if (reconcile->report.failure_count || endpoints_changed(daemon))
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

void fence_reconcile_done(struct fence_daemon *daemon)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;

    fence_timer_close(&daemon->loop, &reconcile->expiry);
    fence_timer_close(&daemon->loop, &reconcile->sweep);
    fence_timer_close(&daemon->loop, &reconcile->retry);
    fence_plan_free(&reconcile->plan);
    fence_locals_done(&reconcile->locals);
    fence_endpoint_list_done(&reconcile->after);
    fence_apply_report_done(&reconcile->report);
    fence_apply_free(&reconcile->apply);
}

static struct fence_world make_world(const struct fence_daemon *daemon,
                                     const struct fence_locals *locals)
{
    const struct fence_options *options = &daemon->options;
    struct fence_world world = {
        .locals = locals->items,
        .local_count = locals->count,
        .node_name = *options->node_name ? options->node_name : NULL,
        .host_addrs = daemon->node.addrs,
        .host_addr_count = daemon->node.addr_count,
        .required_labels = options->required_labels.items,
        .required_label_count = options->required_labels.count,
        .own_node_egress_is_policy = options->own_node_egress_is_policy,
        .now = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND),
    };

    world.object_count = fence_store_objects(daemon->store, &world.objects);
    return world;
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

/* Compile for `locals` and apply; what it gives is in force only when this succeeds. */
static int compile_and_apply(struct fence_daemon *daemon, const struct fence_locals *locals,
                             struct fence_apply_report *ret_report, struct fence_err *err)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;
    const struct fence_world world = make_world(daemon, locals);
    struct fence_plan *plan = NULL;
    int result = fence_compile(&world, reconcile->plan, &plan, err);

    if (result < 0)
        return fence_err_prefix(err, result, "compile");
    result = fence_apply(reconcile->apply, plan, ret_report, err);
    if (result < 0) {
        fence_plan_free(&plan);
        return fence_err_prefix(err, result, "apply");
    }
    fence_plan_free(&reconcile->plan);
    reconcile->plan = plan;
    fence_timer_at(&reconcile->expiry, plan->next_expiry);
    return 0;
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
    fence_unenforced_settle(daemon, &reconcile->locals.records);
    take_after(daemon);
    fence_log(FENCE_LOG_DEBUG, "applied: %zu writes, %zu endpoints changed, %llu us", report.writes,
              report.changed_endpoints, (unsigned long long)reconcile->applied_us);
    return 0;
}

void fence_reconcile_run(struct fence_daemon *daemon)
{
    struct fence_reconcile *reconcile = &daemon->reconcile;

    daemon->dirty = false;
    reconcile->problems_changed = true;
    if (!fence_sources_all_seen(&daemon->sources))
        return;
    reconcile->error.text[0] = '\0';
    if (try_once(daemon, &reconcile->error) < 0)
        fence_timer_after(&reconcile->retry, RETRY_MS, 0);
}

const struct fence_plan_endpoint *fence_reconcile_endpoint(const struct fence_reconcile *reconcile,
                                                           uint32_t ifindex)
{
    const struct fence_plan *plan = reconcile->plan;

    for (size_t i = 0; plan && i < plan->endpoints_count; i++)
        if (plan->endpoints[i].ifindex == ifindex)
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
