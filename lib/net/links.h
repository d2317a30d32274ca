/* SPDX-License-Identifier: Apache-2.0 */
/* Links and addresses by netlink (libnl). Needs CAP_NET_ADMIN only: no namespace is entered. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "bpf/abi.h"
#include "lib/base/err.h"

struct fence_pod_link {
    __u32 host_ifindex;
    char host_ifname[16];
    __u32 host_bridge;    /* that the host end is a port of; 0 = none */
    unsigned char mac[6]; /* of the pod's end */
    __u64 netns;          /* inode of the pod's namespace */
};

/*
 * The host end of the pod's interface, found through the namespace: peer ifindex of `ifname` in
 * `netns_path`, then that link here (reference/ecosystem.md section 1.5).
 * -ENOENT: no such namespace; -EXDEV: it is the namespace of the caller; -ENODEV: no such
 * interface in it; -EMEDIUMTYPE: not a veth (the text says what it is) ; -ENOTUNIQ: its peer is not
 * in this namespace.
 */
int fence_pod_link_find(const char *netns_path, const char *ifname, struct fence_pod_link *ret_link,
                        struct fence_err *err);

/* The same with both ends in the caller's own namespace (CNI_NETNS_OVERRIDE). */
int fence_own_link_find(const char *ifname, struct fence_pod_link *ret_link, struct fence_err *err);

/* -ENODEV when it has gone. */
int fence_link_name(__u32 ifindex, char ret_name[16]);
int fence_link_index(const char *name, __u32 *ret_ifindex);
/* 1 when it is one end of a veth pair, 0 when it is something else, -ENODEV when it has gone. */
int fence_link_is_veth(__u32 ifindex);

/* The bridge that it is a port of; 0: of none. -ENODEV when it has gone. */
int fence_link_bridge(__u32 ifindex, __u32 *ret_bridge);

struct fence_device {
    __u32 ifindex;
    bool is_veth;
    char name[16];
};

/* All devices of this namespace but loopback; the caller frees the array. */
int fence_devices_list(struct fence_device **ret_devices, size_t *ret_count, struct fence_err *err);

/* All addresses of this namespace's devices; loopback's 127/8 and ::1 are left out. Sorted. */
int fence_local_addrs(struct fence_addr **ret_addrs, size_t *ret_count, struct fence_err *err);

/* Follows addresses and links: poll the fd, then call handle. */
struct fence_net_monitor;
int fence_net_monitor_new(struct fence_net_monitor **ret_monitor, struct fence_err *err);
void fence_net_monitor_free(struct fence_net_monitor **monitor);
int fence_net_monitor_fd(const struct fence_net_monitor *monitor);
/* Take in what is pending. Says which kinds of change there were (a lost message counts as both).
 */
int fence_net_monitor_handle(struct fence_net_monitor *monitor, bool *ret_addrs_changed,
                             bool *ret_links_changed);
