/* SPDX-License-Identifier: Apache-2.0 */
/* An address that changes hands: whose connections are judged again. */
#include <bpf/bpf.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"
#include "test/cmocka.h"
#include "test/datapath/plans.h"

/* Bits of the peers whose generation a plan raised. */
enum { PENDING = 1, WORLD4 = 2, WEB = 4, DB = 8 };

struct before {
    __u32 pending, world4, web, db;
};

static struct before generations(const struct fence_pins *pins, const __u32 peers[4])
{
    return (struct before){
        .pending = generation_of(pins, peers[0]),
        .world4 = generation_of(pins, peers[1]),
        .web = generation_of(pins, peers[2]),
        .db = generation_of(pins, peers[3]),
    };
}

static void remove_db(struct fence_plan *plan)
{
    plan_forget_address(plan, "10.0.0.2");
}

static void give_to_web(struct fence_plan *plan)
{
    plan_address(plan, "10.0.0.2", SHOP_WEB);
}

static void add_inside(struct fence_plan *plan)
{
    plan_address(plan, "10.0.0.9", SHOP_WEB);
}

static void add_outside(struct fence_plan *plan)
{
    plan_address(plan, "203.0.113.9", SHOP_WEB);
}

static void add_block(struct fence_plan *plan)
{
    plan_prefix(plan, "203.0.113.0/24", SHOP_PENDING);
}

static void add_block_inside(struct fence_plan *plan)
{
    plan_prefix(plan, "10.0.0.128/25", SHOP_WORLD4);
}

static void remove_block(struct fence_plan *plan)
{
    plan->prefixes_count = 2;
}

static void move_block(struct fence_plan *plan)
{
    plan->prefixes[0].peer = SHOP_PENDING;
}

static void nothing(struct fence_plan *plan)
{
    (void)plan;
}

static void check_raised(const struct before *was, const struct before *is, int raised)
{
    assert_int_equal(is->pending != was->pending, !!(raised & PENDING));
    assert_int_equal(is->world4 != was->world4, !!(raised & WORLD4));
    assert_int_equal(is->web != was->web, !!(raised & WEB));
    assert_int_equal(is->db != was->db, !!(raised & DB));
}

static void test_generations(void **state)
{
    static const struct {
        void (*change)(struct fence_plan *plan);
        int raised;
    } rows[] = {
        {nothing, 0},
        {remove_db, DB},
        {give_to_web, DB},
        {add_inside, PENDING},
        {add_outside, WORLD4},
        {add_block, WORLD4},
        {add_block_inside, PENDING},
        {remove_block, PENDING},
        {move_block, WORLD4},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_pins pins = node_load(NULL, 0);
        struct fence_apply *apply = apply_begin(&pins);
        struct fence_plan *plan = plan_shop();
        struct before was, is;
        __u32 peers[4];

        shop_pods(&pins);
        apply_well(apply, plan_shop());
        apply_sweep(apply);
        peers[0] = FENCE_PEER_PENDING;
        peers[1] = peer_of(&pins, "8.8.8.8");
        peers[2] = peer_of(&pins, "10.0.0.1");
        peers[3] = peer_of(&pins, "10.0.0.2");
        was = generations(&pins, peers);
        rows[i].change(plan);
        apply_well(apply, plan);
        is = generations(&pins, peers);
        check_raised(&was, &is, rows[i].raised);
        /* once more at the sweep, for packets that were in flight, and then no more */
        apply_sweep(apply);
        was = generations(&pins, peers);
        check_raised(&is, &was, rows[i].raised);
        apply_sweep(apply);
        is = generations(&pins, peers);
        check_raised(&was, &is, 0);
        fence_apply_free(&apply);
        fence_pins_close(&pins);
    }
}

/* Killed after an address moved and before the generations: the next start raises them. */
static void test_killed_while_moving(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_settings settings;
    __u32 web, before;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    web = peer_of(&pins, "10.0.0.1");
    before = generation_of(&pins, web);
    fence_apply_free(&apply);
    assert_int_equal(fence_settings_read(&pins, &settings), 0);
    assert_int_not_equal(settings.flags, 0); /* not swept yet */
    apply = apply_begin(&pins);
    assert_true(generation_of(&pins, web) > before);
    before = generation_of(&pins, web);
    fence_apply_free(&apply);
    apply = apply_begin(&pins);
    assert_int_equal(generation_of(&pins, web), before);
    assert_int_equal(apply_well(apply, plan_shop()), 0);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* A new workload's entry is in the sets before its address leads to it. */
static void test_new_peer_in_old_set(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = plan_shop();
    struct plan_entry entry = {.direction = FENCE_INGRESS, .table = SHOP_SQL};
    __u32 set;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    set = node_endpoint(&pins, 1).set;
    entry.peer = plan_peer(plan, "api 10.0.0.0/24", plan_identity(plan, "api", 0), 0);
    plan_entry(plan, SHOP_DB_SET, &entry);
    plan_address(plan, "10.0.0.3", entry.peer);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.3", 5432), -FENCE_REASON_NO_RULE);
    apply_well(apply, plan);
    assert_int_equal(node_endpoint(&pins, 1).set, set);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.3", 5432), FENCE_ALLOW);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_killed_while_moving),
        cmocka_unit_test(test_new_peer_in_old_set),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
