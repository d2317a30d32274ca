/* SPDX-License-Identifier: Apache-2.0 */
/* Plans into maps, and what the kernel then says. */
#include "lib/datapath/apply.h"

#include <bpf/bpf.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"
#include "test/cmocka.h"
#include "test/datapath/plans.h"

static void test_verdicts(void **state)
{
    static const struct {
        unsigned int link;
        enum fence_direction direction;
        const char *remote;
        unsigned int port;
        int answer;
    } rows[] = {
        {1, FENCE_INGRESS, "10.0.0.1", 5432, FENCE_ALLOW},
        {1, FENCE_INGRESS, "10.0.0.1", 5431, -FENCE_REASON_NO_RULE},
        {1, FENCE_INGRESS, "10.0.0.1", 5433, -FENCE_REASON_NO_RULE},
        {1, FENCE_INGRESS, "10.0.0.2", 5432, -FENCE_REASON_NO_RULE},
        {1, FENCE_INGRESS, "10.0.0.3", 5432, -FENCE_REASON_NO_RULE},
        {1, FENCE_INGRESS, "8.8.8.8", 5432, -FENCE_REASON_NO_RULE},
        {1, FENCE_EGRESS, "8.8.8.8", 53, FENCE_ALLOW},
        {0, FENCE_INGRESS, "8.8.8.8", 80, FENCE_ALLOW},
        {0, FENCE_EGRESS, "10.0.0.2", 5432, FENCE_ALLOW},
    };
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);

    (void)state;
    shop_pods(&pins);
    assert_int_equal(ask(&pins, 0, FENCE_EGRESS, "8.8.8.8", 53), -FENCE_REASON_PENDING);
    apply_well(apply, plan_shop());
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++)
        assert_int_equal(ask(&pins, rows[i].link, rows[i].direction, rows[i].remote, rows[i].port),
                         rows[i].answer);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

static void test_names(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_identity_info identity;
    struct fence_rule_info rule;
    struct fence_peer peer;
    char text[128];

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    assert_int_equal(fence_peer_read(&pins, peer_of(&pins, "10.0.0.2"), &peer), 0);
    assert_int_equal(peer.identity, node_endpoint(&pins, 1).identity);
    assert_int_equal(fence_identity_read(&pins, peer.identity, &identity), 0);
    assert_string_equal(identity.app, "db");
    fence_identity_show(&pins, peer.identity, text, sizeof(text));
    assert_string_equal(text, "shop/db");
    assert_int_equal(fence_rule_read(&pins, 1, &rule), 0);
    assert_string_equal(rule.policy, "NetworkPolicy/shop/db-in");
    assert_int_equal(peer_of(&pins, "10.0.0.77"), FENCE_PEER_PENDING);
    assert_int_not_equal(peer_of(&pins, "8.8.8.8"), peer_of(&pins, "2001:db8::1"));
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* What the daemon may change of an endpoint, and what it leaves alone. */
static void test_endpoint_fields(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_endpoint_record record = node_record(0, "web", "10.0.0.1");
    struct fence_settings settings;
    struct fence_endpoint endpoint;

    (void)state;
    record.endpoint.flags = FENCE_EP_PENDING | FENCE_EP_OPEN | FENCE_EP_EXEMPT;
    record.endpoint.recovery_until_ns = 99;
    assert_int_equal(fence_endpoint_put(&pins, &record, NULL), 0);
    assert_int_equal(fence_settings_read(&pins, &settings), 0);
    settings.source_flags = FENCE_EP_SOURCE_REPORT;
    assert_int_equal(fence_settings_write(&pins, &settings, NULL), 1);
    assert_int_equal(fence_settings_write(&pins, &settings, NULL), 0);
    apply_well(apply, plan_shop());

    endpoint = node_endpoint(&pins, 0);
    assert_int_equal(endpoint.set, fence_apply_set_number(apply, "no policy"));
    assert_int_equal(endpoint.flags, FENCE_EP_EXEMPT | FENCE_EP_SOURCE_REPORT);
    assert_int_equal(endpoint.recovery_until_ns, 99);
    assert_int_equal(endpoint.slot, 1);
    assert_memory_equal(endpoint.mac, record.endpoint.mac, 6);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* Pending, open, incomplete: {flags before, flags of the plan} -> flags after. */
static void test_pending(void **state)
{
    static const struct {
        __u32 before, plan, after;
    } rows[] = {
        {FENCE_EP_PENDING | FENCE_EP_OPEN, FENCE_EP_PENDING, FENCE_EP_PENDING | FENCE_EP_OPEN},
        {FENCE_EP_PENDING, FENCE_EP_PENDING, FENCE_EP_PENDING},
        {FENCE_EP_PENDING | FENCE_EP_OPEN, FENCE_EP_PENDING | FENCE_EP_INCOMPLETE,
         FENCE_EP_PENDING | FENCE_EP_INCOMPLETE},
        {0, FENCE_EP_PENDING, FENCE_EP_PENDING},
        {FENCE_EP_PENDING | FENCE_EP_OPEN, FENCE_EP_NOT_APPLIED, FENCE_EP_NOT_APPLIED},
    };
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_endpoint_record record = node_record(0, "web", "10.0.0.1");
        struct fence_plan *plan = plan_shop();
        struct fence_endpoint endpoint;

        record.endpoint.flags = rows[i].before;
        assert_int_equal(fence_endpoint_put(&pins, &record, NULL), 0);
        plan->endpoints[0].flags = rows[i].plan;
        plan->endpoints[0].set = FENCE_PLAN_NONE;
        plan->endpoints[0].identity = FENCE_PLAN_NONE;
        apply_well(apply, plan);
        endpoint = node_endpoint(&pins, 0);
        assert_int_equal(endpoint.flags, rows[i].after);
        assert_int_equal(endpoint.set, 0);
        assert_int_equal(endpoint.identity, rows[i].plan & FENCE_EP_INCOMPLETE
                                                ? FENCE_IDENTITY_INCOMPLETE
                                                : FENCE_IDENTITY_PENDING);
    }
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* A set that the compiler could not make closes its endpoints, and says why. */
static void test_problem(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = plan_shop();
    struct fence_apply_report report;

    (void)state;
    shop_pods(&pins);
    plan->sets[SHOP_DB_SET].problem = strdup("too many intervals");
    report = apply_plan(apply, plan);
    assert_int_equal(report.failure_count, 1);
    assert_string_equal(report.failures[0].subject, "endpoint shop/db (host1)");
    assert_non_null(strstr(report.failures[0].text, "too many intervals"));
    fence_apply_report_done(&report);
    assert_int_equal(node_endpoint(&pins, 1).flags, FENCE_EP_NOT_APPLIED);
    assert_int_equal(ask(&pins, 1, FENCE_EGRESS, "8.8.8.8", 53), -FENCE_REASON_NOT_APPLIED);
    assert_int_equal(ask(&pins, 0, FENCE_EGRESS, "8.8.8.8", 53), FENCE_ALLOW);
    apply_well(apply, plan_shop());
    assert_int_equal(node_endpoint(&pins, 1).flags, 0);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

static void test_vanished_endpoint(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);

    (void)state;
    node_add(&pins, 0, "web", "10.0.0.1");
    apply_well(apply, plan_shop());
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINTS), 1);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* The plan was made for a pod that has gone; its index belongs to another one by now. */
static void test_reused_index(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_endpoint_record record = node_record(0, "web", "10.0.0.1");
    struct fence_plan *plan = plan_shop();

    (void)state;
    record.endpoint.flags = FENCE_EP_PENDING;
    record.info.created_ns = 1000;
    assert_int_equal(fence_endpoint_put(&pins, &record, NULL), 0);
    plan->endpoints[0].created_ns = 999;
    apply_well(apply, plan);
    assert_int_equal(node_endpoint(&pins, 0).flags, FENCE_EP_PENDING);
    assert_int_equal(node_endpoint(&pins, 0).set, 0);
    plan = plan_shop();
    plan->endpoints[0].created_ns = 1000;
    apply_well(apply, plan);
    assert_int_equal(node_endpoint(&pins, 0).flags, 0);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

static struct fence_plan *with_takeover(__s64 takeover)
{
    struct fence_plan *plan = plan_shop();

    plan->endpoints[1].ends[0] = (struct fence_plan_end){.at = takeover, .set = SHOP_OPEN};
    plan->endpoints[1].end_count = 1;
    return plan;
}

/* The kernel changes over by itself; a moment that stays the same is not written again. */
static void test_takeover(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    __s64 now = (__s64)(fence_clock_wall_ns() / 1000000000u);
    struct fence_endpoint endpoint;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, with_takeover(now + 1000));
    endpoint = node_endpoint(&pins, 1);
    assert_int_equal(endpoint.next[0].set, fence_apply_set_number(apply, "no policy"));
    assert_in_range((endpoint.next[0].at_ns - fence_clock_boot_ns()) / 1000000000u, 990, 1001);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "8.8.8.8", 80), -FENCE_REASON_NO_RULE);

    assert_int_equal(apply_well(apply, with_takeover(now + 1000)), 0);
    assert_int_equal(apply_well(apply, with_takeover(now + 1001)), 1);
    assert_int_equal(apply_well(apply, with_takeover(now + 1000)), 1);
    assert_int_equal(apply_well(apply, with_takeover(now - 1)), 1);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "8.8.8.8", 80), FENCE_ALLOW);
    assert_int_equal(apply_well(apply, with_takeover(INT64_MAX)), 1);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "8.8.8.8", 80), -FENCE_REASON_NO_RULE);
    apply_well(apply, plan_shop());
    endpoint = node_endpoint(&pins, 1);
    assert_int_equal(endpoint.next[0].set, 0);
    assert_int_equal(endpoint.next[0].at_ns, 0);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* One end after the other, and the closing one, is followed without anybody writing. */
static void test_takeovers_follow(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    __s64 now = (__s64)(fence_clock_wall_ns() / 1000000000u);
    struct fence_plan_endpoint *planned;

    (void)state;
    shop_pods(&pins);
    for (unsigned int passed = 0; passed <= 3; passed++) {
        struct fence_plan *plan = plan_shop();
        const __s64 at[] = {now + (passed > 0 ? -3 : 1000), now + (passed > 1 ? -2 : 1001),
                            now + (passed > 2 ? -1 : 1002)};

        planned = &plan->endpoints[1];
        planned->end_count = 3;
        planned->ends[0] = (struct fence_plan_end){.at = at[0], .set = SHOP_OPEN};
        planned->ends[1] = (struct fence_plan_end){.at = at[1], .set = planned->set};
        planned->ends[2] = (struct fence_plan_end){.at = at[2], .set = FENCE_PLAN_NONE};
        apply_well(apply, plan);
        assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "8.8.8.8", 80),
                         passed == 1   ? FENCE_ALLOW
                         : passed == 3 ? -FENCE_REASON_NOT_APPLIED
                                       : -FENCE_REASON_NO_RULE);
    }
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),         cmocka_unit_test(test_names),
        cmocka_unit_test(test_endpoint_fields),  cmocka_unit_test(test_pending),
        cmocka_unit_test(test_problem),          cmocka_unit_test(test_vanished_endpoint),
        cmocka_unit_test(test_reused_index),     cmocka_unit_test(test_takeover),
        cmocka_unit_test(test_takeovers_follow),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
