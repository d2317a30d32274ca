/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/hash.h"

#include <stdbool.h>
#include <sys/random.h>

#include <endian.h>
#include <string.h>

struct state {
    __u64 v0, v1, v2, v3;
};

static __u64 rotate(__u64 value, unsigned int bits)
{
    return value << bits | value >> (64 - bits);
}

static void rounds(struct state *s, unsigned int count)
{
    while (count--) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void absorb(struct state *s, __u64 word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

struct fence_hash fence_hash_bytes(const __u64 key[2], const void *data, size_t size)
{
    struct state s = {
        .v0 = 0x736f6d6570736575ull ^ key[0],
        .v1 = 0x646f72616e646f6dull ^ key[1] ^ 0xee,
        .v2 = 0x6c7967656e657261ull ^ key[0],
        .v3 = 0x7465646279746573ull ^ key[1],
    };
    const unsigned char *bytes = data;
    size_t whole = size / 8 * 8;
    struct fence_hash hash;
    __u64 word;

    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, bytes + i, 8);
        absorb(&s, le64toh(word));
    }
    word = (__u64)(size & 0xff) << 56;
    for (size_t i = whole; i < size; i++)
        word |= (__u64)bytes[i] << 8 * (i - whole);
    absorb(&s, word);

    s.v2 ^= 0xee;
    rounds(&s, 4);
    hash.words[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    rounds(&s, 4);
    hash.words[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return hash;
}

struct fence_hash fence_hash_own(const void *data, size_t size)
{
    static __u64 key[2];
    static bool have_key;

    /* one for all the life of the process: what it has hashed is compared with what it will */
    while (!have_key)
        have_key = getrandom(key, sizeof(key), 0) == sizeof(key);
    return fence_hash_bytes(key, data, size);
}

unsigned int fence_hash_secret(const void *data, size_t size)
{
    return (unsigned int)fence_hash_own(data, size).words[0];
}

__u64 fence_hash_text(const char *text)
{
    return fence_hash_own(text, strlen(text)).words[0];
}
