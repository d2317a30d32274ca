/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "lib/net/device.h"
#include "lib/net/netlink.h"

static int take_nsid(void *context, struct nlmsghdr *header)
{
    struct nlattr *attrs[NETNSA_MAX + 1];

    if (header->nlmsg_type != RTM_NEWNSID)
        return 0;
    if (nlmsg_parse(header, sizeof(struct rtgenmsg), attrs, NETNSA_MAX, NULL) < 0)
        return -EBADMSG;
    if (attrs[NETNSA_NSID])
        *(__s32 *)context = nla_get_s32(attrs[NETNSA_NSID]);
    return 0;
}

/* RTM_GETNSID, or RTM_NEWNSID, which lets the kernel choose a number. */
static int nsid_request(struct nl_sock *socket, int type, int netns, __s32 *ret_nsid)
{
    struct rtgenmsg family = {.rtgen_family = AF_UNSPEC};
    FENCE_NL_MSG struct nl_msg *message = nlmsg_alloc_simple(type, NLM_F_REQUEST);

    if (!message || nlmsg_append(message, &family, sizeof(family), NLMSG_ALIGNTO) < 0 ||
        nla_put_u32(message, NETNSA_FD, (__u32)netns) < 0 ||
        (type == RTM_NEWNSID && nla_put_s32(message, NETNSA_NSID, FENCE_NSID_NONE) < 0))
        return -ENOMEM;
    return fence_nl_request(socket, message, take_nsid, ret_nsid);
}

static int find_nsid(struct nl_sock *socket, int netns, __s32 *ret_nsid)
{
    __s32 nsid = FENCE_NSID_NONE;
    int r = nsid_request(socket, RTM_GETNSID, netns, &nsid);

    if (r == 0 && nsid == FENCE_NSID_NONE) {
        r = nsid_request(socket, RTM_NEWNSID, netns, &nsid);
        /* -EEXIST: somebody else was faster */
        if (r == 0 || r == -EEXIST)
            r = nsid_request(socket, RTM_GETNSID, netns, &nsid);
    }
    if (r < 0)
        return r;
    if (nsid == FENCE_NSID_NONE)
        return -ENOENT;
    *ret_nsid = nsid;
    return 0;
}

static int open_netns(const char *path, int *ret_fd, struct stat *ret_info, struct fence_err *err)
{
    /* O_NONBLOCK: whatever the path names, opening it must not hang */
    FENCE_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return fence_err_set(err, -ENOENT,
                             "cannot open network namespace %s: %s; either the pod has gone, or "
                             "podfence runs where the path that the runtime gave (CNI_NETNS) is "
                             "not mounted: run it in the runtime's mount namespace",
                             path, strerror(errno));
    /* the file stays behind, empty, when the namespace that was mounted on it has gone */
    if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET || fstat(fd, ret_info) < 0)
        return fence_err_set(err, -ENOENT,
                             "%s is not a network namespace (any more); either the pod has gone, "
                             "or the runtime has to give another path (CNI_NETNS)",
                             path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int refuse_own(const char *path, const struct stat *netns, struct fence_err *err)
{
    struct stat own = {0};

    if (stat("/proc/thread-self/ns/net", &own) < 0)
        return fence_err_set(err, -errno, "cannot look at /proc/thread-self/ns/net: %s",
                             strerror(errno));
    if (own.st_dev == netns->st_dev && own.st_ino == netns->st_ino)
        return fence_err_set(err, -EXDEV, "%s is the network namespace of the node itself", path);
    return 0;
}

static const char *kind_name(const struct fence_net_device *device)
{
    if (device->loopback)
        return "the loopback device";
    return device->kind[0] ? device->kind : "a hardware device";
}

static int refuse_kind(const struct fence_net_device *device, const char *ifname,
                       struct fence_err *err)
{
    if (strcmp(device->kind, "veth") == 0)
        return 0;
    return fence_err_set(err, -EMEDIUMTYPE,
                         "interface %s of the pod is %s%s and has no end on the node that could be "
                         "filtered; podfence needs a veth pair: chain it behind a plugin that "
                         "makes one (bridge, ptp, Flannel, Calico)",
                         ifname, device->kind[0] ? "of the kind " : "", kind_name(device));
}

/* Of another kind of master (VRF, bond) it is no port. */
static int find_bridge(struct nl_sock *socket, const struct fence_net_device *device,
                       __u32 *ret_bridge)
{
    struct fence_net_device master = {0};
    int r = device->master
                ? fence_net_device_get(socket, FENCE_NSID_NONE, NULL, device->master, &master)
                : 0;

    if (r == 0)
        *ret_bridge = strcmp(master.kind, "bridge") == 0 ? device->master : 0;
    return r;
}

/* The other end, provided that it names `device` as its own other end. */
static int find_host_end(struct nl_sock *socket, const struct fence_net_device *device, __s32 nsid,
                         struct fence_pod_link *link, struct fence_err *err)
{
    struct fence_net_device host = {0};
    int r = device->peer ? fence_net_device_get(socket, FENCE_NSID_NONE, NULL, device->peer, &host)
                         : -ENODEV;

    if (r < 0 && r != -ENODEV)
        return fence_err_set(err, r, "cannot read the device with index %u: %s", device->peer,
                             strerror(-r));
    if (r < 0 || strcmp(host.kind, "veth") != 0 || host.peer != device->index ||
        host.peer_netns != nsid)
        return fence_err_set(err, -ENOTUNIQ,
                             "the other end of %s (index %u) is not in the node's network "
                             "namespace; podfence has to run where that end is",
                             device->name, device->peer);
    r = find_bridge(socket, &host, &link->host_bridge);
    if (r < 0)
        return fence_err_set(err, r, "cannot read the bridge of %s: %s", host.name, strerror(-r));
    link->host_ifindex = host.index;
    memcpy(link->host_ifname, host.name, sizeof(link->host_ifname));
    memcpy(link->mac, device->mac, sizeof(link->mac));
    return 0;
}

static int find_in(__s32 nsid, struct nl_sock *socket, const char *ifname,
                   struct fence_pod_link *link, struct fence_err *err)
{
    struct fence_net_device device = {0};
    int r = fence_net_device_get(socket, nsid, ifname, 0, &device);

    if (r == -ENODEV || r == -ERANGE)
        return fence_err_set(err, -ENODEV,
                             "there is no interface %s in the pod's namespace; chain podfence "
                             "behind the plugin that makes it (CNI_IFNAME names it)",
                             ifname);
    if (r < 0)
        return fence_err_set(err, r, "cannot read interface %s in the pod's namespace: %s", ifname,
                             strerror(-r));
    r = refuse_kind(&device, ifname, err);
    return r < 0 ? r : find_host_end(socket, &device, nsid, link, err);
}

static struct nl_sock *open_socket(struct fence_err *err)
{
    struct nl_sock *socket = fence_nl_open(NETLINK_ROUTE);

    if (!socket)
        fence_err_set(err, -EIO, "cannot open a netlink socket: %s", strerror(errno));
    return socket;
}

int fence_pod_link_find(const char *netns_path, const char *ifname, struct fence_pod_link *ret_link,
                        struct fence_err *err)
{
    FENCE_NL_SOCKET struct nl_sock *socket = NULL;
    FENCE_CLOSE int netns = -1;
    struct fence_pod_link link = {0};
    struct stat info = {0};
    __s32 nsid;
    int r = open_netns(netns_path, &netns, &info, err);

    if (r == 0)
        r = refuse_own(netns_path, &info, err);
    if (r < 0)
        return r;
    socket = open_socket(err);
    if (!socket)
        return -EIO;
    r = find_nsid(socket, netns, &nsid);
    if (r < 0)
        return fence_err_set(err, r, "cannot get a number for network namespace %s: %s", netns_path,
                             strerror(-r));
    link.netns = info.st_ino;
    r = find_in(nsid, socket, ifname, &link, err);
    if (r < 0)
        return r;
    *ret_link = link;
    return 0;
}

int fence_own_link_find(const char *ifname, struct fence_pod_link *ret_link, struct fence_err *err)
{
    FENCE_NL_SOCKET struct nl_sock *socket = open_socket(err);
    struct fence_pod_link link = {0};
    struct stat info = {0};
    int r;

    if (!socket)
        return -EIO;
    if (stat("/proc/thread-self/ns/net", &info) < 0)
        return fence_err_set(err, -errno, "cannot look at /proc/thread-self/ns/net: %s",
                             strerror(errno));
    link.netns = info.st_ino;
    r = find_in(FENCE_NSID_NONE, socket, ifname, &link, err);
    if (r < 0)
        return r;
    *ret_link = link;
    return 0;
}

int fence_link_name(__u32 ifindex, char ret_name[16])
{
    char name[IFNAMSIZ];

    if (!if_indextoname(ifindex, name))
        return errno == ENXIO ? -ENODEV : -errno;
    memcpy(ret_name, name, sizeof(name));
    return 0;
}

int fence_link_index(const char *name, __u32 *ret_ifindex)
{
    unsigned int ifindex = if_nametoindex(name);

    if (!ifindex)
        return errno == ENXIO ? -ENODEV : -errno;
    *ret_ifindex = ifindex;
    return 0;
}

int fence_link_is_veth(__u32 ifindex)
{
    FENCE_NL_SOCKET struct nl_sock *socket = fence_nl_open(NETLINK_ROUTE);
    struct fence_net_device device = {0};
    int r = socket ? fence_net_device_get(socket, FENCE_NSID_NONE, NULL, ifindex, &device) : -EIO;

    return r < 0 ? r : strcmp(device.kind, "veth") == 0;
}

struct device_list {
    struct fence_device *items;
    size_t count;
    size_t capacity;
};

static int take_listed(void *context, const struct fence_net_device *device)
{
    struct device_list *list = context;
    struct fence_device *item;

    if (device->loopback)
        return 0;
    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return -ENOMEM;
    item = &list->items[list->count++];
    *item = (struct fence_device){.ifindex = device->index,
                                  .is_veth = strcmp(device->kind, "veth") == 0};
    memcpy(item->name, device->name, sizeof(item->name));
    return 0;
}

int fence_devices_list(struct fence_device **ret_devices, size_t *ret_count, struct fence_err *err)
{
    FENCE_NL_SOCKET struct nl_sock *socket = open_socket(err);
    struct device_list list = {0};
    int r = -EINTR;

    if (!socket)
        return -EIO;
    for (unsigned int i = 0; i < FENCE_DUMP_ATTEMPTS && r == -EINTR; i++) {
        list.count = 0;
        r = fence_net_device_dump(socket, take_listed, &list);
    }
    if (r < 0) {
        free(list.items);
        return fence_err_set(err, r, "listing the interfaces: %s", strerror(-r));
    }
    *ret_devices = list.items;
    *ret_count = list.count;
    return 0;
}

int fence_link_bridge(__u32 ifindex, __u32 *ret_bridge)
{
    FENCE_NL_SOCKET struct nl_sock *socket = fence_nl_open(NETLINK_ROUTE);
    struct fence_net_device device = {0};
    int r = socket ? fence_net_device_get(socket, FENCE_NSID_NONE, NULL, ifindex, &device) : -EIO;

    return r < 0 ? r : find_bridge(socket, &device, ret_bridge);
}
