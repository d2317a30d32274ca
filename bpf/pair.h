/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Hashes of a pair of addresses: the same in the kernel and in the daemon's sweep. */
#pragma once

#include "bpf/abi.h"

/* The eight bytes from that word on. */
static inline __u64 fence_addr_half(const struct fence_addr *addr, __u32 word)
{
    __u64 bytes;

    __builtin_memcpy(&bytes, &addr->words[word], sizeof(bytes));
    return bytes;
}

/* `secret` is settings.hash_key: without it nobody knows which pairs meet in one place. */
static inline __u64 fence_pair_hash(__u32 ifindex, const struct fence_addr *local,
                                    const struct fence_addr *remote, const __u64 secret[2])
{
    __u64 other = fence_addr_half(remote, 0) ^ fence_addr_half(remote, 2);

    other ^= other >> 32;
    return (other ^ secret[0]) * 0x9e3779b97f4a7c15ull +
           (fence_addr_half(local, 2) ^ ifindex ^ secret[1]) * 0x94d049bb133111ebull;
}

/* Index in `opened`. */
static inline __u32 fence_pair_opened(__u64 hash, const __u64 secret[2])
{
    return (__u32)((hash ^ secret[1]) * 0xbf58476d1ce4e5b9ull >> 48);
}
