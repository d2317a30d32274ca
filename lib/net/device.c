/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/device.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <string.h>

static void read_kind(struct nlattr *info, struct fence_net_device *device)
{
    struct nlattr *attrs[IFLA_INFO_MAX + 1];

    if (nla_parse_nested(attrs, IFLA_INFO_MAX, info, NULL) < 0 || !attrs[IFLA_INFO_KIND])
        return;
    nla_strlcpy(device->kind, attrs[IFLA_INFO_KIND], sizeof(device->kind));
}

static int take_device(void *context, struct nlmsghdr *header)
{
    struct fence_net_device *device = context;
    struct nlattr *attrs[IFLA_MAX + 1];
    const struct ifinfomsg *info = nlmsg_data(header);

    if (header->nlmsg_type != RTM_NEWLINK)
        return 0;
    if (nlmsg_parse(header, sizeof(*info), attrs, IFLA_MAX, NULL) < 0)
        return -EBADMSG;
    device->index = (__u32)info->ifi_index;
    device->loopback = info->ifi_flags & IFF_LOOPBACK;
    if (attrs[IFLA_IFNAME])
        nla_strlcpy(device->name, attrs[IFLA_IFNAME], sizeof(device->name));
    if (attrs[IFLA_LINK])
        device->peer = nla_get_u32(attrs[IFLA_LINK]);
    if (attrs[IFLA_MASTER])
        device->master = nla_get_u32(attrs[IFLA_MASTER]);
    if (attrs[IFLA_LINK_NETNSID])
        device->peer_netns = nla_get_s32(attrs[IFLA_LINK_NETNSID]);
    if (attrs[IFLA_ADDRESS] && nla_len(attrs[IFLA_ADDRESS]) == (int)sizeof(device->mac))
        memcpy(device->mac, nla_data(attrs[IFLA_ADDRESS]), sizeof(device->mac));
    if (attrs[IFLA_LINKINFO])
        read_kind(attrs[IFLA_LINKINFO], device);
    return 0;
}

/* By name or, with name NULL, by index; in the namespace that `nsid` stands for, if any. */
int fence_net_device_get(struct nl_sock *socket, __s32 nsid, const char *name, __u32 index,
                         struct fence_net_device *ret_device)
{
    struct ifinfomsg info = {.ifi_index = (int)index};
    FENCE_NL_MSG struct nl_msg *message = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_REQUEST);
    struct fence_net_device device = {.peer_netns = FENCE_NSID_NONE};
    int r;

    if (!message || nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO) < 0 ||
        (name && nla_put_string(message, IFLA_IFNAME, name) < 0) ||
        (nsid != FENCE_NSID_NONE && nla_put_s32(message, IFLA_TARGET_NETNSID, nsid) < 0))
        return -ENOMEM;
    r = fence_nl_request(socket, message, take_device, &device);
    if (r < 0)
        return r;
    if (!device.index)
        return -ENODEV;
    *ret_device = device;
    return 0;
}

struct dump {
    fence_net_device_visit visit;
    void *context;
};

static int take_dumped(void *context, struct nlmsghdr *header)
{
    const struct dump *dump = context;
    struct fence_net_device device = {.peer_netns = FENCE_NSID_NONE};
    int r = take_device(&device, header);

    return r < 0 || !device.index ? r : dump->visit(dump->context, &device);
}

int fence_net_device_dump(struct nl_sock *socket, fence_net_device_visit visit, void *context)
{
    struct ifinfomsg all = {.ifi_family = AF_UNSPEC};
    FENCE_NL_MSG struct nl_msg *message =
        nlmsg_alloc_simple(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP);
    struct dump dump = {visit, context};

    if (!message || nlmsg_append(message, &all, sizeof(all), NLMSG_ALIGNTO) < 0)
        return -ENOMEM;
    return fence_nl_request(socket, message, take_dumped, &dump);
}
