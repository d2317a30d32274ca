/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012). Keyed with a secret of the
 * node, so that whoever chooses labels cannot choose collisions.
 */
#pragma once

#include <stddef.h>

#include <linux/types.h>

struct fence_hash {
    __u64 words[2];
};

struct fence_hash fence_hash_bytes(const __u64 key[2], const void *data, size_t size);

/* Of this process, keyed with a secret of its own: for comparing, and for hash tables. */
struct fence_hash fence_hash_own(const void *data, size_t size);
unsigned int fence_hash_secret(const void *data, size_t size);
/* Half of fence_hash_own of a string: enough to tell a few texts apart. */
__u64 fence_hash_text(const char *text);
