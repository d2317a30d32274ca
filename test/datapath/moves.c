/* SPDX-License-Identifier: Apache-2.0 */
/* An address that changes hands: what the kernel keeps of it is out of date at once. */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/probe.h"
#include "lib/datapath/read.h"
#include "test/cmocka.h"
#include "test/datapath/plans.h"

#define TC_ACT_SHOT 2

static const char *const remotes[] = {"10.0.0.1", "10.0.0.9", "203.0.113.9", "8.8.8.8",
                                      "10.0.0.200"};

static void remove_db(struct fence_plan *plan)
{
    plan_forget_address(plan, "10.0.0.2");
}

static void swap(struct fence_plan *plan)
{
    plan_address(plan, "10.0.0.9", SHOP_WEB);
    plan_address(plan, "10.0.0.1", SHOP_DB);
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
    plan_prefix(plan, "203.0.113.0/24", SHOP_WEB);
}

static void add_block_inside(struct fence_plan *plan)
{
    plan_prefix(plan, "10.0.0.128/25", SHOP_WEB);
}

static void move_block(struct fence_plan *plan)
{
    plan->prefixes[0].peer = SHOP_WEB;
}

static void nothing(struct fence_plan *plan)
{
    (void)plan;
}

/* A SYN to db through the entry program, which keeps what it has looked up. */
static bool passes(const struct fence_pins *pins, const char *remote, unsigned int port)
{
    struct fence_prog_context context = {.ifindex = node_ifindex(1)};
    struct fence_packet packet = {
        .source = node_addr(remote),
        .destination = node_addr("10.0.0.2"),
        .protocol = IPPROTO_TCP,
        .source_port = 40000,
        .destination_port = port,
    };
    unsigned char frame[FENCE_PACKET_MAX];
    size_t size = fence_packet_build(&packet, frame);
    struct fence_err err = {""};

    node_check(fence_prog_run(pins->progs[FENCE_PROG_TO_POD], &context, frame, size, &err), &err);
    return context.action != TC_ACT_SHOT;
}

static unsigned int count_allowed(const struct fence_pins *pins)
{
    unsigned int allowed = 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(remotes); i++) {
        bool passed = passes(pins, remotes[i], 5432);

        if (passed != (ask(pins, 1, FENCE_INGRESS, remotes[i], 5432) == FENCE_ALLOW))
            fail_msg("%s: the kernel goes by something older than the maps", remotes[i]);
        allowed += passed;
    }
    return allowed;
}

static void test_moves(void **state)
{
    static const struct {
        void (*change)(struct fence_plan *plan);
        unsigned int allowed; /* of remotes, afterwards */
    } rows[] = {
        {nothing, 1},   {remove_db, 1},        {swap, 1},       {add_inside, 2}, {add_outside, 2},
        {add_block, 2}, {add_block_inside, 2}, {move_block, 3},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_pins pins = node_load(NULL, 0);
        struct fence_apply *apply = apply_begin(&pins);
        struct fence_plan *plan = plan_shop();

        shop_pods(&pins);
        apply_well(apply, plan_shop());
        assert_int_equal(count_allowed(&pins), 1);
        assert_int_equal(count_allowed(&pins), 1);
        rows[i].change(plan);
        apply_well(apply, plan);
        assert_int_equal(count_allowed(&pins), rows[i].allowed);
        apply_well(apply, plan_shop());
        assert_int_equal(count_allowed(&pins), 1);
        fence_apply_free(&apply);
        fence_pins_close(&pins);
    }
}

/* A map written behind our backs is what a daemon leaves that is killed before it raises the epoch:
 * the next start does. */
static void test_killed_before_the_epoch(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_addr web = node_addr("10.0.0.1");
    __u32 stranger;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    fence_apply_free(&apply);
    assert_true(passes(&pins, "10.0.0.1", 5432));
    stranger = peer_of(&pins, "8.8.8.8");
    assert_int_equal(bpf_map_update_elem(pins.maps[FENCE_MAP_ADDRESSES], &web, &stranger, 0), 0);
    assert_true(passes(&pins, "10.0.0.1", 5432));
    apply = apply_begin(&pins);
    assert_false(passes(&pins, "10.0.0.1", 5432));
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
    assert_false(passes(&pins, "10.0.0.3", 5432));
    apply_well(apply, plan);
    assert_int_equal(node_endpoint(&pins, 1).set, set);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.3", 5432), FENCE_ALLOW);
    assert_true(passes(&pins, "10.0.0.3", 5432));
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_killed_before_the_epoch),
        cmocka_unit_test(test_new_peer_in_old_set),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
