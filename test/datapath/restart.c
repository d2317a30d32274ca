/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers stay with their content: an equal plan writes nothing, also after a restart. */
#include <bpf/bpf.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/datapath/read.h"
#include "test/cmocka.h"
#include "test/datapath/plans.h"

static struct fence_apply *restart(const struct fence_pins *pins, struct fence_apply *apply)
{
    fence_apply_free(&apply);
    return apply_begin(pins);
}

static void test_second_apply(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);

    (void)state;
    shop_pods(&pins);
    assert_true(apply_well(apply, plan_shop()) > 10);
    assert_int_equal(apply_well(apply, plan_shop()), 0);
    apply_sweep(apply);
    assert_int_equal(apply_well(apply, plan_shop()), 0);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

static void test_restart(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    __u32 set;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    set = fence_apply_set_number(apply, "db-in");
    assert_int_not_equal(set, 0);
    for (int i = 0; i < 3; i++) {
        apply = restart(&pins, apply);
        assert_int_equal(fence_apply_set_number(apply, "db-in"), 0);
        assert_int_equal(apply_well(apply, plan_shop()), 0);
        assert_int_equal(fence_apply_set_number(apply, "db-in"), set);
        apply_sweep(apply);
    }
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* Order in the plan is no content. */
static void test_other_order(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = plan_shop();
    const struct fence_plan_prefix prefix = plan->prefixes[0];

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    plan->prefixes[0] = plan->prefixes[2];
    plan->prefixes[2] = prefix;
    apply = restart(&pins, apply);
    assert_int_equal(apply_well(apply, plan), 0);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

static struct fence_plan *with_other_policy(void)
{
    struct fence_plan *plan = plan_shop();

    free(plan->sets[SHOP_DB_SET].content);
    plan->sets[SHOP_DB_SET].content = strdup("db-in changed");
    plan->sets[SHOP_DB_SET].fallback[FENCE_EGRESS] = SHOP_DENY;
    return plan;
}

/* Another content gets another number, and its own again while it is there; never an old one. */
static void test_numbers_of_sets(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    __u32 old, changed;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    old = fence_apply_set_number(apply, "db-in");
    apply_well(apply, with_other_policy());
    changed = fence_apply_set_number(apply, "db-in changed");
    assert_true(changed > old);
    assert_int_equal(fence_apply_set_number(apply, "db-in"), 0);
    assert_int_equal(node_endpoint(&pins, 1).set, changed);
    assert_int_equal(ask(&pins, 1, FENCE_EGRESS, "8.8.8.8", 53), -FENCE_REASON_NO_RULE);

    apply_well(apply, plan_shop());
    assert_int_equal(fence_apply_set_number(apply, "db-in"), old);
    apply_sweep(apply);
    apply = restart(&pins, apply);
    apply_well(apply, with_other_policy());
    assert_true(fence_apply_set_number(apply, "db-in changed") > changed);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* Killed while writing a set: it has entries and no content, is never used and is swept. */
static void test_killed_in_a_set(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    __u32 old;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    old = fence_apply_set_number(apply, "db-in");
    assert_int_equal(bpf_map_delete_elem(pins.maps[FENCE_MAP_SETS], &old), 0);
    apply = restart(&pins, apply);
    apply_well(apply, plan_shop());
    assert_true(fence_apply_set_number(apply, "db-in") > old);
    assert_int_equal(node_endpoint(&pins, 1).set, fence_apply_set_number(apply, "db-in"));
    assert_int_equal(node_count(&pins, FENCE_MAP_POLICIES), 8);
    apply_sweep(apply);
    assert_int_equal(node_count(&pins, FENCE_MAP_POLICIES), 5);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 5432), FENCE_ALLOW);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* The same text with another meaning (another version of the compiler): a new set, never a change
 * of one in force. */
static void test_changed_meaning(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = plan_shop();
    __u32 old;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    old = fence_apply_set_number(apply, "db-in");
    plan_forget_entries(plan, SHOP_DB_SET);
    apply_well(apply, plan);
    assert_true(fence_apply_set_number(apply, "db-in") > old);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 5432), -FENCE_REASON_NO_RULE);

    plan = plan_shop();
    plan_entry(plan, SHOP_DB_SET, &(struct plan_entry){SHOP_WEB, FENCE_INGRESS, SHOP_ALLOW});
    apply_well(apply, plan);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 1), FENCE_ALLOW);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* A shown name changes without the content: the number stays, the text follows. */
static void test_shown_name(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = plan_shop();
    struct fence_identity_info info;
    __u32 identity;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    identity = node_endpoint(&pins, 0).identity;
    fence_shared_string_unref(&plan->identities[SHOP_WEB_ID].app);
    plan->identities[SHOP_WEB_ID].app = fence_shared_string("frontend");
    assert_int_equal(apply_well(apply, plan), 1);
    assert_int_equal(node_endpoint(&pins, 0).identity, identity);
    assert_int_equal(fence_identity_read(&pins, identity, &info), 0);
    assert_string_equal(info.app, "frontend");
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_apply),    cmocka_unit_test(test_restart),
        cmocka_unit_test(test_other_order),     cmocka_unit_test(test_numbers_of_sets),
        cmocka_unit_test(test_killed_in_a_set), cmocka_unit_test(test_changed_meaning),
        cmocka_unit_test(test_shown_name),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
