/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/leader.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"

#define NAME "podfence"

#define NS_PER_MS      1000000u
#define SLICES_LEASE_S 9u
/* A stop waits so long for the server at most. */
#define GIVE_MS        300u
/* A timer takes an int of milliseconds. */
#define WAIT_MAX_MS    3600000u

/* The same in every process. */
static __u64 place_of(const char *node)
{
    static const __u64 key[2];

    return fence_hash_bytes(key, node, strlen(node)).words[0];
}

/* How many nodes come before this one. */
static unsigned int rank_of(const struct fence_daemon *daemon)
{
    const struct fence_object *const *nodes;
    size_t count = fence_store_kind(daemon->store, FENCE_OBJECT_NODE, &nodes);
    const char *name = daemon->options.node_name;
    __u64 own = place_of(name);
    unsigned int rank = 0;

    for (size_t i = 0; i < count; i++)
        rank += strcmp(nodes[i]->name, name) != 0 && place_of(nodes[i]->name) < own;
    return rank;
}

/* All that is written for the whole cluster begins or ends. */
static void lead(struct fence_daemon *daemon, bool held)
{
    daemon->leader.held = held;
    fence_report_writer_lead(daemon, held);
    fence_slices_lead(daemon, held);
    fence_log(FENCE_LOG_INFO, held ? "this node writes for the whole cluster now"
                                   : "another node writes for the whole cluster now");
}

void fence_leader_turn(struct fence_daemon *daemon)
{
    struct fence_leader *leader = &daemon->leader;
    uint64_t now = fence_clock_boot_ns(), due;
    bool held;

    if (!leader->lease)
        return;
    if (fence_lease_due_ns(leader->lease) <= now)
        fence_lease_set_rank(leader->lease, rank_of(daemon));
    fence_lease_tick(leader->lease);
    if (strcmp(leader->problem, fence_lease_problem(leader->lease)) != 0)
        daemon->reconcile.problems_changed = true;
    snprintf(leader->problem, sizeof(leader->problem), "%s", fence_lease_problem(leader->lease));
    held = fence_lease_is_held(leader->lease);
    if (held != leader->held)
        lead(daemon, held);
    due = fence_lease_due_ns(leader->lease);
    due = due > now ? (due - now) / NS_PER_MS + 1 : 0;
    fence_timer_after(&leader->timer, due < WAIT_MAX_MS ? (int)due : (int)WAIT_MAX_MS, 0);
}

static void timer_fired(void *context)
{
    fence_leader_turn(context);
}

int fence_leader_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_leader *leader = &daemon->leader;
    struct fence_lease_options options = {.namespace_name = daemon->sources.own_namespace,
                                          .name = NAME,
                                          .identity = daemon->options.node_name};
    int result;

    if (!daemon->sources.kubernetes || (!daemon->options.report && !daemon->options.address_slices))
        return 0;
    /* others wait for who publishes addresses, and not for who writes statuses */
    if (daemon->options.address_slices)
        options.duration_s = SLICES_LEASE_S;
    result = fence_timer_open(&daemon->loop, &leader->timer, CLOCK_BOOTTIME, err);
    if (result < 0)
        return result;
    leader->timer.fire = timer_fired;
    leader->timer.context = daemon;
    options.world = fence_kubernetes_world(daemon->sources.kubernetes);
    result = fence_lease_new(&options, &leader->lease);
    if (result < 0)
        return fence_err_set(err, result, "out of memory");
    fence_leader_turn(daemon);
    return 0;
}

/* So that another node does not wait for it to run out. */
static void give_back(struct fence_daemon *daemon)
{
    struct fence_kubernetes *kubernetes = daemon->sources.kubernetes;
    uint64_t until = fence_clock_boot_ns() + GIVE_MS * (uint64_t)NS_PER_MS;
    struct fence_kubernetes_changes changes;

    while (fence_lease_give(daemon->leader.lease) && fence_clock_boot_ns() < until) {
        struct pollfd waits = {.fd = fence_kubernetes_fd(kubernetes), .events = POLLIN};

        if (poll(&waits, 1, 50) > 0)
            fence_kubernetes_handle(kubernetes, &changes);
    }
}

void fence_leader_done(struct fence_daemon *daemon)
{
    if (daemon->leader.lease)
        give_back(daemon);
    fence_lease_free(&daemon->leader.lease);
    fence_timer_close(&daemon->loop, &daemon->leader.timer);
}
