/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/late.h"

#include <errno.h>
#include <string.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/enrol.h"
#include "lib/net/links.h"

#define RECOVERY_NS 60000000000ull

/* The plugin knows better: what it has enrolled since is never pushed out. */
static int refuse_taken(const struct fence_pins *pins, const struct fence_endpoint_record *wanted,
                        struct fence_err *err)
{
    const struct fence_endpoint_info *info = &wanted->info;
    struct fence_endpoint_record other;

    if (fence_endpoint_get(pins, wanted->ifindex, &other) == 0 &&
        (strcmp(other.info.container_id, info->container_id) != 0 ||
         strcmp(other.info.ifname, info->ifname) != 0))
        return fence_err_set(err, -EBUSY, "interface %s is the endpoint of container %s already",
                             info->host_ifname, other.info.container_id);
    if (fence_endpoint_find(pins, info->container_id, info->ifname, &other) == 0 &&
        other.endpoint.slot && other.ifindex != wanted->ifindex)
        return fence_err_set(err, -EBUSY, "its pod is enforced at interface %s already",
                             other.info.host_ifname);
    return 0;
}

/* Half of an endpoint: it was enforced, so there is nothing to be let through. */
static bool was_enforced(const struct fence_pins *pins, const struct fence_endpoint_info *info)
{
    struct fence_endpoint_record half;

    return fence_endpoint_find(pins, info->container_id, info->ifname, &half) == 0 &&
           !half.endpoint.slot;
}

int fence_late_enrol(struct fence_daemon *daemon, struct fence_endpoint_record *record,
                     struct fence_err *err)
{
    const struct fence_options *options = &daemon->options;
    int r = refuse_taken(&daemon->pins, record, err);

    if (r < 0)
        return r;
    if (was_enforced(&daemon->pins, &record->info))
        record->endpoint.flags &= ~(__u32)FENCE_EP_OPEN;
    record->info.created_ns = fence_clock_boot_ns();
    record->endpoint.recovery_until_ns = record->info.created_ns + RECOVERY_NS;
    (void)fence_link_bridge(record->ifindex, &record->endpoint.bridge); /* or soon: filters.h */
    record->endpoint.flags |=
        options->source_flags & (FENCE_EP_SOURCE_REPORT | FENCE_EP_SOURCE_OFF);
    r = fence_endpoint_enrol(&daemon->pins, options->attach, record, err);
    if (r < 0)
        return r;
    daemon->dirty = true;
    fence_seeding_want(&daemon->seeding, false);
    daemon->pods_are_here = true;
    return 0;
}

/* ---- what they had open ---------------------------------------------------------------------- */

/* Enrolled late, and judged by policy at all. */
static bool is_recovering(const struct fence_endpoint_record *record)
{
    return record->endpoint.recovery_until_ns && !(record->endpoint.flags & FENCE_EP_EXEMPT);
}

/* The recovery begins anew: what is forgotten now was there before policy. */
static int recover(struct fence_daemon *daemon, const struct fence_endpoint_record *seen,
                   struct fence_err *err)
{
    const struct fence_pins *pins = &daemon->pins;
    FENCE_CLOSE int lock = fence_endpoints_lock(pins, err);
    struct fence_endpoint_record now;
    int r;

    if (lock < 0)
        return lock;
    if (fence_endpoint_get(pins, seen->ifindex, &now) < 0 ||
        now.info.created_ns != seen->info.created_ns || now.endpoint.flags & FENCE_EP_PENDING)
        return 0; /* another pod's by now, or not resolved yet */
    now.endpoint.recovery_until_ns = fence_clock_boot_ns() + RECOVERY_NS;
    r = fence_endpoint_update(pins, seen->ifindex, &now.endpoint, err);
    return r < 0 ? r : fence_seeding_keep(daemon, now.endpoint.slot, err);
}

void fence_late_settle(struct fence_daemon *daemon, const struct fence_endpoint_list *before)
{
    for (size_t i = 0; i < before->count; i++) {
        const struct fence_endpoint_record *record = &before->items[i];
        struct fence_err err = {""};

        if (record->endpoint.flags & FENCE_EP_PENDING && is_recovering(record) &&
            recover(daemon, record, &err) < 0)
            fence_log(FENCE_LOG_WARNING,
                      "%s/%s: connections from before it was enrolled may be cut: %s",
                      record->info.namespace_name, record->info.pod, err.text);
    }
}
