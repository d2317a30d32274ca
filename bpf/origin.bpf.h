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
#include "bpf/way.bpf.h"

#ifdef FENCE_PLAIN

fence_inline int origin_learn(struct __sk_buff *skb, struct packet *packet)
{
    mark_learn(skb, packet);
    return 0;
}

#else

/*
 * Learn packet->true_source, where there is one to learn. 1: it seems to answer the pod, under an
 * address of this node and by a device, and nobody has translated it: it is forged.
 */
fence_step int origin_learn(struct __sk_buff *skb, struct packet *packet)
{
    struct way way = {};
    struct peer peer;

    if (!packet || !way_tracked(skb, &way))
        return 0;
    if (way.is_answer)
        return skb->ingress_ifindex && !way_is_translated(&way);
    packet->true_source = way.sender;
    /* an address of this node without a process of this node: forged, or translated before */
    peer_resolve(setting_flags_now(), &packet->true_source, &peer);
    packet->has_true_source = !(peer.flags & FENCE_PEER_IS_HOST);
    return 0;
}

#endif
