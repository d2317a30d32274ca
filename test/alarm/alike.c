/* SPDX-License-Identifier: Apache-2.0 */
/* lib/alarm/alike.h: nothing new is held back, and records and numbers add up. */
#include "lib/alarm/alike.h"

#include <netinet/in.h>

#include "test/cmocka.h"

#define SECOND_NS 1000000000ull
#define MS_NS     1000000ull

static struct fence_event connection(uint64_t time_ns, unsigned int port, unsigned int host)
{
    struct fence_event event = {
        .time_ns = 100 * SECOND_NS + time_ns,
        .identity = 300,
        .peer_identity = 5,
        .source_port = 40000,
        .destination_port = (__u16)port,
        .protocol = IPPROTO_TCP,
        .direction = FENCE_EGRESS,
        .type = FENCE_EVENT_VERDICT,
        .verdict = FENCE_ALLOW,
        .shadow = FENCE_ALLOW,
    };

    event.destination.bytes[15] = (__u8)host;
    return event;
}

static void test_one_a_second_with_the_number_of_others(void **state)
{
    static struct fence_alike alike;
    struct fence_event taken;
    uint64_t counted = 0, records = 0;

    (void)state;
    for (unsigned int i = 0; i <= 4000; i++) {
        struct fence_event event = connection(i * MS_NS, 80, 1);

        event.source_port = (__u16)i;
        if (!fence_alike_take(&alike, &event, &taken))
            continue;
        records++;
        counted += 1 + taken.suppressed;
        assert_int_equal(taken.source_port, (__u16)i);
    }
    assert_int_equal(records, 5);
    assert_int_equal(counted, 4001);
}

static void test_what_differs_is_taken(void **state)
{
    static struct fence_alike alike;
    struct fence_event event, taken;

    (void)state;
    for (unsigned int port = 1; port <= 100; port++)
        for (unsigned int host = 0; host < 3; host++) {
            event = connection(0, port, host);
            assert_true(fence_alike_take(&alike, &event, &taken));
        }
    event = connection(0, 200, 1);
    assert_true(fence_alike_take(&alike, &event, &taken));
    assert_false(fence_alike_take(&alike, &event, &taken));
    event.peer_identity++;
    assert_true(fence_alike_take(&alike, &event, &taken));
    event.identity++;
    assert_true(fence_alike_take(&alike, &event, &taken));
    event.direction = FENCE_INGRESS;
    assert_true(fence_alike_take(&alike, &event, &taken));
    event.protocol = IPPROTO_UDP;
    assert_true(fence_alike_take(&alike, &event, &taken));
}

/* Drops have limits of their own, and what audited policies would deny is told always. */
static void test_only_what_is_simply_allowed(void **state)
{
    static struct fence_alike alike;
    struct fence_event event = connection(0, 80, 1), taken;

    (void)state;
    event.suppressed = 7;
    event.verdict = event.shadow = FENCE_DENY;
    event.type = FENCE_EVENT_DROP;
    for (unsigned int i = 0; i < 3; i++) {
        assert_true(fence_alike_take(&alike, &event, &taken));
        assert_int_equal(taken.suppressed, 7);
    }
    event = connection(0, 80, 1);
    event.shadow = FENCE_DENY;
    for (unsigned int i = 0; i < 3; i++)
        assert_true(fence_alike_take(&alike, &event, &taken));
}

/* What the kernel has counted is counted on. */
static void test_numbers_add_up(void **state)
{
    static struct fence_alike alike;
    struct fence_event event = connection(0, 80, 1), taken;

    (void)state;
    event.suppressed = 3;
    assert_true(fence_alike_take(&alike, &event, &taken));
    assert_int_equal(taken.suppressed, 3);
    event = connection(MS_NS, 80, 1);
    event.suppressed = UINT32_MAX;
    assert_false(fence_alike_take(&alike, &event, &taken));
    event = connection(2 * SECOND_NS, 80, 1);
    assert_true(fence_alike_take(&alike, &event, &taken));
    assert_int_equal(taken.suppressed, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_a_second_with_the_number_of_others),
        cmocka_unit_test(test_what_differs_is_taken),
        cmocka_unit_test(test_only_what_is_simply_allowed),
        cmocka_unit_test(test_numbers_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
