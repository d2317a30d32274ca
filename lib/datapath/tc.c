/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/tc.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "lib/base/memory.h"

static void free_socket(struct nl_sock **socket)
{
    nl_socket_free(*socket);
}

/* libnl has codes of its own; where they stand for an errno of the kernel's, that is wanted. */
static int from_libnl(int code)
{
    switch (-code) {
    case 0:
        return 0;
    case NLE_NOMEM:
        return -ENOMEM;
    case NLE_PERM:
        return -EPERM;
    case NLE_NODEV:
        return -ENODEV;
    case NLE_OBJ_NOTFOUND:
        return -ENOENT;
    case NLE_INVAL:
    case NLE_RANGE:
        return -EINVAL;
    case NLE_DUMP_INTR:
        return -EINTR;
    default:
        return -EIO;
    }
}

struct dump {
    nl_recvmsg_msg_cb_t visit;
    void *context;
};

static int dump_once(int type, const struct tcmsg *request, const struct dump *dump)
{
    FENCE_CLEANUP(free_socket) struct nl_sock *socket = nl_socket_alloc();
    struct tcmsg copy = *request;
    int r;

    if (!socket)
        return -ENOMEM;
    r = nl_connect(socket, NETLINK_ROUTE);
    if (r == 0)
        r = nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, dump->visit, dump->context);
    if (r == 0)
        r = nl_send_simple(socket, type, NLM_F_DUMP, &copy, sizeof(copy));
    if (r >= 0)
        r = nl_recvmsgs_default(socket);
    return from_libnl(r < 0 ? r : 0);
}

struct qdisc_dump {
    __u32 ifindex;
    enum fence_tc_qdisc found;
};

static int qdisc_visit(struct nl_msg *message, void *context)
{
    struct nlmsghdr *header = nlmsg_hdr(message);
    struct nlattr *attrs[TCA_MAX + 1];
    struct qdisc_dump *dump = context;
    const struct tcmsg *tc;

    if (header->nlmsg_type != RTM_NEWQDISC ||
        nlmsg_parse(header, sizeof(*tc), attrs, TCA_MAX, NULL) < 0)
        return NL_OK;
    tc = nlmsg_data(header);
    if ((__u32)tc->tcm_ifindex != dump->ifindex || tc->tcm_parent != TC_H_INGRESS ||
        !attrs[TCA_KIND])
        return NL_OK;
    dump->found = strcmp(nla_get_string(attrs[TCA_KIND]), "clsact") == 0 ? FENCE_TC_QDISC_CLSACT
                                                                         : FENCE_TC_QDISC_INGRESS;
    return NL_OK;
}

int fence_tc_qdisc(__u32 ifindex, enum fence_tc_qdisc *ret_qdisc, struct fence_err *err)
{
    struct qdisc_dump found = {.ifindex = ifindex};
    struct tcmsg request = {.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex};
    int r;

    for (int tries = 0; tries < 5; tries++) {
        found.found = FENCE_TC_QDISC_NONE;
        r = dump_once(RTM_GETQDISC, &request,
                      &(struct dump){.visit = qdisc_visit, .context = &found});
        if (r != -EINTR)
            break;
    }
    if (r < 0)
        return fence_err_set(err, r, "listing the qdiscs of interface %u: %s", ifindex,
                             strerror(-r));
    *ret_qdisc = found.found;
    return 0;
}

struct shaper_dump {
    __u32 ifindex;
    char *what;
    bool found;
};

static int shaper_visit(struct nl_msg *message, void *context)
{
    struct nlmsghdr *header = nlmsg_hdr(message);
    struct nlattr *attrs[TCA_MAX + 1];
    struct shaper_dump *dump = context;
    const struct tcmsg *tc;
    const char *kind;

    if (header->nlmsg_type != RTM_NEWQDISC ||
        nlmsg_parse(header, sizeof(*tc), attrs, TCA_MAX, NULL) < 0)
        return NL_OK;
    tc = nlmsg_data(header);
    if ((__u32)tc->tcm_ifindex != dump->ifindex || !attrs[TCA_KIND])
        return NL_OK;
    kind = nla_get_string(attrs[TCA_KIND]);
    if (strcmp(kind, "noqueue") == 0 || strcmp(kind, "clsact") == 0)
        return NL_OK;
    snprintf(dump->what, 64, "qdisc %.32s", kind);
    dump->found = true;
    return NL_OK;
}

int fence_tc_shaper(__u32 ifindex, char ret_what[64])
{
    struct shaper_dump found = {.ifindex = ifindex, .what = ret_what};
    struct tcmsg request = {.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex};
    int r = -EINTR;

    for (int tries = 0; tries < 5 && r == -EINTR; tries++) {
        found.found = false;
        r = dump_once(RTM_GETQDISC, &request,
                      &(struct dump){.visit = shaper_visit, .context = &found});
    }
    return r < 0 ? r : found.found;
}

static __u32 filter_prog_id(struct nlattr **attrs)
{
    struct nlattr *options[TCA_BPF_MAX + 1];

    if (!attrs[TCA_KIND] || strcmp(nla_get_string(attrs[TCA_KIND]), "bpf") != 0 ||
        !attrs[TCA_OPTIONS] ||
        nla_parse_nested(options, TCA_BPF_MAX, attrs[TCA_OPTIONS], NULL) < 0 ||
        !options[TCA_BPF_ID])
        return 0;
    return nla_get_u32(options[TCA_BPF_ID]);
}

struct filter_dump {
    struct fence_tc_filters filters;
    int failure;
};

static int filter_visit(struct nl_msg *message, void *context)
{
    struct nlmsghdr *header = nlmsg_hdr(message);
    struct nlattr *attrs[TCA_MAX + 1];
    struct filter_dump *dump = context;
    const struct tcmsg *tc;

    if (header->nlmsg_type != RTM_NEWTFILTER ||
        nlmsg_parse(header, sizeof(*tc), attrs, TCA_MAX, NULL) < 0)
        return NL_OK;
    tc = nlmsg_data(header);
    /* a priority is also listed by itself, without a filter */
    if (tc->tcm_handle == 0 || (attrs[TCA_CHAIN] && nla_get_u32(attrs[TCA_CHAIN]) != 0))
        return NL_OK;
    dump->failure = FENCE_GROW(dump->filters.items, dump->filters.capacity, dump->filters.count);
    if (dump->failure < 0)
        return NL_STOP;
    dump->filters.items[dump->filters.count++] = (struct fence_tc_filter){
        .priority = TC_H_MAJ(tc->tcm_info) >> 16,
        .handle = tc->tcm_handle,
        .prog_id = filter_prog_id(attrs),
    };
    return NL_OK;
}

void fence_tc_filters_done(struct fence_tc_filters *filters)
{
    free(filters->items);
    *filters = (struct fence_tc_filters){0};
}

int fence_tc_filters(__u32 ifindex, bool egress, struct fence_tc_filters *ret_filters,
                     struct fence_err *err)
{
    struct tcmsg request = {
        .tcm_family = AF_UNSPEC,
        .tcm_ifindex = (int)ifindex,
        .tcm_parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS),
    };
    struct filter_dump found = {0};
    int r;

    for (int tries = 0; tries < 5; tries++) {
        fence_tc_filters_done(&found.filters);
        r = dump_once(RTM_GETTFILTER, &request,
                      &(struct dump){.visit = filter_visit, .context = &found});
        if (found.failure < 0)
            r = found.failure;
        if (r != -EINTR)
            break;
    }
    if (r == 0 || r == -ENOENT || r == -EINVAL) { /* the latter two: no such qdisc */
        *ret_filters = found.filters;
        return 0;
    }
    fence_tc_filters_done(&found.filters);
    return fence_err_set(err, r, "listing the filters of interface %u: %s", ifindex, strerror(-r));
}
