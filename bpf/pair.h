/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Hashes of a pair of addresses: the same in the kernel and in the daemon's sweep. */
#pragma once

#include "bpf/abi.h"

/* `secret` is settings.hash_key. */
static inline __u64 fence_pair_hash(__u32 ifindex, const struct fence_addr *local,
                                    const struct fence_addr *remote, const __u64 secret[2])
{
    __u64 hash = (__u64)(remote->words[0] ^ remote->words[2]) << 32 | remote->words[3];

    hash ^= (__u64)remote->words[1] << 16 ^ (__u64)local->words[3] << 8 ^ ifindex;
    return (hash ^ secret[0]) * 0x9e3779b97f4a7c15ull;
}

/* Index in `opened`. */
static inline __u32 fence_pair_opened(__u64 hash, const __u64 secret[2])
{
    return (__u32)((hash ^ secret[1]) * 0xbf58476d1ce4e5b9ull >> 48);
}
