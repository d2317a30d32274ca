/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/backoff.h"

#include <limits.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

static const struct fence_backoff_limits *const all[] = {&fence_backoff_failure,
                                                         &fence_backoff_missing};

/* What the header says, by another way: doubled step by step. */
static uint64_t ceiling_of(const struct fence_backoff_limits *limits, unsigned int failures)
{
    uint64_t ceiling = limits->low_ms;

    for (unsigned int i = 0; i <= failures && ceiling < limits->high_ms; i++)
        ceiling *= 2;
    return ceiling < limits->high_ms ? ceiling : limits->high_ms;
}

static void within_bounds(const struct fence_backoff_limits *limits, unsigned int failures)
{
    static const uint32_t randoms[] = {0, 1, 499, 500, 501, 1u << 31, UINT32_MAX - 1, UINT32_MAX};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(randoms); i++)
        assert_in_range(fence_backoff_ms(limits, failures, randoms[i], -1), limits->low_ms,
                        ceiling_of(limits, failures));
}

static void bounds(void **state)
{
    (void)state;
    for (unsigned int failures = 0; failures < 200; failures++) {
        within_bounds(&fence_backoff_failure, failures);
        within_bounds(&fence_backoff_missing, failures);
    }
}

static void as_documented(void **state)
{
    (void)state;
    assert_int_equal(ceiling_of(&fence_backoff_failure, 0), 1000);
    assert_int_equal(ceiling_of(&fence_backoff_failure, 100), 30000);
    assert_int_equal(ceiling_of(&fence_backoff_missing, 0), 2000);
    assert_int_equal(ceiling_of(&fence_backoff_missing, 100), 60000);
}

/* Many clients that fail at the same time come back at different ones, over the whole range. */
static void spread(void **state)
{
    enum { PARTS = 10, DRAWS = 10000 };
    uint64_t low = fence_backoff_failure.low_ms, high = fence_backoff_failure.high_ms;
    unsigned int counts[PARTS] = {0};
    uint32_t random = 1;

    (void)state;
    for (unsigned int i = 0; i < DRAWS; i++) {
        random = random * 1664525u + 1013904223u;
        counts[(fence_backoff_ms(&fence_backoff_failure, 30, random, -1) - low) * PARTS /
               (high - low + 1)]++;
    }
    for (unsigned int i = 0; i < PARTS; i++)
        assert_in_range(counts[i], DRAWS / PARTS * 8 / 10, DRAWS / PARTS * 12 / 10);
    assert_int_equal(fence_backoff_ms(&fence_backoff_failure, 30, 0, -1), low);
    assert_int_equal(fence_backoff_ms(&fence_backoff_failure, 30, (uint32_t)(high - low), -1),
                     high);
}

static void many_failures(void **state)
{
    static const unsigned int many[] = {
        19, 20, 21, 31, 32, 62, 63, 64, INT_MAX - 1, INT_MAX, 1u << 31, UINT_MAX - 1, UINT_MAX};

    (void)state;
    for (size_t l = 0; l < FENCE_ARRAY_SIZE(all); l++) {
        for (size_t i = 0; i < FENCE_ARRAY_SIZE(many); i++) {
            assert_int_equal(fence_backoff_ms(all[l], many[i], 0, -1), all[l]->low_ms);
            assert_in_range(fence_backoff_ms(all[l], many[i], UINT32_MAX, -1), all[l]->low_ms,
                            all[l]->high_ms);
            assert_int_equal(
                fence_backoff_ms(all[l], many[i], (uint32_t)(all[l]->high_ms - all[l]->low_ms), -1),
                all[l]->high_ms);
        }
    }
}

static void what_the_server_asks(void **state)
{
    static const struct {
        long asked;
        uint64_t ms;
    } rows[] = {
        /* less than ours, or nothing */
        {LONG_MIN, 500},
        {-1, 500},
        {0, 500},
        {1, 500},
        {499, 500},
        {500, 500},
        /* is the least, beyond our own limit too */
        {501, 501},
        {1000, 1000},
        {7000, 7000},
        {45000, 45000},
        {FENCE_BACKOFF_ASKED_MAX_MS, FENCE_BACKOFF_ASKED_MAX_MS},
        /* but no longer than that */
        {FENCE_BACKOFF_ASKED_MAX_MS + 1, FENCE_BACKOFF_ASKED_MAX_MS},
        {LONG_MAX, FENCE_BACKOFF_ASKED_MAX_MS},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++)
        assert_int_equal(fence_backoff_ms(&fence_backoff_failure, 0, 0, rows[i].asked), rows[i].ms);
    /* never a shorter wait than ours */
    assert_int_equal(fence_backoff_ms(&fence_backoff_failure, 9, 29500, 1000), 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds),
        cmocka_unit_test(as_documented),
        cmocka_unit_test(spread),
        cmocka_unit_test(many_failures),
        cmocka_unit_test(what_the_server_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
