/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/datapath/node.h"

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(fence_map_name(FENCE_MAP_ENDPOINTS), "endpoints");
    assert_string_equal(fence_map_name(FENCE_MAP_SETTINGS), "settings");
    assert_string_equal(fence_prog_name(FENCE_PROG_PROBE_CLOCK), "probe_clock");
    assert_string_equal(fence_map_name(FENCE_MAP_COUNT), "unknown");
}

static void test_never_loaded(void **state)
{
    struct fence_err err = {{0}};
    struct fence_pins pins;

    (void)state;
    fence_pins_init(&pins);
    assert_int_equal(fence_pins_open("/nonexistent", &pins, &err), -ENOENT);
    assert_non_null(strstr(err.text, "podfencectl load"));
    assert_int_equal(fence_pins_open(node_bpffs(), &pins, NULL), -ENOENT);
    assert_int_equal(pins.maps[0], -1);
}

static void test_open(void **state)
{
    struct fence_pins loaded = node_load(NULL, 0);
    struct fence_err err = {{0}};
    struct fence_pins pins;
    char bpffs[256];

    (void)state;
    snprintf(bpffs, sizeof(bpffs), "%s", loaded.root);
    *strrchr(bpffs, '/') = '\0';
    node_check(fence_pins_open(bpffs, &pins, &err), &err);
    assert_string_equal(pins.root, loaded.root);
    for (size_t i = 0; i < FENCE_MAP_COUNT; i++)
        assert_true(pins.maps[i] >= 0);
    for (size_t i = 0; i < FENCE_PROG_COUNT; i++)
        assert_true(pins.progs[i] >= 0);
    fence_pins_close(&pins);
    assert_int_equal(pins.maps[0], -1);
    fence_pins_close(&loaded);
}

/* What is missing is named; only when no program is there at all it counts as never loaded. */
static void test_damaged(void **state)
{
    static const char *const victims[] = {"maps/connections", "progs/to_pod"};
    struct fence_err err = {{0}};
    struct fence_pins pins;
    char path[512];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(victims); i++) {
        struct fence_pins loaded = node_load(NULL, 0);
        char bpffs[256];

        snprintf(path, sizeof(path), "%s/%s", loaded.root, victims[i]);
        assert_int_equal(unlink(path), 0);
        snprintf(bpffs, sizeof(bpffs), "%s", loaded.root);
        *strrchr(bpffs, '/') = '\0';
        assert_int_equal(fence_pins_open(bpffs, &pins, &err), -EUCLEAN);
        assert_non_null(strstr(err.text, victims[i]));
        node_shell("rm %s/progs/*", loaded.root);
        assert_int_equal(fence_pins_open(bpffs, &pins, &err), -ENOENT);
        fence_pins_close(&loaded);
    }
}

/* A map of another shape would overwrite the memory of whoever reads it by ours. */
static void test_other_map(void **state)
{
    struct fence_pins loaded = node_load(NULL, 0);
    struct fence_err err = {{0}};
    struct fence_pins pins;
    char path[512], bpffs[256];

    (void)state;
    snprintf(path, sizeof(path), "%s/maps/endpoints", loaded.root);
    snprintf(bpffs, sizeof(bpffs), "%s", loaded.root);
    *strrchr(bpffs, '/') = '\0';
    for (unsigned int i = 0; i < 2; i++) {
        int other = i ? loaded.progs[FENCE_PROG_TO_POD] : loaded.maps[FENCE_MAP_ENDPOINT_INFO];

        assert_int_equal(unlink(path), 0);
        assert_int_equal(bpf_obj_pin(other, path), 0);
        assert_int_equal(fence_pins_open(bpffs, &pins, &err), -EUCLEAN);
        assert_non_null(strstr(err.text, "maps/endpoints"));
    }
    fence_pins_close(&loaded);
}

static void test_long_path(void **state)
{
    struct fence_err err = {{0}};
    struct fence_pins pins;
    char path[400];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(fence_pins_open(path, &pins, &err), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_never_loaded),
        cmocka_unit_test(test_open),      cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_other_map), cmocka_unit_test(test_long_path),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
