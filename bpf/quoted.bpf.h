/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors: what they quote, and the connection that they belong to. What an error quotes is
 * hostile, and no packet that passed any check.
 */
#pragma once

#include "bpf/connection.bpf.h"
#include "bpf/endpoint.bpf.h"
#include "bpf/key.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/parse.bpf.h"

/* A quoted fragment that its sender has cut: the first one has the ports. -1: it is another one. */
fence_inline int parse_quoted_fragment(const struct __sk_buff *skb, struct packet *packet,
                                       struct tuple *tuple)
{
    struct ipv6_fragment *header = parse_transport(skb, packet, sizeof(*header));

    if (!header || header->offset & bpf_htons(IPV6_FRAGMENT_OFFSET))
        return -1;
    tuple->protocol = header->next;
    packet->offset += sizeof(*header);
    return 0;
}

/*
 * The packet that an ICMP error quotes: 0 when its tuple could be read. Other IPv6 extension
 * headers in front of the quoted transport header are not walked: such an error is unrelated.
 */
fence_inline int parse_quoted(const struct __sk_buff *skb, struct packet *packet,
                              struct tuple *tuple)
{
    struct port_head *ports;
    struct icmp_head *icmp;

    packet->offset += sizeof(struct icmp_head);
    if (packet->ethertype == ETH_P_IP) {
        struct iphdr *ip = parse_transport(skb, packet, sizeof(*ip));

        if (!ip || ip->version != 4 || ip->ihl < 5 ||
            (bpf_ntohs(ip->frag_off) & IPV4_FRAGMENT_OFFSET))
            return -1;
        address_from_ipv4(&tuple->source, ip->saddr);
        address_from_ipv4(&tuple->destination, ip->daddr);
        tuple->protocol = ip->protocol;
        packet->offset += ip->ihl * 4u;
    } else {
        struct ipv6hdr *ip = parse_transport(skb, packet, sizeof(*ip));

        if (!ip || ip->version != 6)
            return -1;
        __builtin_memcpy(&tuple->source, &ip->saddr, 16);
        __builtin_memcpy(&tuple->destination, &ip->daddr, 16);
        tuple->protocol = ip->nexthdr;
        packet->offset += sizeof(*ip);
        if (tuple->protocol == IPV6_HEADER_FRAGMENT &&
            parse_quoted_fragment(skb, packet, tuple) < 0)
            return -1;
    }
    /* eight bytes of every transport header are always quoted (RFC 792) */
    ports = parse_transport(skb, packet, sizeof(*ports));
    if (!ports)
        return -1;
    if (tuple->protocol == IPPROTO_ICMP || tuple->protocol == IPPROTO_ICMPV6) {
        icmp = (struct icmp_head *)ports;
        if (icmp_is_error(tuple->protocol, icmp->type))
            return -1;
        parse_icmp_tuple(tuple, icmp);
        return 0;
    }
    tuple->source_port = bpf_ntohs(ports->source);
    tuple->destination_port = bpf_ntohs(ports->destination);
    return 0;
}

/*
 * What an ICMP error quotes, if it may come from where it comes and go where it goes: 0 or the
 * reason to drop.
 */
fence_step int connection_quoted(struct __sk_buff *skb, struct packet *packet,
                                 struct tuple *ret_quoted)
{
    int pod_sent;

    if (!packet || !ret_quoted)
        return FENCE_REASON_UNRELATED;
    /* an error towards the pod quotes what the pod sent, and the other way round */
    pod_sent = packet->direction == FENCE_INGRESS;
    parse_pull(skb);
    /* a pair is filled of them: see the head of pair.bpf.h */
    if (parse_quoted(skb, packet, ret_quoted) != 0 || is_martian(ret_quoted))
        return FENCE_REASON_UNRELATED;
    if (!address_equal(pod_sent ? &ret_quoted->source : &ret_quoted->destination,
                       packet_local(packet)))
        return FENCE_REASON_UNRELATED;
    /* any router may tell the pod; the pod may tell the other end, and nobody else */
    if (!pod_sent && !address_equal(&ret_quoted->source, packet_remote(packet)))
        return FENCE_REASON_UNRELATED;
    return 0;
}

/* An ICMP error goes with the connection that it quotes: 0 or the reason to drop. */
fence_step int connection_judge_quoted(struct packet *packet, const struct tuple *quoted)
{
    int pod_sent;
    struct judgement judgement = {};
    struct question question = {};
    struct connection_key key;
    struct fence_pair *pair;
    struct found found;

    if (!packet || !quoted)
        return FENCE_REASON_UNRELATED;
    pod_sent = packet->direction == FENCE_INGRESS;
    pair = pair_get(packet, pod_sent ? &quoted->source : &quoted->destination,
                    pod_sent ? &quoted->destination : &quoted->source);
    if (!pair)
        return FENCE_REASON_UNRELATED;
    connection_key(pair, quoted, pod_sent, packet->secret, &key);
    connection_find(packet, &key, &found);
    if (!found.state)
        return FENCE_REASON_UNRELATED;
    if (found.state & FENCE_CONN_TRANSLATED)
        pair = connection_true_pair(packet, pair, &key);
    if (!pair)
        return FENCE_REASON_UNRELATED;
    question.direction = connection_direction(found.state);
    question.position = connection_position(&key, question.direction);
    question.from_host = !!(found.state & FENCE_CONN_FROM_HOST);
    judge(pair, &question, &judgement);
    return judgement.verdict == FENCE_ALLOW ? 0 : judgement.reason;
}
