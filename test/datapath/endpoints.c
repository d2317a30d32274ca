/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/endpoints.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/datapath/node.h"

static void test_put_and_find(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_record record;

    (void)state;
    assert_int_equal(fence_endpoint_get(&pins, node_ifindex(0), &record), -ENOENT);
    assert_int_equal(fence_endpoint_find(&pins, "web-id", "eth0", &record), -ENOENT);
    node_add(&pins, 0, "web", "10.0.0.1");
    node_add(&pins, 1, "db", "10.0.0.2");

    assert_int_equal(fence_endpoint_find(&pins, "db-id", "eth0", &record), 0);
    assert_int_equal(record.ifindex, node_ifindex(1));
    assert_string_equal(record.info.pod, "db");
    assert_int_equal(record.endpoint.flags, FENCE_EP_PENDING);
    assert_int_equal(fence_endpoint_find(&pins, "db-id", "eth1", &record), -ENOENT);
    assert_int_equal(fence_endpoint_find(&pins, "db", "eth0", &record), -ENOENT);
    assert_int_equal(fence_endpoint_find(&pins, "db-id2", "eth0", &record), -ENOENT);
    fence_pins_close(&pins);
}

static void test_list(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_list list = {0};
    struct fence_err err = {{0}};

    (void)state;
    node_check(fence_endpoints_list(&pins, &list, &err), &err);
    assert_int_equal(list.count, 0);
    fence_endpoint_list_done(&list);
    for (unsigned int i = NODE_LINKS; i-- > 0;)
        node_add(&pins, i, "web", "10.0.0.1");
    node_check(fence_endpoints_list(&pins, &list, &err), &err);
    assert_int_equal(list.count, NODE_LINKS);
    for (size_t i = 1; i < list.count; i++)
        assert_true(list.items[i - 1].ifindex < list.items[i].ifindex);
    assert_string_equal(list.items[0].info.container_id, "web-id");
    fence_endpoint_list_done(&list);
    fence_pins_close(&pins);
}

/* The smallest free slot, kept when the endpoint is written again. */
static void test_slots(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_record record;
    struct fence_err err = {{0}};

    (void)state;
    for (unsigned int i = 0; i < NODE_LINKS; i++) {
        node_add(&pins, i, "web", "10.0.0.1");
        assert_int_equal(node_endpoint(&pins, i).slot, i + 1);
    }
    node_check(fence_endpoint_remove(&pins, node_ifindex(1), &err), &err);
    record = node_record(2, "web", "10.0.0.9");
    node_check(fence_endpoint_put(&pins, &record, &err), &err);
    assert_int_equal(node_endpoint(&pins, 2).slot, 2);
    node_add(&pins, 1, "web", "10.0.0.1");
    assert_int_equal(node_endpoint(&pins, 1).slot, 3);
    record.endpoint.slot = 77;
    node_check(fence_endpoint_put(&pins, &record, &err), &err);
    assert_int_equal(node_endpoint(&pins, 2).slot, 77);
    fence_pins_close(&pins);
}

static __u32 slot_leads_to(const struct fence_pins *pins, __u32 slot)
{
    struct fence_usage usage;

    assert_int_equal(bpf_map_lookup_elem(pins->maps[FENCE_MAP_USAGE], &slot, &usage), 0);
    return usage.ifindex;
}

/* A slot leads to its endpoint until that is removed. Only what is its own is taken away. */
static void test_slot_leads(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_usage other = {.connections = 5, .ifindex = node_ifindex(2)};
    struct fence_err err = {{0}};
    __u32 slot = 2;

    (void)state;
    node_add(&pins, 0, "web", "10.0.0.1");
    node_add(&pins, 1, "db", "10.0.0.2");
    assert_int_equal(slot_leads_to(&pins, 1), node_ifindex(0));
    assert_int_equal(slot_leads_to(&pins, 2), node_ifindex(1));
    assert_int_equal(slot_leads_to(&pins, 3), 0);
    node_check(fence_endpoint_remove(&pins, node_ifindex(0), &err), &err);
    assert_int_equal(slot_leads_to(&pins, 1), 0);
    assert_int_equal(bpf_map_update_elem(pins.maps[FENCE_MAP_USAGE], &slot, &other, BPF_ANY), 0);
    node_check(fence_endpoint_remove(&pins, node_ifindex(1), &err), &err);
    assert_int_equal(slot_leads_to(&pins, 2), node_ifindex(2));
    fence_pins_close(&pins);
}

/* Who gets a slot does not recover from what its last owner lacked. */
static void test_slot_is_given_anew(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_usage before = {.full_at = 7}, usage;
    __u32 slot = 1;

    (void)state;
    assert_int_equal(bpf_map_update_elem(pins.maps[FENCE_MAP_USAGE], &slot, &before, BPF_ANY), 0);
    node_add(&pins, 0, "web", "10.0.0.1");
    assert_int_equal(bpf_map_lookup_elem(pins.maps[FENCE_MAP_USAGE], &slot, &usage), 0);
    assert_int_equal(usage.full_at, 0);
    fence_pins_close(&pins);
}

static void test_update(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint endpoint = {.set = 5};
    struct fence_err err = {{0}};

    (void)state;
    assert_int_equal(fence_endpoint_update(&pins, node_ifindex(0), &endpoint, &err), -ENOENT);
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINTS), 0);
    node_add(&pins, 0, "web", "10.0.0.1");
    endpoint = node_endpoint(&pins, 0);
    endpoint.set = 5;
    node_check(fence_endpoint_update(&pins, node_ifindex(0), &endpoint, &err), &err);
    assert_int_equal(node_endpoint(&pins, 0).set, 5);
    fence_pins_close(&pins);
}

/* Full: refused with the map's name and the remedy, and nothing half written is left. */
static void test_full(void **state)
{
    static const struct {
        enum fence_map map;
        const char *name;
    } rows[] = {{FENCE_MAP_ENDPOINTS, "endpoints"}, {FENCE_MAP_ENDPOINT_INFO, "endpoint_info"}};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const struct fence_map_size size = {rows[i].map, 2};
        struct fence_pins pins = node_load(&size, 1);
        struct fence_endpoint_record record = node_record(2, "c", "10.0.0.3");
        struct fence_err err = {{0}};
        char remedy[128];

        node_add(&pins, 0, "a", "10.0.0.1");
        node_add(&pins, 1, "b", "10.0.0.2");
        assert_int_equal(fence_endpoint_put(&pins, &record, &err), -E2BIG);
        assert_non_null(strstr(err.text, rows[i].name));
        snprintf(remedy, sizeof(remedy), "podfenced with --map-size %s=4 and reboot the node",
                 fence_map_name(rows[i].map));
        assert_non_null(strstr(err.text, remedy));
        assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINTS), 2);
        assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINT_INFO), 2);
        node_add(&pins, 1, "b", "10.0.0.4"); /* writing again needs no room */
        fence_pins_close(&pins);
    }
}

static void test_too_many_addresses(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_record record = node_record(0, "a", "10.0.0.1");
    struct fence_err err = {{0}};

    (void)state;
    record.endpoint.addr_count = FENCE_ENDPOINT_ADDRS + 1;
    assert_int_equal(fence_endpoint_put(&pins, &record, &err), -EINVAL);
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINT_INFO), 0);
    fence_pins_close(&pins);
}

/* A string that fills its field comes back ended. */
static void test_unended_text(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_record record = node_record(0, "a", "10.0.0.1");
    struct fence_err err = {{0}};

    (void)state;
    memset(record.info.pod, 'x', sizeof(record.info.pod));
    node_check(fence_endpoint_put(&pins, &record, &err), &err);
    assert_int_equal(fence_endpoint_get(&pins, node_ifindex(0), &record), 0);
    assert_int_equal(strlen(record.info.pod), sizeof(record.info.pod) - 1);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_and_find),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_slot_is_given_anew),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_too_many_addresses),
        cmocka_unit_test(test_unended_text),
        cmocka_unit_test(test_slot_leads),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
