/* SPDX-License-Identifier: Apache-2.0 */
/* Reading for people, probes, and the event ring, with packets run through the real programs. */
#include "lib/datapath/read.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/datapath/events.h"
#include "lib/datapath/probe.h"
#include "test/cmocka.h"
#include "test/datapath/plans.h"

static struct fence_pins pins;
static struct fence_apply *apply;

static int begin(void **state)
{
    (void)state;
    pins = node_load(NULL, 0);
    apply = apply_begin(&pins);
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    return 0;
}

static int end(void **state)
{
    (void)state;
    fence_apply_free(&apply);
    fence_pins_close(&pins);
    return 0;
}

/* A first packet to db through the real program. Returns whether it passed. */
static bool knock(const char *source, unsigned int source_port, unsigned int port)
{
    struct fence_packet packet = {
        .source = node_addr(source),
        .destination = node_addr("10.0.0.2"),
        .protocol = IPPROTO_TCP,
        .source_port = source_port,
        .destination_port = port,
    };
    struct fence_prog_context context = {.ifindex = node_ifindex(1)};
    unsigned char frame[FENCE_PACKET_MAX];
    struct fence_err err = {{0}};

    node_check(fence_prog_run(pins.progs[FENCE_PROG_TO_POD], &context, frame,
                              fence_packet_build(&packet, frame), &err),
               &err);
    return context.action == -1;
}

/* A probe says what the packet would get, and writes nothing. */
static void test_probe(void **state)
{
    struct fence_packet packet = {
        .source = node_addr("10.0.0.1"),
        .protocol = IPPROTO_TCP,
        .destination_port = 5432,
    };
    struct fence_probe_result result;
    struct fence_err err = {{0}};
    struct fence_rule_info rule;

    (void)state;
    node_check(fence_probe(&pins, node_ifindex(1), FENCE_INGRESS, FENCE_ORIGIN_FORWARDED, &packet,
                           &result, &err),
               &err);
    assert_int_equal(result.verdict, FENCE_ALLOW);
    assert_int_equal(result.reason, FENCE_REASON_RULE);
    assert_int_equal(result.set, node_endpoint(&pins, 1).set);
    assert_int_equal(result.peer, peer_of(&pins, "10.0.0.1"));
    assert_int_equal(fence_rule_read(&pins, result.rule, &rule), 0);
    assert_string_equal(rule.policy, "NetworkPolicy/shop/db-in");
    assert_int_equal(node_count(&pins, FENCE_MAP_CONNECTIONS), 0);
    assert_int_equal(node_count(&pins, FENCE_MAP_FLOWS), 0);

    assert_int_equal(fence_probe(&pins, node_ifindex(2), FENCE_INGRESS, FENCE_ORIGIN_FORWARDED,
                                 &packet, &result, &err),
                     -ENOENT);
    packet.source = node_addr("fd00::1");
    assert_int_equal(fence_probe(&pins, node_ifindex(1), FENCE_INGRESS, FENCE_ORIGIN_FORWARDED,
                                 &packet, &result, &err),
                     -EAFNOSUPPORT);
}

static void test_prog_run_errors(void **state)
{
    struct fence_prog_context nowhere = {.ifindex = 9999};
    struct fence_prog_context here = {.ifindex = node_ifindex(0)};
    int prog = pins.progs[FENCE_PROG_TO_POD];
    unsigned char frame[64] = {0};
    struct fence_err err = {{0}};

    (void)state;
    assert_int_equal(fence_prog_run(prog, &nowhere, frame, sizeof(frame), &err), -ENODEV);
    assert_non_null(strstr(err.text, "9999"));
    assert_int_equal(fence_prog_run(prog, &here, frame, 4, &err), -EINVAL);
}

static void test_counters(void **state)
{
    struct fence_counter before, after;

    (void)state;
    assert_int_equal(fence_counter_read(&pins, FENCE_REASON_NO_RULE, FENCE_INGRESS, &before), 0);
    for (unsigned int i = 0; i < 3; i++)
        assert_false(knock("8.8.8.8", 1000 + i, 80));
    assert_int_equal(fence_counter_read(&pins, FENCE_REASON_NO_RULE, FENCE_INGRESS, &after), 0);
    assert_int_equal(after.packets - before.packets, 3);
    assert_int_equal(after.bytes - before.bytes, 3 * 54);
    assert_int_equal(fence_counter_read(&pins, FENCE_REASON_NO_RULE, FENCE_EGRESS, &after), 0);
    assert_int_equal(after.packets, 0);
    assert_int_equal(fence_counter_read(&pins, FENCE_REASON_COUNT, FENCE_EGRESS, &after), -EINVAL);
    assert_int_equal(fence_counter_read(&pins, FENCE_REASON_RULE, FENCE_DIRECTIONS, &after),
                     -EINVAL);
}

static int sum_flows(void *context, const struct fence_flow_key *key, const struct fence_flow *flow)
{
    __u64 *sums = context;

    sums[key->verdict] += flow->count;
    return 0;
}

static void test_flows(void **state)
{
    struct fence_err err = {{0}};
    __u64 sums[2] = {0};

    (void)state;
    assert_true(knock("10.0.0.1", 1, 5432));
    assert_true(knock("10.0.0.1", 2, 5432));
    assert_false(knock("8.8.8.8", 1, 80));
    node_check(fence_flows_each(&pins, sum_flows, sums, &err), &err);
    assert_int_equal(sums[FENCE_ALLOW], 2);
    assert_int_equal(sums[FENCE_DENY], 1);
}

static int keep_port_7(void *context, const struct fence_flow_key *key,
                       const struct fence_flow *flow)
{
    if (key->port == 7)
        *(struct fence_flow *)context = *flow;
    return 0;
}

/* An entry made by one CPU and found by another. */
static void test_flow_of_cpus(void **state)
{
    const struct fence_flow_key key = {.source = 1, .destination = 2, .port = 7, .protocol = 6};
    struct fence_flow cpus[256] = {{.count = 2, .first_seen = 100, .last_seen = 300, .rule = 1}};
    struct fence_flow sum = {0};
    struct fence_err err = {{0}};

    (void)state;
    assert_in_range(libbpf_num_possible_cpus(), 1, 256);
    if (libbpf_num_possible_cpus() == 1)
        return; /* nothing to sum */
    cpus[1] = (struct fence_flow){.count = 3, .last_seen = 400, .rule = 2};
    assert_int_equal(bpf_map_update_elem(pins.maps[FENCE_MAP_FLOWS], &key, cpus, BPF_ANY), 0);
    node_check(fence_flows_each(&pins, keep_port_7, &sum, &err), &err);
    assert_int_equal(sum.count, 5);
    assert_int_equal(sum.first_seen, 100);
    assert_int_equal(sum.last_seen, 400);
    assert_int_equal(sum.rule, 2);
    assert_int_equal(bpf_map_delete_elem(pins.maps[FENCE_MAP_FLOWS], &key), 0);
}

static int stop_at_second(void *context, const void *key, const void *value)
{
    (void)key;
    (void)value;
    return ++*(int *)context == 2 ? 42 : 0;
}

static void test_each(void **state)
{
    struct fence_err err = {{0}};
    int seen = 0;

    (void)state;
    assert_int_equal(fence_map_each(&pins, FENCE_MAP_PREFIXES, stop_at_second, &seen, &err), 42);
    assert_int_equal(seen, 2);
}

static void test_show(void **state)
{
    static const struct {
        __u32 identity;
        const char *shown;
    } rows[] = {
        {FENCE_IDENTITY_HOST, "host"},
        {FENCE_IDENTITY_WORLD, "world"},
        {60000, "identity-60000"},
    };
    struct fence_identity_info node = {.kind = FENCE_KIND_NODE, .app = "n1"};
    const __u32 number = 4000;
    char text[128];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        fence_identity_show(&pins, rows[i].identity, text, sizeof(text));
        assert_string_equal(text, rows[i].shown);
    }
    assert_int_equal(bpf_map_update_elem(pins.maps[FENCE_MAP_IDENTITIES], &number, &node, BPF_ANY),
                     0);
    fence_identity_show(&pins, number, text, sizeof(text));
    assert_string_equal(text, "node/n1");
}

static void test_usage(void **state)
{
    static const struct {
        enum fence_map map;
        size_t used, max;
    } rows[] = {
        {FENCE_MAP_ENDPOINTS, 2, FENCE_MAX_ENDPOINTS},
        {FENCE_MAP_ADDRESSES, 2, FENCE_MAX_ADDRESSES},
        {FENCE_MAP_PREFIXES, 3, FENCE_MAX_PREFIXES},
        {FENCE_MAP_PEERS, 5, FENCE_MAX_PEERS},
        {FENCE_MAP_POLICIES, 5, FENCE_MAX_POLICIES},
        {FENCE_MAP_INTERVALS, 5, FENCE_MAX_INTERVALS},
        {FENCE_MAP_SETS, 2, FENCE_MAX_RULES},
        {FENCE_MAP_RULES, 1, FENCE_MAX_RULES},
    };
    size_t used, max;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        assert_int_equal(fence_map_usage(&pins, rows[i].map, &used, &max), 0);
        assert_int_equal(used, rows[i].used);
        assert_int_equal(max, rows[i].max);
    }
    assert_int_equal(fence_map_usage(&pins, FENCE_MAP_EVENTS, &used, &max), -EOPNOTSUPP);
}

struct seen {
    unsigned int count;
    struct fence_event last;
};

static void remember(void *context, const struct fence_event *event)
{
    struct seen *seen = context;

    seen->count++;
    seen->last = *event;
}

static void test_events(void **state)
{
    struct fence_events *events = NULL;
    struct fence_err err = {{0}};
    struct seen seen = {0};
    struct pollfd poller = {.events = POLLIN};
    const struct fence_addr source = node_addr("8.8.8.8");

    (void)state;
    node_check(fence_events_new(&pins, remember, &seen, &events, &err), &err);
    assert_int_equal(fence_events_consume(events), 0);
    poller.fd = fence_events_fd(events);
    assert_int_equal(poll(&poller, 1, 0), 0);

    assert_false(knock("8.8.8.8", 1234, 80));
    assert_int_equal(poll(&poller, 1, 0), 0); /* nobody is woken for it */
    assert_int_equal(fence_events_consume(events), 1);
    assert_int_equal(seen.count, 1);
    assert_true(fence_addr_equal(&seen.last.source, &source));
    assert_int_equal(seen.last.destination_port, 80);
    assert_int_equal(seen.last.verdict, FENCE_DENY);
    assert_int_equal(seen.last.ifindex, node_ifindex(1));
    assert_int_equal(fence_events_consume(events), 0);
    fence_events_free(&events);
    assert_null(events);
    fence_events_free(&events);
}

/* More than one call hands over: nothing is lost, and each call ends. */
static void test_many_events(void **state)
{
    struct fence_events *events = NULL;
    struct fence_err err = {{0}};
    struct seen seen = {0};
    int total = 0;
    int got;

    (void)state;
    node_check(fence_events_new(&pins, remember, &seen, &events, &err), &err);
    knock("10.0.0.1", 60000, 5432);
    assert_int_equal(fence_events_consume(events), 0); /* nobody listens to what is allowed */
    assert_int_equal(fence_events_listen(&pins, FENCE_HEARING_ALL), 0);
    for (unsigned int i = 0; i < 3000; i++)
        knock("10.0.0.1", 1 + i, 5432);
    do {
        got = fence_events_consume(events);
        assert_in_range(got, 0, 1500);
        total += got;
    } while (got > 0);
    assert_int_equal(total, 3000);
    assert_int_equal(seen.count, 3000);
    fence_events_free(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_probe, begin, end),
        cmocka_unit_test_setup_teardown(test_prog_run_errors, begin, end),
        cmocka_unit_test_setup_teardown(test_counters, begin, end),
        cmocka_unit_test_setup_teardown(test_flows, begin, end),
        cmocka_unit_test_setup_teardown(test_flow_of_cpus, begin, end),
        cmocka_unit_test_setup_teardown(test_each, begin, end),
        cmocka_unit_test_setup_teardown(test_show, begin, end),
        cmocka_unit_test_setup_teardown(test_usage, begin, end),
        cmocka_unit_test_setup_teardown(test_events, begin, end),
        cmocka_unit_test_setup_teardown(test_many_events, begin, end),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
