/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/hash.h"

#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

/* Rows of the reference implementation's vectors (key 00..0f, message 00..n-1, 128-bit output). */
static void test_reference_vectors(void **state)
{
    static const struct {
        size_t size;
        unsigned char hash[16];
    } rows[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
        {2,
         {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
          0xe4}},
    };
    unsigned char key_bytes[16], message[64];
    __u64 key[2];

    (void)state;
    for (size_t i = 0; i < sizeof(key_bytes); i++)
        key_bytes[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (unsigned char)i;
    memcpy(key, key_bytes, sizeof(key));
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_hash hash = fence_hash_bytes(key, message, rows[i].size);

        assert_memory_equal(&hash, rows[i].hash, sizeof(hash));
    }
}

static void test_every_byte_counts(void **state)
{
    const __u64 key[2] = {1, 2};
    char text[40] = "the quick brown fox jumps over the dog";
    struct fence_hash before = fence_hash_bytes(key, text, sizeof(text));

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        struct fence_hash after;

        text[i] ^= 1;
        after = fence_hash_bytes(key, text, sizeof(text));
        text[i] ^= 1;
        assert_memory_not_equal(&before, &after, sizeof(before));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_vectors),
        cmocka_unit_test(test_every_byte_counts),
    };

    return cmocka_run_group_tests_name("base.hash", tests, NULL, NULL);
}
