/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/net/links.h"
#include "lib/net/netlink.h"

struct fence_net_monitor {
    struct nl_sock *socket;
};

static int subscribe(struct nl_sock *socket)
{
    nl_socket_disable_seq_check(socket);
    if (nl_socket_add_memberships(socket, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                  0) < 0 ||
        nl_socket_set_nonblocking(socket) < 0)
        return -EIO;
    return 0;
}

int fence_net_monitor_new(struct fence_net_monitor **ret_monitor, struct fence_err *err)
{
    struct fence_net_monitor *monitor = calloc(1, sizeof(*monitor));

    if (!monitor)
        return fence_err_set(err, -ENOMEM, "out of memory");
    monitor->socket = fence_nl_open(NETLINK_ROUTE);
    if (!monitor->socket || subscribe(monitor->socket) < 0) {
        fence_err_set(err, -EIO, "cannot follow links and addresses by netlink: %s",
                      strerror(errno));
        fence_net_monitor_free(&monitor);
        return -EIO;
    }
    *ret_monitor = monitor;
    return 0;
}

void fence_net_monitor_free(struct fence_net_monitor **monitor)
{
    if (!*monitor)
        return;
    nl_socket_free((*monitor)->socket);
    free(*monitor);
    *monitor = NULL;
}

int fence_net_monitor_fd(const struct fence_net_monitor *monitor)
{
    return nl_socket_get_fd(monitor->socket);
}

static void classify(const struct nlmsghdr *header, size_t size, bool *addrs, bool *links)
{
    for (int left = (int)size; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
        switch (header->nlmsg_type) {
        case RTM_NEWADDR:
        case RTM_DELADDR:
            *addrs = true;
            break;
        case RTM_NEWLINK:
        case RTM_DELLINK:
            *links = true;
            break;
        default:
            break;
        }
    }
}

int fence_net_monitor_handle(struct fence_net_monitor *monitor, bool *ret_addrs_changed,
                             bool *ret_links_changed)
{
    union {
        struct nlmsghdr header;
        char bytes[32768];
    } buffer;
    bool addrs = false, links = false;

    for (;;) {
        ssize_t got = recv(fence_net_monitor_fd(monitor), &buffer, sizeof(buffer), MSG_TRUNC);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            break;
        /* ENOBUFS: messages were lost, so anything may have changed */
        if (got < 0 && errno != ENOBUFS)
            return -errno;
        if (got < 0 || (size_t)got > sizeof(buffer))
            addrs = links = true;
        else
            classify(&buffer.header, (size_t)got, &addrs, &links);
    }
    *ret_addrs_changed = addrs;
    *ret_links_changed = links;
    return 0;
}
