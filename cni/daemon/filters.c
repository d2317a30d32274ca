/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/filters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/samenode.h"
#include "cni/daemon/settle.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/repin.h"
#include "lib/net/links.h"

#define CHECK_MS 2000

/* An ADD writes the endpoint before it attaches; that long it is the plugin's business. */
#define ADDING_NS (30ull * 1000000000ull)

static bool is_being_added(const struct fence_endpoint_record *record)
{
    return record->info.attach == FENCE_ATTACH_NONE &&
           fence_clock_boot_ns() - record->info.created_ns < ADDING_NS;
}

/* Is its interface here, under the name that it was enrolled with? */
static bool is_here(const struct fence_endpoint_record *record)
{
    char name[16];

    return fence_link_name(record->ifindex, name) == 0 &&
           strncmp(name, record->info.host_ifname, sizeof(name)) == 0;
}

static enum fence_attach_mode mode_of(const struct fence_daemon *daemon,
                                      const struct fence_endpoint_record *record)
{
    switch (record->info.attach) {
    case FENCE_ATTACH_TCX:
        return FENCE_ATTACH_MODE_TCX;
    case FENCE_ATTACH_CLSACT: /* `auto` finds the way when somebody is ahead */
        return daemon->options.attach == FENCE_ATTACH_MODE_AUTO ? FENCE_ATTACH_MODE_AUTO
                                                                : FENCE_ATTACH_MODE_CLSACT;
    default:
        return daemon->options.attach;
    }
}

static void note(struct fence_filters *filters, uint32_t ifindex, const char *text)
{
    struct fence_unfiltered *item;

    if (FENCE_GROW(filters->items, filters->capacity, filters->count) < 0)
        return;
    item = &filters->items[filters->count++];
    item->ifindex = ifindex;
    snprintf(item->text, sizeof(item->text), "%s", text);
}

/* Under the lock, so that the endpoint is not given to somebody else meanwhile. 1; 0 when the
 * endpoint is not as it was seen any more: a DEL has taken its filters off, say. */
static int put_back(struct fence_daemon *daemon, const struct fence_endpoint_record *seen,
                    struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(&daemon->pins, err);
    enum fence_attach attach = FENCE_ATTACH_NONE;
    struct fence_endpoint_record now;
    int r;

    if (lock < 0)
        return lock;
    if (fence_endpoint_get(&daemon->pins, seen->ifindex, &now) < 0 ||
        memcmp(&now.info, &seen->info, sizeof(now.info)) != 0)
        return 0;
    r = fence_attach(&daemon->pins, now.ifindex, mode_of(daemon, &now), &attach, err);
    if (r < 0)
        return r;
    if (now.info.attach != attach) {
        now.info.attach = attach;
        r = fence_endpoint_put(&daemon->pins, &now, err);
    }
    if (r >= 0)
        r = fence_attach_check(&daemon->pins, now.ifindex, attach, err);
    return r < 0 ? r : 1;
}

static void check(struct fence_daemon *daemon, const struct fence_endpoint_record *record)
{
    struct fence_err why = {""};
    struct fence_err err = {""};
    int r;

    if (is_being_added(record) || !is_here(record) ||
        fence_attach_check(&daemon->pins, record->ifindex, record->info.attach, &why) == 0)
        return;
    r = put_back(daemon, record, &err);
    if (r == 0)
        return;
    if (r < 0) {
        note(&daemon->filters, record->ifindex, err.text);
        fence_alarms_removed(daemon, record, err.text);
        return;
    }
    daemon->filters.restored++;
    fence_alarms_removed(daemon, record, why.text);
    fence_log(FENCE_LOG_WARNING, "put the filters of %s/%s back, somebody had removed them: %s",
              record->info.namespace_name, record->info.pod, why.text);
}

/* The data path knows what the pod sends by it (bpf/arrival.bpf.h), and somebody may put the
 * interface elsewhere. */
static void check_bridge(struct fence_daemon *daemon, const struct fence_endpoint_record *record)
{
    FENCE_CLOSE int lock = -1;
    struct fence_endpoint_record now;
    struct fence_err err = {""};
    __u32 bridge;
    int r = 0;

    if (fence_link_bridge(record->ifindex, &bridge) < 0 || bridge == record->endpoint.bridge)
        return;
    lock = fence_endpoints_lock(&daemon->pins, &err);
    if (lock < 0)
        r = lock;
    else if (fence_endpoint_get(&daemon->pins, record->ifindex, &now) == 0 &&
             now.info.created_ns == record->info.created_ns) {
        now.endpoint.bridge = bridge;
        r = fence_endpoint_update(&daemon->pins, record->ifindex, &now.endpoint, &err);
    }
    if (r < 0 && r != -ENOENT)
        fence_log(FENCE_LOG_WARNING, "bridge of %s/%s: %s", record->info.namespace_name,
                  record->info.pod, err.text);
}

static void check_pins(struct fence_daemon *daemon)
{
    struct fence_filters *filters = &daemon->filters;
    struct fence_err err = {""};
    char first[64] = "";
    int r = fence_pins_restore(&daemon->pins, daemon->options.bpffs, first, &err);

    if (r > 0) {
        filters->pins_restored += (unsigned int)r;
        fence_alarms_removed(daemon, NULL, "somebody had removed pins of maps or programs");
        fence_log(FENCE_LOG_WARNING, "put %d pins back, somebody had removed them: %s%s", r, first,
                  r > 1 ? " and others" : "");
    }
    if (strncmp(filters->pins_problem, err.text, sizeof(filters->pins_problem) - 1) == 0)
        return;
    snprintf(filters->pins_problem, sizeof(filters->pins_problem), "%s", err.text);
    daemon->reconcile.problems_changed = true;
}

static void check_all(void *context)
{
    struct fence_daemon *daemon = context;
    struct fence_endpoint_list list = {0};
    size_t before = daemon->filters.count;

    check_pins(daemon);
    if (fence_endpoints_list(&daemon->pins, &list, NULL) < 0)
        return;
    daemon->filters.count = 0;
    for (size_t i = 0; i < list.count; i++) {
        check(daemon, &list.items[i]);
        if (is_being_added(&list.items[i]) || !is_here(&list.items[i]))
            continue;
        check_bridge(daemon, &list.items[i]);
        fence_samenode_check(daemon, &list.items[i]);
    }
    fence_settle(daemon, &list);
    fence_endpoint_list_done(&list);
    fence_devices_check(daemon);
    if (before || daemon->filters.count)
        daemon->reconcile.problems_changed = true;
}

int fence_filters_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_timer *timer = &daemon->filters.timer;
    int r = fence_timer_open(&daemon->loop, timer, CLOCK_MONOTONIC, err);

    if (r < 0)
        return r;
    timer->fire = check_all;
    timer->context = daemon;
    check_all(daemon);
    return fence_timer_after(timer, CHECK_MS, CHECK_MS);
}

void fence_filters_done(struct fence_daemon *daemon)
{
    fence_timer_close(&daemon->loop, &daemon->filters.timer);
    free(daemon->filters.items);
}
