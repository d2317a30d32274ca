/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's connection tracking table by ctnetlink: what the node knows of connections that
 * somebody opened. Needs CAP_NET_ADMIN.
 */
#pragma once

#include <linux/types.h>

#include "bpf/abi.h"
#include "lib/base/err.h"

struct nlmsghdr;

/* ICMP: the id for the source's port, and type << 8 | code for the destination's. */
struct fence_conntrack_tuple {
    struct fence_addr source;
    struct fence_addr destination;
    __u16 source_port;
    __u16 destination_port;
};

/* As the opener sent its packets, and as their answers come back before they are translated. */
enum fence_conntrack_way {
    FENCE_CONNTRACK_ORIGINAL = 0,
    FENCE_CONNTRACK_REPLY = 1,
    FENCE_CONNTRACK_WAYS = 2,
};

struct fence_conntrack_entry {
    struct fence_conntrack_tuple tuples[FENCE_CONNTRACK_WAYS];
    __u32 status;  /* enum ip_conntrack_status */
    __u32 timeout; /* seconds left */
    __u16 zone;
    __u8 protocol;
    __u8 tcp_state;                       /* enum tcp_conntrack */
    __u8 tcp_flags[FENCE_CONNTRACK_WAYS]; /* IP_CT_TCP_FLAG_*: what that side sent */
};

/* -EBADMSG: it is no entry that could be understood. */
int fence_conntrack_parse(struct nlmsghdr *header, struct fence_conntrack_entry *ret_entry);

/*
 * All entries of the caller's network namespace, in parts: a table of 100,000 takes a quarter of a
 * second. What changes meanwhile may be there or not. fence_conntrack_dump_fd becomes readable.
 */
struct fence_conntrack_dump;
int fence_conntrack_dump_new(struct fence_conntrack_dump **ret_dump, struct fence_err *err);
void fence_conntrack_dump_free(struct fence_conntrack_dump **dump);
int fence_conntrack_dump_fd(const struct fence_conntrack_dump *dump);

/*
 * Visit the entries of the next part, some hundred at most. 1: there is more to come; 0: that was
 * all; -EAGAIN: nothing is there to be read yet; else the kernel's errno: it has no such table, or
 * does not show it. A negative errno of `visit` ends it.
 */
typedef int (*fence_conntrack_visit)(void *context, const struct fence_conntrack_entry *entry);
int fence_conntrack_dump_read(struct fence_conntrack_dump *dump, fence_conntrack_visit visit,
                              void *context);
