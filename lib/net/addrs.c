/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/net/links.h"
#include "lib/net/netlink.h"

/* A dump is torn when an address changes meanwhile; on a busy node that happens in a row. */
#define DUMP_ATTEMPTS 10

struct addr_list {
    struct fence_addr *items;
    size_t count;
    size_t capacity;
};

static bool is_loopback(const struct fence_addr *addr)
{
    static const struct fence_addr loopback6 = {.bytes = {[15] = 1}};

    if (fence_addr_is_ipv4(addr))
        return addr->bytes[12] == 127;
    return fence_addr_equal(addr, &loopback6);
}

static int take_addr(void *context, struct nlmsghdr *header)
{
    struct addr_list *list = context;
    struct nlattr *attrs[IFA_MAX + 1];
    struct fence_addr addr;
    struct nlattr *found;

    if (header->nlmsg_type != RTM_NEWADDR)
        return 0;
    if (nlmsg_parse(header, sizeof(struct ifaddrmsg), attrs, IFA_MAX, NULL) < 0)
        return -EBADMSG;
    /* IFA_ADDRESS is the other end's on a point-to-point link */
    found = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
    if (!found || fence_addr_from_bytes(nla_data(found), (size_t)nla_len(found), &addr) < 0 ||
        is_loopback(&addr))
        return 0;
    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return -ENOMEM;
    list->items[list->count++] = addr;
    return 0;
}

static int dump_addrs(struct nl_sock *socket, struct addr_list *list)
{
    struct ifaddrmsg all = {.ifa_family = AF_UNSPEC};
    FENCE_NL_MSG struct nl_msg *message =
        nlmsg_alloc_simple(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP);

    list->count = 0;
    if (!message || nlmsg_append(message, &all, sizeof(all), NLMSG_ALIGNTO) < 0)
        return -ENOMEM;
    return fence_nl_request(socket, message, take_addr, list);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct fence_addr));
}

/* The same address may be on two devices. */
static void sort_unique(struct addr_list *list)
{
    size_t kept = 0;

    if (!list->count)
        return;
    qsort(list->items, list->count, sizeof(list->items[0]), compare);
    for (size_t i = 1; i < list->count; i++)
        if (!fence_addr_equal(&list->items[i], &list->items[kept]))
            list->items[++kept] = list->items[i];
    list->count = kept + 1;
}

int fence_local_addrs(struct fence_addr **ret_addrs, size_t *ret_count, struct fence_err *err)
{
    FENCE_NL_SOCKET struct nl_sock *socket = fence_nl_open(NETLINK_ROUTE);
    struct addr_list list = {0};
    int r = -EINTR;

    if (!socket)
        return fence_err_set(err, -EIO, "cannot open a netlink socket: %s", strerror(errno));
    for (int attempt = 0; r == -EINTR && attempt < DUMP_ATTEMPTS; attempt++)
        r = dump_addrs(socket, &list);
    if (r < 0) {
        free(list.items);
        return fence_err_set(err, r, "cannot read the addresses of this node: %s", strerror(-r));
    }
    sort_unique(&list);
    *ret_addrs = list.items;
    *ret_count = list.count;
    return 0;
}
