// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The data path, top to bottom: parse -> endpoint -> connection -> peer -> policy -> verdict ->
 * event and counters. One program for each direction, shared by all endpoints. Allow is
 * TC_ACT_UNSPEC, so that other filters still run; deny is TC_ACT_SHOT.
 *
 * Most packets take a short way through the same steps: quick.bpf.h.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"
#include "bpf/arrival.bpf.h"
#include "bpf/checksum.bpf.h"
#include "bpf/connection.bpf.h"
#include "bpf/deferred.bpf.h"
#include "bpf/endpoint.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/handover.bpf.h"
#include "bpf/judge.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/mark.bpf.h"
#include "bpf/origin.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/parse.bpf.h"
#include "bpf/peer.bpf.h"
#include "bpf/policy.bpf.h"
#include "bpf/quick.bpf.h"
#include "bpf/quoted.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Source checks of what the pod sends, in the endpoint's mode: 0 or the reason to drop. */
fence_step int check_sent(const struct __sk_buff *skb, const struct packet *packet,
                          const struct fence_endpoint *endpoint)
{
    int reason;

    if (!packet || !endpoint || endpoint->flags & FENCE_EP_SOURCE_OFF)
        return 0;
    if (packet->ethertype == ETH_P_ARP) {
        reason = check_sender(skb, endpoint->mac);
        if (!reason)
            reason = check_arp(skb, endpoint);
    } else {
        reason = check_source(skb, packet, endpoint);
        if (!reason)
            reason = check_dhcp(packet);
    }
    if (reason && (endpoint->flags & FENCE_EP_SOURCE_REPORT)) {
        count(packet, reason);
        return 0;
    }
    return reason;
}

/* Everything before policy: 0 or the reason to drop. */
fence_step int check_packet(struct __sk_buff *skb, struct packet *packet,
                            const struct fence_endpoint *endpoint)
{
    int reason = 0;

    if (!packet || !endpoint)
        return FENCE_REASON_NO_ENDPOINT;
    if (packet->ethertype != ETH_P_ARP) {
        reason = parse_ip(skb, packet);
        if (reason && parse_pull(skb)) {
            packet->offset = sizeof(struct ethhdr);
            packet->fragment = PACKET_WHOLE;
            reason = parse_ip(skb, packet);
        }
        if (reason)
            return reason;
        if (is_martian(&packet->outer))
            return FENCE_REASON_MARTIAN;
    } else if (skb->len > ARP_MAX_BYTES) {
        /* it passes under any policy, so it has no room for anything else */
        return FENCE_REASON_BAD_HEADER;
    }
    packet->neighbour = packet->ethertype == ETH_P_ARP || is_neighbour(packet, endpoint);
    if (packet->ethertype == ETH_P_IPV6)
        reason = check_hop_limit(packet);
    if (!reason && packet->direction == FENCE_EGRESS)
        reason = check_checksum(skb, packet);
    if (!reason && packet->direction == FENCE_EGRESS)
        reason = check_sent(skb, packet, endpoint);
    else if (!reason && packet->ethertype != ETH_P_ARP)
        reason = check_destination(packet, endpoint);
    return reason;
}

/* Everything before policy. 1: policy is to judge it. */
fence_inline int admit(struct __sk_buff *skb, struct packet *packet,
                       const struct fence_endpoint *endpoint, struct judgement *judgement)
{
    struct tuple quoted = {};
    int reason;

    if (endpoint->flags & FENCE_EP_EXEMPT) {
        policy_allow(judgement, FENCE_REASON_EXEMPT);
        return 0;
    }
    reason = check_packet(skb, packet, endpoint);
    if (reason) {
        policy_deny(judgement, reason);
        tell(packet, judgement, endpoint->identity, FENCE_EVENT_DROP);
        return 0;
    }
    if (packet->neighbour) {
        policy_allow(judgement, FENCE_REASON_NEIGHBOUR);
        return 0;
    }
    if (packet->icmp_error && !packet->probe) {
        reason = connection_quoted(skb, packet, &quoted);
        if (!reason)
            reason = connection_judge_quoted(packet, &quoted);
        if (!reason) {
            policy_allow(judgement, FENCE_REASON_RELATED);
            return handover_takes_error(packet, &quoted);
        }
    }
    if (pair_fill(packet, packet_local(packet), packet_remote(packet)) == 0)
        return 1;
    policy_deny(judgement, FENCE_REASON_NOT_APPLIED);
    return 0;
}

fence_inline void packet_begin(const struct __sk_buff *skb, struct packet *packet, __u32 direction)
{
    packet->direction = direction;
    packet->fragment = PACKET_WHOLE;
    packet->ifindex = skb->ifindex;
    packet->length = skb->len;
    packet->now = bpf_jiffies64();
}

/* What the shortest way has not left behind. `parsed`: quick_parse has taken the packet. */
fence_inline void packet_complete(struct packet *packet, const struct fence_settings *setting,
                                  int parsed)
{
    if (!parsed) {
        __builtin_memset(&packet->outer, 0, sizeof(packet->outer));
        packet->offset = packet->end = packet->ethertype = packet->tcp_flags = 0;
    }
    packet->outer.icmp_type = packet->outer.icmp_code = packet->outer.pad = 0;
    barrier(); /* the compiler would clear all of it together, in single bytes */
    address_clear(&packet->true_source);
    packet->fragment_id = packet->has_true_source = packet->is_direct = 0;
    packet->origin = FENCE_ORIGIN_FORWARDED;
    packet->probe = packet->hop_limit = packet->icmp_error = packet->neighbour = 0;
    packet->hz = setting ? setting->hz : 1000;
    packet->secret[0] = setting ? setting->hash_key[0] : 0;
    packet->secret[1] = setting ? setting->hash_key[1] : 0;
    packet->bucket_mask = setting ? setting->bucket_mask : 0;
}

/*
 * Step by step up to policy, for whatever the short way does not know. 1: policy is to judge it,
 * and the pair of its addresses is filled; 0: it is judged.
 */
fence_step int long_way(struct __sk_buff *skb, struct packet *packet, struct judgement *judgement)
{
    struct fence_endpoint *endpoint;
    __u32 ifindex;
    int reason;

    if (!packet || !judgement)
        return 0;
    packet->tcp_flags = 0;
    reason = parse_link(skb, packet);
    ifindex = packet->ifindex;
    endpoint = bpf_map_lookup_elem(&endpoints, &ifindex);
    if (endpoint && (!reason || (endpoint->flags & FENCE_EP_EXEMPT)))
        return admit(skb, packet, endpoint, judgement);
    policy_deny(judgement, endpoint ? reason : FENCE_REASON_NO_ENDPOINT);
    tell(packet, judgement, endpoint ? endpoint->identity : 0, FENCE_EVENT_DROP);
    return 0;
}

/* By policy; towards the pod only what is from whom it says. */
fence_inline void judge_packet(struct __sk_buff *skb, struct packet *packet,
                               struct fence_pair *pair, struct judgement *judgement,
                               const int direction)
{
    if (direction == FENCE_INGRESS && arrival_is_unknown(skb, packet, pair))
        arrival_judge_unknown(packet, pair, judgement);
    else
        connection_judge(packet, pair, judgement);
}

/* The pair of a packet that has come the long way, for policy to judge it; NULL: it is judged. */
fence_inline struct fence_pair *admitted_pair(struct __sk_buff *skb, struct packet *packet,
                                              const int direction, struct judgement *judgement)
{
    struct fence_pair *pair;

    if (!long_way(skb, packet, judgement))
        return NULL;
    pair = pair_place(packet, pair_hash(packet, packet_local(packet), packet_remote(packet)));
    if (pair && direction == FENCE_EGRESS && !packet->probe && handover_is_plain(packet))
        packet->is_direct = handover_is_for(pair);
    return pair;
}

/* The sender's end allows it: the receiver's turn, if the connection is direct. */
fence_inline int hand_over(struct __sk_buff *skb, struct packet *packet, struct fence_pair *pair,
                           struct judgement *judgement)
{
    int action = TC_ACT_SHOT;

    if (!handover_is_direct(packet, pair) || !handover_begin(skb, packet, pair->neighbour))
        return TC_ACT_UNSPEC;
    pair = pair_place(packet, pair_hash(packet, packet_local(packet), packet_remote(packet)));
    if (!pair)
        return TC_ACT_SHOT;
    connection_judge(packet, pair, judgement);
    if (judgement->verdict == FENCE_ALLOW)
        action = handover_end(skb, packet, pair);
    /* what goes through the stack instead is counted there, and what was lost has been */
    if (judgement->verdict != FENCE_ALLOW || action == TC_ACT_REDIRECT)
        count(packet, judgement->reason);
    return action;
}

/* The short way. TC_ACT_OK: it does not know; anything else is the action. */
fence_inline int short_way(struct __sk_buff *skb, struct packet *packet, struct fence_pair *pair,
                           const int direction)
{
    if (direction == FENCE_EGRESS && packet->is_direct)
        return handover_quick(skb, packet, pair);
    if (!quick_continues(packet, pair) ||
        (direction == FENCE_INGRESS && !arrival_fits(skb, packet, pair->neighbour)))
        return TC_ACT_OK;
    return quick_allows(packet, pair) ? TC_ACT_UNSPEC : TC_ACT_OK;
}

/*
 * What a process of this node sends has a socket and came in by no device. (A frame that a bridge
 * passes on without netfilter keeps the socket of the pod that sent it.) A step of its own: the
 * verifier would go through all that follows for each answer.
 */
fence_step int origin_of(struct __sk_buff *skb)
{
    return skb->sk && !skb->ingress_ifindex ? FENCE_ORIGIN_LOCAL : FENCE_ORIGIN_FORWARDED;
}

/* Nothing is to be done but to count it. */
fence_inline int shortest_way(const struct __sk_buff *skb, const struct packet *packet,
                              const struct fence_settings *setting, struct fence_pair *pair,
                              const int direction)
{
    if (!pair || !setting ||
        (direction == FENCE_INGRESS && !arrival_is_direct(skb, pair->neighbour)))
        return 0;
    return quick_passes(packet, setting, pair, direction);
}

/* Before all else: does the policy of who has sent it refuse it now? See deferred.bpf.h. */
#ifdef FENCE_PLAIN
fence_inline int sender_refuses(struct __sk_buff *skb, struct packet *packet)
{
    return 0; /* nobody knows, and settings never ask for it */
}
#else
fence_step int sender_refuses(struct __sk_buff *skb, struct packet *packet)
{
    struct judgement judgement = {};

    if (!packet)
        return 0;
    packet_complete(packet, settings_now(), 0);
    return deferred_judge(skb, packet, &judgement);
}
#endif

/* The pipeline. Returns the TC action. */
fence_inline int pipeline(struct __sk_buff *skb, const int direction)
{
    const struct fence_settings *setting = settings_now();
    struct judgement judgement;
    int within, action = TC_ACT_OK;
    struct fence_pair *pair;
    struct packet packet;

    packet_begin(skb, &packet, direction);
    if (direction == FENCE_INGRESS && setting && (setting->flags & FENCE_SETTING_DEFER) &&
        sender_refuses(skb, &packet))
        return TC_ACT_SHOT;
    pair = quick_pair(skb, &packet, setting, direction);
    if (direction == FENCE_EGRESS && pair)
        mark_sent_quick(skb, pair);
    else if (direction == FENCE_EGRESS)
        mark_sent(skb);
    within = direction == FENCE_EGRESS && pair && handover_is_for(pair);
    if (!within && shortest_way(skb, &packet, setting, pair, direction)) {
        count_one(&packet, FENCE_REASON_ESTABLISHED);
        return TC_ACT_UNSPEC;
    }
    packet_complete(&packet, setting, !!pair);
    packet.is_direct = within;
    if (direction == FENCE_INGRESS)
        packet.origin = origin_of(skb);
    __builtin_memset(&judgement, 0, sizeof(judgement));
    /* not in its initialiser, which would be a constant in a map that is new at each load */
    judgement.reason = FENCE_REASON_ESTABLISHED;
    if (pair)
        action = short_way(skb, &packet, pair, direction);
    if (action == TC_ACT_OK) {
        if (!pair)
            pair = admitted_pair(skb, &packet, direction, &judgement);
        if (pair)
            judge_packet(skb, &packet, pair, &judgement, direction);
    }
    count(&packet, judgement.reason);
    if (action != TC_ACT_OK)
        return action;
    if (judgement.verdict != FENCE_ALLOW)
        return TC_ACT_SHOT;
    return direction == FENCE_EGRESS && pair && packet.is_direct
               ? hand_over(skb, &packet, pair, &judgement)
               : TC_ACT_UNSPEC;
}

/* TC ingress of the host veth: the pod sends. */
SEC("tc")
int from_pod(struct __sk_buff *skb)
{
    return pipeline(skb, FENCE_EGRESS);
}

/* TC egress of the host veth: the pod receives. */
SEC("tc")
int to_pod(struct __sk_buff *skb)
{
    return pipeline(skb, FENCE_INGRESS);
}

/* TC egress of every device that is no pod's, while policy defers (deferred.bpf.h). */
SEC("tc")
int to_network(struct __sk_buff *skb)
{
    const struct fence_settings *setting = settings_now();
    struct packet packet;

    if (!setting || !(setting->flags & FENCE_SETTING_DEFER))
        return TC_ACT_UNSPEC;
    packet_begin(skb, &packet, FENCE_EGRESS);
    return sender_refuses(skb, &packet) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

fence_inline int probe(struct __sk_buff *skb, __u32 direction)
{
    struct judgement judgement = {};
    struct packet packet;
    struct fence_pair *pair;

    packet_begin(skb, &packet, direction);
    packet_complete(&packet, settings_now(), 0);
    packet.origin = skb->cb[0] == FENCE_ORIGIN_LOCAL;
    packet.probe = 1;
    pair = admitted_pair(skb, &packet, direction, &judgement);
    if (pair)
        judge_packet(skb, &packet, pair, &judgement, direction);
    skb->cb[FENCE_PROBE_VERDICT] = judgement.verdict | judgement.reason << 8 |
                                   judgement.shadow << 16 | (__u32)judgement.shadow_reason << 24;
    skb->cb[FENCE_PROBE_RULE] = judgement.rule;
    skb->cb[FENCE_PROBE_SHADOW_RULE] = judgement.shadow_rule;
    skb->cb[FENCE_PROBE_PEER] = judgement.peer;
    skb->cb[FENCE_PROBE_SET] = judgement.set;
    return judgement.verdict == FENCE_ALLOW ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

SEC("tc")
int probe_from_pod(struct __sk_buff *skb)
{
    return probe(skb, FENCE_EGRESS);
}

SEC("tc")
int probe_to_pod(struct __sk_buff *skb)
{
    return probe(skb, FENCE_INGRESS);
}

/* User space has the numbers of drops told that nothing has told of; see abi.h. */
SEC("tc")
int flush_events(struct __sk_buff *skb)
{
    const struct fence_settings *setting = settings_now();
    struct flush flush = {};

    flush.now = bpf_jiffies64();
    flush.hz = setting ? setting->hz : 1000;
    flush.ifindex = skb->cb[0];
    bpf_for_each_map_elem(&event_limits, flush_limit, &flush, 0);
    skb->cb[0] = flush.told;
    return TC_ACT_UNSPEC;
}

/* User space learns the kernel's tick from here. */
SEC("tc")
int probe_clock(struct __sk_buff *skb)
{
    __u64 now = bpf_jiffies64();

    skb->cb[0] = (__u32)now;
    skb->cb[1] = (__u32)(now >> 32);
    return TC_ACT_UNSPEC;
}
