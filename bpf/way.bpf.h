/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the kernel's connection tracking knows of a packet: its entry hangs at the packet, and has
 * the connection as it was opened and as it is answered, so before and behind any translation.
 * Nothing of it without the kernel's structs (FENCE_PLAIN).
 */
#pragma once

#include <bpf/bpf_endian.h>

#include "bpf/kernel.bpf.h"
#include "bpf/packet.bpf.h"

#ifndef FENCE_PLAIN

/* enum ip_conntrack_info: established, related and new, then the same of the other direction. */
#    define CONNTRACK_RELATED 1
#    define CONNTRACK_REPLY   3
#    define CONNTRACK_INFO    7ul

#    define CONNTRACK_IPV4 2 /* AF_INET, in l3num */

/* Of a connection: its opener, whom he asked for, and who is there. Ports in host order; ICMP: type
 * << 8 | code. */
struct way {
    struct fence_addr sender;
    struct fence_addr asked;
    struct fence_addr real;
    __u16 sender_port;
    __u16 asked_port;
    __u16 real_port;
    __u8 protocol;
    __u8 is_answer; /* the packet comes from who is there */
};

fence_inline void way_address(struct fence_addr *addr, const union nf_inet_addr *from, __u16 family)
{
    if (family == CONNTRACK_IPV4)
        address_from_ipv4(addr, from->ip6[0]);
    else
        __builtin_memcpy(addr, from->ip6, sizeof(*addr));
}

/* By the packet's conntrack entry; 0: it has none that is its own. */
fence_inline int way_tracked(struct __sk_buff *skb, struct way *way)
{
    struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);
    struct nf_conntrack_tuple *opener, *answer;
    unsigned long entry = kernel->_nfct;
    struct nf_conn *connection;
    __u32 info = entry & CONNTRACK_INFO;

    if (!(entry & ~CONNTRACK_INFO))
        return 0;
    connection = (struct nf_conn *)(entry & ~CONNTRACK_INFO);
    opener = bpf_rdonly_cast(&connection->tuplehash[0].tuple,
                             bpf_core_type_id_kernel(struct nf_conntrack_tuple));
    answer = bpf_rdonly_cast(&connection->tuplehash[1].tuple,
                             bpf_core_type_id_kernel(struct nf_conntrack_tuple));
    way_address(&way->sender, &opener->src.u3, opener->src.l3num);
    way_address(&way->asked, &opener->dst.u3, opener->src.l3num);
    way_address(&way->real, &answer->src.u3, opener->src.l3num);
    way->protocol = opener->dst.protonum;
    way->sender_port = bpf_ntohs(opener->src.u.all);
    way->asked_port = bpf_ntohs(opener->dst.u.all);
    /* an answer to ICMP has the id there */
    way->real_port = is_icmp(way->protocol) ? way->asked_port : bpf_ntohs(answer->src.u.all);
    way->is_answer = info >= CONNTRACK_REPLY;
    /* errors go with the connection that they quote */
    return info != CONNTRACK_RELATED && info != CONNTRACK_REPLY + CONNTRACK_RELATED;
}

fence_inline int way_is_translated(const struct way *way)
{
    return !address_equal(&way->asked, &way->real) || way->asked_port != way->real_port;
}

#endif
