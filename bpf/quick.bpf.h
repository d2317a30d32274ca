/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The short way of most packets: TCP and UDP without options, extensions or fragments, whose pair
 * is known. It only lets through, and only what the long way would let through without a new entry,
 * an event or a change of more than an entry's time and flags; what it does not settle goes the
 * long way. No helper call and no hash map: a hash, the pair, its table, and where an entry is
 * needed one or two cache lines of the connection table. What passes whatever its connection is
 * needs the first cache line of the pair, the connection that was seen last the second one too.
 *
 * The shortest way (quick_passes) writes nothing but what the pair remembers, and calls nothing:
 * each return takes some processors six nanoseconds. So it has of the packet what quick_parse
 * leaves in it, and no more.
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

/* What comes after the IP header: TCP or UDP inside the packet, and all of its header there. */
fence_inline int quick_ports(struct packet *packet, void *at, const void *end)
{
    __u32 room = packet->end - packet->offset;
    struct port_head *ports = at;
    struct tcphdr *tcp = at;

    if (packet->end < packet->offset || packet->end > packet->length || at + sizeof(*ports) > end ||
        room < sizeof(*ports))
        return 0;
    packet->outer.source_port = bpf_ntohs(ports->source);
    packet->outer.destination_port = bpf_ntohs(ports->destination);
    packet->tcp_flags = 0;
    if (packet->outer.protocol == IPPROTO_UDP)
        return 1;
    if (packet->outer.protocol != IPPROTO_TCP || room < sizeof(*tcp) || at + sizeof(*tcp) > end ||
        tcp->doff < 5)
        return 0;
    packet->tcp_flags = ((__u8 *)tcp)[13];
    return 1;
}

fence_inline int quick_ipv4(struct packet *packet, void *data, const void *end)
{
    struct iphdr *ip = data + sizeof(struct ethhdr);

    if ((void *)(ip + 1) > end || *(__u8 *)ip != 0x45 ||
        (ip->frag_off & bpf_htons(IPV4_FRAGMENT_MORE | IPV4_FRAGMENT_OFFSET)))
        return 0;
    packet->ethertype = ETH_P_IP;
    packet->offset = sizeof(struct ethhdr) + sizeof(*ip);
    packet->end = sizeof(struct ethhdr) + bpf_ntohs(ip->tot_len);
    address_from_ipv4(&packet->outer.source, ip->saddr);
    address_from_ipv4(&packet->outer.destination, ip->daddr);
    packet->outer.protocol = ip->protocol;
    return quick_ports(packet, ip + 1, end);
}

fence_inline int quick_ipv6(struct packet *packet, void *data, const void *end)
{
    struct ipv6hdr *ip = data + sizeof(struct ethhdr);

    if ((void *)(ip + 1) > end || ip->version != 6)
        return 0;
    packet->ethertype = ETH_P_IPV6;
    packet->offset = sizeof(struct ethhdr) + sizeof(*ip);
    packet->end = packet->offset + bpf_ntohs(ip->payload_len);
    __builtin_memcpy(&packet->outer.source, &ip->saddr, 16);
    __builtin_memcpy(&packet->outer.destination, &ip->daddr, 16);
    packet->outer.protocol = ip->nexthdr;
    return !address_is_ipv4(&packet->outer.source) &&
           !address_is_ipv4(&packet->outer.destination) && quick_ports(packet, ip + 1, end);
}

/* 1: the packet is plain, and parsed. Otherwise nothing is known of it. */
fence_inline int quick_parse(const struct __sk_buff *skb, struct packet *packet)
{
    void *end = packet_data_end(skb);
    void *data = packet_data(skb);
    __be16 ethertype;

    if (data + sizeof(struct ethhdr) > end || skb->vlan_present)
        return 0;
    ethertype = *(__be16 *)(data + offsetof(struct ethhdr, h_proto));
    /* in this order the verifier knows less when it comes here than when it comes again, and has to
     * look at what follows once only */
    if (ethertype != bpf_htons(ETH_P_IP))
        return ethertype == bpf_htons(ETH_P_IPV6) && quick_ipv6(packet, data, end);
    return quick_ipv4(packet, data, end);
}

/* May be of DHCP, in one family or the other: check_dhcp will say. */
fence_inline int quick_is_dhcp(const struct tuple *tuple)
{
    return tuple->protocol == IPPROTO_UDP &&
           (tuple->source_port == DHCP_SERVER_PORT || tuple->source_port == DHCPV6_SERVER_PORT ||
            tuple->destination_port == DHCP_CLIENT_PORT ||
            tuple->destination_port == DHCPV6_CLIENT_PORT);
}

/* May the pod send this? 0: that is for the long way to say. */
fence_inline int quick_sent(struct __sk_buff *skb, const struct packet *packet,
                            const struct fence_pair *pair)
{
    return check_sender(skb, pair->mac) == 0 && !quick_is_dhcp(&packet->outer) &&
           !checksum_is_elsewhere(skb, packet);
}

/* The pair of a plain packet that passes all checks before policy; NULL: the long way. */
fence_inline struct fence_pair *quick_pair(struct __sk_buff *skb, struct packet *packet,
                                           const struct fence_settings *setting,
                                           const int direction)
{
    int egress = direction == FENCE_EGRESS;
    struct fence_pair *pair;

    if (!setting || !quick_parse(skb, packet))
        return NULL;
    pair = pair_find(packet, setting->hash_key,
                     egress ? &packet->outer.source : &packet->outer.destination,
                     egress ? &packet->outer.destination : &packet->outer.source);
    return pair && (pair->flags & FENCE_PAIR_OWN) && (!egress || quick_sent(skb, packet, pair))
               ? pair
               : NULL;
}

/* One packet in 256 of each connection, by chance. */
fence_inline int quick_is_sample(const struct packet *packet)
{
    return ((packet_port_word(packet) ^ (__u32)packet->now) * 0x9e3779b1u) < 1u << 24;
}

/* Neither opens nor ends anything, and the pair's tables say all. */
fence_inline int quick_is_ordinary(const struct packet *packet, const struct fence_pair *pair)
{
    return (packet->outer.protocol != IPPROTO_TCP ||
            (packet->tcp_flags & PLAIN_TCP_MASK) == TCP_BIT_ACK) &&
           (pair->flags & FENCE_PAIR_ORDINARY);
}

/* Of a connection that has an entry, if it is what it seems: all but what opens or resets one. */
fence_inline int quick_continues(const struct packet *packet, const struct fence_pair *pair)
{
    return (packet->outer.protocol != IPPROTO_TCP ||
            (packet->tcp_flags & (TCP_BIT_RST | TCP_BIT_ACK)) == TCP_BIT_ACK) &&
           (pair->flags & FENCE_PAIR_ORDINARY);
}

/* ---- the pair's latest connection ----------------------------------------------------------- */

/*
 * A CPU knows without its entry the connection of the pair whose entry it has looked at last, while
 * there is nothing to note of it: it is established, policy allows it, and its entry's time is of
 * this second. Whatever changes its verdict changes the pair's epoch. If its entry ends meanwhile,
 * what comes within that second is still the connection's. What opens or ends a connection is not
 * ordinary, and is not asked here.
 */
fence_inline void quick_remember(const struct packet *packet, struct fence_pair *pair,
                                 __u32 direction, __u64 state)
{
    pair->latest = packet_latest(packet, direction) |
                   (state & FENCE_CONN_DIRECT) * (FENCE_LATEST_DIRECT / FENCE_CONN_DIRECT);
    pair->latest_seen = packet->now - ((__u32)packet->now - FENCE_STATE_SEEN(state));
    pair->flags &= ~FENCE_PAIR_SHAKING;
}

/* How an ordinary packet's connection differs from the latest one: bits of FENCE_LATEST. */
fence_inline __u64 quick_differs(const struct packet *packet, const struct fence_pair *pair,
                                 __u32 direction)
{
    return pair->latest ^ packet_latest(packet, direction);
}

fence_inline int quick_is_latest(const struct packet *packet, const struct fence_pair *pair,
                                 __u64 differs, __u32 hz)
{
    return (differs & ~FENCE_LATEST_DIRECT) == 0 && packet->now - pair->latest_seen < hz;
}

/* Follows the SYN that the pair has let through last: the handshake's end, which its entry is to
 * show. */
fence_inline int quick_follows(__u64 differs)
{
    return differs == FENCE_LATEST_SHAKING;
}

/* ---- what is known without a search --------------------------------------------------------- */

/* The pair allows it: its table has no other answer, or this one was asked for last. */
fence_inline int quick_knows(const struct fence_pair *pair, __u32 direction, __u32 position)
{
    return (pair->flags & FENCE_PAIR_ALLOWS << direction) ||
           pair->allowed == FENCE_MEMO_TAG(direction, position);
}

/* A TCP segment that passes whatever its connection is. While one has just begun, that is looked
 * for: the handshake's end. */
fence_inline int quick_is_alone(const struct packet *packet, const struct fence_pair *pair,
                                const int direction)
{
    const __u32 alone = FENCE_PAIR_ALONE << direction;

    return packet->outer.protocol == IPPROTO_TCP &&
           (pair->flags & (alone | FENCE_PAIR_SHAKING)) == alone && !quick_is_sample(packet) &&
           quick_knows(pair, direction,
                       FENCE_POSITION(IPPROTO_TCP, packet->outer.destination_port));
}

/* The state of the packet's entry, if that is where it is looked for first; or 0. */
fence_inline __u64 quick_state(const struct packet *packet, const struct fence_settings *setting,
                               const struct fence_pair *pair, const int direction)
{
    struct connection_key key;
    struct found found;

    connection_key_ports(pair, &packet->outer, direction == FENCE_EGRESS, setting->hash_key, &key);
    found.state = 0;
    found.bucket = fence_table_first(key.hash, setting->bucket_mask);
    bucket_find(&key, &found);
    return found.state;
}

/*
 * 1: the packet passes, and there is nothing to note of it: its connection was seen within a
 * second, may be opened by who opened it, and is established or, if its opener speaks, not answered
 * yet.
 */
fence_inline int quick_passes(const struct packet *packet, const struct fence_settings *setting,
                              struct fence_pair *pair, const int direction)
{
    const __u64 settled = FENCE_CONN_REPLIED | FENCE_CONN_ESTABLISHED;
    const __u64 unfit = FENCE_CONN_FROM_HOST | FENCE_CONN_CUT | FENCE_CONN_CLOSED;
    const struct tuple *tuple = &packet->outer;
    int is_opener, is_settled;
    __u64 state, differs;

    if (!quick_is_ordinary(packet, pair))
        return 0;
    if (quick_is_alone(packet, pair, direction))
        return 1;
    differs = quick_differs(packet, pair, direction);
    if (quick_is_latest(packet, pair, differs, setting->hz))
        return 1;
    state = quick_state(packet, setting, pair, direction);
    is_opener = connection_direction(state) == (__u32)direction;
    is_settled = (state & settled) == settled;
    if ((state & (FENCE_CONN_LIVE | unfit)) != FENCE_CONN_LIVE ||
        (!is_settled && (!is_opener || (state & FENCE_CONN_REPLIED))) ||
        (__u32)packet->now - FENCE_STATE_SEEN(state) >= setting->hz ||
        !quick_knows(pair, connection_direction(state),
                     FENCE_POSITION(tuple->protocol,
                                    is_opener ? tuple->destination_port : tuple->source_port)))
        return 0;
    if (is_settled)
        quick_remember(packet, pair, direction, state);
    return 1;
}

/* ---- with a search -------------------------------------------------------------------------- */

/* As quick_is_alone. */
fence_inline int quick_needs_no_entry(const struct packet *packet, struct fence_pair *pair)
{
    __u32 direction = packet->direction, other = direction ^ 1, index = pair->opened;
    struct fence_opened *pair_opened = bpf_map_lookup_elem(&opened, &index);
    struct fence_interval *interval;

    if (!pair_opened || packet->outer.protocol != IPPROTO_TCP || quick_is_sample(packet))
        return 0;
    interval = judge_interval(pair, direction,
                              FENCE_POSITION(IPPROTO_TCP, packet->outer.destination_port));
    if (!interval || interval->verdict != FENCE_ALLOW)
        return 0;
    if (!pair_opened->stamps[other & 1])
        return 1;
    if (pair->tables[other & 1].count == 0)
        return 0;
    interval = policy_search(&pair->tables[other & 1],
                             FENCE_POSITION(IPPROTO_TCP, packet->outer.source_port));
    return judge_passes(pair, interval);
}

/* The packet passes by this entry, of a connection to which policy says `verdict`. */
fence_step int quick_note(const struct packet *packet, struct fence_pair *pair,
                          const struct found *found, __u32 verdict)
{
    const __u64 settled = FENCE_CONN_REPLIED | FENCE_CONN_ESTABLISHED;
    __u32 is_reply;

    if (!packet || !pair || !found)
        return 0;
    is_reply = (connection_direction(found->state) ^ packet->direction) & 1;
    if (((found->state & settled) != settled || (packet->tcp_flags & TCP_BIT_FIN) ||
         (__u32)packet->now - FENCE_STATE_SEEN(found->state) >= packet->hz) &&
        !connection_advance(packet, found, is_reply))
        return 0;
    pair_not_alone(pair, connection_direction(found->state));
    if (verdict == FENCE_ALLOW && quick_is_ordinary(packet, pair) &&
        ((found->state | is_reply * FENCE_CONN_REPLIED) &
         (FENCE_CONN_REPLIED | FENCE_CONN_CLOSED)) == FENCE_CONN_REPLIED)
        quick_remember(packet, pair, packet->direction, found->state);
    return 0;
}

/* By its entry. 0: it has none that lets it pass; otherwise 1 and its FENCE_CONN_DIRECT. */
fence_step int quick_by_entry(const struct packet *packet, struct fence_pair *pair)
{
    const __u64 unfit = FENCE_CONN_FROM_HOST | FENCE_CONN_CUT;
    struct connection_key key;
    struct fence_interval *interval;
    struct found found;
    __u32 opener;

    if (!packet || !pair)
        return 0;
    connection_key_ports(pair, &packet->outer, packet->direction == FENCE_EGRESS, packet->secret,
                         &key);
    table_find(packet, &key, &found);
    if ((found.state & (FENCE_CONN_LIVE | unfit)) != FENCE_CONN_LIVE ||
        fence_connection_expired(key.id.protocol, found.state, packet->now, packet->hz))
        return 0;
    opener = connection_direction(found.state);
    interval = judge_interval(pair, opener, connection_position(&key, opener));
    if (!judge_passes(pair, interval))
        return 0;
    quick_note(packet, pair, &found, interval->verdict);
    return 1 | (found.state & FENCE_CONN_DIRECT);
}

/* What the pair was asked last is of the connection that this packet would answer. */
fence_inline int quick_seems_reply(const struct packet *packet, const struct fence_pair *pair)
{
    return pair->memo.low ==
           FENCE_MEMO_TAG((packet->direction ^ 1) & 1,
                          FENCE_POSITION(packet->outer.protocol, packet->outer.source_port));
}

/*
 * Of an ordinary packet. 1: it passes. 0: connection_judge will say. An answer's own direction is
 * not asked first, for that would take the place of what the next one needs.
 */
fence_step int quick_allows(const struct packet *packet, struct fence_pair *pair)
{
    int reply;

    if (!packet || !pair)
        return 0;
    if (!quick_is_ordinary(packet, pair))
        return quick_by_entry(packet, pair);
    if (quick_follows(quick_differs(packet, pair, packet->direction))) {
        pair->latest = 0; /* once, for it may have found no place for an entry */
        pair->flags &= ~FENCE_PAIR_SHAKING;
        return quick_by_entry(packet, pair);
    }
    reply = quick_seems_reply(packet, pair);
    return (reply && quick_by_entry(packet, pair)) || quick_needs_no_entry(packet, pair) ||
           (!reply && quick_by_entry(packet, pair));
}
