/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 1: the packet as a tuple. Everything that is not understood is refused with a reason, for
 * a filter that passes what it cannot read can be walked around: only IPv4, IPv6 and ARP without
 * a VLAN tag, lengths that agree with each other, the whole transport header in the first fragment.
 *
 * All parsers return 0 or the reason to drop.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"

#define PARSE_EXTENSIONS 6    /* IPv6 extension headers, more are refused */
#define PARSE_MAX_OFFSET 1024 /* of a transport header */
#define PARSE_PULL       256

/* linux/icmp.h pulls in half of libc */
#define ICMP_DEST_UNREACH  3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12

#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV4_FRAGMENT_MORE   0x2000
#define IPV6_FRAGMENT_MORE   0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_HEADER_FRAGMENT 44

#define IPV4_OPTION_END    0
#define IPV4_OPTION_NOP    1
#define IPV4_LOOSE_ROUTE   131
#define IPV4_STRICT_ROUTE  137
#define IPV4_OPTIONS_BYTES 40

struct ipv6_extension {
    __u8 next;
    __u8 length;
    __u8 routing_type;
    __u8 segments_left;
};

struct ipv6_fragment {
    __u8 next;
    __u8 reserved;
    __be16 offset;
    __be32 id;
};

/*
 * The bounds of the linear part. By hand: the context's fields are 32 bits wide for the compiler
 * but become pointers on load, and a 32-bit move in between would lose that for the verifier.
 */
fence_inline void *packet_data(const struct __sk_buff *skb)
{
    void *data;

    asm volatile("%[data] = *(u32 *)(%[skb] + %[offset])"
                 : [data] "=r"(data)
                 : [skb] "r"(skb), [offset] "i"(__builtin_offsetof(struct __sk_buff, data)));
    return data;
}

fence_inline void *packet_data_end(const struct __sk_buff *skb)
{
    void *end;

    asm volatile("%[end] = *(u32 *)(%[skb] + %[offset])"
                 : [end] "=r"(end)
                 : [skb] "r"(skb), [offset] "i"(__builtin_offsetof(struct __sk_buff, data_end)));
    return end;
}

/* `size` bytes at `offset`, NULL when they are not all there. */
fence_inline void *parse_at(const struct __sk_buff *skb, __u32 offset, __u32 size)
{
    void *end = packet_data_end(skb);
    void *at = packet_data(skb);

    if (offset > PARSE_MAX_OFFSET)
        return NULL;
    at += offset;
    return at + size > end ? NULL : at;
}

/*
 * Headers must be in the linear part. The stack's own packets always have them there, with the data
 * in pages behind, so pulling is only for the odd sender: 1 when it was worth parsing again.
 */
fence_inline int parse_pull(struct __sk_buff *skb)
{
    __u32 wanted = skb->len < PARSE_PULL ? skb->len : PARSE_PULL;

    if (packet_data(skb) + wanted <= packet_data_end(skb))
        return 0;
    return bpf_skb_pull_data(skb, wanted) == 0;
}

/* Inside the IP packet, not merely inside the frame: padding is not payload. */
fence_inline void *parse_transport(const struct __sk_buff *skb, const struct packet *packet,
                                   __u32 size)
{
    if (packet->offset + size > packet->end)
        return NULL;
    return parse_at(skb, packet->offset, size);
}

fence_inline int icmp_is_error(__u8 protocol, __u8 type)
{
    if (protocol == IPPROTO_ICMPV6)
        return type >= 1 && type <= 4;
    return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_TIME_EXCEEDED ||
           type == ICMP_PARAMETERPROB;
}

/* Types that carry an identifier: echo, timestamp, information, address mask. */
fence_inline int icmp_has_id(__u8 protocol, __u8 type)
{
    if (protocol == IPPROTO_ICMPV6)
        return type == 128 || type == 129;
    return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

fence_inline int icmp_is_reply(__u8 protocol, __u8 type)
{
    if (protocol == IPPROTO_ICMPV6)
        return type == 129;
    return type == 0 || type == 14 || type == 16 || type == 18;
}

/* Router and neighbour solicitation and advertisement, redirect. */
fence_inline int icmp_is_nd(__u8 protocol, __u8 type)
{
    return protocol == IPPROTO_ICMPV6 && type >= 133 && type <= 137;
}

/* The request that a reply answers; a request is its own. */
fence_inline __u8 icmp_request_of(__u8 protocol, __u8 type)
{
    if (!icmp_is_reply(protocol, type))
        return type;
    if (protocol == IPPROTO_ICMPV6)
        return 128;
    return type == 0 ? 8 : type - 1;
}

struct icmp_head {
    __u8 type;
    __u8 code;
    __be16 checksum;
    __be16 id;
    __be16 sequence;
};

struct port_head {
    __be16 source;
    __be16 destination;
    __be32 more;
};

fence_inline void parse_icmp_tuple(struct tuple *tuple, const struct icmp_head *icmp)
{
    tuple->icmp_type = icmp->type;
    tuple->icmp_code = icmp->code;
    /* the request's position, so that both directions find one entry */
    tuple->destination_port = icmp_request_of(tuple->protocol, icmp->type) << 8 | icmp->code;
    tuple->source_port = icmp_has_id(tuple->protocol, icmp->type) ? bpf_ntohs(icmp->id) : 0;
}

/* First and whole packets: ports and flags. Returns 0 or the reason. */
fence_inline int parse_ports(const struct __sk_buff *skb, struct packet *packet)
{
    int cut = packet->fragment == PACKET_FIRST ? FENCE_REASON_FRAGMENT_BAD : FENCE_REASON_TRUNCATED;
    struct tuple *tuple = &packet->outer;
    struct icmp_head *icmp;
    struct port_head *ports;
    struct tcphdr *tcp;

    switch (tuple->protocol) {
    case IPPROTO_TCP:
        tcp = parse_transport(skb, packet, sizeof(*tcp));
        if (!tcp)
            return cut;
        if (tcp->doff < 5)
            return FENCE_REASON_BAD_HEADER;
        tuple->source_port = bpf_ntohs(tcp->source);
        tuple->destination_port = bpf_ntohs(tcp->dest);
        packet->tcp_flags = ((__u8 *)tcp)[13];
        return 0;
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
        ports = parse_transport(skb, packet, sizeof(*ports));
        if (!ports)
            return cut;
        tuple->source_port = bpf_ntohs(ports->source);
        tuple->destination_port = bpf_ntohs(ports->destination);
        return 0;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        icmp = parse_transport(skb, packet, sizeof(*icmp));
        if (!icmp)
            return cut;
        if ((tuple->protocol == IPPROTO_ICMP) != (packet->ethertype == ETH_P_IP))
            return FENCE_REASON_BAD_HEADER;
        /* nobody sends it in fragments, and nobody may look at it (RFC 6980) */
        if (packet->fragment == PACKET_FIRST && icmp_is_nd(tuple->protocol, icmp->type))
            return FENCE_REASON_FRAGMENT_BAD;
        packet->icmp_error = icmp_is_error(tuple->protocol, icmp->type);
        parse_icmp_tuple(tuple, icmp);
        return 0;
    default:
        return 0;
    }
}

fence_inline void fragment_key(const struct packet *packet, struct fence_fragment_key *key)
{
    key->ifindex = packet->ifindex;
    key->id = packet->fragment_id;
    key->source = packet->outer.source;
    key->destination = packet->outer.destination;
    key->protocol = packet->outer.protocol;
    key->direction = packet->direction;
}

/* The first fragment leaves its ports, later ones find them. */
fence_inline int parse_fragment(struct packet *packet)
{
    struct fence_fragment fragment = {
        .seen = packet->now,
        .source_port = packet->outer.source_port,
        .destination_port = packet->outer.destination_port,
        .icmp_type = packet->outer.icmp_type,
        .icmp_code = packet->outer.icmp_code,
    };
    struct fence_fragment *first;
    struct fence_fragment_key key;

    fragment_key(packet, &key);
    if (packet->fragment == PACKET_FIRST) {
        if (!packet->probe)
            bpf_map_update_elem(&fragments, &key, &fragment, BPF_ANY);
        return 0;
    }
    first = bpf_map_lookup_elem(&fragments, &key);
    if (!first || packet->now > first->seen + 30ull * packet->hz)
        return FENCE_REASON_FRAGMENT_ORPHAN;
    packet->outer.source_port = first->source_port;
    packet->outer.destination_port = first->destination_port;
    packet->outer.icmp_type = first->icmp_type;
    packet->outer.icmp_code = first->icmp_code;
    return 0;
}

/* The option at `offset`: the offset behind it, or a negative reason. A step of its own for the
 * verifier, which would follow every chain of lengths. */
fence_step int parse_ipv4_option(struct __sk_buff *skb, __u32 offset, __u32 end)
{
    __u8 *option = parse_at(skb, offset, 1);

    if (!option)
        return -FENCE_REASON_TRUNCATED;
    if (*option == IPV4_OPTION_END)
        return end;
    if (*option == IPV4_LOOSE_ROUTE || *option == IPV4_STRICT_ROUTE)
        return -FENCE_REASON_BAD_HEADER;
    if (*option == IPV4_OPTION_NOP)
        return offset + 1;
    option = parse_at(skb, offset, 2);
    if (!option || option[1] < 2)
        return -FENCE_REASON_BAD_HEADER;
    return offset + option[1];
}

/* Options may not send the packet on to somebody who has not been judged: 0 or the reason. */
fence_step int parse_ipv4_options(struct __sk_buff *skb, __u32 offset, __u32 end)
{
    int at = offset;

    for (int i = 0; i < IPV4_OPTIONS_BYTES && at >= 0 && at < (int)end; i++)
        at = parse_ipv4_option(skb, at, end);
    return at < 0 ? -at : 0;
}

fence_inline int parse_ipv4(struct __sk_buff *skb, struct packet *packet)
{
    struct iphdr *ip = parse_at(skb, packet->offset, sizeof(*ip));
    __u32 length, fragment;

    if (!ip)
        return FENCE_REASON_TRUNCATED;
    if (ip->version != 4 || ip->ihl < 5)
        return FENCE_REASON_BAD_HEADER;
    /* segments beyond 64 KiB that the stack has put together carry length 0 */
    length = bpf_ntohs(ip->tot_len);
    if (length == 0 && skb->gso_size)
        length = skb->len - packet->offset;
    if (length < ip->ihl * 4u)
        return FENCE_REASON_BAD_HEADER;
    if (packet->offset + length > skb->len)
        return FENCE_REASON_TRUNCATED;
    if (ip->ihl > 5) {
        int reason =
            parse_ipv4_options(skb, packet->offset + sizeof(*ip), packet->offset + ip->ihl * 4u);

        if (reason)
            return reason;
        ip = parse_at(skb, packet->offset, sizeof(*ip));
        if (!ip)
            return FENCE_REASON_TRUNCATED;
    }

    address_from_ipv4(&packet->outer.source, ip->saddr);
    address_from_ipv4(&packet->outer.destination, ip->daddr);
    packet->outer.protocol = ip->protocol;
    packet->hop_limit = ip->ttl;
    packet->end = packet->offset + length;
    packet->offset += ip->ihl * 4u;

    fragment = bpf_ntohs(ip->frag_off);
    packet->fragment_id = bpf_ntohs(ip->id);
    if (fragment & IPV4_FRAGMENT_OFFSET)
        packet->fragment = PACKET_LATER;
    else if (fragment & IPV4_FRAGMENT_MORE)
        packet->fragment = PACKET_FIRST;
    /* a later fragment that would rewrite the TCP header (RFC 3128) */
    if (ip->protocol == IPPROTO_TCP && (fragment & IPV4_FRAGMENT_OFFSET) &&
        (fragment & IPV4_FRAGMENT_OFFSET) * 8 < sizeof(struct tcphdr))
        return FENCE_REASON_FRAGMENT_BAD;
    return 0;
}

fence_inline int parse_ipv6_fragment(const struct __sk_buff *skb, struct packet *packet, __u8 *next)
{
    struct ipv6_fragment *header = parse_transport(skb, packet, sizeof(*header));
    __u32 offset;

    if (!header)
        return FENCE_REASON_TRUNCATED;
    offset = bpf_ntohs(header->offset) & IPV6_FRAGMENT_OFFSET;
    packet->fragment_id = bpf_ntohl(header->id);
    if (offset)
        packet->fragment = PACKET_LATER;
    else if (bpf_ntohs(header->offset) & IPV6_FRAGMENT_MORE)
        packet->fragment = PACKET_FIRST;
    if (header->next == IPPROTO_TCP && offset && offset < sizeof(struct tcphdr))
        return FENCE_REASON_FRAGMENT_BAD;
    *next = header->next;
    packet->offset += sizeof(*header);
    return 0;
}

/* Walk to the transport header. Returns 0 or the reason. */
fence_inline int parse_ipv6_extensions(const struct __sk_buff *skb, struct packet *packet,
                                       __u8 next)
{
    int fragment_headers = 0;

    for (int i = 0; i < PARSE_EXTENSIONS; i++) {
        struct ipv6_extension *header;
        int reason;

        switch (next) {
        case IPV6_HEADER_FRAGMENT:
            if (fragment_headers++)
                return FENCE_REASON_BAD_EXTENSION;
            reason = parse_ipv6_fragment(skb, packet, &next);
            if (reason)
                return reason;
            /* what follows in a later fragment is payload, whatever it looks like */
            if (packet->fragment == PACKET_LATER) {
                packet->outer.protocol = next;
                return 0;
            }
            break;
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
        case IPPROTO_AH:
            header = parse_transport(skb, packet, sizeof(*header));
            if (!header)
                return FENCE_REASON_TRUNCATED;
            /* the packet goes on from its destination to somebody who has not been judged */
            if (next == IPPROTO_ROUTING && header->segments_left)
                return FENCE_REASON_BAD_EXTENSION;
            packet->offset +=
                next == IPPROTO_AH ? (header->length + 2u) * 4 : (header->length + 1u) * 8;
            next = header->next;
            break;
        default:
            packet->outer.protocol = next;
            return 0;
        }
        if (packet->offset > packet->end || packet->offset > PARSE_MAX_OFFSET)
            return FENCE_REASON_BAD_EXTENSION;
    }
    return FENCE_REASON_BAD_EXTENSION;
}

fence_inline int parse_ipv6(const struct __sk_buff *skb, struct packet *packet)
{
    struct ipv6hdr *ip = parse_at(skb, packet->offset, sizeof(*ip));
    __u32 length;

    if (!ip)
        return FENCE_REASON_TRUNCATED;
    if (ip->version != 6)
        return FENCE_REASON_BAD_HEADER;
    length = bpf_ntohs(ip->payload_len);
    if (length == 0 && skb->gso_size)
        length = skb->len - packet->offset - sizeof(*ip);
    if (packet->offset + sizeof(*ip) + length > skb->len)
        return FENCE_REASON_TRUNCATED;
    __builtin_memcpy(&packet->outer.source, &ip->saddr, 16);
    __builtin_memcpy(&packet->outer.destination, &ip->daddr, 16);
    /* the mapped range is how IPv4 is written here; on the wire it is nobody's address */
    if (address_is_ipv4(&packet->outer.source) || address_is_ipv4(&packet->outer.destination))
        return FENCE_REASON_MARTIAN;
    packet->hop_limit = ip->hop_limit;
    packet->offset += sizeof(*ip);
    packet->end = packet->offset + length;
    return parse_ipv6_extensions(skb, packet, ip->nexthdr);
}

fence_step int parse_ip(struct __sk_buff *skb, struct packet *packet)
{
    int reason;

    if (!packet)
        return FENCE_REASON_TRUNCATED;
    reason = packet->ethertype == ETH_P_IP ? parse_ipv4(skb, packet) : parse_ipv6(skb, packet);

    if (!reason && packet->fragment != PACKET_LATER)
        reason = parse_ports(skb, packet);
    if (!reason && packet->fragment != PACKET_WHOLE)
        reason = parse_fragment(packet);
    return reason;
}

/* Link layer: 0, or the reason; packet->ethertype and offset are set. */
fence_inline int parse_link(struct __sk_buff *skb, struct packet *packet)
{
    struct ethhdr *ethernet;

    ethernet = parse_at(skb, 0, sizeof(*ethernet));
    if (!ethernet)
        return FENCE_REASON_TRUNCATED;
    packet->ethertype = bpf_ntohs(ethernet->h_proto);
    if (skb->vlan_present || packet->ethertype == ETH_P_8021Q || packet->ethertype == ETH_P_8021AD)
        return FENCE_REASON_VLAN;
    packet->offset = sizeof(*ethernet);
    switch (packet->ethertype) {
    case ETH_P_IP:
    case ETH_P_IPV6:
    case ETH_P_ARP:
        return 0;
    default:
        return FENCE_REASON_ETHERTYPE;
    }
}
