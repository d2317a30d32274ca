/* SPDX-License-Identifier: Apache-2.0 */
/* Removing an endpoint leaves nothing of it, and everything of the others. */
#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "test/cmocka.h"
#include "test/datapath/node.h"

#define PER_ENDPOINT 300

static const enum fence_map kernel_maps[] = {
    FENCE_MAP_CONNECTIONS,
    FENCE_MAP_FRAGMENTS,
    FENCE_MAP_EVENT_LIMITS,
};

static void put(const struct fence_pins *pins, enum fence_map map, const void *key,
                const void *value)
{
    assert_int_equal(bpf_map_update_elem(pins->maps[map], key, value, BPF_ANY), 0);
}

static void fill(const struct fence_pins *pins, unsigned int link)
{
    __u32 ifindex = node_ifindex(link);
    const struct fence_event_limit limit = {.sent = 1};
    const struct fence_fragment fragment = {.seen = 1};

    for (unsigned int i = 0; i < PER_ENDPOINT; i++) {
        struct fence_fragment_key piece = {.ifindex = ifindex, .id = i};
        struct fence_event_key event = {.ifindex = ifindex, .port = i};

        node_connection(pins, link, (__u16)i, FENCE_CONN_REPLIED, 0);
        put(pins, FENCE_MAP_FRAGMENTS, &piece, &fragment);
        put(pins, FENCE_MAP_EVENT_LIMITS, &event, &limit);
    }
}

static void test_remove(void **state)
{
    static const enum fence_attach_mode modes[] = {FENCE_ATTACH_MODE_TCX, FENCE_ATTACH_MODE_CLSACT};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes); i++) {
        struct fence_pins pins = node_load(NULL, 0);
        enum fence_attach attach = FENCE_ATTACH_NONE;
        struct fence_endpoint_record record;
        struct fence_err err = {{0}};

        for (unsigned int link = 0; link < 2; link++) {
            node_add(&pins, link, link ? "db" : "web", "10.0.0.1");
            node_check(fence_attach(&pins, node_ifindex(link), modes[i], &attach, &err), &err);
            fill(&pins, link);
        }
        node_check(fence_endpoint_remove(&pins, node_ifindex(0), &err), &err);
        assert_int_equal(fence_endpoint_find(&pins, "web-id", "eth0", &record), -ENOENT);
        assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINT_INFO), 1);
        for (size_t k = 0; k < FENCE_ARRAY_SIZE(kernel_maps); k++)
            assert_int_equal(node_count(&pins, kernel_maps[k]), PER_ENDPOINT);
        assert_int_equal(fence_attach_check(&pins, node_ifindex(0), attach, NULL), -ENOENT);
        node_check(fence_attach_check(&pins, node_ifindex(1), attach, &err), &err);
        node_check(fence_endpoint_remove(&pins, node_ifindex(1), &err), &err);
        for (size_t k = 0; k < FENCE_ARRAY_SIZE(kernel_maps); k++)
            assert_int_equal(node_count(&pins, kernel_maps[k]), 0);
        node_shell("test -z \"$(ls %s/links)\"", pins.root);
        fence_pins_close(&pins);
    }
}

/* Nothing there, half there, or the device gone: all the same. */
static void test_missing(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    __u32 ifindex = node_ifindex(2);
    enum fence_attach attach = FENCE_ATTACH_NONE;
    struct fence_endpoint_record record;
    struct fence_err err = {{0}};

    (void)state;
    node_check(fence_endpoint_remove(&pins, 4711, &err), &err);

    node_add(&pins, 2, "web", "10.0.0.1");
    assert_int_equal(bpf_map_delete_elem(pins.maps[FENCE_MAP_ENDPOINTS], &ifindex), 0);
    assert_int_equal(fence_endpoint_find(&pins, "web-id", "eth0", &record), 0);
    assert_int_equal(record.ifindex, ifindex);
    assert_int_equal(record.endpoint.slot, 0);
    node_check(fence_endpoint_remove(&pins, ifindex, &err), &err);
    assert_int_equal(fence_endpoint_find(&pins, "web-id", "eth0", &record), -ENOENT);

    node_add(&pins, 2, "web", "10.0.0.1");
    node_check(fence_attach(&pins, ifindex, FENCE_ATTACH_MODE_TCX, &attach, &err), &err);
    node_shell("ip link del host2");
    node_check(fence_endpoint_remove(&pins, ifindex, &err), &err);
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINTS), 0);
    node_shell("test -z \"$(ls %s/links)\"", pins.root);
    fence_pins_close(&pins);
}

static void *remove_first(void *context)
{
    struct fence_err err = {{0}};

    return fence_endpoint_remove(context, node_ifindex(0), &err) < 0 ? context : NULL;
}

/* Detaching takes long. Whoever comes meanwhile gets the slot, and keeps what he has. */
static void test_next_in_the_slot(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    enum fence_attach attach = FENCE_ATTACH_NONE;
    const __u32 first = node_ifindex(0);
    struct fence_endpoint endpoint;
    struct fence_err err = {{0}};
    void *failed = NULL;
    pthread_t thread;
    __u32 slot;

    (void)state;
    node_add(&pins, 0, "web", "10.0.0.1");
    slot = node_endpoint(&pins, 0).slot;
    node_check(fence_attach(&pins, first, FENCE_ATTACH_MODE_TCX, &attach, &err), &err);
    node_connection(&pins, 0, 1, FENCE_CONN_REPLIED, 0);
    assert_int_equal(pthread_create(&thread, NULL, remove_first, &pins), 0);
    while (bpf_map_lookup_elem(pins.maps[FENCE_MAP_ENDPOINTS], &first, &endpoint) == 0)
        ;
    node_add(&pins, 1, "db", "10.0.0.2");
    assert_int_equal(node_endpoint(&pins, 1).slot, slot);
    node_connection(&pins, 1, 2, FENCE_CONN_REPLIED, 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_true(node_has_connection(&pins, 1, 2));
    assert_int_equal(node_usage(&pins, 1), 1);
    fence_pins_close(&pins);
}

/* What somebody who was killed half-way has left is found by itself. */
static void test_leftover(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_list list = {0};
    struct fence_err err = {{0}};
    __u32 ifindex = node_ifindex(3);

    (void)state;
    node_add(&pins, 3, "web", "10.0.0.1");
    node_check(fence_endpoints_leftover(&pins, &list, &err), &err);
    assert_int_equal(list.count, 0);
    fence_endpoint_list_done(&list);
    assert_int_equal(bpf_map_delete_elem(pins.maps[FENCE_MAP_ENDPOINTS], &ifindex), 0);
    node_check(fence_endpoints_leftover(&pins, &list, &err), &err);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].ifindex, ifindex);
    assert_string_equal(list.items[0].info.container_id, "web-id");
    fence_endpoint_list_done(&list);
    node_check(fence_endpoint_remove(&pins, ifindex, &err), &err);
    assert_int_equal(node_count(&pins, FENCE_MAP_ENDPOINT_INFO), 0);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_leftover),
        cmocka_unit_test(test_next_in_the_slot),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
