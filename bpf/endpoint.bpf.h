/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 2: which pod this is, and whether the packet can be its own. A pod may use its MAC and its
 * addresses, its link-local address, and :: while it looks for duplicates; it is no router and no
 * DHCP server. What keeps a network alive under default deny (ARP, ND, MLD) is let through here,
 * after its own checks.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/parse.bpf.h"

#define ND_ROUTER_SOLICITATION     133
#define ND_ROUTER_ADVERTISEMENT    134
#define ND_NEIGHBOUR_SOLICITATION  135
#define ND_NEIGHBOUR_ADVERTISEMENT 136
#define ND_REDIRECT                137
#define ND_HOP_LIMIT               255
#define ND_MAX_BYTES               256 /* with options */
#define ND_BARE_BYTES              32  /* with one link-layer address */

#define ICMP_REDIRECT 5

#define ARP_MAX_BYTES 64 /* the frame, padded */

#define DHCP_SERVER_PORT   67
#define DHCP_CLIENT_PORT   68
#define DHCPV6_SERVER_PORT 547
#define DHCPV6_CLIENT_PORT 546

struct arp_ipv4 {
    __be16 hardware;
    __be16 protocol;
    __u8 hardware_length;
    __u8 protocol_length;
    __be16 operation;
    __u8 sender_mac[6];
    __u8 sender_addr[4];
    __u8 target_mac[6];
    __u8 target_addr[4];
};

/* Both in a packet or a map, where any address may be read as 4 bytes. */
fence_inline int mac_equal(const void *a, const void *b)
{
    const __u32 *one = a, *other = b;

    return ((one[0] ^ other[0]) | (*(const __u16 *)(one + 1) ^ *(const __u16 *)(other + 1))) == 0;
}

fence_inline int endpoint_owns(const struct fence_endpoint *endpoint, const struct fence_addr *addr)
{
    for (int i = 0; i < FENCE_ENDPOINT_ADDRS; i++)
        if (i < endpoint->addr_count && address_equal(&endpoint->addrs[i], addr))
            return 1;
    return 0;
}

/* The link-local address that the kernel derives from the MAC (EUI-64). */
fence_inline int is_own_link_local(const struct fence_endpoint *endpoint,
                                   const struct fence_addr *addr)
{
    const __u8 *mac = endpoint->mac;

    return addr->words[0] == bpf_htonl(0xfe800000) && addr->words[1] == 0 &&
           addr->bytes[8] == (mac[0] ^ 2) && addr->bytes[9] == mac[1] &&
           addr->bytes[10] == mac[2] && addr->bytes[11] == 0xff && addr->bytes[12] == 0xfe &&
           addr->bytes[13] == mac[3] && addr->bytes[14] == mac[4] && addr->bytes[15] == mac[5];
}

/* Somebody on this link, as far as an address can tell: a known one, for unicast probes. */
fence_inline int is_near(const struct fence_endpoint *endpoint, const struct fence_addr *addr)
{
    struct fence_addr copy = *addr;

    return address_is_link_local(addr) || endpoint_owns(endpoint, addr) ||
           bpf_map_lookup_elem(&addresses, &copy);
}

/* Beyond every link of ours. */
fence_inline int is_far(const struct fence_addr *addr)
{
    struct fence_prefix_key key = {.length = 128, .addr = *addr};
    __u32 *number = bpf_map_lookup_elem(&prefixes, &key);
    struct fence_peer *peer = number ? bpf_map_lookup_elem(&peers, number) : NULL;

    return peer && (peer->flags & FENCE_PEER_IS_WORLD);
}

/*
 * ND and MLD that keep the link alive, under any policy. They stay on the link (hop limit), are
 * small, and go to a group of the link or to a neighbour; whatever else has these types is
 * ordinary ICMPv6 and policy's to judge.
 */
fence_inline int is_neighbour(const struct packet *packet, const struct fence_endpoint *endpoint)
{
    const struct tuple *tuple = &packet->outer;
    __u8 type = tuple->icmp_type;

    if (tuple->protocol != IPPROTO_ICMPV6 || packet->fragment != PACKET_WHOLE)
        return 0;
    if (icmp_is_nd(tuple->protocol, type)) {
        __u32 size = packet->end - packet->offset;

        if ((tuple->destination.bytes[0] == 0xff && tuple->destination.bytes[1] == 0x02) ||
            is_near(endpoint, &tuple->destination))
            return size <= ND_MAX_BYTES;
        /* a neighbour that nobody has told us of: no room for more than its own MAC. Who asks is
         * answered, though nobody may know its range yet; who asks may ask by multicast. */
        return size <= ND_BARE_BYTES &&
               (type != ND_NEIGHBOUR_SOLICITATION || !is_far(&tuple->destination));
    }
    if (((type < 130 || type > 132) && type != 143) || packet->end - packet->offset > ND_MAX_BYTES)
        return 0;
    return packet->hop_limit == 1 && tuple->destination.bytes[0] == 0xff &&
           (address_is_link_local(&tuple->source) || address_is_none(&tuple->source));
}

/* Loopback and multicast never leave a pod as a source, and nobody reaches loopback from outside.
 */
fence_inline int is_martian(const struct tuple *tuple)
{
    const struct fence_addr *source = &tuple->source;
    const struct fence_addr *destination = &tuple->destination;

    if (address_is_ipv4(source))
        return source->bytes[12] == 127 || source->bytes[12] >= 224 ||
               destination->bytes[12] == 127;
    return source->bytes[0] == 0xff ||
           (source->words[0] == 0 && source->words[1] == 0 && source->words[2] == 0 &&
            source->words[3] == bpf_htonl(1)) ||
           (destination->words[0] == 0 && destination->words[1] == 0 &&
            destination->words[2] == 0 && destination->words[3] == bpf_htonl(1));
}

/* Returns 0 or the reason. */
fence_inline int check_sender(const struct __sk_buff *skb, const __u8 *mac)
{
    struct ethhdr *ethernet = parse_at(skb, 0, sizeof(*ethernet));

    if (!ethernet)
        return FENCE_REASON_TRUNCATED;
    return mac_equal(ethernet->h_source, mac) ? 0 : FENCE_REASON_SPOOFED_MAC;
}

fence_inline int check_arp(const struct __sk_buff *skb, const struct fence_endpoint *endpoint)
{
    struct arp_ipv4 *arp = parse_at(skb, sizeof(struct ethhdr), sizeof(*arp));
    struct fence_addr sender __attribute__((aligned(8)));
    __u32 addr;

    if (!arp)
        return FENCE_REASON_TRUNCATED;
    if (arp->protocol != bpf_htons(ETH_P_IP) || arp->hardware_length != 6 ||
        arp->protocol_length != 4)
        return FENCE_REASON_BAD_HEADER;
    __builtin_memcpy(&addr, arp->sender_addr, 4);
    address_from_ipv4(&sender, addr);
    /* 0.0.0.0 is a probe (RFC 5227) */
    if (!mac_equal(arp->sender_mac, endpoint->mac) || (addr && !endpoint_owns(endpoint, &sender)))
        return FENCE_REASON_SPOOFED_ARP;
    return 0;
}

/* Of a router, which a pod is not; for ICMPv6 see check_neighbour. */
fence_inline int is_redirect(const struct packet *packet)
{
    return packet->outer.protocol == IPPROTO_ICMP && packet->fragment != PACKET_LATER &&
           packet->outer.icmp_type == ICMP_REDIRECT;
}

/*
 * What the pod receives is for itself, or for many: a frame's MAC brings it here, but it is the
 * address that its sender was judged by.
 */
fence_inline int check_destination(const struct packet *packet,
                                   const struct fence_endpoint *endpoint)
{
    const struct fence_addr *destination = &packet->outer.destination;
    int many = address_is_ipv4(destination)
                   ? (destination->bytes[12] & 0xf0) == 224 || ~destination->words[3] == 0
                   : destination->bytes[0] == 0xff || address_is_link_local(destination);

    if ((endpoint->flags & (FENCE_EP_SOURCE_OFF | FENCE_EP_SOURCE_REPORT)) || many ||
        endpoint_owns(endpoint, destination))
        return 0;
    return FENCE_REASON_MARTIAN;
}

fence_inline int check_address(const struct packet *packet, const struct fence_endpoint *endpoint)
{
    const struct fence_addr *source = &packet->outer.source;

    if (endpoint_owns(endpoint, source) || is_own_link_local(endpoint, source))
        return 0;
    /* duplicate address detection and MLD before there is an address */
    if (packet->neighbour && address_is_none(source))
        return 0;
    return FENCE_REASON_SPOOFED_ADDRESS;
}

/* The target of a solicitation or advertisement; 0 or the reason. */
fence_inline int nd_target(const struct __sk_buff *skb, const struct packet *packet,
                           struct fence_addr *target)
{
    void *at = parse_transport(skb, packet, sizeof(struct icmp_head) + sizeof(*target));

    if (!at)
        return FENCE_REASON_TRUNCATED;
    __builtin_memcpy(target, at + sizeof(struct icmp_head), sizeof(*target));
    return 0;
}

/* Neighbour discovery that a pod sends: it may ask for anybody, and answer for itself. Asking from
 * :: is a claim too (duplicate address detection). */
fence_inline int check_neighbour(const struct __sk_buff *skb, const struct packet *packet,
                                 const struct fence_endpoint *endpoint)
{
    __u8 type = packet->outer.icmp_type;
    struct fence_addr target;
    int reason;

    if (type == ND_ROUTER_ADVERTISEMENT || type == ND_REDIRECT)
        return FENCE_REASON_ROUTER_ADVERTISEMENT;
    if (type != ND_NEIGHBOUR_ADVERTISEMENT &&
        !(type == ND_NEIGHBOUR_SOLICITATION && address_is_none(&packet->outer.source)))
        return 0;
    reason = nd_target(skb, packet, &target);
    if (reason)
        return reason;
    if (endpoint_owns(endpoint, &target) || is_own_link_local(endpoint, &target))
        return 0;
    return FENCE_REASON_SPOOFED_ND;
}

fence_inline int check_dhcp(const struct packet *packet)
{
    const struct tuple *tuple = &packet->outer;

    if (tuple->protocol != IPPROTO_UDP)
        return 0;
    /* clients take an answer from any port */
    if (packet->ethertype == ETH_P_IP &&
        (tuple->source_port == DHCP_SERVER_PORT || tuple->destination_port == DHCP_CLIENT_PORT))
        return FENCE_REASON_DHCP_SERVER;
    if (packet->ethertype == ETH_P_IPV6 &&
        (tuple->source_port == DHCPV6_SERVER_PORT || tuple->destination_port == DHCPV6_CLIENT_PORT))
        return FENCE_REASON_DHCP_SERVER;
    return 0;
}

/* An IP packet from the pod: 0 or the reason. */
fence_inline int check_source(const struct __sk_buff *skb, const struct packet *packet,
                              const struct fence_endpoint *endpoint)
{
    int reason = check_sender(skb, endpoint->mac);

    if (!reason)
        reason = check_address(packet, endpoint);
    if (!reason && is_redirect(packet))
        reason = FENCE_REASON_ROUTER_ADVERTISEMENT;
    if (!reason && icmp_is_nd(packet->outer.protocol, packet->outer.icmp_type) &&
        packet->fragment == PACKET_WHOLE)
        reason = check_neighbour(skb, packet, endpoint);
    return reason;
}

/* ND must come from this link (RFC 4861 section 6.1 and 7.1): 0 or the reason. */
fence_inline int check_hop_limit(const struct packet *packet)
{
    if (packet->fragment == PACKET_WHOLE &&
        icmp_is_nd(packet->outer.protocol, packet->outer.icmp_type) &&
        (packet->hop_limit != ND_HOP_LIMIT || packet->outer.icmp_code != 0))
        return FENCE_REASON_BAD_HEADER;
    return 0;
}
