/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The same-node path: both ends are endpoints of this node, so the sender's hook judges for both
 * and hands the packet to the other pod's interface. It skips the bridge or the routes, netfilter
 * and the receiver's hook at its host veth.
 *
 * A connection is on this path from its first packet to its last, or not at all (FENCE_CONN_DIRECT
 * in both ends' entries): the stack would take the rest of a connection for something invalid whose
 * beginning it has not seen. That also keeps translated connections off it: what was sent to a
 * Service's address reaches the pod through the stack and gets an entry that is not direct, so its
 * answers go back through the stack, which has to translate them.
 *
 * Only plain TCP and UDP (quick.bpf.h), and ICMP errors about such connections, which the stack has
 * not seen either; only to the receiver's own MAC or, routed, to a router of this node with hops
 * left; only where both veths are ours alone (FENCE_EP_HANDOVER).
 */
#pragma once

#include "bpf/connection.bpf.h"
#include "bpf/endpoint.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/quick.bpf.h"

#define PACKET_HOST 0 /* skb->pkt_type: for a MAC of this node */

#define PLAIN_IPV4 (sizeof(struct ethhdr) + sizeof(struct iphdr))
#define PLAIN_IPV6 (sizeof(struct ethhdr) + sizeof(struct ipv6hdr))

/* May the sender's packets take this path at all? */
fence_inline int handover_is_for(const struct fence_pair *pair)
{
    return (pair->flags & FENCE_PAIR_OWN) &&
           (pair->endpoint_flags & (FENCE_EP_HANDOVER | FENCE_EP_PENDING)) == FENCE_EP_HANDOVER;
}

/* A packet that quick_parse would take. */
fence_inline int handover_is_plain(const struct packet *packet)
{
    return packet->fragment == PACKET_WHOLE &&
           (packet->outer.protocol == IPPROTO_TCP || packet->outer.protocol == IPPROTO_UDP) &&
           packet->offset == (packet->ethertype == ETH_P_IP ? PLAIN_IPV4 : PLAIN_IPV6);
}

/* Is an endpoint with these flags there to receive? */
fence_inline int handover_is_open(__u32 flags)
{
    return (flags & (FENCE_EP_HANDOVER | FENCE_EP_PENDING | FENCE_EP_EXEMPT)) == FENCE_EP_HANDOVER;
}

fence_inline int handover_receives(const struct fence_pair *pair)
{
    return (pair->flags & FENCE_PAIR_OWN) && pair->set && handover_is_open(pair->endpoint_flags);
}

/* From here on the packet is the receiver's. */
fence_inline void handover_turn(struct packet *packet, __u32 ifindex, int direction)
{
    packet->ifindex = ifindex;
    packet->direction = direction;
}

/* Is the frame for the receiver (1), for a router on its way to it (2), or for somebody else? */
fence_inline int handover_way(const struct __sk_buff *skb, const struct packet *packet,
                              const __u8 *mac)
{
    struct ethhdr *ethernet = parse_at(skb, 0, sizeof(*ethernet));
    __u8 *hops = parse_at(skb, packet->ethertype == ETH_P_IP ? 22 : 21, 1);

    if (!ethernet || !hops)
        return 0;
    if (mac_equal(ethernet->h_dest, mac))
        return 1;
    return skb->pkt_type == PACKET_HOST && *hops > 1 ? 2 : 0;
}

/* As a router does: one hop less, from its own MAC to the receiver's. */
fence_inline int handover_route(struct __sk_buff *skb, const struct packet *packet, const __u8 *mac)
{
    struct ethhdr *ethernet = parse_at(skb, 0, sizeof(*ethernet));
    __u32 at = packet->ethertype == ETH_P_IP ? 22 : 21;
    __u8 *hops = parse_at(skb, at, 1);
    __u8 macs[12], fewer;
    __be16 before, after;

    if (!ethernet || !hops)
        return -1;
    __builtin_memcpy(macs, mac, 6);
    __builtin_memcpy(macs + 6, ethernet->h_dest, 6);
    fewer = *hops - 1;
    before = bpf_htons((__u16)*hops << 8);
    after = bpf_htons((__u16)fewer << 8);
    /* by helper: writing to the packet would have every packet's headers copied beforehand */
    if (packet->ethertype == ETH_P_IP &&
        bpf_l3_csum_replace(skb, 24, before, after, sizeof(before)) < 0)
        return -1;
    return bpf_skb_store_bytes(skb, at, &fewer, 1, 0) < 0 ||
                   bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) < 0
               ? -1
               : 0;
}

/* Both ends have allowed it. Returns the TC action. */
fence_inline int handover_deliver(struct __sk_buff *skb, const struct packet *packet,
                                  const struct fence_pair *receiver)
{
    int way = handover_way(skb, packet, receiver->mac);
    __u8 mac[6];

    if (!way)
        return TC_ACT_UNSPEC;
    __builtin_memcpy(mac, receiver->mac, sizeof(mac));
    skb->mark = 0;
    if ((way == 2 && handover_route(skb, packet, mac) < 0) ||
        (skb->pkt_type != PACKET_HOST && bpf_skb_change_type(skb, PACKET_HOST) < 0)) {
        count(packet, FENCE_REASON_NOT_WRITTEN);
        return TC_ACT_SHOT;
    }
    return bpf_redirect_peer(packet->ifindex, 0);
}

/*
 * Does this end know and allow the packet's connection? 0: no, or not without noting more than the
 * short way does; otherwise 1, and FENCE_CONN_DIRECT if it is on this path.
 */
fence_inline int handover_knows(const struct packet *packet, struct fence_pair *pair,
                                const int direction)
{
    __u64 differs = quick_differs(packet, pair, direction);

    if (quick_is_ordinary(packet, pair) && quick_is_latest(packet, pair, differs, packet->hz))
        return differs ? 1 | FENCE_CONN_DIRECT : 1;
    return quick_continues(packet, pair) ? quick_by_entry(packet, pair) : 0;
}

/*
 * A packet of a connection that is known, the short way. TC_ACT_OK: it is not known to both ends,
 * and nothing has happened but that entries were kept alive. Otherwise the action: TC_ACT_UNSPEC
 * for a connection that goes through the stack.
 */
fence_step int handover_quick(struct __sk_buff *skb, struct packet *packet, struct fence_pair *pair)
{
    struct fence_pair *receiver;
    int known, action = TC_ACT_UNSPEC;
    __u32 sender;

    if (!packet || !pair)
        return TC_ACT_OK;
    sender = packet->ifindex;
    known = handover_knows(packet, pair, FENCE_EGRESS);
    /* one without an entry is not made anew with each packet */
    if (!known)
        known = quick_is_ordinary(packet, pair) && quick_needs_no_entry(packet, pair);
    if (!(known & FENCE_CONN_DIRECT))
        return known ? TC_ACT_UNSPEC : TC_ACT_OK;
    handover_turn(packet, pair->neighbour, FENCE_INGRESS);
    receiver = pair_find(packet, packet->secret, &packet->outer.destination, &packet->outer.source);
    if (receiver && handover_receives(receiver) &&
        (handover_knows(packet, receiver, FENCE_INGRESS) & FENCE_CONN_DIRECT))
        action = handover_deliver(skb, packet, receiver);
    if (action == TC_ACT_REDIRECT)
        count(packet, FENCE_REASON_ESTABLISHED);
    handover_turn(packet, sender, FENCE_EGRESS);
    return action == TC_ACT_UNSPEC ? TC_ACT_OK : action;
}

/* Is the packet's connection direct? */
fence_step int handover_is_direct(const struct packet *packet, const struct fence_pair *pair)
{
    struct connection_key key;
    struct found found;

    if (!packet || !pair)
        return 0;
    connection_key(pair, &packet->outer, packet->direction == FENCE_EGRESS, packet->secret, &key);
    connection_find(packet, &key, &found);
    return !!(found.state & FENCE_CONN_DIRECT);
}

/*
 * An ICMP error that the sender's end lets through takes the path of the connection that it quotes.
 * 1: that is this one, and the error counts as a packet of the connection from here on, of which
 * it has the addresses.
 */
fence_step int handover_takes_error(struct packet *packet, const struct tuple *quoted)
{
    struct fence_pair *pair;

    if (!packet || !quoted || packet->direction != FENCE_EGRESS || packet->fragment != PACKET_WHOLE)
        return 0;
    /* filled when it was judged */
    pair = pair_place(packet, pair_hash(packet, &packet->outer.source, &packet->outer.destination));
    if (!pair || !handover_is_for(pair))
        return 0;
    packet->outer.protocol = quoted->protocol;
    packet->outer.source_port = quoted->destination_port;
    packet->outer.destination_port = quoted->source_port;
    packet->is_direct = handover_is_direct(packet, pair);
    return packet->is_direct;
}

/*
 * The sender's end has judged the packet, step by step, and allowed it: turn to the receiver, whose
 * pair is filled then. 0: it goes through the stack instead.
 */
fence_step int handover_begin(struct __sk_buff *skb, struct packet *packet, __u32 neighbour)
{
    struct fence_endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &neighbour);
    __u32 sender;

    if (!packet || !endpoint)
        return 0;
    sender = packet->ifindex;
    /* asked before anything of the receiver's is written: a connection that begins while it is not
     * on the path stays off the path */
    if (!handover_way(skb, packet, endpoint->mac) || !handover_is_open(endpoint->flags))
        return 0;
    handover_turn(packet, neighbour, FENCE_INGRESS);
    if (pair_fill(packet, &packet->outer.destination, &packet->outer.source) == 0)
        return 1;
    handover_turn(packet, sender, FENCE_EGRESS);
    return 0;
}

fence_step int handover_end(struct __sk_buff *skb, const struct packet *packet,
                            const struct fence_pair *receiver)
{
    if (!packet || !receiver || !handover_receives(receiver) ||
        !handover_is_direct(packet, receiver))
        return TC_ACT_UNSPEC;
    return handover_deliver(skb, packet, receiver);
}
