/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod interfaces from the node's side alone: for pods of which nobody says where their namespace
 * is. Needs CAP_NET_ADMIN only, and enters nothing.
 */
#pragma once

#include "lib/net/links.h"

struct fence_seen_pod {
    struct fence_pod_link link; /* its netns is 0: the inode cannot be seen this way */
    char ifname[16];            /* in the pod */
    struct fence_addr *addrs;   /* that the pod's end has now; the pod may have changed them */
    size_t addr_count;
    size_t addr_capacity;
};

/* Zeroed = empty. */
struct fence_seen_pods {
    struct fence_seen_pod *items;
    size_t count;
    size_t capacity;
};

/*
 * Every veth of this namespace whose other end is a veth in another one. One that goes meanwhile is
 * left out.
 */
int fence_seen_pods_list(struct fence_seen_pods *ret_pods, struct fence_err *err);
void fence_seen_pods_done(struct fence_seen_pods *pods);

bool fence_seen_pod_has(const struct fence_seen_pod *pod, const struct fence_addr *addr);

/*
 * The device that a route for this one address leads to, as plugins that route make it (ptp,
 * Calico). -ENOENT: what routes the address is no such route; -ENOTUNIQ: it has several next hops.
 */
int fence_host_route(const struct fence_addr *addr, __u32 *ret_ifindex);
