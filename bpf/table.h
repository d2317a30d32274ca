/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a connection's entry may be: the same in the kernel and in user space. Both ends of a
 * connection between two endpoints of a node have their entries in one bucket, so that the second
 * one to look finds in its cache what the first one has fetched.
 */
#pragma once

#include "bpf/pair.h"

static inline __u64 fence_table_end(const struct fence_addr *addr, const __u64 secret[2])
{
    __u64 hash = (fence_addr_half(addr, 0) ^ secret[0]) * 0x9e3779b97f4a7c15ull +
                 (fence_addr_half(addr, 2) ^ secret[1]) * 0xbf58476d1ce4e5b9ull;

    return (hash ^ hash >> 32) * 0x94d049bb133111ebull;
}

/* What the entries of a connection have in common besides ports and protocol: its two addresses,
 * whichever is which. `secret` is settings.hash_key. */
static inline __u32 fence_table_ends(const struct fence_addr *one, const struct fence_addr *other,
                                     const __u64 secret[2])
{
    return (__u32)((fence_table_end(one, secret) + fence_table_end(other, secret)) >> 32);
}

static inline __u64 fence_table_hash(const struct fence_connection_key *key, __u32 ends,
                                     const __u64 secret[2])
{
    __u64 one = key->words[2] & 0xffff, other = key->words[2] >> 16 & 0xffff;
    __u32 protocol = key->words[2] >> 48 & 0xff;
    /* sum and product tell two ports from all others, whichever is which */
    __u64 hash = (((__u64)ends << 32 | one * other) ^ secret[0]) * 0x9e3779b97f4a7c15ull +
                 ((one + other) << 8 | protocol) * 0xbf58476d1ce4e5b9ull;

    hash = (hash ^ hash >> 32 ^ secret[1]) * 0xd6e8feb86659fd93ull;
    return hash ^ hash >> 32;
}

/* The two buckets of a hash; `mask` is settings.bucket_mask. */
static inline __u32 fence_table_first(__u64 hash, __u32 mask)
{
    return (__u32)hash & mask;
}

static inline __u32 fence_table_second(__u64 hash, __u32 mask)
{
    return (__u32)(hash >> 32) & mask;
}
