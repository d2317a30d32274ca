/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/vanished.h"

/* Links come and go in bursts: a pod's start alone makes several changes. */
#define LINKS_MS 200

int fence_node_read(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_node_watch *node = &daemon->node;
    struct fence_addr *addrs = NULL;
    size_t count = 0;
    int result = fence_local_addrs(&addrs, &count, err);

    if (result < 0)
        return fence_err_prefix(err, result, "this node's addresses");
    if (count == node->addr_count &&
        (!count || !memcmp(addrs, node->addrs, count * sizeof(*addrs)))) {
        free(addrs);
        return 0;
    }
    free(node->addrs);
    node->addrs = addrs;
    node->addr_count = count;
    daemon->dirty = true;
    return 0;
}

static void monitor_ready(void *context, uint32_t events)
{
    struct fence_daemon *daemon = context;
    bool addrs_changed = false, links_changed = false;
    struct fence_err err = {""};
    int result = fence_net_monitor_handle(daemon->node.monitor, &addrs_changed, &links_changed);

    (void)events;
    if (result < 0)
        fence_log(FENCE_LOG_ERROR, "cannot follow this node's interfaces: %s", strerror(-result));
    if (addrs_changed && fence_node_read(daemon, &err) < 0)
        fence_log(FENCE_LOG_ERROR, "%s", err.text);
    /* not put off by further changes: on a busy node there are always some */
    if (links_changed && !daemon->node.links_changed) {
        daemon->node.links_changed = true;
        fence_timer_after(&daemon->node.links, LINKS_MS, 0);
    }
}

static void links_fired(void *context)
{
    struct fence_daemon *daemon = context;

    daemon->node.links_changed = false;
    fence_vanished_check(daemon);
    fence_devices_check(daemon);
    fence_adopt_soon(daemon);
}

int fence_node_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_node_watch *node = &daemon->node;
    int result = fence_net_monitor_new(&node->monitor, err);

    if (result < 0)
        return result;
    node->watch = (struct fence_fd_watch){
        .fd = fence_net_monitor_fd(node->monitor), .ready = monitor_ready, .context = daemon};
    result = fence_loop_watch(&daemon->loop, &node->watch, EPOLLIN, err);
    if (result == 0)
        result = fence_timer_open(&daemon->loop, &node->links, CLOCK_MONOTONIC, err);
    node->links.fire = links_fired;
    node->links.context = daemon;
    /* after the monitor is open, so that no change falls between */
    return result < 0 ? result : fence_node_read(daemon, err);
}

void fence_node_done(struct fence_daemon *daemon)
{
    fence_loop_forget(&daemon->loop, &daemon->node.watch);
    fence_timer_close(&daemon->loop, &daemon->node.links);
    fence_net_monitor_free(&daemon->node.monitor);
    free(daemon->node.addrs);
    daemon->node = (struct fence_node_watch){.watch.fd = -1, .links.fd = -1};
}
