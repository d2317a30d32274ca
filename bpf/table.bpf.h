/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The connection table: an open hash table in an array. A key has two buckets of four entries; a
 * look-up is a hash and one or two cache lines, without a helper call, and an insertion is the same
 * and two atomic operations. Both ends of a connection within the node have the same two buckets
 * (table.h).
 *
 * An entry changes only through its `state`:
 *
 *   free, expired or evicted --compare-and-swap--> BUSY with a new sequence --store--> LIVE
 *
 * Who wins the swap writes the key; everybody else passes a busy entry over, and who compares a
 * key looks at the state before and afterwards, so that no key is read half from one owner and half
 * from the next. Later changes (time, flags) are compare-and-swaps too: they never revive what
 * somebody else has taken.
 *
 * Who gives way to whom (rank below): free and expired entries, closed ones, then the endpoint's
 * own half-open ones. An endpoint that has its share of the table gives up its own; only one that
 * has less may take an entry from one that has more. So no pod, and no flood at a pod, pushes out
 * the entries of another that stays within its share. What finds no place passes by its rule
 * without an entry, and its answers by that rule too, while the endpoint recovers
 * (connection.bpf.h).
 */
#pragma once

#include "bpf/connection.h"
#include "bpf/key.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/table.h"

#define TABLE_STATE(connection) (*(volatile __u64 *)&(connection)->state)

fence_inline int key_equal(const struct fence_connection *connection,
                           const struct connection_key *key)
{
    const volatile __u64 *words = (const volatile __u64 *)connection;

    return ((words[0] ^ key->id.words[0]) | (words[1] ^ key->id.words[1]) |
            (words[2] ^ key->id.words[2])) == 0;
}

/* The same entry's: what was read of it in between is of one owner. */
fence_inline int has_one_owner(__u64 state, __u64 later)
{
    const __u32 owner = 0xffff0000u | FENCE_CONN_BUSY | FENCE_CONN_LIVE;

    return (((__u32)state ^ (__u32)later) & owner) == 0;
}

/* Where an entry is, and the state that it was found in. */
struct found {
    __u64 state; /* 0: there is none */
    __u32 bucket;
    __u32 way;
};

/* An entry that lives and has this key. 1: it may also be in its second bucket. */
fence_inline int bucket_find(const struct connection_key *key, struct found *found)
{
    __u32 index = found->bucket;
    struct fence_bucket *bucket = bpf_map_lookup_elem(&connections, &index);

    if (!bucket)
        return 0;
#pragma unroll
    for (int i = 0; i < FENCE_BUCKET_WAYS; i++) {
        struct fence_connection *connection = &bucket->ways[i];
        __u64 state;

        /* ports, slot and protocol tell most apart */
        if (((const volatile __u64 *)connection)[2] != key->id.words[2])
            continue;
        state = TABLE_STATE(connection);
        if ((state & (FENCE_CONN_LIVE | FENCE_CONN_BUSY)) == FENCE_CONN_LIVE &&
            key_equal(connection, key) && has_one_owner(state, TABLE_STATE(connection))) {
            found->state = state;
            found->way = i;
            return 0;
        }
    }
    return !!(TABLE_STATE(&bucket->ways[0]) & FENCE_CONN_SPILLED);
}

/* Where few entries are: a function of its own, so that the usual look stays short. */
fence_step int table_find_second(const struct packet *packet, const struct connection_key *key,
                                 struct found *found)
{
    if (!packet || !key || !found)
        return 0;
    found->bucket = fence_table_second(key->hash, packet->bucket_mask);
    return bucket_find(key, found);
}

/* Fill in `found`; the entry may have expired. */
fence_inline void table_find(const struct packet *packet, const struct connection_key *key,
                             struct found *found)
{
    found->state = 0;
    found->bucket = fence_table_first(key->hash, packet->bucket_mask);
    if (bucket_find(key, found))
        table_find_second(packet, key, found);
}

/* 1 when the entry is still as it was, and now has the new flags and time. */
fence_inline int table_change(const struct found *found, __u32 seen, __u16 flags)
{
    __u64 changed = FENCE_STATE(seen, FENCE_STATE_SEQUENCE(found->state), flags);
    __u32 index = found->bucket;
    struct fence_bucket *bucket;

    if (changed == found->state)
        return 1;
    bucket = bpf_map_lookup_elem(&connections, &index);
    return bucket && __sync_val_compare_and_swap(&bucket->ways[found->way & 3].state, found->state,
                                                 changed) == found->state;
}

/* ---- insertion ------------------------------------------------------------------------------ */

enum table_rank {
    RANK_FREE = 1,
    RANK_CLOSED, /* anybody's: what still comes of it needs no entry */
    RANK_OWN_HALF_OPEN,
    RANK_OTHERS_HALF_OPEN, /* of somebody above his share */
    RANK_OWN,              /* when at the share */
    RANK_OTHERS,           /* of somebody above his share */
    RANK_OWN_FOR_LIVING, /* below the share: for a connection that lives, and has lost its entry */
    RANK_NONE,
};

/* The entry that gives place. Of two the one with the lower score does: the better rank, and among
 * equals the older one. */
struct table_victim {
    __u64 state;
    __u64 score;
    __u32 bucket;
    __u32 way;
};

#define TABLE_SCORE(rank, age) ((__u64)(rank) << 32 | (__u32) ~(age))
#define TABLE_RANK(score)      ((__u32)((score) >> 32))

fence_inline __u32 table_share(void)
{
    __u32 zero = 0;
    const struct fence_settings *setting = bpf_map_lookup_elem(&settings, &zero);

    return setting ? setting->share : 0;
}

fence_inline int has_more_than(__u32 share, __u32 slot)
{
    struct fence_usage *use = bpf_map_lookup_elem(&usage, &slot);

    return use && use->connections > share;
}

/* `share`: how many entries an endpoint may have before it gives way; 0 = this one has them. */
fence_step int table_rank(const struct packet *packet, const struct connection_key *key,
                          const struct fence_connection *connection, __u32 share)
{
    __u64 state;
    int half_open, is_own;

    if (!packet || !key || !connection)
        return RANK_NONE;
    state = TABLE_STATE(connection);
    half_open = !(state & FENCE_CONN_ESTABLISHED);
    if (state & FENCE_CONN_BUSY)
        return RANK_NONE;
    if (!(state & FENCE_CONN_LIVE) || key_equal(connection, key) ||
        fence_connection_expired(connection->protocol, state, packet->now, packet->hz))
        return RANK_FREE;
    is_own = connection->slot == key->id.slot;
    if (!share && !is_own)
        return RANK_NONE;
    if ((state & (FENCE_CONN_CLOSED | FENCE_CONN_CUT)) == FENCE_CONN_CLOSED)
        return RANK_CLOSED;
    if (is_own) {
        if (half_open)
            return RANK_OWN_HALF_OPEN;
        if (!share)
            return RANK_OWN;
        return packet->tcp_flags & TCP_BIT_ACK ? RANK_OWN_FOR_LIVING : RANK_NONE;
    }
    if (!has_more_than(share, connection->slot))
        return RANK_NONE;
    return half_open ? RANK_OTHERS_HALF_OPEN : RANK_OTHERS;
}

fence_step int bucket_choose(const struct packet *packet, const struct connection_key *key,
                             __u32 share, __u32 index, struct table_victim *victim)
{
    struct fence_bucket *bucket = bpf_map_lookup_elem(&connections, &index);

    if (!bucket || !packet || !key || !victim)
        return -1;
    for (__u32 i = 0; i < FENCE_BUCKET_WAYS && TABLE_RANK(victim->score) != RANK_FREE; i++) {
        struct fence_connection *connection = &bucket->ways[i];
        __u64 state = TABLE_STATE(connection);
        __u32 rank = table_rank(packet, key, connection, share);
        __u32 age = fence_jiffies_since(packet->now, FENCE_STATE_SEEN(state), packet->hz);
        __u64 score = TABLE_SCORE(rank, age);

        if (score >= victim->score)
            continue;
        victim->bucket = index;
        victim->state = state;
        victim->way = i;
        victim->score = score;
    }
    return 0;
}

/* Something of this bucket is in its second one. */
fence_inline void bucket_spill(__u32 index)
{
    struct fence_bucket *bucket = bpf_map_lookup_elem(&connections, &index);

    if (bucket)
        __sync_fetch_and_or(&bucket->ways[0].state, FENCE_CONN_SPILLED);
}

fence_inline void add_usage(__u32 slot, int change)
{
    struct fence_usage *use = bpf_map_lookup_elem(&usage, &slot);

    if (use)
        __sync_fetch_and_add(&use->connections, change);
}

fence_inline void count_usage(__u32 slot, __u64 old_state, __u32 old_slot)
{
    if ((old_state & FENCE_CONN_LIVE) && old_slot == slot)
        return;
    add_usage(slot, 1);
    if (old_state & FENCE_CONN_LIVE)
        add_usage(old_slot, -1);
}

/* Claim the victim's place and write the key. -1: another packet was first. */
fence_inline int table_take(const struct packet *packet, const struct connection_key *key,
                            const struct table_victim *victim, __u32 flags)
{
    __u32 index = victim->bucket;
    struct fence_bucket *bucket = bpf_map_lookup_elem(&connections, &index);
    struct fence_connection *connection = bucket ? &bucket->ways[victim->way & 3] : NULL;
    __u64 state = victim->state;
    __u64 busy = FENCE_STATE(packet->now, FENCE_STATE_SEQUENCE(state) + 1,
                             FENCE_CONN_BUSY | (state & FENCE_CONN_SPILLED));
    __u32 old_slot;

    if (!connection)
        return -1;
    old_slot = connection->slot;
    if (__sync_val_compare_and_swap(&connection->state, state, busy) != state)
        return -1;
    count_usage(key->id.slot, state, old_slot);
    connection->remote = key->id.remote;
    *(volatile __u64 *)&connection->local_port = key->id.words[2];
    /* no longer busy; with its result asked for it is ordered: the key is seen before it. An
     * addition, because somebody may set FENCE_CONN_SPILLED meanwhile. */
    return __sync_fetch_and_add(&connection->state,
                                (__u64)(flags | FENCE_CONN_LIVE) - FENCE_CONN_BUSY) == 0;
}

/* A new entry. 0, or -1 when no entry may give way. */
fence_step int table_insert(const struct packet *packet, const struct connection_key *key,
                            __u32 flags)
{
    struct table_victim victim = {};
    struct fence_usage *mine;
    __u32 slot, first, second, share;

    if (!packet || !key)
        return -1;
    /* not in its initialiser, which would be a constant in a map that is new at each load */
    victim.score = TABLE_SCORE(RANK_NONE, ~0u);
    slot = key->id.slot;
    mine = bpf_map_lookup_elem(&usage, &slot);
    if (!mine)
        return -1;
    share = table_share();
    share = mine->connections < share ? share : 0;
    first = fence_table_first(key->hash, packet->bucket_mask);
    second = fence_table_second(key->hash, packet->bucket_mask);
    bucket_choose(packet, key, share, first, &victim);
    /* who has his share gives up what is half-open where he finds it; everybody else looks on while
     * somebody's connection would lose its entry */
    if (TABLE_RANK(victim.score) > (share ? RANK_CLOSED : RANK_OWN_HALF_OPEN)) {
        bucket_choose(packet, key, share, second, &victim);
        if (TABLE_RANK(victim.score) < RANK_NONE && victim.bucket != first)
            bucket_spill(first);
    }
    if (TABLE_RANK(victim.score) < RANK_NONE && table_take(packet, key, &victim, flags) == 0)
        return 0;
    mine->full_at = FENCE_FULL_TICKS(packet->now);
    return -1;
}
