/* SPDX-License-Identifier: Apache-2.0 */
/* One device as RTM_GETLINK says it. Used inside lib/net only. */
#pragma once

#include <net/if.h>
#include <stdbool.h>

#include <linux/types.h>

#include "lib/net/netlink.h"

/* Where no namespace is meant but the caller's own. */
#define FENCE_NSID_NONE (-1)

/* A dump is torn when something changes meanwhile; on a busy node that happens in a row. */
#define FENCE_DUMP_ATTEMPTS 10

/* What RTM_GETLINK says of one device. */
struct fence_net_device {
    __u32 index;
    __u32 peer;       /* IFLA_LINK: where that is a veth's other end */
    __u32 master;     /* 0: it is no port of another device */
    __s32 peer_netns; /* IFLA_LINK_NETNSID, FENCE_NSID_NONE when it is in the device's own namespace
                       */
    char name[IFNAMSIZ];
    char kind[32]; /* "" for hardware and for loopback */
    bool loopback;
    unsigned char mac[6];
};

/*
 * By name or, with name NULL, by index; in the namespace that `nsid` stands for, if any. -ENODEV
 * when there is none, and the kernel's other errnos.
 */
int fence_net_device_get(struct nl_sock *socket, __s32 nsid, const char *name, __u32 index,
                         struct fence_net_device *ret_device);

/* Visit all devices of the caller's namespace, loopback too. A negative errno ends it. */
typedef int (*fence_net_device_visit)(void *context, const struct fence_net_device *device);
/* -EINTR: it has to be repeated. */
int fence_net_device_dump(struct nl_sock *socket, fence_net_device_visit visit, void *context);
