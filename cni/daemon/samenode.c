/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/samenode.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/log.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"
#include "lib/net/links.h"

bool fence_samenode_is_wanted(const struct fence_daemon *daemon)
{
    return daemon->options.same_node != FENCE_SAME_NODE_OFF;
}

/* A switch of the kernel; one that is not there is off. */
static bool is_switched_on(const char *path)
{
    FENCE_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char value = '0';

    return fd >= 0 && read(fd, &value, 1) == 1 && value != '0';
}

/* Do packets from port to port of this bridge pass netfilter? */
static bool netfilter_sees(__u32 bridge)
{
    static const char *const families[] = {"iptables", "ip6tables"};
    char name[IF_NAMESIZE], path[128];

    if (fence_link_name(bridge, name) < 0)
        return true;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(families); i++) {
        snprintf(path, sizeof(path), "/proc/sys/net/bridge/bridge-nf-call-%s", families[i]);
        if (is_switched_on(path))
            return true;
        snprintf(path, sizeof(path), "/sys/class/net/%s/bridge/nf_call_%s", name, families[i]);
        if (is_switched_on(path))
            return true;
    }
    return false;
}

/* Why the endpoint stays off the path; empty: it does not. */
static void reason_against(const struct fence_daemon *daemon,
                           const struct fence_endpoint_record *record, char text[64])
{
    __u32 bridge = 0;
    int r;

    text[0] = '\0';
    r = fence_attach_others(&daemon->pins, record->ifindex, text);
    if (r < 0)
        snprintf(text, 64, "%s", strerror(-r));
    if (r != 0 || daemon->options.same_node == FENCE_SAME_NODE_ON)
        return;
    if (fence_link_bridge(record->ifindex, &bridge) < 0 || bridge == 0)
        snprintf(text, 64, "auto: not on a bridge");
    else if (netfilter_sees(bridge))
        snprintf(text, 64, "auto: netfilter sees the bridge's packets");
}

/* Under the lock: the plugin may have removed it, or the index may be another pod's. */
static int flip(struct fence_daemon *daemon, const struct fence_endpoint_record *record, bool on,
                struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(&daemon->pins, err);
    struct fence_endpoint_record now;
    int r;

    if (lock < 0)
        return lock;
    r = fence_endpoint_get(&daemon->pins, record->ifindex, &now);
    if (r < 0 || now.info.created_ns != record->info.created_ns)
        return 0;
    now.endpoint.flags &= ~(__u32)FENCE_EP_HANDOVER;
    now.endpoint.flags |= on ? FENCE_EP_HANDOVER : 0;
    r = fence_endpoint_update(&daemon->pins, record->ifindex, &now.endpoint, err);
    return r == -ENOENT ? 0 : r;
}

void fence_samenode_check(struct fence_daemon *daemon, const struct fence_endpoint_record *record)
{
    bool is_on = record->endpoint.flags & FENCE_EP_HANDOVER;
    struct fence_err err = {""};
    char against[64];

    if (!fence_samenode_is_wanted(daemon))
        return;
    reason_against(daemon, record, against);
    if (is_on == (against[0] == '\0'))
        return;
    if (flip(daemon, record, !is_on, &err) < 0)
        fence_log(FENCE_LOG_WARNING, "same-node path of %s/%s: %s", record->info.namespace_name,
                  record->info.pod, err.text);
    else if (is_on)
        fence_log(FENCE_LOG_INFO, "%s/%s leaves the same-node path: %s",
                  record->info.namespace_name, record->info.pod, against);
}
