/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 7: counters, flows and events.
 *
 * Drops are told within two limits (event_limits): EVENT_BURST a second of those that are equal,
 * and EVENT_BURST_ALIKE a second of those that have endpoint, reason and direction in common. What
 * the first leaves out is counted into its next record; what the second leaves out, and what has no
 * next record, is told as a number by flush_events, which user space runs each second. Nothing is
 * left out in silence:
 *
 *   drops = told + EVENT_LOST (ring full) + EVENT_SUPPRESSED
 *   EVENT_SUPPRESSED = EVENT_SUMMED (told as a number) + what is still in event_limits
 *                      + what was in an entry of it that had to give way
 *
 * A number is taken by an atomic exchange, after its record was reserved: it is in one record only,
 * and stays where it was while the ring is full.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"

#define EVENT_BURST       4
#define EVENT_BURST_ALIKE 100

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

/*
 * How many connections of the flow a record of this one stands for, itself among them: it is the
 * first for a second, or `fresh`, the first with that remote address. 0: it need not be told.
 */
fence_inline __u32 flow_tells(struct fence_flow *flow, const struct packet *packet, __u32 fresh)
{
    __u32 untold = (__u32)flow->count - flow->told;

    if ((__u32)packet->now - flow->told_at >= packet->hz) {
        flow->told_at = packet->now;
        flow->told = flow->count;
        return untold;
    }
    flow->told += fresh;
    return fresh;
}

/* One map operation for each new connection or refused first packet. `fresh` and the result: see
 * flow_tells. */
fence_step int count_flow(const struct packet *packet, __u32 identity,
                          const struct judgement *judgement, __u32 fresh)
{
    struct fence_flow first = {};
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
        first.first_seen = packet->now;
        first.told_at = packet->now;
        first.told = 1;
        flow_seen(&first, packet, judgement);
        bpf_map_update_elem(&flows, &key, &first, BPF_ANY);
        return 1;
    }
    flow_seen(flow, packet, judgement);
    return flow_tells(flow, packet, !!fresh);
}

/* Has all that may be told in this second been told? */
fence_inline int limit_is_spent(struct fence_event_limit *limit, const struct packet *packet,
                                __u32 burst)
{
    __u64 since = limit->since;

    /* of several CPUs one begins the new second; another may tell one or two more in it */
    if (packet->now >= since + packet->hz &&
        __sync_val_compare_and_swap(&limit->since, since, packet->now) == since)
        limit->sent = 0;
    return limit->sent >= burst;
}

/* The entry of a key; NULL if there is no room. */
fence_inline struct fence_event_limit *limit_find(const struct fence_event_key *key,
                                                  const struct packet *packet)
{
    struct fence_event_limit *limit = bpf_map_lookup_elem(&event_limits, key);
    struct fence_event_limit fresh = {};

    if (limit)
        return limit;
    fresh.since = packet->now;
    bpf_map_update_elem(&event_limits, key, &fresh, BPF_NOEXIST);
    return bpf_map_lookup_elem(&event_limits, key);
}

/* One is told: it is whom the rest would be named after if they were only told as a number. */
fence_inline void limit_use(struct fence_event_limit *limit, const struct packet *packet,
                            const struct judgement *judgement, __u32 identity)
{
    __sync_fetch_and_add(&limit->sent, 1);
    limit->local = *packet_local(packet);
    limit->identity = identity;
    limit->peer_identity = judgement->peer_identity;
    limit->set = judgement->set;
    limit->rule = judgement->rule;
    limit->ethertype = packet->ethertype;
}

/*
 * 1: this drop may be told, and *ret_limit has what was left out before (NULL: there is no room for
 * it). The coarse limit is looked at first, so that a flood of different drops makes no entry for
 * each of them; only what the fine one lets pass uses it up.
 */
fence_inline int limit_allows(const struct packet *packet, const struct judgement *judgement,
                              __u32 identity, struct fence_event_limit **ret_limit)
{
    struct fence_event_limit *alike, *equal;
    struct fence_event_key key = {};

    key.ifindex = packet->ifindex;
    key.reason = judgement->reason;
    key.direction = packet->direction;
    key.alike = 1;
    alike = limit_find(&key, packet);
    if (alike && limit_is_spent(alike, packet, EVENT_BURST_ALIKE)) {
        __sync_fetch_and_add(&alike->suppressed, 1);
        return 0;
    }
    key.alike = 0;
    key.protocol = packet->outer.protocol;
    key.remote = *packet_remote(packet);
    key.port = packet_port(packet);
    equal = limit_find(&key, packet);
    if (equal && limit_is_spent(equal, packet, EVENT_BURST)) {
        __sync_fetch_and_add(&equal->suppressed, 1);
        return 0;
    }
    if (alike)
        limit_use(alike, packet, judgement, identity);
    if (equal)
        limit_use(equal, packet, judgement, identity);
    *ret_limit = equal;
    return 1;
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

fence_inline int is_heard(const struct packet *packet, __u32 hearing)
{
    __u64 *until = bpf_map_lookup_elem(&observed, &hearing);

    return !until || packet->now < *until;
}

/*
 * Waking the reader for each record costs more than the record: he looks every 50 to 100 ms by
 * himself (lib/datapath/events.h), and is woken when a cut is to be seen or the ring fills up.
 */
fence_inline __u64 event_wakes(__u32 type)
{
    if (type == FENCE_EVENT_CUT || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >
                                       bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 4)
        return BPF_RB_FORCE_WAKEUP;
    return BPF_RB_NO_WAKEUP;
}

/* How many were left out so far: they are this record's. */
fence_inline __u32 limit_take(struct fence_event_limit *limit, __u32 direction)
{
    __u32 index = FENCE_REASON_EVENT_SUMMED * FENCE_DIRECTIONS + (direction & 1);
    struct fence_counter *counter = bpf_map_lookup_elem(&counters, &index);
    __u32 suppressed;

    if (!limit->suppressed)
        return 0;
    suppressed = __sync_lock_test_and_set(&limit->suppressed, 0);
    if (counter)
        counter->packets += suppressed;
    return suppressed;
}

/* One record. `identity` is the endpoint's. */
fence_step int tell(const struct packet *packet, const struct judgement *judgement, __u32 identity,
                    __u32 type)
{
    struct fence_event_limit *limit = NULL;
    struct fence_event *event = NULL;
    __u32 left_out = FENCE_REASON_EVENT_SUPPRESSED;

    if (!packet || !judgement || packet->probe)
        return 0;
    if (judgement->verdict != FENCE_DENY || limit_allows(packet, judgement, identity, &limit)) {
        event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
        left_out = FENCE_REASON_EVENT_LOST;
    }
    if (!event) {
        count_one(packet, left_out);
        return 0;
    }
    event_fill(event, packet, judgement);
    event->identity = identity;
    event->suppressed = limit ? limit_take(limit, packet->direction) : judgement->alike;
    event->type = type;
    bpf_ringbuf_submit(event, event_wakes(type));
    return 0;
}

/* ---- what was left out ---------------------------------------------------------------------- */

struct flush {
    __u64 now; /* jiffies */
    __u32 hz;
    __u32 ifindex; /* of this endpoint alone, and at once; 0 = of all */
    __u32 told;
    __u32 pad;
};

fence_inline void flush_fill(struct fence_event *event, const struct fence_event_key *key,
                             const struct fence_event_limit *limit)
{
    int egress = key->direction == FENCE_EGRESS;

    __builtin_memset(event, 0, sizeof(*event));
    event->time_ns = bpf_ktime_get_boot_ns();
    event->source = egress ? limit->local : key->remote;
    event->destination = egress ? key->remote : limit->local;
    event->ifindex = key->ifindex;
    event->identity = limit->identity;
    event->set = limit->set;
    event->ethertype = limit->ethertype;
    event->direction = key->direction;
    event->type = FENCE_EVENT_SUPPRESSED;
    event->verdict = event->shadow = FENCE_DENY;
    event->reason = event->shadow_reason = key->reason;
    if (key->alike)
        return;
    event->peer_identity = limit->peer_identity;
    event->rule = limit->rule;
    event->shadow_rule = limit->rule;
    event->destination_port = key->port;
    event->protocol = key->protocol;
}

/* Of one entry; 1 ends the walk: the ring is full, and the number stays for the next one. */
static long flush_limit(void *map, const struct fence_event_key *key,
                        struct fence_event_limit *limit, struct flush *flush)
{
    struct fence_event *event;

    if (!limit->suppressed || (flush->ifindex && flush->ifindex != key->ifindex) ||
        (!flush->ifindex && !key->alike && flush->now < limit->since + flush->hz))
        return 0;
    event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event)
        return 1;
    flush_fill(event, key, limit);
    event->suppressed = limit_take(limit, key->direction);
    if (!event->suppressed) {
        bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
        return 0;
    }
    flush->told++;
    bpf_ringbuf_submit(event, event_wakes(FENCE_EVENT_SUPPRESSED));
    return 0;
}
