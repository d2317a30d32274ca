/* SPDX-License-Identifier: Apache-2.0 */
/* The sliding sets and sums, against counting all of it. */
#include <string.h>

#include "lib/alarm/rate.h"
#include "lib/alarm/reach.h"
#include "lib/alarm/usual.h"
#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/policy/rng.h"

#define SECOND 1000000000ull
#define TRIES  4000

struct
try {
    uint64_t peer;
    uint32_t port;
    uint64_t ns;
};

/* Distinct ones of the last `count` tries within `window`; `peer` 0: peers, else ports of it. */
static uint32_t distinct(const struct try *tries, size_t count, uint64_t window, uint64_t peer)
{
    uint64_t now = tries[count - 1].ns;
    uint32_t found = 0;

    for (size_t i = count; i-- > 0 && now - tries[i].ns <= window;) {
        bool again = false;

        if (peer && tries[i].peer != peer)
            continue;
        for (size_t j = i + 1; j < count && !again; j++)
            again = peer ? tries[j].peer == peer && tries[j].port == tries[i].port
                         : tries[j].peer == tries[i].peer;
        found += !again;
    }
    return found;
}

static void test_reach_is_exact(void **state)
{
    static struct try tries[TRIES];
    struct fence_reach reach = {0};
    struct rng rng = {1};
    uint64_t now = 100 * SECOND;

    (void)state;
    for (size_t i = 0; i < TRIES; i++) {
        struct fence_reach_attempt attempt;
        struct fence_reach_counts counts;

        now += rng_chance(&rng, 1) ? 5 * SECOND : rng_below(&rng, 300) * 1000000ull;
        tries[i] = (struct try){1 + rng_below(&rng, 20), rng_below(&rng, 40), now};
        attempt =
            (struct fence_reach_attempt){tries[i].peer, tries[i].port, now, 4 * SECOND, 9 * SECOND};
        fence_reach_add(&reach, &attempt, &counts);
        assert_int_equal(counts.peers, distinct(tries, i + 1, 4 * SECOND, 0));
        assert_int_equal(counts.ports, distinct(tries, i + 1, 9 * SECOND, tries[i].peer));
        assert_int_equal(fence_reach_peers(&reach, now, 4 * SECOND), counts.peers);
    }
    fence_reach_done(&reach);
}

static void test_reach_is_bounded(void **state)
{
    struct fence_reach reach = {0};
    struct fence_reach_counts counts = {0};

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        const struct fence_reach_attempt attempt = {1 + i % 1000, (uint32_t)(i / 1000), SECOND + i,
                                                    SECOND, SECOND};

        fence_reach_add(&reach, &attempt, &counts);
    }
    assert_int_equal(reach.count, FENCE_REACH_PEERS);
    assert_true(reach.trackers <= FENCE_REACH_TRACKERS);
    for (uint32_t port = 0; port < 1000; port++) {
        const struct fence_reach_attempt attempt = {7, port, SECOND * 2 + port, SECOND, SECOND};

        fence_reach_add(&reach, &attempt, &counts);
    }
    assert_int_equal(counts.ports, FENCE_REACH_PORTS);
    fence_reach_done(&reach);
}

static void test_tally(void **state)
{
    struct fence_tally tally = {0};
    uint64_t sum = 0;

    (void)state;
    for (unsigned int i = 0; i < 100; i++) /* ten a second, for ten seconds */
        sum = fence_tally_add(&tally, 1, 1000 * SECOND + i * SECOND / 10, 10 * SECOND);
    assert_int_equal(sum, 100);
    assert_int_equal(fence_tally_add(&tally, 1, 1010 * SECOND, 10 * SECOND), 91);
    assert_int_equal(fence_tally_add(&tally, 1, 1014 * SECOND, 10 * SECOND), 52);
    assert_int_equal(fence_tally_add(&tally, 1, 1013 * SECOND, 10 * SECOND), 53); /* late */
    assert_int_equal(fence_tally_add(&tally, 1, 2000 * SECOND, 10 * SECOND), 1);
    assert_int_equal(fence_tally_add(&tally, UINT32_MAX, 2000 * SECOND, 10 * SECOND), UINT32_MAX);
    assert_int_equal(fence_tally_add(&tally, 2, 2000 * SECOND, 60 * SECOND),
                     2); /* another window */
    assert_int_equal(fence_tally_add(&tally, 1, 2050 * SECOND, 60 * SECOND), 3);
}

static void test_rate(void **state)
{
    struct fence_rate rate = {0};

    (void)state;
    for (unsigned int i = 0; i < FENCE_RATE_WARM; i++) {
        assert_int_equal(fence_rate_limit(&rate, 10, 6), UINT32_MAX);
        fence_rate_add(&rate, 100, (1000 + 10ull * i) * SECOND);
    }
    fence_rate_roll(&rate, (1000 + 10ull * FENCE_RATE_WARM) * SECOND);
    assert_true(rate.mean > 99.99 && rate.mean < 100.01);
    assert_int_equal(fence_rate_limit(&rate, 10, 6), 300); /* three times the mean */
    assert_int_equal(fence_rate_limit(&rate, 1000, 6), 1000);
    fence_rate_roll(&rate, 1000000 * SECOND);
    assert_true(rate.mean < 1);
}

static void test_usual(void **state)
{
    struct fence_usual usual = {0};

    (void)state;
    for (uint64_t key = 1; key <= FENCE_USUAL_MAX; key++)
        assert_true(fence_usual_see(&usual, key, true));
    assert_false(usual.overflowed);
    assert_false(fence_usual_see(&usual, 1, true));
    assert_true(fence_usual_see(&usual, 1000, false)); /* 2 makes place, not 1 */
    assert_false(usual.overflowed);
    assert_false(fence_usual_see(&usual, 1, false));
    assert_true(fence_usual_see(&usual, 2, true));
    assert_true(usual.overflowed);
    assert_int_equal(usual.count, FENCE_USUAL_MAX);
    fence_usual_done(&usual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reach_is_exact), cmocka_unit_test(test_reach_is_bounded),
        cmocka_unit_test(test_tally),          cmocka_unit_test(test_rate),
        cmocka_unit_test(test_usual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
