/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who it really is: what reaches a pod under an address of this node and was not sent by a process
 * of this node has been masqueraded (a NodePort, a pod that reaches itself by its Service). The
 * kernel's connection tracking has the packet as it was before: its entry hangs at the packet, for
 * every protocol, and tells who opened the connection. Asked at the pod's own hook only: what the
 * pod sends has not been tracked yet, so answers go by what was learnt then (`origins`).
 *
 * Where the kernel does not show it (FENCE_PLAIN) the packet's mark tells of pods of this node
 * (mark.bpf.h); any other source stays unknown: world-masqueraded.
 */
#pragma once

#include <linux/in.h>

#include "bpf/kernel.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/mark.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/peer.bpf.h"

#ifdef FENCE_PLAIN

fence_inline int origin_learn(struct __sk_buff *skb, struct packet *packet)
{
    return mark_learn(skb, packet);
}

#else

/* enum ip_conntrack_info: established, related and new, then the same of the other direction. */
#    define CONNTRACK_RELATED 1
#    define CONNTRACK_REPLY   3
#    define CONNTRACK_INFO    7ul

#    define CONNTRACK_IPV4 2 /* AF_INET, in l3num */

/* Learn packet->true_source, where there is one to learn. */
fence_step int origin_learn(struct __sk_buff *skb, struct packet *packet)
{
    struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);
    struct nf_conntrack_tuple *opener;
    unsigned long entry;
    struct peer peer;

    if (!packet)
        return 0;
    entry = kernel->_nfct;
    if (!(entry & ~CONNTRACK_INFO) || (entry & CONNTRACK_INFO) >= CONNTRACK_REPLY ||
        (entry & CONNTRACK_INFO) == CONNTRACK_RELATED)
        return 0;
    opener = &((struct nf_conn *)(entry & ~CONNTRACK_INFO))->tuplehash[0].tuple;
    opener = bpf_rdonly_cast(opener, bpf_core_type_id_kernel(struct nf_conntrack_tuple));
    if (opener->src.l3num == CONNTRACK_IPV4)
        address_from_ipv4(&packet->true_source, opener->src.u3.ip6[0]);
    else
        __builtin_memcpy(&packet->true_source, opener->src.u3.ip6, 16);
    /* an address of this node without a process of this node: forged, or translated before */
    peer_resolve(packet, &packet->true_source, &peer);
    packet->has_true_source = !(peer.flags & FENCE_PEER_IS_HOST);
    return 0;
}

#endif
