/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/conntrack.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/addr.h"
#include "lib/net/netlink.h"

#define CONNTRACK_TYPE(message) ((NFNL_SUBSYS_CTNETLINK << 8) | (message))

/* What the kernel fills at most with one read of a dump. */
#define PART_BYTES 32768

/* ---- one entry ------------------------------------------------------------------------------ */

static int take_addr(const struct nlattr *attr, struct fence_addr *addr)
{
    return attr ? fence_addr_from_bytes(nla_data(attr), (size_t)nla_len(attr), addr) : -EBADMSG;
}

static int parse_addrs(struct nlattr *nested, struct fence_conntrack_tuple *tuple)
{
    struct nlattr *attrs[CTA_IP_MAX + 1];
    bool ipv4;

    if (!nested || nla_parse_nested(attrs, CTA_IP_MAX, nested, NULL) < 0)
        return -EBADMSG;
    ipv4 = attrs[CTA_IP_V4_SRC];
    if (take_addr(attrs[ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], &tuple->source) < 0 ||
        take_addr(attrs[ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], &tuple->destination) < 0)
        return -EBADMSG;
    return 0;
}

/* 0 where there is none. */
static __u8 byte_of(const struct nlattr *attr)
{
    return attr && nla_len(attr) >= 1 ? *(const __u8 *)nla_data(attr) : 0;
}

static __u16 short_of(const struct nlattr *attr)
{
    __u16 value = 0;

    if (attr && nla_len(attr) >= (int)sizeof(value))
        memcpy(&value, nla_data(attr), sizeof(value));
    return be16toh(value);
}

static __u32 long_of(const struct nlattr *attr)
{
    __u32 value = 0;

    if (attr && nla_len(attr) >= (int)sizeof(value))
        memcpy(&value, nla_data(attr), sizeof(value));
    return be32toh(value);
}

static int parse_ports(struct nlattr *nested, struct fence_conntrack_tuple *tuple,
                       __u8 *ret_protocol)
{
    struct nlattr *attrs[CTA_PROTO_MAX + 1];
    __u8 protocol;

    if (!nested || nla_parse_nested(attrs, CTA_PROTO_MAX, nested, NULL) < 0 ||
        !attrs[CTA_PROTO_NUM])
        return -EBADMSG;
    protocol = byte_of(attrs[CTA_PROTO_NUM]);
    if (protocol == IPPROTO_ICMP) {
        tuple->source_port = short_of(attrs[CTA_PROTO_ICMP_ID]);
        tuple->destination_port =
            (__u16)(byte_of(attrs[CTA_PROTO_ICMP_TYPE]) << 8 | byte_of(attrs[CTA_PROTO_ICMP_CODE]));
    } else if (protocol == IPPROTO_ICMPV6) {
        tuple->source_port = short_of(attrs[CTA_PROTO_ICMPV6_ID]);
        tuple->destination_port = (__u16)(byte_of(attrs[CTA_PROTO_ICMPV6_TYPE]) << 8 |
                                          byte_of(attrs[CTA_PROTO_ICMPV6_CODE]));
    } else {
        tuple->source_port = short_of(attrs[CTA_PROTO_SRC_PORT]);
        tuple->destination_port = short_of(attrs[CTA_PROTO_DST_PORT]);
    }
    *ret_protocol = protocol;
    return 0;
}

static int parse_tuple(struct nlattr *nested, struct fence_conntrack_tuple *tuple,
                       __u8 *ret_protocol)
{
    struct nlattr *attrs[CTA_TUPLE_MAX + 1];

    if (!nested || nla_parse_nested(attrs, CTA_TUPLE_MAX, nested, NULL) < 0 ||
        parse_addrs(attrs[CTA_TUPLE_IP], tuple) < 0)
        return -EBADMSG;
    return parse_ports(attrs[CTA_TUPLE_PROTO], tuple, ret_protocol);
}

/* struct nf_ct_tcp_flags: the flags, then a mask. */
static void parse_state(struct nlattr *nested, struct fence_conntrack_entry *entry)
{
    struct nlattr *info[CTA_PROTOINFO_MAX + 1];
    struct nlattr *tcp[CTA_PROTOINFO_TCP_MAX + 1];

    if (!nested || nla_parse_nested(info, CTA_PROTOINFO_MAX, nested, NULL) < 0 ||
        !info[CTA_PROTOINFO_TCP] ||
        nla_parse_nested(tcp, CTA_PROTOINFO_TCP_MAX, info[CTA_PROTOINFO_TCP], NULL) < 0)
        return;
    entry->tcp_state = byte_of(tcp[CTA_PROTOINFO_TCP_STATE]);
    entry->tcp_flags[FENCE_CONNTRACK_ORIGINAL] = byte_of(tcp[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL]);
    entry->tcp_flags[FENCE_CONNTRACK_REPLY] = byte_of(tcp[CTA_PROTOINFO_TCP_FLAGS_REPLY]);
}

int fence_conntrack_parse(struct nlmsghdr *header, struct fence_conntrack_entry *ret_entry)
{
    struct fence_conntrack_entry entry = {0};
    struct nlattr *attrs[CTA_MAX + 1];
    __u8 reply_protocol;

    if (header->nlmsg_type != CONNTRACK_TYPE(IPCTNL_MSG_CT_NEW) ||
        nlmsg_parse(header, sizeof(struct nfgenmsg), attrs, CTA_MAX, NULL) < 0)
        return -EBADMSG;
    if (parse_tuple(attrs[CTA_TUPLE_ORIG], &entry.tuples[FENCE_CONNTRACK_ORIGINAL],
                    &entry.protocol) < 0 ||
        parse_tuple(attrs[CTA_TUPLE_REPLY], &entry.tuples[FENCE_CONNTRACK_REPLY], &reply_protocol) <
            0 ||
        reply_protocol != entry.protocol)
        return -EBADMSG;
    entry.status = long_of(attrs[CTA_STATUS]);
    entry.timeout = long_of(attrs[CTA_TIMEOUT]);
    entry.zone = short_of(attrs[CTA_ZONE]);
    parse_state(attrs[CTA_PROTOINFO], &entry);
    *ret_entry = entry;
    return 0;
}

/* ---- all of them ---------------------------------------------------------------------------- */

struct fence_conntrack_dump {
    struct nl_sock *socket;
};

static int request(struct nl_sock *socket)
{
    struct nfgenmsg header = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
    FENCE_NL_MSG struct nl_msg *message =
        nlmsg_alloc_simple(CONNTRACK_TYPE(IPCTNL_MSG_CT_GET), NLM_F_REQUEST | NLM_F_DUMP);

    if (!message || nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO) < 0)
        return -ENOMEM;
    return nl_send_auto(socket, message) < 0 || nl_socket_set_nonblocking(socket) < 0 ? -EIO : 0;
}

int fence_conntrack_dump_new(struct fence_conntrack_dump **ret_dump, struct fence_err *err)
{
    struct fence_conntrack_dump *dump = calloc(1, sizeof(*dump));
    int r;

    if (!dump)
        return fence_err_set(err, -ENOMEM, "out of memory");
    dump->socket = fence_nl_open(NETLINK_NETFILTER);
    r = dump->socket ? request(dump->socket) : -EPROTONOSUPPORT;
    if (r < 0) {
        fence_conntrack_dump_free(&dump);
        return fence_err_set(err, r, "cannot ask for it: %s", strerror(-r));
    }
    *ret_dump = dump;
    return 0;
}

void fence_conntrack_dump_free(struct fence_conntrack_dump **dump)
{
    if (!*dump)
        return;
    nl_socket_free((*dump)->socket);
    free(*dump);
    *dump = NULL;
}

int fence_conntrack_dump_fd(const struct fence_conntrack_dump *dump)
{
    return nl_socket_get_fd(dump->socket);
}

/* The kernel's errno at the end of a dump, or in an error message: an int in both. */
static int status_of(const struct nlmsghdr *header)
{
    int status = 0;

    if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(status)))
        memcpy(&status, NLMSG_DATA(header), sizeof(status));
    return status;
}

static int take_part(struct nlmsghdr *header, size_t size, fence_conntrack_visit visit,
                     void *context)
{
    struct fence_conntrack_entry entry;

    for (int left = (int)size; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
        int r = 0;

        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)
            return status_of(header);
        /* what cannot be understood is left out: judged as what nobody knows */
        if (fence_conntrack_parse(header, &entry) == 0)
            r = visit(context, &entry);
        if (r < 0)
            return r;
    }
    return 1;
}

int fence_conntrack_dump_read(struct fence_conntrack_dump *dump, fence_conntrack_visit visit,
                              void *context)
{
    union {
        struct nlmsghdr header;
        char bytes[PART_BYTES];
    } part;
    ssize_t got = recv(fence_conntrack_dump_fd(dump), &part, sizeof(part), MSG_TRUNC);

    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if ((size_t)got > sizeof(part))
        return -EMSGSIZE;
    return take_part(&part.header, (size_t)got, visit, context);
}
