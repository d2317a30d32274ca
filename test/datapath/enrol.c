/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolling is all or nothing, may be repeated, and takes nothing away that was there before. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/enrol.h"
#include "test/cmocka.h"
#include "test/datapath/node.h"

#define NO_LINK 4000000u

static void enrol(const struct fence_pins *pins, struct fence_endpoint_record *record)
{
    struct fence_err err = {{0}};

    node_check(fence_endpoint_enrol(pins, FENCE_ATTACH_MODE_CLSACT, record, &err), &err);
    assert_int_equal(record->info.attach, FENCE_ATTACH_CLSACT);
    assert_int_not_equal(record->endpoint.slot, 0);
    node_check(fence_attach_check(pins, record->ifindex, FENCE_ATTACH_CLSACT, &err), &err);
}

static void test_repeated(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_record first = node_record(0, "web", "10.0.0.1"), again = first, other;
    struct fence_endpoint resolved;

    (void)state;
    enrol(&pins, &first);
    resolved = node_endpoint(&pins, 0);
    resolved.flags = 0;
    resolved.set = 7;
    assert_int_equal(fence_endpoint_update(&pins, first.ifindex, &resolved, NULL), 0);
    enrol(&pins, &again);
    assert_int_equal(again.endpoint.set, 7);
    assert_int_equal(again.endpoint.flags, 0);
    /* another pod has the interface now */
    other = node_record(0, "db", "10.0.0.2");
    enrol(&pins, &other);
    assert_int_equal(node_endpoint(&pins, 0).set, 0);
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINT_INFO), 1);
    fence_pins_close(&pins);
    node_unload();
}

/* Somebody was killed between the two maps. */
static void test_half_written(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_record record = node_record(0, "web", "10.0.0.1"), again = record;

    (void)state;
    enrol(&pins, &record);
    assert_int_equal(bpf_map_delete_elem(pins.maps[FENCE_MAP_ENDPOINTS], &record.ifindex), 0);
    enrol(&pins, &again);
    assert_int_equal(node_endpoint(&pins, 0).flags, FENCE_EP_PENDING);
    fence_pins_close(&pins);
    node_unload();
}

static void test_failed(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_record record = node_record(0, "web", "10.0.0.1");
    struct fence_err err = {{0}};

    (void)state;
    record.ifindex = NO_LINK;
    assert_true(fence_endpoint_enrol(&pins, FENCE_ATTACH_MODE_AUTO, &record, &err) < 0);
    assert_non_null(strstr(err.text, "cannot attach the filters: "));
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINTS), 0);
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINT_INFO), 0);
    assert_true(fence_endpoint_enrol(&pins, FENCE_ATTACH_MODE_AUTO, &record, NULL) < 0);
    fence_pins_close(&pins);
    node_unload();
}

/* What an earlier call has made is not undone by a later one that fails. */
static void test_failed_again(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_record record = node_record(0, "web", "10.0.0.1"), again;
    struct fence_err err = {{0}};

    (void)state;
    record.ifindex = NO_LINK;
    again = record;
    assert_int_equal(fence_endpoint_put(&pins, &record, NULL), 0);
    assert_true(fence_endpoint_enrol(&pins, FENCE_ATTACH_MODE_AUTO, &again, &err) < 0);
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINTS), 1);
    fence_pins_close(&pins);
    node_unload();
}

/* Of this endpoint only, and nothing but connections. */
static void test_forget(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);

    (void)state;
    node_add(&pins, 0, "web", "10.0.0.1");
    node_add(&pins, 1, "db", "10.0.0.2");
    for (unsigned int link = 0; link < 2; link++)
        for (__u16 port = 1; port <= 3; port++)
            node_connection(&pins, link, port, FENCE_CONN_REPLIED, 0);
    assert_int_equal(fence_endpoint_forget(&pins, node_endpoint(&pins, 0).slot, NULL), 0);
    assert_int_equal(node_count(&pins, FENCE_MAP_CONNECTIONS), 3);
    assert_int_equal(node_usage(&pins, 0), 0);
    assert_int_equal(node_usage(&pins, 1), 3);
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINTS), 2);
    fence_pins_close(&pins);
    node_unload();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated), cmocka_unit_test(test_half_written),
        cmocka_unit_test(test_failed),   cmocka_unit_test(test_failed_again),
        cmocka_unit_test(test_forget),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
