/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Two addresses at an endpoint: everything that the maps say of them, looked up once and kept by
 * each CPU (`pairs`). A packet whose pair is known needs no hash map: neither for its endpoint, nor
 * for the other end, nor for its tables.
 *
 * What is kept is good for one epoch. Whoever writes a map that judgements come from raises the
 * epoch afterwards (lib/datapath/epochs.h). The epoch is read before all maps are, the endpoint and
 * the settings among them, so what was looked up while they changed is never taken for new: what
 * the packet already knows of either may be older, and is not used here. Of all epochs one counter
 * tells that none was raised since (`any`), so that most packets read no other. A CPU runs one
 * packet at a time, so nobody reads an entry that is half written.
 *
 * Only packets that passed the checks of what a pod may send fill a pair, and FENCE_PAIR_OWN says
 * that the local address is the endpoint's own: a packet from the pod that has such a pair and
 * the pod's MAC is not forged.
 */
#pragma once

#include "bpf/endpoint.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/pair.h"
#include "bpf/peer.bpf.h"
#include "bpf/policy.bpf.h"
#include "bpf/table.h"

fence_inline __u64 pair_hash(const struct packet *packet, const struct fence_addr *local,
                             const struct fence_addr *remote)
{
    return fence_pair_hash(packet->ifindex, local, remote, packet->secret);
}

/* The first of this CPU's. */
fence_inline __u32 pair_base(void)
{
    return bpf_get_smp_processor_id() * FENCE_CPU_PAIRS;
}

fence_inline __u32 pair_index(__u64 hash)
{
    return pair_base() + (__u32)(hash >> 40 & (FENCE_MAX_PAIRS - 1));
}

/* Probes have one of their own, which a packet that interrupts them does not touch. */
fence_inline struct fence_pair *pair_place(const struct packet *packet, __u64 hash)
{
    __u32 index = packet->probe ? pair_base() + FENCE_MAX_PAIRS : pair_index(hash);

    return bpf_map_lookup_elem(&pairs, &index);
}

/* `bucket` is fence_epoch_bucket. */
fence_inline __u64 pair_epoch(const volatile struct fence_epochs *now, __u32 bucket)
{
    /* from 1: an empty place has 0 */
    return 1 + now->all + now->buckets[bucket & (FENCE_EPOCH_BUCKETS - 1)];
}

fence_inline const volatile struct fence_epochs *pair_epochs(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&epochs, &zero);
}

/* Of addresses that lie on 8 bytes, as those of pairs and tuples do. */
fence_inline __u64 address_difference(const struct fence_addr *a, const struct fence_addr *b)
{
    const __u64 *one = (const __u64 *)a, *other = (const __u64 *)b;

    return (one[0] ^ other[0]) | (one[1] ^ other[1]);
}

/* Whether what is kept of them is good is asked apart. */
fence_inline int pair_is(const struct fence_pair *pair, const struct packet *packet,
                         const struct fence_addr *local, const struct fence_addr *remote)
{
    return (address_difference(&pair->remote, remote) | address_difference(&pair->local, local) |
            (pair->ifindex ^ packet->ifindex)) == 0 &&
           (!(pair->flags & FENCE_PAIR_EXPIRES) || packet->now < pair->expires);
}

/* Something was raised since the pair was asked for last. 1: nothing that it comes from. */
fence_inline int pair_is_still_good(struct fence_pair *pair,
                                    const volatile struct fence_epochs *now)
{
    __u64 any = now->any;

    /* an atomic operation: the epoch is not read before it */
    __sync_lock_test_and_set(&pair->any, 0);
    if (pair->epoch != pair_epoch(now, pair->epoch_bucket))
        return 0;
    pair->any = 1 + any;
    return 1;
}

/* A step of its own: few packets need it. */
fence_step int pair_renew(struct fence_pair *pair)
{
    const volatile struct fence_epochs *now = pair_epochs();

    return pair && now && pair_is_still_good(pair, now);
}

/* What is known of two addresses at the packet's endpoint, or NULL. */
fence_inline struct fence_pair *pair_find(const struct packet *packet, const __u64 secret[2],
                                          const struct fence_addr *local,
                                          const struct fence_addr *remote)
{
    const volatile struct fence_epochs *now = pair_epochs();
    __u32 index = pair_index(fence_pair_hash(packet->ifindex, local, remote, secret));
    struct fence_pair *pair = bpf_map_lookup_elem(&pairs, &index);

    if (!pair || !now || !pair_is(pair, packet, local, remote))
        return NULL;
    return pair->any == 1 + now->any || pair_renew(pair) ? pair : NULL;
}

/* ---- filling -------------------------------------------------------------------------------- */

fence_inline __u8 pair_local_number(const struct fence_endpoint *endpoint,
                                    const struct fence_addr *local)
{
    __u32 folded = local->words[0] ^ local->words[1] ^ local->words[2] ^ local->words[3];

    for (int i = 0; i < FENCE_ENDPOINT_ADDRS; i++)
        if (i < endpoint->addr_count && address_equal(&endpoint->addrs[i], local))
            return i;
    if (is_own_link_local(endpoint, local))
        return FENCE_LOCAL_LINK;
    return FENCE_LOCAL_OTHER + (folded ^ folded >> 16) % (FENCE_LOCAL_NUMBERS - FENCE_LOCAL_OTHER);
}

/* The set in force now, and until when: planned take-overs need nobody awake. */
fence_inline void pair_set(struct fence_pair *pair, const struct packet *packet,
                           const struct fence_endpoint *endpoint)
{
    __u64 now, at = 0;

    pair->set = endpoint->set;
    pair->expires = ~0ull;
    if (!endpoint->next[0].at_ns)
        return;
    now = bpf_ktime_get_boot_ns();
#pragma unroll
    for (int i = 0; i < FENCE_NEXT_SETS; i++) {
        at = endpoint->next[i].at_ns;
        if (at - 1 >= now) /* to come; or 0, none */
            break;
        pair->set = endpoint->next[i].set;
        at = 0;
    }
    if (at)
        pair->expires = packet->now + 1 + (at - now) / (1000000000 / packet->hz);
}

fence_inline void pair_table(struct fence_pair *pair, __u32 class, __u32 direction)
{
    struct fence_policy_table *table = policy_table(pair->set, class, direction);

    pair->tables[direction].offset = table ? table->offset : 0;
    pair->tables[direction].count = table ? table->count : 0;
}

/* FENCE_PAIR_ALLOWS, if the table has one answer only and it is that. */
fence_inline __u32 pair_allows(const struct fence_pair *pair, __u32 direction)
{
    __u32 index = pair->tables[direction].offset;
    struct fence_interval *interval;

    if (pair->tables[direction].count != 1)
        return 0;
    interval = bpf_map_lookup_elem(&intervals, &index);
    return interval && interval->verdict == FENCE_ALLOW ? FENCE_PAIR_ALLOWS << direction : 0;
}

/*
 * FENCE_PAIR_ALONE, by what `opened` says. What is opened while the pair is good is allowed, so it
 * need not be known here before policy changes, which is another epoch. In numbers: the verifier
 * would follow each way of each branch.
 */
fence_inline __u32 pair_alone(const struct fence_pair *pair, __u32 flags)
{
    __u32 index = pair->opened;
    const struct fence_opened *pair_opened = bpf_map_lookup_elem(&opened, &index);
    __u64 sent, received;

    if (!pair_opened)
        return 0;
    sent = ((__u64)pair_opened->stamps[FENCE_EGRESS] - 1) >> 63;
    received = ((__u64)pair_opened->stamps[FENCE_INGRESS] - 1) >> 63;
    barrier_var(sent);
    barrier_var(received);
    sent |= flags / (FENCE_PAIR_ALLOWS << FENCE_EGRESS) & 1;
    received |= flags / (FENCE_PAIR_ALLOWS << FENCE_INGRESS) & 1;
    return (__u32)received * (FENCE_PAIR_ALONE << FENCE_EGRESS) |
           (__u32)sent * (FENCE_PAIR_ALONE << FENCE_INGRESS);
}

/* A connection that `direction` has opened was seen: its answers are to keep its entry alive. */
fence_inline void pair_not_alone(struct fence_pair *pair, __u32 direction)
{
    __u32 flags = pair->flags, allows = flags >> direction & FENCE_PAIR_ALLOWS;

    direction = (direction ^ 1) & 1;
    pair->flags = flags & ~((FENCE_PAIR_ALONE << direction) ^
                            (allows * (FENCE_PAIR_ALONE / FENCE_PAIR_ALLOWS) << direction));
}

fence_inline __u32 pair_flags(const struct fence_pair *pair, const struct packet *packet,
                              __u32 setting_flags)
{
    __u32 flags = FENCE_ALLOW | pair_allows(pair, FENCE_EGRESS) | pair_allows(pair, FENCE_INGRESS);

    if (pair->local_number < FENCE_LOCAL_OTHER)
        flags |= FENCE_PAIR_OWN;
    if (packet->probe)
        flags |= FENCE_PAIR_ASKED;
    else if (!address_difference(&pair->local, &pair->remote))
        flags |= FENCE_PAIR_ITSELF;
    if (pair->set && !(pair->endpoint_flags & FENCE_EP_PENDING) &&
        !(pair->peer_flags & FENCE_PEER_IS_HOST) && !(flags & FENCE_PAIR_ITSELF))
        flags |= FENCE_PAIR_ORDINARY;
    /* only what translation on this node will send on: its services' addresses, its own ports */
    if ((setting_flags & FENCE_SETTING_DEFER) &&
        (pair->peer_identity == FENCE_IDENTITY_SERVICE || (pair->peer_flags & FENCE_PEER_IS_HOST)))
        flags |= FENCE_PAIR_DEFERS;
    if (pair->expires != ~0ull)
        flags |= FENCE_PAIR_EXPIRES;
    return flags | pair_alone(pair, flags);
}

/*
 * The endpoint's flags; FENCE_EP_HANDOVER only if the remote address is another endpoint's of this
 * node and the same-node path is on. Without a branch: the verifier would follow both ways.
 */
fence_inline __u32 pair_endpoint_flags(const struct fence_pair *pair,
                                       const struct fence_endpoint *endpoint, __u32 setting_flags)
{
    _Static_assert(FENCE_EP_HANDOVER >= FENCE_SETTING_SAME_NODE, "one is a multiple of the other");
    __u32 same_node =
        (setting_flags & FENCE_SETTING_SAME_NODE) * (FENCE_EP_HANDOVER / FENCE_SETTING_SAME_NODE);
    /* 0 when one of them is */
    __u64 other = (__u64)pair->neighbour * (pair->neighbour ^ pair->ifindex);

    other |= -other;
    barrier_var(other);
    return endpoint->flags & ((same_node * (__u32)(other >> 63)) | ~(__u32)FENCE_EP_HANDOVER);
}

/* The place has a new epoch when all is there. 0, or -1 if the endpoint has gone. */
fence_inline int pair_look_up(const struct packet *packet, struct fence_pair *pair, __u64 hash)
{
    __u32 ifindex = packet->ifindex;
    struct fence_endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &ifindex);
    const struct fence_settings *setting = settings_now();
    __u32 setting_flags, *neighbour;
    struct peer peer;

    if (!endpoint || !setting)
        return -1;
    setting_flags = setting->flags;
    pair->opened = fence_pair_opened(hash, packet->secret);
    pair->ends = fence_table_ends(&pair->local, &pair->remote, packet->secret);
    pair_set(pair, packet, endpoint);
    peer_resolve(setting_flags, &pair->remote, &peer);
    pair->ifindex = ifindex;
    pair->identity = endpoint->identity;
    pair->peer = peer.number;
    pair->peer_identity = peer.identity;
    pair->peer_flags = peer.flags;
    pair->slot = endpoint->slot;
    pair->mark = 0;
    pair->latest = 0;
    pair_table(pair, peer.class, FENCE_EGRESS);
    pair_table(pair, peer.class, FENCE_INGRESS);
    neighbour = bpf_map_lookup_elem(&locals, &pair->remote);
    pair->neighbour = neighbour ? *neighbour : 0;
    pair->endpoint_flags = pair_endpoint_flags(pair, endpoint, setting_flags);
    pair->memo.low = 0;
    pair->allowed = 0;
    pair->local_number = pair_local_number(endpoint, &pair->local);
    pair->flags = pair_flags(pair, packet, setting_flags);
    __builtin_memcpy(pair->mac, endpoint->mac, sizeof(pair->mac));
    return 0;
}

/* Look everything up, unless it is known. 0, or -1 if there is no place or no endpoint. */
fence_step int pair_fill(const struct packet *packet, const struct fence_addr *local,
                         const struct fence_addr *remote)
{
    const volatile struct fence_epochs *now = pair_epochs();
    struct fence_pair *pair;
    __u64 hash, epoch, any;

    if (!packet || !local || !remote || !now)
        return -1;
    hash = pair_hash(packet, local, remote);
    pair = pair_place(packet, hash);
    if (!pair)
        return -1;
    if (pair_is(pair, packet, local, remote) &&
        (pair->any == 1 + now->any || pair_is_still_good(pair, now)))
        return 0;
    any = now->any;
    epoch = pair_epoch(now, fence_epoch_bucket(remote));
    pair->any = 0;
    /* an atomic operation: what follows is not read before the epoch */
    __sync_lock_test_and_set(&pair->epoch, 0);
    pair->epoch_bucket = fence_epoch_bucket(remote);
    pair->local = *local;
    pair->remote = *remote;
    if (pair_look_up(packet, pair, hash) < 0)
        return -1;
    barrier();
    if (packet->probe)
        return 0;
    pair->epoch = epoch;
    pair->any = 1 + any;
    return 0;
}

/* The pair of the packet's endpoint and these two addresses, for this packet's use, even if the
 * epoch changes meanwhile. */
fence_inline struct fence_pair *pair_get(const struct packet *packet,
                                         const struct fence_addr *local,
                                         const struct fence_addr *remote)
{
    if (pair_fill(packet, local, remote) < 0)
        return NULL;
    return pair_place(packet, pair_hash(packet, local, remote));
}
