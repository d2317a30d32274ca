/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The short way of most packets: TCP and UDP without options, extensions or fragments, whose pair
 * is known. It only lets through, and only what the long way would let through without a new entry,
 * an event or a change of more than an entry's time and flags; what it does not settle goes the
 * long way. No helper call and no hash map: a hash, the pair, its table, and where an entry is
 * needed one or two cache lines of the connection table.
 */
#pragma once

#include "bpf/checksum.bpf.h"
#include "bpf/connection.bpf.h"
#include "bpf/endpoint.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/parse.bpf.h"

#define PLAIN_TCP_MASK (TCP_BIT_FIN | TCP_BIT_SYN | TCP_BIT_RST | TCP_BIT_ACK)

fence_inline int quick_ipv4(const struct __sk_buff *skb, struct packet *packet)
{
    struct iphdr *ip = parse_at(skb, sizeof(struct ethhdr), sizeof(*ip));

    if (!ip || *(__u8 *)ip != 0x45 ||
        (ip->frag_off & bpf_htons(IPV4_FRAGMENT_MORE | IPV4_FRAGMENT_OFFSET)))
        return 0;
    packet->offset = sizeof(struct ethhdr) + sizeof(*ip);
    packet->end = sizeof(struct ethhdr) + bpf_ntohs(ip->tot_len);
    address_from_ipv4(&packet->outer.source, ip->saddr);
    address_from_ipv4(&packet->outer.destination, ip->daddr);
    packet->outer.protocol = ip->protocol;
    return packet->end <= packet->length;
}

fence_inline int quick_ipv6(const struct __sk_buff *skb, struct packet *packet)
{
    struct ipv6hdr *ip = parse_at(skb, sizeof(struct ethhdr), sizeof(*ip));

    if (!ip || ip->version != 6)
        return 0;
    packet->offset = sizeof(struct ethhdr) + sizeof(*ip);
    packet->end = packet->offset + bpf_ntohs(ip->payload_len);
    __builtin_memcpy(&packet->outer.source, &ip->saddr, 16);
    __builtin_memcpy(&packet->outer.destination, &ip->daddr, 16);
    packet->outer.protocol = ip->nexthdr;
    return packet->end <= packet->length && !address_is_ipv4(&packet->outer.source) &&
           !address_is_ipv4(&packet->outer.destination);
}

/* 1: the packet is plain, and parsed. Otherwise nothing is known of it. */
fence_inline int quick_parse(const struct __sk_buff *skb, struct packet *packet)
{
    struct ethhdr *ethernet = parse_at(skb, 0, sizeof(*ethernet));
    struct port_head *ports;
    struct tcphdr *tcp;

    if (!ethernet || skb->vlan_present)
        return 0;
    packet->ethertype = bpf_ntohs(ethernet->h_proto);
    if (packet->ethertype == ETH_P_IP) {
        if (!quick_ipv4(skb, packet))
            return 0;
    } else if (packet->ethertype != ETH_P_IPV6 || !quick_ipv6(skb, packet)) {
        return 0;
    }
    if (packet->outer.protocol == IPPROTO_TCP) {
        tcp = parse_transport(skb, packet, sizeof(*tcp));
        if (!tcp || tcp->doff < 5)
            return 0;
        packet->outer.source_port = bpf_ntohs(tcp->source);
        packet->outer.destination_port = bpf_ntohs(tcp->dest);
        packet->tcp_flags = ((__u8 *)tcp)[13];
        return 1;
    }
    if (packet->outer.protocol != IPPROTO_UDP)
        return 0;
    ports = parse_transport(skb, packet, sizeof(*ports));
    if (!ports)
        return 0;
    packet->outer.source_port = bpf_ntohs(ports->source);
    packet->outer.destination_port = bpf_ntohs(ports->destination);
    return 1;
}

/* May the pod send this? 0: that is for the long way to say. */
fence_inline int quick_sent(struct __sk_buff *skb, const struct packet *packet,
                            const struct fence_pair *pair)
{
    return check_sender(skb, pair->mac) == 0 && check_dhcp(packet) == 0 &&
           !checksum_is_elsewhere(skb, packet);
}

/* The pair of a plain packet that passes all checks before policy; NULL: the long way. */
fence_inline struct fence_pair *quick_pair(struct __sk_buff *skb, struct packet *packet,
                                           const int direction)
{
    int egress = direction == FENCE_EGRESS;
    struct fence_pair *pair;

    if (!quick_parse(skb, packet))
        return NULL;
    pair = pair_find(packet, egress ? &packet->outer.source : &packet->outer.destination,
                     egress ? &packet->outer.destination : &packet->outer.source);
    return pair && (pair->flags & FENCE_PAIR_OWN) && (!egress || quick_sent(skb, packet, pair))
               ? pair
               : NULL;
}

/* One packet in 64 of each connection, by chance. */
fence_inline int quick_is_sample(const struct packet *packet)
{
    __u32 mixed = (__u32)packet->outer.source_port << 16 | (__u32)packet->outer.destination_port;

    return ((mixed ^ (__u32)packet->now) * 0x9e3779b1u) < 1u << 26;
}

/* A TCP segment that its own direction's rule allows: is there no need to know its connection? */
fence_inline int quick_needs_no_entry(const struct packet *packet, struct fence_pair *pair,
                                      const int direction)
{
    const int other = direction == FENCE_EGRESS ? FENCE_INGRESS : FENCE_EGRESS;
    __u32 index = pair->opened;
    struct fence_opened *pair_opened = bpf_map_lookup_elem(&opened, &index);
    struct fence_interval *interval;

    if (!pair_opened || quick_is_sample(packet))
        return 0;
    if (!pair_opened->stamps[other])
        return 1;
    if (pair->tables[other].count == 0)
        return 0;
    interval =
        policy_search(&pair->tables[other], FENCE_POSITION(IPPROTO_TCP, packet->outer.source_port));
    return judge_passes(pair, interval);
}

/* By its entry, which must have these flags. `own` is what the packet's own direction says. */
fence_step int quick_by_entry(const struct packet *packet, struct fence_pair *pair, int own,
                              __u32 wanted)
{
    const __u64 unfit = FENCE_CONN_FROM_HOST | FENCE_CONN_CUT | FENCE_CONN_CLOSED;
    const __u64 settled = FENCE_CONN_REPLIED | FENCE_CONN_ESTABLISHED;
    struct fence_connection_key key;
    struct fence_interval *interval;
    struct found found;
    int is_reply;
    __u32 opener;

    if (!packet || !pair)
        return 0;
    connection_key(pair, &packet->outer, packet->direction == FENCE_EGRESS, &key);
    table_find(packet, &key, &found);
    if (!found.state || (found.state & unfit) || (found.state & wanted) != wanted ||
        fence_connection_expired(key.protocol, found.state, packet->now, packet->hz))
        return 0;
    opener = connection_direction(found.state);
    is_reply = opener != packet->direction;
    if (is_reply) {
        interval = judge_interval(pair, opener, connection_position(&key, opener));
        own = judge_passes(pair, interval);
    }
    if (!own)
        return 0;
    if ((found.state & settled) != settled ||
        (__u32)packet->now - FENCE_STATE_SEEN(found.state) >= packet->hz)
        connection_advance(packet, &found, is_reply);
    return 1;
}

/* Neither opens nor ends anything, and the pair's tables say all. */
fence_inline int quick_is_ordinary(const struct packet *packet, const struct fence_pair *pair)
{
    return (packet->outer.protocol != IPPROTO_TCP ||
            (packet->tcp_flags & PLAIN_TCP_MASK) == TCP_BIT_ACK) &&
           pair->set && !(pair->endpoint_flags & FENCE_EP_PENDING) &&
           !(pair->peer_flags & FENCE_PEER_IS_HOST);
}

/* What the packet's own direction says. */
fence_inline int quick_own(const struct packet *packet, struct fence_pair *pair,
                           const int direction)
{
    struct fence_interval *interval = judge_interval(
        pair, direction, FENCE_POSITION(packet->outer.protocol, packet->outer.destination_port));

    return judge_passes(pair, interval);
}

/* 1: the packet passes. 0: connection_judge will say. */
fence_inline int quick_allows(const struct packet *packet, struct fence_pair *pair,
                              const int direction)
{
    int own;

    if (!quick_is_ordinary(packet, pair))
        return 0;
    own = quick_own(packet, pair, direction);
    if (own && packet->outer.protocol == IPPROTO_TCP &&
        quick_needs_no_entry(packet, pair, direction))
        return 1;
    return quick_by_entry(packet, pair, own, 0);
}
