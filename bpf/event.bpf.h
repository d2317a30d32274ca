/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 7: counters, flows and events. Equal drops are told EVENT_BURST times a second, then
 * counted into the next record.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"

#define EVENT_BURST 4

/* Of a packet that is no probe. */
fence_inline void count_one(const struct packet *packet, __u32 reason)
{
    __u32 index = reason * FENCE_DIRECTIONS + packet->direction;
    struct fence_counter *counter = bpf_map_lookup_elem(&counters, &index);

    if (!counter)
        return;
    counter->packets++;
    counter->bytes += packet->length;
}

fence_inline void count(const struct packet *packet, __u32 reason)
{
    if (!packet->probe)
        count_one(packet, reason);
}

fence_inline void flow_seen(struct fence_flow *flow, const struct packet *packet,
                            const struct judgement *judgement)
{
    flow->count++;
    flow->last_seen = packet->now;
    flow->rule = judgement->rule;
    flow->shadow_rule = judgement->shadow_rule;
    flow->reason = judgement->reason;
    flow->shadow_reason = judgement->shadow_reason;
}

/* One map operation for each new connection or refused first packet. */
fence_step int count_flow(const struct packet *packet, __u32 identity,
                          const struct judgement *judgement)
{
    struct fence_flow fresh = {};
    struct fence_flow_key key = {};
    struct fence_flow *flow;
    int egress;

    if (!packet || !judgement || packet->probe)
        return 0;
    egress = packet->direction == FENCE_EGRESS;
    key.source = egress ? identity : judgement->peer_identity;
    key.destination = egress ? judgement->peer_identity : identity;
    key.port = packet_port(packet);
    key.protocol = packet->outer.protocol;
    key.direction = packet->direction;
    key.verdict = judgement->verdict;
    key.shadow = judgement->shadow;
    flow = bpf_map_lookup_elem(&flows, &key);
    if (!flow) {
        fresh.first_seen = packet->now;
        flow_seen(&fresh, packet, judgement);
        bpf_map_update_elem(&flows, &key, &fresh, BPF_ANY);
        return 0;
    }
    flow_seen(flow, packet, judgement);
    return 0;
}

/* 1 when this drop may be told; *ret_suppressed = how many were not. */
fence_inline int event_allowed(const struct packet *packet, __u8 reason, __u32 *ret_suppressed)
{
    struct fence_event_key key = {
        .ifindex = packet->ifindex,
        .reason = reason,
        .direction = packet->direction,
        .protocol = packet->outer.protocol,
        .remote = *packet_remote(packet),
        .port = packet_port(packet),
    };
    struct fence_event_limit fresh = {.since = packet->now, .sent = 1};
    struct fence_event_limit *limit = bpf_map_lookup_elem(&event_limits, &key);

    *ret_suppressed = 0;
    if (!limit) {
        bpf_map_update_elem(&event_limits, &key, &fresh, BPF_ANY);
        return 1;
    }
    if (packet->now >= limit->since + packet->hz) {
        *ret_suppressed = limit->suppressed;
        limit->since = packet->now;
        limit->sent = 1;
        limit->suppressed = 0;
        return 1;
    }
    if (limit->sent < EVENT_BURST) {
        limit->sent++;
        return 1;
    }
    __sync_fetch_and_add(&limit->suppressed, 1);
    return 0;
}

fence_inline void event_fill(struct fence_event *event, const struct packet *packet,
                             const struct judgement *judgement)
{
    event->time_ns = bpf_ktime_get_boot_ns();
    event->source = packet->outer.source;
    event->destination = packet->outer.destination;
    event->ifindex = packet->ifindex;
    event->peer = judgement->peer;
    event->peer_identity = judgement->peer_identity;
    event->set = judgement->set;
    event->rule = judgement->rule;
    event->shadow_rule = judgement->shadow_rule;
    event->source_port = packet_source_port(packet);
    event->destination_port = packet_port(packet);
    event->ethertype = packet->ethertype;
    event->protocol = packet->outer.protocol;
    event->direction = packet->direction;
    event->verdict = judgement->verdict;
    event->reason = judgement->reason;
    event->shadow = judgement->shadow;
    event->shadow_reason = judgement->shadow_reason;
    event->tcp_flags = packet->tcp_flags;
    event->pad[0] = event->pad[1] = 0;
}

/* A new connection that is allowed, and would be by audited policies too. Most are, and nobody
 * listens: no record then. */
fence_inline int is_unheard(const struct packet *packet, const struct judgement *judgement)
{
    __u32 zero = 0;
    __u64 *until;

    if (judgement->shadow != FENCE_ALLOW)
        return 0;
    until = bpf_map_lookup_elem(&observed, &zero);
    return until && packet->now >= *until;
}

/* One record. `identity` is the endpoint's. */
fence_step int tell(const struct packet *packet, const struct judgement *judgement, __u32 identity,
                    __u32 type)
{
    struct fence_event *event;
    __u32 suppressed = 0;

    if (!packet || !judgement || packet->probe)
        return 0;
    if (judgement->verdict == FENCE_DENY && !event_allowed(packet, judgement->reason, &suppressed))
        return 0;
    event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event) {
        count(packet, FENCE_REASON_EVENT_LOST);
        return 0;
    }
    event_fill(event, packet, judgement);
    event->identity = identity;
    event->suppressed = suppressed;
    event->type = type;
    bpf_ringbuf_submit(event, 0);
    return 0;
}
