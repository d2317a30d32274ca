/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/vanished.h"

#include <errno.h>
#include <string.h>

#include "cni/daemon/daemon.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/net/links.h"

enum presence {
    HERE,    /* under the recorded name */
    RENAMED, /* the same interface under another one */
    GONE,    /* or the index is that of something which cannot be a pod's */
    UNKNOWN,
};

/*
 * An index alone says little in another namespace than the pods': there, our filters are at none.
 * Where this is the pods', an index is not given again, but for somebody who asks for one by
 * number; a veth of such an index stays closed to whoever has it.
 */
static enum presence presence_of(const struct fence_daemon *daemon,
                                 const struct fence_endpoint_record *record, char name[16])
{
    int r = fence_link_name(record->ifindex, name);

    if (r < 0)
        return r == -ENODEV ? GONE : UNKNOWN;
    if (!strncmp(name, record->info.host_ifname, sizeof(record->info.host_ifname)))
        return HERE;
    if (fence_attach_check(&daemon->pins, record->ifindex, record->info.attach, NULL) == 0)
        return RENAMED;
    if (!daemon->pods_are_here)
        return UNKNOWN;
    r = fence_link_is_veth(record->ifindex);
    if (r < 0)
        return r == -ENODEV ? GONE : UNKNOWN;
    return r ? RENAMED : GONE;
}

/* Under the lock the entry is read again, because it may be another pod's by now. */
static int handle_one(struct fence_daemon *daemon, const struct fence_endpoint_record *seen,
                      enum presence presence, struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(&daemon->pins, err);
    struct fence_endpoint_record now;
    char name[16];
    int r;

    if (lock < 0)
        return lock;
    if (fence_endpoint_get(&daemon->pins, seen->ifindex, &now) < 0 ||
        memcmp(&now.info, &seen->info, sizeof(now.info)) != 0 ||
        presence_of(daemon, &now, name) != presence)
        return 0;
    daemon->dirty = true;
    if (presence == GONE) {
        r = fence_endpoint_remove(&daemon->pins, now.ifindex, err);
    } else {
        memcpy(now.info.host_ifname, name, sizeof(now.info.host_ifname));
        r = fence_endpoint_put(&daemon->pins, &now, err);
    }
    return r < 0 ? r : 1;
}

static void handle_gone(struct fence_daemon *daemon, const struct fence_endpoint_record *record)
{
    struct fence_err err = {""};
    int r = handle_one(daemon, record, GONE, &err);

    if (r < 0) {
        fence_log(FENCE_LOG_WARNING, "interface %u has gone, but its endpoint stays: %s",
                  record->ifindex, err.text);
    } else if (r > 0) {
        daemon->vanished.removed++;
        fence_log(FENCE_LOG_INFO, "removed the endpoint of %s/%s: its interface %s has gone",
                  record->info.namespace_name, record->info.pod, record->info.host_ifname);
    }
}

static void handle_renamed(struct fence_daemon *daemon, const struct fence_endpoint_record *record,
                           const char *name)
{
    struct fence_err err = {""};
    int r = handle_one(daemon, record, RENAMED, &err);

    if (r < 0) {
        fence_log(FENCE_LOG_WARNING, "interface %s is %s now, which cannot be noted: %s",
                  record->info.host_ifname, name, err.text);
    } else if (r > 0) {
        daemon->vanished.renamed++;
        fence_log(FENCE_LOG_INFO, "the interface of %s/%s was renamed from %s to %s",
                  record->info.namespace_name, record->info.pod, record->info.host_ifname, name);
    }
}

static void handle_all(struct fence_daemon *daemon, const struct fence_endpoint_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct fence_endpoint_record *record = &list->items[i];
        char name[16];
        enum presence presence = presence_of(daemon, record, name);

        if (presence == GONE && daemon->pods_are_here)
            handle_gone(daemon, record);
        else if (presence == RENAMED)
            handle_renamed(daemon, record, name);
    }
}

void fence_vanished_check(struct fence_daemon *daemon)
{
    struct fence_endpoint_list list = {0};
    char name[16];

    /* until an older layout has gone, it says which endpoints there are */
    if (daemon->takeover.from.number || fence_locals_list(&daemon->pins, &list, NULL) < 0)
        return;
    for (size_t i = 0; i < list.count && !daemon->pods_are_here; i++)
        daemon->pods_are_here = presence_of(daemon, &list.items[i], name) <= RENAMED;
    handle_all(daemon, &list);
    fence_endpoint_list_done(&list);
}

int fence_vanished_init(struct fence_daemon *daemon, struct fence_err *err)
{
    (void)err;
    fence_vanished_check(daemon);
    return 0;
}
