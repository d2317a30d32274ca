/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/pods.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/addr.h"
#include "lib/net/device.h"

static bool is_veth(const struct fence_net_device *device)
{
    return strcmp(device->kind, "veth") == 0;
}

/* ---- addresses of a device in another namespace --------------------------------------------- */

struct addr_request {
    struct fence_seen_pod *pod;
    __u32 index;
};

static int take_addr(void *context, struct nlmsghdr *header)
{
    const struct addr_request *request = context;
    const struct ifaddrmsg *info = nlmsg_data(header);
    struct fence_seen_pod *pod = request->pod;
    struct nlattr *attrs[IFA_MAX + 1];
    struct nlattr *found;
    struct fence_addr addr;

    if (header->nlmsg_type != RTM_NEWADDR)
        return 0;
    if (nlmsg_parse(header, sizeof(*info), attrs, IFA_MAX, NULL) < 0)
        return -EBADMSG;
    found = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
    if (info->ifa_index != request->index || !found ||
        fence_addr_from_bytes(nla_data(found), (size_t)nla_len(found), &addr) < 0)
        return 0;
    if (FENCE_GROW(pod->addrs, pod->addr_capacity, pod->addr_count) < 0)
        return -ENOMEM;
    pod->addrs[pod->addr_count++] = addr;
    return 0;
}

/* `socket` checks strictly, without which the kernel takes no namespace in a dump. */
static int dump_addrs(struct nl_sock *socket, __s32 nsid, const struct addr_request *request)
{
    struct ifaddrmsg header = {.ifa_family = AF_UNSPEC, .ifa_index = request->index};
    FENCE_NL_MSG struct nl_msg *message =
        nlmsg_alloc_simple(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP);
    struct addr_request again = *request;

    request->pod->addr_count = 0;
    if (!message || nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO) < 0 ||
        nla_put_s32(message, IFA_TARGET_NETNSID, nsid) < 0)
        return -ENOMEM;
    return fence_nl_request(socket, message, take_addr, &again);
}

static int read_addrs(struct nl_sock *socket, __s32 nsid, __u32 index, struct fence_seen_pod *pod)
{
    const struct addr_request request = {.pod = pod, .index = index};
    int r = -EINTR;

    for (unsigned int i = 0; i < FENCE_DUMP_ATTEMPTS && r == -EINTR; i++)
        r = dump_addrs(socket, nsid, &request);
    return r;
}

/* ---- all pods ------------------------------------------------------------------------------- */

struct device_list {
    struct fence_net_device *items;
    size_t count;
    size_t capacity;
};

static int take_device(void *context, const struct fence_net_device *device)
{
    struct device_list *list = context;

    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return -ENOMEM;
    list->items[list->count++] = *device;
    return 0;
}

static int list_devices(struct nl_sock *socket, struct device_list *list)
{
    int r = -EINTR;

    for (unsigned int i = 0; i < FENCE_DUMP_ATTEMPTS && r == -EINTR; i++) {
        list->count = 0;
        r = fence_net_device_dump(socket, take_device, list);
    }
    return r;
}

static bool is_bridge(const struct device_list *list, __u32 index)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].index == index)
            return strcmp(list->items[i].kind, "bridge") == 0;
    return false;
}

struct sockets {
    struct nl_sock *plain;
    struct nl_sock *strict;
};

static int open_sockets(struct sockets *sockets)
{
    int on = 1;

    sockets->plain = fence_nl_open(NETLINK_ROUTE);
    sockets->strict = fence_nl_open(NETLINK_ROUTE);
    if (!sockets->plain || !sockets->strict)
        return -EIO;
    if (setsockopt(nl_socket_get_fd(sockets->strict), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
                   sizeof(on)) < 0)
        return -errno;
    return 0;
}

static void close_sockets(struct sockets *sockets)
{
    nl_socket_free(sockets->plain);
    nl_socket_free(sockets->strict);
}

static void seen_pod_done(struct fence_seen_pod *pod)
{
    free(pod->addrs);
    *pod = (struct fence_seen_pod){0};
}

/* What has gone meanwhile, or is not to be seen, is nobody's pod. */
static int add_pod(const struct sockets *sockets, const struct device_list *list,
                   const struct fence_net_device *host, struct fence_seen_pods *pods)
{
    FENCE_CLEANUP(seen_pod_done) struct fence_seen_pod pod = {0};
    struct fence_net_device peer = {0};

    if (fence_net_device_get(sockets->plain, host->peer_netns, NULL, host->peer, &peer) < 0 ||
        !is_veth(&peer) || peer.peer != host->index ||
        read_addrs(sockets->strict, host->peer_netns, peer.index, &pod) < 0)
        return 0;
    pod.link.host_ifindex = host->index;
    memcpy(pod.link.host_ifname, host->name, sizeof(pod.link.host_ifname));
    pod.link.host_bridge = is_bridge(list, host->master) ? host->master : 0;
    memcpy(pod.link.mac, peer.mac, sizeof(pod.link.mac));
    memcpy(pod.ifname, peer.name, sizeof(pod.ifname));
    if (FENCE_GROW(pods->items, pods->capacity, pods->count) < 0)
        return -ENOMEM;
    pods->items[pods->count++] = pod;
    pod = (struct fence_seen_pod){0};
    return 0;
}

int fence_seen_pods_list(struct fence_seen_pods *ret_pods, struct fence_err *err)
{
    FENCE_CLEANUP(close_sockets) struct sockets sockets = {NULL, NULL};
    struct device_list list = {0};
    struct fence_seen_pods pods = {0};
    int r = open_sockets(&sockets);

    if (r == 0)
        r = list_devices(sockets.plain, &list);
    for (size_t i = 0; i < list.count && r == 0; i++)
        if (is_veth(&list.items[i]) && list.items[i].peer &&
            list.items[i].peer_netns != FENCE_NSID_NONE)
            r = add_pod(&sockets, &list, &list.items[i], &pods);
    free(list.items);
    if (r < 0) {
        fence_seen_pods_done(&pods);
        return fence_err_set(err, r, "looking for pods behind this node's interfaces: %s",
                             strerror(-r));
    }
    *ret_pods = pods;
    return 0;
}

void fence_seen_pods_done(struct fence_seen_pods *pods)
{
    for (size_t i = 0; i < pods->count; i++)
        seen_pod_done(&pods->items[i]);
    free(pods->items);
    *pods = (struct fence_seen_pods){0};
}

bool fence_seen_pod_has(const struct fence_seen_pod *pod, const struct fence_addr *addr)
{
    for (size_t i = 0; i < pod->addr_count; i++)
        if (fence_addr_equal(&pod->addrs[i], addr))
            return true;
    return false;
}

/* ---- routes --------------------------------------------------------------------------------- */

struct route {
    bool found;
    bool several;
    __u32 ifindex;
    unsigned int length;
};

static int take_route(void *context, struct nlmsghdr *header)
{
    const struct rtmsg *info = nlmsg_data(header);
    struct nlattr *attrs[RTA_MAX + 1];
    struct route *route = context;

    if (header->nlmsg_type != RTM_NEWROUTE)
        return 0;
    if (nlmsg_parse(header, sizeof(*info), attrs, RTA_MAX, NULL) < 0)
        return -EBADMSG;
    route->found = info->rtm_type == RTN_UNICAST;
    route->length = info->rtm_dst_len;
    route->several = attrs[RTA_MULTIPATH] != NULL;
    route->ifindex = attrs[RTA_OIF] ? nla_get_u32(attrs[RTA_OIF]) : 0;
    return 0;
}

int fence_host_route(const struct fence_addr *addr, __u32 *ret_ifindex)
{
    const bool ipv4 = fence_addr_is_ipv4(addr);
    const unsigned int size = ipv4 ? 4 : 16;
    struct rtmsg info = {.rtm_family = ipv4 ? AF_INET : AF_INET6,
                         .rtm_dst_len = (unsigned char)(size * 8),
                         .rtm_flags = RTM_F_FIB_MATCH};
    FENCE_NL_SOCKET struct nl_sock *socket = fence_nl_open(NETLINK_ROUTE);
    FENCE_NL_MSG struct nl_msg *message = nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_REQUEST);
    struct route route = {0};
    int r;

    if (!socket)
        return -EIO;
    if (!message || nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO) < 0 ||
        nla_put(message, RTA_DST, (int)size, addr->bytes + sizeof(addr->bytes) - size) < 0)
        return -ENOMEM;
    r = fence_nl_request(socket, message, take_route, &route);
    if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -ESRCH)
        return -ENOENT;
    if (r < 0)
        return r;
    if (!route.found || route.length != size * 8)
        return -ENOENT;
    if (route.several || !route.ifindex)
        return -ENOTUNIQ;
    *ret_ifindex = route.ifindex;
    return 0;
}
