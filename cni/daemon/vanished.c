/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/vanished.h"

#include <errno.h>
#include <string.h>

#include "cni/daemon/daemon.h"
#include "lib/base/memory.h"
#include "lib/net/links.h"

/* Is the interface of this record here, under the name that the plugin saw? */
static bool is_here(const struct fence_endpoint_record *record)
{
    char name[16];

    return fence_link_name(record->ifindex, name) == 0 &&
           !strncmp(name, record->info.host_ifname, sizeof(name));
}

static bool has_gone(const struct fence_endpoint_record *record)
{
    char name[16];

    return fence_link_name(record->ifindex, name) == -ENODEV;
}

/* Under the lock the entry is read again, because it may be another pod's by now. */
static int remove_one(struct fence_daemon *daemon, const struct fence_endpoint_record *seen,
                      struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(&daemon->pins, err);
    struct fence_endpoint_record now;

    if (lock < 0)
        return lock;
    if (fence_endpoint_get(&daemon->pins, seen->ifindex, &now) < 0 ||
        memcmp(&now.info, &seen->info, sizeof(now.info)) != 0 || !has_gone(&now))
        return 0;
    daemon->dirty = true;
    return fence_endpoint_remove(&daemon->pins, seen->ifindex, err);
}

static void remove_all(struct fence_daemon *daemon, const struct fence_endpoint_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct fence_endpoint_record *record = &list->items[i];
        struct fence_err err = {""};

        if (!has_gone(record))
            continue;
        if (remove_one(daemon, record, &err) < 0)
            fence_log(FENCE_LOG_WARNING, "interface %u has gone, but its endpoint stays: %s",
                      record->ifindex, err.text);
        else
            fence_log(FENCE_LOG_INFO, "removed the endpoint of %s/%s: its interface %s has gone",
                      record->info.namespace_name, record->info.pod, record->info.host_ifname);
    }
}

void fence_vanished_remove(struct fence_daemon *daemon)
{
    struct fence_endpoint_list list = {0};

    if (fence_locals_list(&daemon->pins, &list, NULL) < 0)
        return;
    for (size_t i = 0; i < list.count && !daemon->pods_are_here; i++)
        daemon->pods_are_here = is_here(&list.items[i]);
    if (daemon->pods_are_here)
        remove_all(daemon, &list);
    fence_endpoint_list_done(&list);
}
