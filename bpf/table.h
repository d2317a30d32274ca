/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where a connection's entry may be: the same in the kernel and in user space. */
#pragma once

#include "bpf/abi.h"

/* `secret` is settings.hash_key. */
static inline __u64 fence_table_hash(const struct fence_connection_key *key, const __u64 secret[2])
{
    __u64 hash = (key->words[0] ^ secret[0]) * 0x9e3779b97f4a7c15ull +
                 (key->words[1] ^ secret[1]) * 0xbf58476d1ce4e5b9ull +
                 (key->words[2] ^ secret[0] >> 32) * 0x94d049bb133111ebull;

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
