/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * By which way a packet came: what has the address of a pod of this node for its source must have
 * come into the node by that pod's host veth, where its hook has checked it. Anybody beside the
 * node can write the same address, and may not be taken for the pod: not by policy, nor by the
 * pod's connections.
 *
 * The receiver's hook sees where a packet came in (skb->ingress_ifindex, measured on bridge and
 * routed nodes, translated, masqueraded, reflected and in fragments):
 *   the sender's host veth   what a bridge has passed on, br_netfilter's translation included, and
 *                            what a routed node has forwarded
 *   the veth's bridge        what the node has routed that had come by the bridge
 *   0, without a socket      what the node itself has made in a pod's name (REJECT --reject-with
 *                            tcp-reset)
 *   another device           not that pod's
 * A bridge tells no more than that: on a bridge that has the uplink or a pod without our filters
 * among its ports, those are believed what they send to the bridge itself.
 *
 * The same holds for the true source of what was masqueraded (origin.bpf.h).
 */
#pragma once

#include "bpf/connection.bpf.h"
#include "bpf/judge.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/origin.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/policy.bpf.h"

/* Not by this endpoint's own interface; by its bridge then, or was it made here? An IPv6 fragment
 * that the node has cut anew does not show where it came in, so it may have come from anywhere. */
fence_step int arrival_is_lawful(const struct __sk_buff *skb, const struct packet *packet,
                                 __u32 neighbour)
{
    struct fence_endpoint *endpoint;

    if (!packet)
        return 0;
    if (!skb->ingress_ifindex)
        return packet->fragment == PACKET_WHOLE || packet->origin == FENCE_ORIGIN_LOCAL;
    endpoint = bpf_map_lookup_elem(&endpoints, &neighbour);
    return endpoint && endpoint->bridge == skb->ingress_ifindex;
}

/* By the interface of the endpoint of this node that has its source address, if there is one. */
fence_inline int arrival_is_direct(const struct __sk_buff *skb, __u32 neighbour)
{
    return !neighbour || skb->ingress_ifindex == neighbour;
}

/* Can the packet be from that endpoint? */
fence_inline int arrival_fits(const struct __sk_buff *skb, const struct packet *packet,
                              __u32 neighbour)
{
    return arrival_is_direct(skb, neighbour) || arrival_is_lawful(skb, packet, neighbour);
}

/* The endpoint of this node that has opened the masqueraded connection which the packet seems to be
 * of; 0: none has. */
fence_step __u32 arrival_true_neighbour(const struct packet *packet, const struct fence_pair *pair)
{
    struct connection_key key;
    struct fence_addr *learnt, source;
    struct found found;
    __u32 *neighbour;

    if (!packet || !pair)
        return 0;
    source = packet->true_source;
    if (!packet->has_true_source) {
        connection_key(pair, &packet->outer, 0, packet->secret, &key);
        connection_find(packet, &key, &found);
        learnt =
            found.state & FENCE_CONN_TRANSLATED ? bpf_map_lookup_elem(&origins, &key.id) : NULL;
        if (!learnt)
            return 0;
        source = *learnt;
    }
    neighbour = bpf_map_lookup_elem(&locals, &source);
    return neighbour ? *neighbour : 0;
}

/* Towards the pod: is it not from whom it says? What comes under an address of this node, and not
 * from a process of this node, is somebody else's. */
fence_step int arrival_is_unknown(struct __sk_buff *skb, struct packet *packet,
                                  const struct fence_pair *pair)
{
    __u32 neighbour;

    if (!packet || !pair || packet->probe)
        return 0;
    neighbour = pair->neighbour;
    if (pair->peer_flags & FENCE_PEER_IS_HOST) {
        if (packet->origin == FENCE_ORIGIN_LOCAL)
            return 0;
        if (origin_learn(skb, packet))
            return 1;
        neighbour = arrival_true_neighbour(packet, pair);
    }
    return !arrival_fits(skb, packet, neighbour);
}

/*
 * Nobody knows who has sent it: it is judged as the world, masqueraded, and neither belongs to a
 * connection nor opens one. What policy denies to whom it says it is stays denied: it might be him.
 */
fence_step int arrival_judge_unknown(struct packet *packet, struct fence_pair *pair,
                                     struct judgement *judgement)
{
    struct connection_key key;
    struct question question = {};
    __u32 identity;

    if (!packet || !pair || !judgement)
        return 0;
    identity = pair->identity;
    connection_key(pair, &packet->outer, 0, packet->secret, &key);
    question.direction = FENCE_INGRESS;
    question.position = FENCE_POSITION(packet->outer.protocol, packet_port(packet));
    judgement->set = pair->set;
    judge_masqueraded(pair, &question, judgement);
    if (judgement->verdict == FENCE_ALLOW) {
        if (pair->peer_flags & FENCE_PEER_IS_HOST)
            pair = connection_true_pair(packet, pair, &key);
        judge(pair, &question, judgement);
    }
    count(packet, FENCE_REASON_MASQUERADED);
    count_flow(packet, identity, judgement, 0);
    if (judgement->verdict != FENCE_ALLOW)
        tell(packet, judgement, identity, FENCE_EVENT_DROP);
    return 0;
}
