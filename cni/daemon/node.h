/* SPDX-License-Identifier: Apache-2.0 */
/* This node's own addresses, followed by netlink. */
#pragma once

#include <stddef.h>

#include "cni/daemon/loop.h"
#include "lib/base/addr.h"
#include "lib/net/links.h"

struct fence_daemon;

struct fence_node_watch {
    struct fence_net_monitor *monitor;
    struct fence_fd_watch watch;
    struct fence_timer links; /* a moment after links have changed */
    bool links_changed;       /* it runs */
    struct fence_addr *addrs; /* sorted */
    size_t addr_count;
};

int fence_node_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_node_done(struct fence_daemon *daemon);

/* Look again; marks the daemon dirty when addresses differ. After an error the old ones stay. */
int fence_node_read(struct fence_daemon *daemon, struct fence_err *err);
