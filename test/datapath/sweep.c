/* SPDX-License-Identifier: Apache-2.0 */
/* What goes when nobody needs it, and what stays because somebody does. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/connection.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"
#include "test/cmocka.h"
#include "test/datapath/plans.h"

/* Only web is left, and nothing that concerned db. */
static struct fence_plan *web_only(void)
{
    struct fence_plan *plan = plan_shop();

    plan_forget_address(plan, "10.0.0.2");
    FENCE_PLAN_DROP(plan, endpoints, 1);
    return plan;
}

/* A second policy for db, so that the first set goes out of use. */
static struct fence_plan *other_policy(void)
{
    struct fence_plan *plan = plan_shop();

    free(plan->sets[SHOP_DB_SET].content);
    plan->sets[SHOP_DB_SET].content = strdup("other");
    plan_forget_entries(plan, SHOP_DB_SET);
    plan->sets[SHOP_DB_SET].fallback[FENCE_EGRESS] = SHOP_DENY;
    plan->tables[SHOP_SQL].count = 1;
    plan->tables[SHOP_SQL].intervals[0] = plan->tables[SHOP_DENY].intervals[0];
    return plan;
}

static void test_set_out_of_use(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    apply_well(apply, other_policy());
    /* a connection that the old set has judged needs it no more */
    node_connection(&pins, 1, 1, FENCE_CONN_REPLIED, 0);
    apply_sweep(apply);
    assert_int_equal(node_count(&pins, FENCE_MAP_SETS), 2);
    assert_int_equal(node_count(&pins, FENCE_MAP_POLICIES), 4);
    assert_int_equal(node_count(&pins, FENCE_MAP_INTERVALS), 2);
    assert_int_equal(ask(&pins, 0, FENCE_EGRESS, "8.8.8.8", 53), FENCE_ALLOW);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* A set that only takes over later is in use. */
static void test_next_set(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = other_policy();
    struct fence_endpoint endpoint;
    struct fence_err err = {{0}};

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    endpoint = node_endpoint(&pins, 0);
    endpoint.next[FENCE_NEXT_SETS - 1].set = fence_apply_set_number(apply, "db-in");
    node_check(fence_endpoint_update(&pins, node_ifindex(0), &endpoint, &err), &err);
    fence_apply_free(&apply);
    apply = apply_begin(&pins);
    apply_sweep(apply); /* before the first plan: nothing of the policies */
    assert_int_equal(node_count(&pins, FENCE_MAP_SETS), 2);

    plan->endpoints[0] = plan->endpoints[1];
    FENCE_PLAN_DROP(plan, endpoints, 1);
    apply_well(apply, plan);
    apply_sweep(apply);
    assert_int_equal(node_count(&pins, FENCE_MAP_SETS), 3);
    endpoint.next[FENCE_NEXT_SETS - 1].set = 0;
    node_check(fence_endpoint_update(&pins, node_ifindex(0), &endpoint, &err), &err);
    apply_sweep(apply);
    assert_int_equal(node_count(&pins, FENCE_MAP_SETS), 2);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* A peer that no address leads to goes with its entries, and its number comes back. */
static void test_peers(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = web_only();
    __u32 db;
    size_t before;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    before = node_count(&pins, FENCE_MAP_PEERS);
    db = peer_of(&pins, "10.0.0.2");
    apply_well(apply, web_only());
    apply_sweep(apply);
    assert_int_equal(node_count(&pins, FENCE_MAP_PEERS), before); /* still asked for */

    free(TAKE_PTR(plan->peers[SHOP_DB].content));
    FENCE_PLAN_DROP(plan, peers, SHOP_DB);
    apply_well(apply, plan);
    apply_sweep(apply);
    assert_int_equal(node_count(&pins, FENCE_MAP_PEERS), before - 1);

    plan = web_only();
    plan_rename_peer(plan, SHOP_DB, "api 10.0.0.0/24");
    plan_address(plan, "10.0.0.5", SHOP_DB);
    apply_well(apply, plan);
    assert_int_equal(peer_of(&pins, "10.0.0.5"), db);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* Entries for a class's number do not outlive the class: another one may get the number. */
static void test_entries_go_with_the_class(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_policy_key key = {.direction = FENCE_INGRESS};
    struct fence_policy_table table;
    struct fence_plan *plan = plan_shop();
    struct fence_peer peer;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    key.set = fence_apply_set_number(apply, "db-in");
    assert_int_equal(fence_peer_read(&pins, peer_of(&pins, "10.0.0.1"), &peer), 0);
    key.class = peer.class;
    assert_int_equal(bpf_map_lookup_elem(pins.maps[FENCE_MAP_POLICIES], &key, &table), 0);

    plan_rename_peer(plan, SHOP_WEB, "web2 10.0.0.0/24");
    plan_forget_entries(plan, SHOP_DB_SET);
    apply_well(apply, plan);
    assert_int_equal(fence_apply_set_number(apply, "db-in"), key.set);
    apply_sweep(apply);
    assert_int_equal(bpf_map_lookup_elem(pins.maps[FENCE_MAP_POLICIES], &key, &table), -ENOENT);
    assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 5432), -FENCE_REASON_NO_RULE);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

static void test_names(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    struct fence_plan *plan = other_policy();
    size_t identities;

    (void)state;
    shop_pods(&pins);
    apply_well(apply, plan_shop());
    identities = node_count(&pins, FENCE_MAP_IDENTITIES);
    free(TAKE_PTR(plan->rules[0].policy));
    FENCE_PLAN_DROP(plan, rules, 0);
    free(plan->identities[SHOP_DB_ID].content);
    plan->identities[SHOP_DB_ID].content = strdup("db v2");
    apply_well(apply, plan);
    assert_int_equal(node_count(&pins, FENCE_MAP_RULES), 1);
    assert_int_equal(node_count(&pins, FENCE_MAP_IDENTITIES), identities + 1);
    apply_sweep(apply);
    assert_int_equal(node_count(&pins, FENCE_MAP_RULES), 0);
    assert_int_equal(node_count(&pins, FENCE_MAP_IDENTITIES), identities);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

static void test_expired_connections(void **state)
{
    static const struct {
        __u16 flags;
        unsigned int idle; /* seconds */
        bool stays;
    } rows[] = {
        {0, FENCE_SECONDS_UNREPLIED - 5, true},
        {0, FENCE_SECONDS_UNREPLIED + 5, false},
        {FENCE_CONN_REPLIED, FENCE_SECONDS_UNREPLIED + 5, true},
        {FENCE_CONN_REPLIED, FENCE_SECONDS_TCP_ESTABLISHED + 5, false},
        {FENCE_CONN_REPLIED | FENCE_CONN_CLOSED, FENCE_SECONDS_TCP_CLOSED + 5, false},
        {FENCE_CONN_REPLIED | FENCE_CONN_CLOSED, 0, true},
    };
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    unsigned int staying = 0;

    (void)state;
    node_add(&pins, 0, "web", "10.0.0.1");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        node_connection(&pins, 0, (__u16)i, (__u16)rows[i].flags, (int)rows[i].idle);
        staying += rows[i].stays;
    }
    assert_int_equal(node_usage(&pins, 0), FENCE_ARRAY_SIZE(rows));
    apply_sweep(apply);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++)
        assert_int_equal(node_has_connection(&pins, 0, (__u16)i), rows[i].stays);
    assert_int_equal(node_usage(&pins, 0), staying);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

static void note_opened(const struct fence_pins *pins, __u32 index, unsigned int seconds_ago)
{
    struct fence_opened pair = {{0}};
    struct fence_settings settings;
    __u64 now;

    assert_int_equal(fence_settings_read(pins, &settings), 0);
    assert_int_equal(fence_jiffies(pins, &now), 0);
    pair.stamps[FENCE_INGRESS] = (__u32)(now - (__u64)seconds_ago * settings.hz) | 1;
    assert_int_equal(bpf_map_update_elem(pins->maps[FENCE_MAP_OPENED], &index, &pair, BPF_ANY), 0);
}

static bool is_noted(const struct fence_pins *pins, __u32 index)
{
    struct fence_opened pair;

    assert_int_equal(bpf_map_lookup_elem(pins->maps[FENCE_MAP_OPENED], &index, &pair), 0);
    return pair.stamps[FENCE_INGRESS] != 0;
}

/* Two addresses between which there is no connection any more: CPUs, which keep that there was one,
 * ask again, and only if something was forgotten. */
static void test_forgotten_pairs(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_apply *apply = apply_begin(&pins);
    __u64 epoch;

    (void)state;
    note_opened(&pins, 7, 5);
    epoch = node_epoch(&pins);
    apply_sweep(apply);
    assert_true(is_noted(&pins, 7)); /* the entry may be on its way */
    assert_int_equal(node_epoch(&pins), epoch);

    note_opened(&pins, 7, 3600);
    apply_sweep(apply);
    assert_false(is_noted(&pins, 7));
    assert_int_equal(node_epoch(&pins), epoch + 1);
    apply_sweep(apply);
    assert_int_equal(node_epoch(&pins), epoch + 1);
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

/* Many plans after each other: intervals and entries are given back, the maps do not fill up. */
static void test_no_leak(void **state)
{
    static const struct fence_map_size sizes[] = {
        {FENCE_MAP_INTERVALS, 32},
        {FENCE_MAP_POLICIES, 16},
        {FENCE_MAP_SETS, 6},
        {FENCE_MAP_RULES, 4},
    };
    struct fence_pins pins = node_load(sizes, FENCE_ARRAY_SIZE(sizes));
    struct fence_apply *apply = apply_begin(&pins);

    (void)state;
    shop_pods(&pins);
    for (unsigned int i = 0; i < 60; i++) {
        struct fence_plan *plan = plan_shop();
        char name[64];

        snprintf(name, sizeof(name), "content %u", i);
        free(plan->sets[SHOP_DB_SET].content);
        plan->sets[SHOP_DB_SET].content = strdup(name);
        plan->tables[SHOP_SQL].intervals[1].low = FENCE_POSITION(IPPROTO_TCP, 1000 + i);
        apply_well(apply, plan);
        assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 1000 + i), FENCE_ALLOW);
        assert_int_equal(ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 999 + i), -FENCE_REASON_NO_RULE);
        if (i % 7 == 0) {
            fence_apply_free(&apply);
            apply = apply_begin(&pins);
        }
    }
    fence_apply_free(&apply);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_out_of_use),  cmocka_unit_test(test_next_set),
        cmocka_unit_test(test_peers),           cmocka_unit_test(test_entries_go_with_the_class),
        cmocka_unit_test(test_names),           cmocka_unit_test(test_expired_connections),
        cmocka_unit_test(test_forgotten_pairs), cmocka_unit_test(test_no_leak),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
