/* SPDX-License-Identifier: Apache-2.0 */
/* Full maps close, say so with name and remedy, and open again as soon as there is room. */
#include <bpf/bpf.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/read.h"
#include "test/cmocka.h"
#include "test/datapath/plans.h"

static const struct fence_apply_failure *find(const struct fence_apply_report *report,
                                              const char *subject)
{
    for (size_t i = 0; i < report->failure_count; i++)
        if (strcmp(report->failures[i].subject, subject) == 0)
            return &report->failures[i];
    fail_msg("no failure of %s among %zu", subject, report->failure_count);
    return NULL;
}

/* `size` entries are there, `need` are needed: both and the way to more are in the text. */
static void expect_full(const struct fence_apply_report *report, enum fence_map map, size_t size,
                        size_t need)
{
    const char *name = fence_map_name(map);
    char subject[64], figures[128], remedy[128];

    snprintf(subject, sizeof(subject), "%s map", name);
    snprintf(figures, sizeof(figures), "full: it has %zu entries, the objects now need %zu,", size,
             need);
    snprintf(remedy, sizeof(remedy), "podfenced with --map-size %s=%zu and reboot the node", name,
             2 * (need > size ? need : size));
    assert_non_null(strstr(find(report, subject)->text, figures));
    assert_non_null(strstr(find(report, subject)->text, remedy));
}

static void without_open(struct fence_plan *plan)
{
    plan->sets[SHOP_OPEN].problem = strdup("out of the way");
}

static void without_sql(struct fence_plan *plan)
{
    plan_forget_entries(plan, SHOP_DB_SET);
}

static struct fence_plan *smaller_shop(void (*smaller)(struct fence_plan *plan))
{
    struct fence_plan *plan = plan_shop();

    smaller(plan);
    return plan;
}

/* The first set fits, the second does not: db is closed, web goes on. */
static void test_sets(void **state)
{
    static const struct {
        enum fence_map map;
        __u32 entries;
        void (*smaller)(struct fence_plan *plan); /* then it fits */
        size_t need;
        int answer;
    } rows[] = {
        {FENCE_MAP_POLICIES, 4, without_open, 5, FENCE_ALLOW},
        {FENCE_MAP_SETS, 1, without_open, 2, FENCE_ALLOW},
        {FENCE_MAP_INTERVALS, 4, without_sql, 5, -FENCE_REASON_NO_RULE},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const struct fence_map_size size = {rows[i].map, rows[i].entries};
        struct fence_pins pins = node_load(&size, 1);
        struct fence_apply *apply = apply_begin(&pins);
        struct fence_apply_report report;

        shop_pods(&pins);
        for (int again = 0; again < 2; again++) {
            report = apply_plan(apply, plan_shop());
            assert_int_equal(report.failure_count, 2);
            expect_full(&report, rows[i].map, rows[i].entries, rows[i].need);
            assert_non_null(strstr(find(&report, "endpoint shop/db (host1)")->text, "closed"));
            fence_apply_report_done(&report);
            assert_int_equal(node_endpoint(&pins, 1).set, 0);
            assert_int_equal(node_endpoint(&pins, 1).flags, FENCE_EP_NOT_APPLIED);
            assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 5432),
                             -FENCE_REASON_NOT_APPLIED);
            assert_int_equal(ask(&pins, 0, FENCE_EGRESS, "8.8.8.8", 53), FENCE_ALLOW);
        }
        /* what is given up is still in use while the first of these is applied */
        for (int again = 0; again < 2; again++) {
            report = apply_plan(apply, smaller_shop(rows[i].smaller));
            fence_apply_report_done(&report);
        }
        assert_int_equal(node_endpoint(&pins, 1).flags, 0);
        assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 5432), rows[i].answer);
        fence_apply_free(&apply);
        fence_pins_close(&pins);
    }
}

/* An address that is not in the map must not pass for the world. */
static void test_addresses(void **state)
{
    const struct fence_map_size size = {FENCE_MAP_ADDRESSES, 2};
    struct fence_pins pins = node_load(&size, 1);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = plan_shop();
    struct fence_apply_report report;

    (void)state;
    shop_pods(&pins);
    plan_address(plan, "203.0.113.9", SHOP_WEB);
    report = apply_plan(apply, plan);
    assert_int_equal(report.failure_count, 1);
    expect_full(&report, FENCE_MAP_ADDRESSES, 2, 3);
    fence_apply_report_done(&report);
    assert_int_equal(peer_of(&pins, "203.0.113.9"), FENCE_PEER_PENDING);
    assert_int_equal(peer_of(&pins, "8.8.8.8"), FENCE_PEER_PENDING);
    assert_int_not_equal(peer_of(&pins, "10.0.0.1"), FENCE_PEER_PENDING);

    apply_well(apply, plan_shop());
    assert_int_not_equal(peer_of(&pins, "8.8.8.8"), FENCE_PEER_PENDING);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* A block that is not in the map might be denied by some policy: everything is closed. */
static void test_prefixes(void **state)
{
    const struct fence_map_size size = {FENCE_MAP_PREFIXES, 2};
    struct fence_pins pins = node_load(&size, 1);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_apply_report report;
    struct fence_plan *plan;

    (void)state;
    shop_pods(&pins);
    for (int i = 0; i < 2; i++) {
        report = apply_plan(apply, plan_shop());
        assert_int_equal(report.failure_count, 3);
        expect_full(&report, FENCE_MAP_PREFIXES, 2, 3);
        fence_apply_report_done(&report);
        assert_int_equal(node_endpoint(&pins, 0).flags, FENCE_EP_NOT_APPLIED);
        assert_int_equal(ask(&pins, 0, FENCE_EGRESS, "8.8.8.8", 53), -FENCE_REASON_NOT_APPLIED);
    }
    plan = plan_shop();
    plan->prefixes_count = 2;
    apply_well(apply, plan);
    assert_int_equal(ask(&pins, 0, FENCE_EGRESS, "8.8.8.8", 53), FENCE_ALLOW);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* Addresses whose peer has no number count as pending; reserved ones always have theirs. */
static void test_peers(void **state)
{
    const struct fence_map_size size = {FENCE_MAP_PEERS, FENCE_PEER_FIRST + 3};
    struct fence_pins pins = node_load(&size, 1);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_apply_report report;

    (void)state;
    shop_pods(&pins);
    report = apply_plan(apply, plan_shop());
    assert_int_equal(report.failure_count, 1);
    expect_full(&report, FENCE_MAP_PEERS, FENCE_PEER_FIRST + 3, FENCE_PEER_FIRST + 4);
    fence_apply_report_done(&report);
    assert_int_equal(peer_of(&pins, "10.0.0.2"), FENCE_PEER_PENDING);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 5432), FENCE_ALLOW);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* A block whose peer has no number closes like a block that is not written; it is the peers map
 * that is named, which is the one to enlarge. */
static void test_peers_of_prefixes(void **state)
{
    const struct fence_map_size size = {FENCE_MAP_PEERS, FENCE_PEER_FIRST + 1};
    struct fence_pins pins = node_load(&size, 1);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_apply_report report;

    (void)state;
    shop_pods(&pins);
    report = apply_plan(apply, plan_shop());
    expect_full(&report, FENCE_MAP_PEERS, FENCE_PEER_FIRST + 1, FENCE_PEER_FIRST + 4);
    for (size_t i = 0; i < report.failure_count; i++)
        assert_string_not_equal(report.failures[i].subject, "prefixes map");
    assert_non_null(strstr(find(&report, "endpoint shop/db (host1)")->text, "closed"));
    fence_apply_report_done(&report);
    assert_int_equal(node_endpoint(&pins, 1).flags, FENCE_EP_NOT_APPLIED);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* Names only: verdicts stay. */
static void test_names(void **state)
{
    static const struct fence_map_size sizes[] = {{FENCE_MAP_IDENTITIES, 3}};
    struct fence_pins pins = node_load(sizes, 1);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_apply_report report;

    (void)state;
    shop_pods(&pins);
    report = apply_plan(apply, plan_shop());
    assert_int_equal(report.failure_count, 1);
    expect_full(&report, FENCE_MAP_IDENTITIES, 3, 4);
    fence_apply_report_done(&report);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 5432), FENCE_ALLOW);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.2", 5432), -FENCE_REASON_NO_RULE);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_peers_of_prefixes),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
