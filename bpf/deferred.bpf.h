/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A service of whose backends policy allows some and others not (FENCE_DEFER): at the sender's hook
 * nobody knows yet which of them it will be. What the sender may do is asked again where it is
 * known: at the hook of the pod that receives, at every other device that a packet can leave by
 * (to_network), and of answers at the sender's own hook. The packet's conntrack entry tells who
 * sent it, whom he asked and who answers.
 *
 * The sender's hook lets such packets pass only while settings say that to_network is at all these
 * devices (FENCE_SETTING_DEFER). What leaves the node untranslated all the same is dropped.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>

#include "bpf/connection.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/judge.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/policy.bpf.h"
#include "bpf/way.bpf.h"

#ifndef FENCE_PLAIN

/* Nobody tracks it, so nobody has translated it: as it is on its way. A later fragment has no port,
 * and is of no use without its first. */
fence_inline int deferred_untracked(struct __sk_buff *skb, struct way *way)
{
    __u16 ports[2] = {};
    __u8 head[10];
    __be32 ends[2];
    __u32 offset;

    if (bpf_skb_load_bytes_relative(skb, 0, head, sizeof(head), BPF_HDR_START_NET) < 0)
        return 0;
    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        if (bpf_skb_load_bytes_relative(skb, 12, ends, sizeof(ends), BPF_HDR_START_NET) < 0)
            return 0;
        address_from_ipv4(&way->sender, ends[0]);
        address_from_ipv4(&way->asked, ends[1]);
        way->protocol = head[9];
        offset = (head[0] & 15) * 4;
    } else if (skb->protocol != bpf_htons(ETH_P_IPV6) ||
               bpf_skb_load_bytes_relative(skb, 8, &way->sender, 32, BPF_HDR_START_NET) < 0) {
        return 0;
    } else {
        way->protocol = head[6];
        offset = sizeof(struct ipv6hdr);
    }
    bpf_skb_load_bytes_relative(skb, offset, ports, sizeof(ports), BPF_HDR_START_NET);
    way->sender_port = bpf_ntohs(ports[0]);
    way->asked_port = bpf_ntohs(ports[1]);
    if (is_icmp(way->protocol))
        way->asked_port = way->sender_port;
    way->real = way->asked;
    way->real_port = way->asked_port;
    way->is_answer = 0;
    return 1;
}

/* Is this the hook, and the packet, at which the opener's policy is to be asked? A packet that
 * leaves has the direction of one that a pod sends (to_network). */
fence_step int deferred_find(struct __sk_buff *skb, const struct packet *packet, struct way *way)
{
    if (!packet || !way)
        return 0;
    if (!way_tracked(skb, way)) {
        /* an ICMP error is tracked, by what it quotes */
        return packet->direction == FENCE_EGRESS && !way->protocol && deferred_untracked(skb, way);
    }
    return packet->direction == FENCE_EGRESS ? !way->is_answer : way_is_translated(way);
}

/* What the opener's own hook said: was it deferred? And what it says now. 1: it is refused. */
fence_step int deferred_ask(const struct packet *packet, const struct way *way,
                            struct judgement *judgement)
{
    struct question question = {};
    struct fence_interval *interval;
    struct fence_pair *pair;

    if (!packet || !way || !judgement)
        return 0;
    pair = pair_get(packet, &way->sender, &way->asked);
    if (!pair)
        return 0;
    interval =
        policy_search(&pair->tables[FENCE_EGRESS], FENCE_POSITION(way->protocol, way->asked_port));
    if (!interval || interval->verdict != FENCE_DEFER)
        return 0;
    pair = pair_get(packet, &way->sender, &way->real);
    if (!pair) {
        policy_deny(judgement, FENCE_REASON_NOT_APPLIED);
        return 1;
    }
    question.direction = FENCE_EGRESS;
    question.position = FENCE_POSITION(way->protocol, way->real_port);
    judge(pair, &question, judgement);
    if (judgement->verdict == FENCE_ALLOW && judgement->reason != FENCE_REASON_SERVICE_DEFERRED)
        return 0;
    if (judgement->verdict == FENCE_ALLOW || !way_is_translated(way))
        policy_deny(judgement, FENCE_REASON_SERVICE_MIXED);
    return 1;
}

/* Told as what the opener's end refuses, by the addresses that it is about. */
fence_inline void deferred_refuse(struct packet *packet, const struct way *way,
                                  const struct judgement *judgement, __u32 identity)
{
    packet->outer.source = way->sender;
    packet->outer.destination = way->real;
    packet->outer.source_port = way->sender_port;
    packet->outer.destination_port = way->real_port;
    packet->outer.protocol = way->protocol;
    packet->ethertype = address_is_ipv4(&way->sender) ? ETH_P_IP : ETH_P_IPV6;
    count(packet, judgement->reason);
    count_flow(packet, identity, judgement, 0);
    tell(packet, judgement, identity, FENCE_EVENT_DROP);
}

/* 1: the opener's policy, asked where it is known whom the packet goes to or comes from, refuses
 * it. The packet is not parsed yet. */
fence_step int deferred_judge(struct __sk_buff *skb, struct packet *packet,
                              struct judgement *judgement)
{
    __u32 here, direction, *ifindex;
    struct fence_endpoint *endpoint;
    struct way way = {};
    int refused;

    if (!packet || !judgement || !deferred_find(skb, packet, &way))
        return 0;
    ifindex = bpf_map_lookup_elem(&locals, &way.sender);
    if (!ifindex || (way.is_answer && *ifindex != packet->ifindex))
        return 0;
    endpoint = bpf_map_lookup_elem(&endpoints, ifindex);
    if (!endpoint || (endpoint->flags & FENCE_EP_EXEMPT))
        return 0;
    here = packet->ifindex;
    direction = packet->direction;
    packet->ifindex = *ifindex;
    packet->direction = FENCE_EGRESS;
    refused = deferred_ask(packet, &way, judgement);
    if (refused)
        deferred_refuse(packet, &way, judgement, endpoint->identity);
    packet->ifindex = here;
    packet->direction = direction;
    return refused;
}

#endif
