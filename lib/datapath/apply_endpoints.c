/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step 5: endpoints. The plugin writes them too (created pending, deleted), so each one is read
 * again under the lock, and only what is the daemon's is changed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/endpoints.h"

#define SOURCE_FLAGS ((__u32)(FENCE_EP_SOURCE_REPORT | FENCE_EP_SOURCE_OFF))
#define PLAN_FLAGS   ((__u32)(FENCE_EP_PENDING | FENCE_EP_INCOMPLETE | FENCE_EP_NOT_APPLIED))
#define SECOND_NS    1000000000ll
#define JITTER_NS    (SECOND_NS / 10)

/* Why an endpoint is closed; NULL when it is not. */
static const char *closed_because(const struct apply_run *run,
                                  const struct fence_plan_endpoint *plan)
{
    if (plan->set == FENCE_PLAN_NONE)
        return NULL;
    if (run->plan->sets[plan->set].problem)
        return run->plan->sets[plan->set].problem;
    if (!run->apply->sets_by_index[plan->set])
        return "its policy could not be written";
    return run->closed;
}

static __u32 set_number(const struct apply_run *run, __u32 index)
{
    if (index == FENCE_PLAN_NONE || !run->apply->sets_by_index[index])
        return 0;
    return run->apply->sets_by_index[index]->number;
}

static __u32 identity_number(const struct apply_run *run, const struct fence_plan_endpoint *plan)
{
    if (plan->identity != FENCE_PLAN_NONE)
        return apply_number_of(&run->apply->identities, plan->identity);
    return plan->flags & FENCE_EP_INCOMPLETE ? FENCE_IDENTITY_INCOMPLETE : FENCE_IDENTITY_PENDING;
}

/*
 * The wall clock's moment as boot time, at least 1 since 0 means none. The wall clock is read
 * first: what comes between the two makes the moment late, and never early.
 */
static __u64 boot_time_of(__s64 wall_seconds)
{
    __s64 wall = (__s64)fence_clock_wall_ns();
    __s64 boot = (__s64)fence_clock_boot_ns();
    __s64 left;

    if (wall_seconds > INT64_MAX / SECOND_NS)
        return INT64_MAX;
    left = wall_seconds * SECOND_NS - wall;
    if (left > INT64_MAX - boot)
        return INT64_MAX;
    return boot + left > 0 ? (__u64)(boot + left) : 1;
}

static void plan_ends(const struct apply_run *run, const struct fence_plan_endpoint *plan,
                      const struct fence_endpoint *now, struct fence_endpoint *wanted)
{
    for (size_t i = 0; i < plan->end_count; i++) {
        const struct fence_next_set *before = &now->next[i];
        struct fence_next_set *next = &wanted->next[i];

        next->set = set_number(run, plan->ends[i].set);
        next->at_ns = boot_time_of(plan->ends[i].at);
        /* the two clocks are not read at one moment; that is no reason to write */
        if (before->at_ns && before->set == next->set &&
            llabs((long long)(before->at_ns - next->at_ns)) < JITTER_NS)
            next->at_ns = before->at_ns;
    }
}

static void plan_flags(const struct apply_run *run, const struct fence_plan_endpoint *plan,
                       bool closed, struct fence_endpoint *wanted)
{
    bool pending = plan->flags & FENCE_EP_PENDING;

    wanted->flags &= ~(PLAN_FLAGS | SOURCE_FLAGS);
    wanted->flags |= plan->flags & PLAN_FLAGS;
    wanted->flags |= run->apply->settings.source_flags & SOURCE_FLAGS;
    if (closed)
        wanted->flags |= FENCE_EP_NOT_APPLIED;
    /* start mode open lasts until the first resolution, whatever comes of it */
    if (!pending || closed || (plan->flags & (FENCE_EP_INCOMPLETE | FENCE_EP_NOT_APPLIED)))
        wanted->flags &= ~(__u32)FENCE_EP_OPEN;
}

static struct fence_endpoint wanted_endpoint(const struct apply_run *run,
                                             const struct fence_plan_endpoint *plan,
                                             const struct fence_endpoint *now)
{
    bool closed = closed_because(run, plan) != NULL || (plan->flags & FENCE_EP_NOT_APPLIED) != 0;
    struct fence_endpoint wanted = *now;

    wanted.identity = identity_number(run, plan);
    wanted.set = closed ? 0 : set_number(run, plan->set);
    memset(wanted.next, 0, sizeof(wanted.next));
    if (!closed)
        plan_ends(run, plan, now, &wanted);
    plan_flags(run, plan, closed, &wanted);
    return wanted;
}

/* The index may have gone to another pod since the plan was made. */
static bool is_meant(const struct fence_plan_endpoint *plan,
                     const struct fence_endpoint_record *record)
{
    return plan->created_ns == 0 || plan->created_ns == record->info.created_ns;
}

/* Under the lock. 1 = written. */
static int flip_locked(struct apply_run *run, const struct fence_plan_endpoint *plan,
                       struct fence_err *err)
{
    const struct fence_pins *pins = run->apply->pins;
    struct fence_endpoint_record record;
    struct fence_endpoint wanted;
    int r = fence_endpoint_get(pins, plan->ifindex, &record);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (!is_meant(plan, &record))
        return 0;
    wanted = wanted_endpoint(run, plan, &record.endpoint);
    if (memcmp(&wanted, &record.endpoint, sizeof(wanted)) == 0)
        return 0;
    r = fence_endpoint_update(pins, plan->ifindex, &wanted, err);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    FENCE_FAILPOINT("apply.endpoint-flipped");
    return 1;
}

static int flip(struct apply_run *run, const struct fence_plan_endpoint *plan,
                const struct fence_endpoint_record *record, struct fence_err *err)
{
    struct fence_endpoint wanted = wanted_endpoint(run, plan, &record->endpoint);
    FENCE_CLOSE int lock = -1;

    if (memcmp(&wanted, &record->endpoint, sizeof(wanted)) == 0)
        return 0;
    lock = fence_endpoints_lock(run->apply->pins, err);
    return lock < 0 ? lock : flip_locked(run, plan, err);
}

static void subject_of(const struct fence_endpoint_record *record, char *text, size_t size)
{
    const struct fence_endpoint_info *info = &record->info;

    if (info->pod[0])
        snprintf(text, size, "endpoint %s/%s (%s)", info->namespace_name, info->pod,
                 info->host_ifname);
    else
        snprintf(text, size, "endpoint %s %s (%s)", info->container_id, info->ifname,
                 info->host_ifname);
}

static int apply_one(struct apply_run *run, size_t index)
{
    const struct fence_plan_endpoint *plan = &run->plan->endpoints[index];
    const char *closed = closed_because(run, plan);
    struct fence_endpoint_record record;
    struct fence_err err = {{0}};
    char subject[512];
    int r = fence_endpoint_get(run->apply->pins, plan->ifindex, &record);

    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = flip(run, plan, &record, &err);
    if (r > 0) {
        run->apply->writes++;
        run->report->changed_endpoints++;
    }
    if (r >= 0 && !closed)
        return 0;
    subject_of(&record, subject, sizeof(subject));
    if (r < 0)
        return apply_report(run, subject, "could not be updated and keeps what it had: %s",
                            err.text[0] ? err.text : strerror(-r));
    return apply_report(run, subject, "closed, all its traffic is denied: %s", closed);
}

/* The connection table is shared evenly. */
static int apply_share(struct apply_run *run)
{
    struct fence_settings settings = run->apply->settings;

    settings.share = fence_connections_share(settings.bucket_mask + 1,
                                             fence_plan_live(&run->plan->endpoints_list));
    return apply_settings(run->apply, &settings);
}

int apply_endpoints(struct apply_run *run)
{
    const struct fence_plan_list *list = &run->plan->endpoints_list;
    bool all = run->lacks_sets || run->closed;
    int r = apply_share(run);

    for (__u32 i = 0; r == 0 && i < list->count; i++)
        if (run->plan->endpoints[i].item.live && (all || run->plan->endpoints[i].item.touched))
            r = apply_one(run, i);
    FENCE_FAILPOINT("apply.endpoints-done");
    return r;
}
