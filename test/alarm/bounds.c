/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever comes, memory stays within its bounds, and nobody hides another's alarm. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/alarm/lab.h"
#include "test/cmocka.h"
#include "test/policy/rng.h"

static struct lab lab;

static void scan_from(const char *from, const char *to)
{
    for (unsigned int i = 0; i < 20; i++)
        lab_packet(&lab, &(struct lab_packet){.from = from, .to = to, .port = 1000 + i});
}

static const char *random_end(struct rng *rng, bool here, char text[64])
{
    unsigned int kind = here ? 0 : rng_below(rng, 4);

    if (kind == 0)
        snprintf(text, 64, "ns%u/app%u", rng_below(rng, 8), rng_below(rng, 60));
    else if (kind == 1)
        snprintf(text, 64, "192.%u.%u.7", rng_below(rng, 256), rng_below(rng, 256));
    else if (kind == 2)
        snprintf(text, 64, "node/n%u", rng_below(rng, 300));
    else
        snprintf(text, 64, "far%u/app%u", rng_below(rng, 9), rng_below(rng, 99));
    return text;
}

static void random_packet(struct rng *rng)
{
    static const unsigned int protocols[] = {0, IPPROTO_UDP, IPPROTO_ICMP, 47, 132};
    char from[64], to[64];
    struct lab_packet packet = {
        .ingress = rng_chance(rng, 50),
        .deny = rng_chance(rng, 50),
        .port = rng_below(rng, 65536),
        .source_port = rng_below(rng, 65536),
        .protocol = RNG_PICK(rng, protocols),
        .suppressed = rng_chance(rng, 10) ? (unsigned int)rng_next(rng) : 0,
        .reason = rng_chance(rng, 10) ? rng_below(rng, 256) : 0,
        .type = rng_chance(rng, 10) ? rng_below(rng, 256) : 0,
    };

    packet.from = random_end(rng, !packet.ingress, from);
    packet.to = random_end(rng, packet.ingress, to);
    lab_packet(&lab, &packet);
    lab.now_ms += rng_below(rng, 3);
    if (rng_chance(rng, 1))
        lab_pass(&lab, 1 + rng_below(rng, 3));
}

static void count_alarms(void *context, const struct fence_alarm *alarm)
{
    (void)alarm;
    ++*(size_t *)context;
}

static void test_random(void **state)
{
    struct rng rng = {20261127};
    size_t known, learning, alarms = 0;

    (void)state;
    lab_init(&lab,
             "{ learningWindow: 1s, rules: { port-scan: { ports: 3 }, fan-out: { peers: 3 },\n"
             "  refused-burst: { packets: 3 }, spoofing: { packets: 1 } } }");
    for (unsigned int i = 0; i < 40000; i++) {
        random_packet(&rng);
        if (i % 1000 == 0)
            assert_true(fence_alarm_bytes(lab.engine) <= FENCE_ALARM_BYTES_MAX);
    }
    fence_alarm_subjects(lab.engine, &known, &learning);
    fence_alarm_each(lab.engine, count_alarms, &alarms);
    assert_int_equal(known, FENCE_ALARM_WORKLOADS);
    assert_true(alarms <= FENCE_ALARM_WORKLOADS * FENCE_ALARM_ROOM +
                              FENCE_ALARM_OUTSIDE * FENCE_ALARM_ROOM_OUTSIDE +
                              FENCE_ALARM_ROOM_NODE);
    assert_true(fence_alarm_counts(lab.engine)->forgotten > 0);
    lab_done(&lab);
}

/* Everybody does the worst that he can, all within the longest windows. */
static void test_worst(void **state)
{
    (void)state;
    lab_init(&lab, "{ learningWindow: 1s, rules: { port-scan: { within: 10m }, fan-out: { within: "
                   "10m } } }");
    for (unsigned int i = 0; i < FENCE_ALARM_WORKLOADS + FENCE_ALARM_OUTSIDE; i++) {
        struct lab_packet packet = {.ingress = i >= FENCE_ALARM_WORKLOADS};
        char one[32];

        snprintf(one, sizeof(one), packet.ingress ? "out/w%u" : "shop/w%u", i);
        for (unsigned int j = 0; j < 300; j++) {
            char other[32];

            snprintf(other, sizeof(other), packet.ingress ? "shop/w0" : "10.0.%u.%u", j / 250,
                     j % 250);
            packet.from = one;
            packet.to = other;
            packet.port = 1;
            lab_packet(&lab, &packet);
            packet.port = 2;
            lab_packet(&lab, &packet);
        }
    }
    if (fence_alarm_bytes(lab.engine) > FENCE_ALARM_BYTES_MAX)
        fail_msg("%zu bytes", fence_alarm_bytes(lab.engine));
    print_message("%zu KiB at the worst\n", fence_alarm_bytes(lab.engine) / 1024);
    lab_done(&lab);
}

/* One workload raises all that it can: its own room is full, others' alarms stay and come. */
static void test_flood_of_a_workload(void **state)
{
    struct rng rng = {7};
    struct fence_alarm_time now;

    (void)state;
    lab_init(&lab, NULL);
    scan_from("shop/quiet", "shop/db");
    for (unsigned int i = 0; i < 20000; i++) {
        char to[32];

        snprintf(to, sizeof(to), "10.%u.%u.%u", rng_below(&rng, 4), i / 6400, i / 25 % 256);
        lab_packet(&lab, &(struct lab_packet){
                             .from = "shop/loud",
                             .to = to,
                             .port = 1 + i % 25,
                             .deny = rng_chance(&rng, 50),
                             .reason = rng_chance(&rng, 5) ? FENCE_REASON_SPOOFED_ADDRESS : 0});
        lab.now_ms += i % 2;
    }
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/quiet"));
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_FAN_OUT, "shop/loud"));
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_SPOOFING, "shop/loud"));
    scan_from("shop/late", "shop/db");
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/late"));
    now = lab_now(&lab);
    fence_alarm_filter(lab.engine, "shop/loud-0", "missing", &now);
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_FILTER_REMOVED, "this node"));
    /* told a few times, not 20,000 */
    assert_true(lab.count < 20);
    lab_done(&lab);
}

/* Addresses that nobody answers for cannot push out a workload. */
static void test_flood_from_outside(void **state)
{
    (void)state;
    lab_init(&lab, NULL);
    scan_from("shop/quiet", "shop/db");
    for (unsigned int i = 0; i < 5000; i++) {
        char from[32];

        snprintf(from, sizeof(from), "198.51.%u.%u", i / 256, i % 256);
        lab_packet(&lab, &(struct lab_packet){.from = from,
                                              .to = "shop/web",
                                              .port = 80,
                                              .ingress = true,
                                              .deny = true,
                                              .suppressed = 99});
    }
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/quiet"));
    assert_true(fence_alarm_raised(lab.engine) <= 1 + FENCE_ALARM_OUTSIDE);
    assert_true(fence_alarm_bytes(lab.engine) < 2u << 20);
    lab_done(&lab);
}

/* Who has a raised alarm is kept before those that have none. */
static void test_least_recent_goes(void **state)
{
    (void)state;
    lab_init(&lab, NULL);
    scan_from("shop/first", "shop/db");
    for (unsigned int i = 0; i < 2 * FENCE_ALARM_WORKLOADS; i++) {
        char from[32];

        lab.now_ms++;
        snprintf(from, sizeof(from), "shop/w%u", i);
        lab_packet(&lab, &(struct lab_packet){.from = from, .to = "shop/db", .port = 80});
    }
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/first"));
    assert_int_equal(fence_alarm_counts(lab.engine)->forgotten, FENCE_ALARM_WORKLOADS + 1);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_worst),
        cmocka_unit_test(test_flood_of_a_workload),
        cmocka_unit_test(test_flood_from_outside),
        cmocka_unit_test(test_least_recent_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
