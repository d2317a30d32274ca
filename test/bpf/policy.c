/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/policy.bpf.h and bpf/peer.bpf.h: which table answers, and what the search finds in it. */
#include <netinet/in.h>

#include <bpf/bpf.h>

#include "lib/base/memory.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

static void test_ports_protocols_families(void **state)
{
    static const struct {
        enum fence_direction direction;
        unsigned int protocol, port;
        bool passed;
    } rows[] = {
        {FENCE_INGRESS, IPPROTO_TCP, 80, true},   {FENCE_INGRESS, IPPROTO_TCP, 79, false},
        {FENCE_INGRESS, IPPROTO_TCP, 81, false},  {FENCE_INGRESS, IPPROTO_UDP, 80, true},
        {FENCE_INGRESS, IPPROTO_UDP, 81, false},  {FENCE_INGRESS, IPPROTO_SCTP, 80, true},
        {FENCE_INGRESS, IPPROTO_SCTP, 81, false}, {FENCE_INGRESS, IPPROTO_TCP, 443, false},
        {FENCE_EGRESS, IPPROTO_TCP, 443, true},   {FENCE_EGRESS, IPPROTO_TCP, 80, false},
        {FENCE_EGRESS, IPPROTO_UDP, 443, true},   {FENCE_INGRESS, IPPROTO_GRE, 0, false},
    };

    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
            char what[64];

            lab_reset();
            snprintf(what, sizeof(what), "IPv%d row %zu", family, i);
            lab_expect(
                what,
                lab_run(rows[i].direction, lab_packet(rows[i].direction, lab_friend(family),
                                                      rows[i].protocol, 40000, rows[i].port)),
                rows[i].passed, rows[i].passed ? FENCE_REASON_RULE : FENCE_REASON_NO_RULE);
        }
    }
}

static void test_unlisted_peers_get_the_fallback(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        lab_expect("a stranger",
                   lab_run(FENCE_INGRESS,
                           lab_packet(FENCE_INGRESS, lab_stranger(family), IPPROTO_TCP, 1, 80)),
                   false, FENCE_REASON_NO_RULE);
        lab_use_set(LAB_SET_OPEN);
        lab_expect("the same with the open set",
                   lab_run(FENCE_INGRESS,
                           lab_packet(FENCE_INGRESS, lab_stranger(family), IPPROTO_TCP, 1, 80)),
                   true, FENCE_REASON_RULE);
    }
}

static void test_most_specific_prefix(void **state)
{
    struct fence_prefix_key key = {.length = 96 + 24, .addr = lab_addr("203.0.113.0")};
    struct fence_peer peer = {.identity = FENCE_IDENTITY_WORLD, .flags = FENCE_PEER_IS_WORLD};
    __u32 number = 40;

    (void)state;
    lab_reset();
    lab_table_plain(LAB_SET_STRICT, LAB_PEER_WORLD, FENCE_EGRESS, FENCE_ALLOW);
    lab_expect("a block of length 0",
               lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_world(4), IPPROTO_TCP, 1, 2)),
               true, FENCE_REASON_RULE);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_PEERS), &number, &peer, 0), 0);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_PREFIXES), &key, &number, 0), 0);
    lab_raise_epoch();
    lab_expect("a narrower one without a table of its own",
               lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_world(4), IPPROTO_TCP, 3, 4)),
               false, FENCE_REASON_NO_RULE);
    lab_expect(
        "an address beside it",
        lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_addr("203.0.114.7"), IPPROTO_TCP, 5, 6)),
        true, FENCE_REASON_RULE);
}

/* Every position of a table with many intervals, against the table itself. */
static void test_search(void **state)
{
    enum { COUNT = 301 };
    struct lab_interval intervals[COUNT];

    (void)state;
    lab_reset();
    intervals[0] = (struct lab_interval){0, FENCE_DENY, FENCE_REASON_NO_RULE, 0};
    for (unsigned int i = 1; i < COUNT; i++)
        intervals[i] = (struct lab_interval){FENCE_POSITION(IPPROTO_TCP, 1000 + 7 * i), i % 2,
                                             i % 2 ? FENCE_REASON_RULE : FENCE_REASON_NO_RULE, i};
    for (unsigned int count = 1; count <= COUNT; count += 75) {
        lab_table(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_EGRESS, intervals, count);
        for (unsigned int port = 990; port < 1000 + 7 * COUNT + 20; port += 3) {
            unsigned int at = port < 1007 ? 0 : (port - 1000) / 7;
            struct fence_probe_result result =
                lab_probe(FENCE_EGRESS, FENCE_ORIGIN_FORWARDED,
                          lab_packet(FENCE_EGRESS, lab_friend(6), IPPROTO_TCP, 1, port));

            at = at < count ? at : count - 1;
            assert_int_equal(result.verdict, intervals[at].verdict);
            assert_int_equal(result.rule, intervals[at].rule);
        }
    }
}

static void test_shadow_verdict(void **state)
{
    struct fence_interval interval = {
        .verdict = FENCE_ALLOW,
        .reason = FENCE_REASON_RULE,
        .rule = 3,
        .shadow = FENCE_DENY,
        .shadow_reason = FENCE_REASON_DENYLIST,
        .shadow_rule = 9,
    };
    struct fence_policy_key key = {LAB_SET_STRICT, lab_class(LAB_PEER_FRIEND), FENCE_EGRESS};
    struct fence_policy_table table = {.offset = 5000, .count = 1};
    struct fence_probe_result result;

    (void)state;
    lab_reset();
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_INTERVALS), &table.offset, &interval, 0),
                     0);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_POLICIES), &key, &table, 0), 0);
    lab_raise_epoch();
    result = lab_probe(FENCE_EGRESS, FENCE_ORIGIN_FORWARDED,
                       lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_TCP, 1, 80));
    assert_int_equal(result.verdict, FENCE_ALLOW);
    assert_int_equal(result.shadow, FENCE_DENY);
    assert_int_equal(result.shadow_reason, FENCE_REASON_DENYLIST);
    assert_int_equal(result.rule, 3);
    assert_int_equal(result.shadow_rule, 9);
    assert_int_equal(result.peer, LAB_PEER_FRIEND);
    assert_int_equal(result.set, LAB_SET_STRICT);
}

static void test_damaged_maps_close(void **state)
{
    struct fence_policy_key key = {LAB_SET_STRICT, FENCE_CLASS_ANY, FENCE_EGRESS};
    struct fence_policy_table beyond = {.offset = FENCE_MAX_INTERVALS, .count = 1};

    (void)state;
    lab_reset();
    lab_use_set(99);
    lab_expect("a set that does not exist",
               lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_world(4), IPPROTO_TCP, 1, 2)),
               false, FENCE_REASON_NOT_APPLIED);
    lab_use_set(LAB_SET_STRICT);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_POLICIES), &key, &beyond, 0), 0);
    lab_raise_epoch();
    lab_expect("a table outside the array",
               lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_world(4), IPPROTO_TCP, 1, 2)),
               false, FENCE_REASON_NOT_APPLIED);
    lab_use_set(0);
    lab_expect("set 0",
               lab_run(FENCE_INGRESS, lab_packet(FENCE_INGRESS, lab_friend(4), IPPROTO_TCP, 1, 80)),
               false, FENCE_REASON_NOT_APPLIED);
}

/* While an address could not be written, what looks like the world may be a pod. */
static void test_incomplete_addresses(void **state)
{
    (void)state;
    lab_reset();
    lab_table_plain(LAB_SET_STRICT, LAB_PEER_WORLD, FENCE_EGRESS, FENCE_ALLOW);
    lab_settings_flags(FENCE_SETTING_ADDRESSES_INCOMPLETE);
    lab_expect("the world while addresses are incomplete",
               lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_world(6), IPPROTO_TCP, 1, 2)),
               false, FENCE_REASON_NO_RULE);
    lab_expect("a known pod all the same",
               lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_friend(6), IPPROTO_TCP, 1, 443)),
               true, FENCE_REASON_RULE);
    lab_settings_flags(0);
    lab_expect("the world again",
               lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_world(6), IPPROTO_TCP, 1, 2)),
               true, FENCE_REASON_RULE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports_protocols_families),
        cmocka_unit_test(test_unlisted_peers_get_the_fallback),
        cmocka_unit_test(test_most_specific_prefix),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_shadow_verdict),
        cmocka_unit_test(test_damaged_maps_close),
        cmocka_unit_test(test_incomplete_addresses),
    };

    return cmocka_run_group_tests_name("bpf.policy", tests, lab_setup, lab_teardown);
}
