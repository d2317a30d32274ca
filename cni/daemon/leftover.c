/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/leftover.h"

#include <errno.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/log.h"
#include "lib/base/memory.h"
#include "lib/datapath/endpoints.h"
#include "lib/net/links.h"

/* Under the lock: the index may be a new pod's, whose ADD writes the one map after the other. */
static int remove_one(const struct fence_daemon *daemon, __u32 ifindex, struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(&daemon->pins, err);
    struct fence_endpoint_record now;
    char name[16];

    if (lock < 0)
        return lock;
    if (fence_endpoint_get(&daemon->pins, ifindex, &now) != -ENOENT ||
        fence_link_name(ifindex, name) != -ENODEV)
        return 0;
    return fence_endpoint_remove(&daemon->pins, ifindex, err);
}

void fence_leftover_remove(struct fence_daemon *daemon)
{
    struct fence_endpoint_list list = {0};

    /* in another namespace than the pods' no interface is there */
    if (!daemon->pods_are_here || fence_endpoints_leftover(&daemon->pins, &list, NULL) < 0)
        return;
    for (size_t i = 0; i < list.count; i++) {
        struct fence_err err = {""};

        if (remove_one(daemon, list.items[i].ifindex, &err) < 0)
            fence_log(FENCE_LOG_WARNING, "interface %u has gone, but not all of its endpoint: %s",
                      list.items[i].ifindex, err.text);
    }
    fence_endpoint_list_done(&list);
}
