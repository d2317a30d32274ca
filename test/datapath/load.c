/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/load.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/program.h"
#include "lib/datapath/read.h"
#include "lib/datapath/walk.h"
#include "test/cmocka.h"
#include "test/datapath/node.h"

static void bpffs_of(const struct fence_pins *pins, char bpffs[256])
{
    snprintf(bpffs, 256, "%s", pins->root);
    *strrchr(bpffs, '/') = '\0';
}

static __u32 map_id(int fd)
{
    struct bpf_map_info info = {0};
    __u32 size = sizeof(info);

    assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
    return info.id;
}

static __u32 prog_id(int fd)
{
    __u32 id;

    assert_int_equal(fence_prog_id(fd, &id), 0);
    return id;
}

static void load_again(const struct fence_pins *pins, struct fence_pins *ret_pins)
{
    struct fence_load_options options = {0};
    struct fence_err err = {{0}};
    char bpffs[256];

    bpffs_of(pins, bpffs);
    options.bpffs = bpffs;
    node_check(fence_load(&options, ret_pins, &err), &err);
}

/* Everything that was pinned is kept: maps, programs, the secret, numbers. */
static void test_twice(void **state)
{
    struct fence_pins first = node_load(NULL, 0);
    struct fence_settings before, after;
    struct fence_pins second;

    (void)state;
    assert_int_equal(fence_settings_read(&first, &before), 0);
    load_again(&first, &second);
    for (size_t i = 0; i < FENCE_MAP_COUNT; i++)
        assert_int_equal(map_id(first.maps[i]), map_id(second.maps[i]));
    for (size_t i = 0; i < FENCE_PROG_COUNT; i++)
        assert_int_equal(prog_id(first.progs[i]), prog_id(second.progs[i]));
    assert_int_equal(fence_settings_read(&second, &after), 0);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_true(before.hash_key[0] || before.hash_key[1]);
    assert_int_equal(before.next_set, 1);
    fence_pins_close(&first);
    fence_pins_close(&second);
}

/* Two data paths do not share their secret. */
static void test_secret(void **state)
{
    struct fence_settings one, other;
    struct fence_pins pins = node_load(NULL, 0);

    (void)state;
    assert_int_equal(fence_settings_read(&pins, &one), 0);
    fence_pins_close(&pins);
    pins = node_load(NULL, 0);
    assert_int_equal(fence_settings_read(&pins, &other), 0);
    assert_memory_not_equal(one.hash_key, other.hash_key, sizeof(one.hash_key));
    fence_pins_close(&pins);
}

/* The tick found at loading is the one at which jiffies really run. */
static void test_hz(void **state)
{
    const struct timespec pause = {.tv_sec = 1};
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_settings settings;
    __u64 before, after;

    (void)state;
    assert_int_equal(fence_settings_read(&pins, &settings), 0);
    assert_int_equal(fence_jiffies(&pins, &before), 0);
    nanosleep(&pause, NULL);
    assert_int_equal(fence_jiffies(&pins, &after), 0);
    assert_in_range(after - before, settings.hz * 9 / 10, settings.hz * 13 / 10);
    fence_pins_close(&pins);
}

static void test_sizes(void **state)
{
    static const struct fence_map_size small[] = {{FENCE_MAP_POLICIES, 7}};
    struct fence_pins pins = node_load(small, 1);
    struct fence_map_shape shape;
    struct fence_pins again;

    (void)state;
    assert_int_equal(fence_map_shape(pins.maps[FENCE_MAP_POLICIES], &shape), 0);
    assert_int_equal(shape.max_entries, 7);
    load_again(&pins, &again);
    assert_int_equal(fence_map_shape(again.maps[FENCE_MAP_POLICIES], &shape), 0);
    assert_int_equal(shape.max_entries, 7);
    fence_pins_close(&pins);
    fence_pins_close(&again);
}

/* A pinned map keeps its size, and whoever asked for another one hears of it. */
static void test_pinned_sizes(void **state)
{
    static const struct fence_map_size first[] = {{FENCE_MAP_POLICIES, 64}, {FENCE_MAP_RULES, 32}};
    static const struct {
        struct fence_map_size sizes[3];
        size_t count;
        const char *warning; /* NULL: none */
    } rows[] = {
        {{{0}}, 0, NULL},
        {{{FENCE_MAP_POLICIES, 64}, {FENCE_MAP_RULES, 32}}, 2, NULL},
        {{{FENCE_MAP_POLICIES, 1024}, {FENCE_MAP_POLICIES, 64}}, 2, NULL}, /* the last one counts */
        {{{FENCE_MAP_POLICIES, 1024}},
         1,
         "the policies map is pinned with 64 entries; --map-size policies=1024 takes effect when "
         "the data path is created anew, after a reboot of the node"},
        {{{FENCE_MAP_RULES, 16}, {FENCE_MAP_SETS, 7}, {FENCE_MAP_POLICIES, 65}}, 3, NULL},
    };
    struct fence_pins pins = node_load(first, 2);
    char bpffs[256];

    (void)state;
    bpffs_of(&pins, bpffs);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        bool all = rows[i].count == 3;
        struct fence_load_options options = {
            .bpffs = bpffs, .sizes = rows[i].sizes, .size_count = rows[i].count};
        struct fence_map_shape shape;
        struct fence_err err = {{0}};
        struct fence_pins again;

        assert_int_equal(fence_load(&options, &again, &err), rows[i].warning || all);
        if (all) {
            assert_non_null(strstr(err.text, "--map-size rules=16 "));
            assert_non_null(strstr(err.text, "--map-size sets=7 "));
            assert_non_null(strstr(err.text, "--map-size policies=65 "));
        } else {
            assert_string_equal(err.text, rows[i].warning ? rows[i].warning : "");
        }
        assert_int_equal(fence_map_shape(again.maps[FENCE_MAP_POLICIES], &shape), 0);
        assert_int_equal(shape.max_entries, 64);
        fence_pins_close(&again);
    }
    fence_pins_close(&pins);
}

static void test_bad_size(void **state)
{
    static const struct fence_map_size none[] = {{FENCE_MAP_RULES, 0}};
    struct fence_load_options options = {.bpffs = node_bpffs(), .sizes = none, .size_count = 1};
    struct fence_err err = {{0}};
    struct fence_pins pins;

    (void)state;
    assert_int_equal(fence_load(&options, &pins, &err), -EINVAL);
    assert_non_null(strstr(err.text, "rules"));
}

static void test_wrong_filesystem(void **state)
{
    static const struct {
        const char *bpffs, *remedy;
    } rows[] = {
        {"/run/fence-plain", "mount -t bpf bpf /run/fence-plain"},
        {"/proc/fence", "mount -t bpf bpf /proc/fence"},
    };
    struct fence_err err = {{0}};
    struct fence_pins pins;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_load_options options = {.bpffs = rows[i].bpffs};

        assert_int_equal(fence_load(&options, &pins, &err), -EMEDIUMTYPE);
        assert_non_null(strstr(err.text, rows[i].remedy));
        assert_int_equal(access(rows[i].bpffs, F_OK), -1);
    }
}

/* A pinned map of another layout is refused by name and left as it is. */
static void test_foreign_map(void **state)
{
    const char *bpffs = node_bpffs();
    struct fence_load_options options = {.bpffs = bpffs};
    FENCE_CLOSE int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "addresses", 4, 4, 10, NULL);
    struct fence_err err = {{0}};
    struct fence_pins pins;
    char path[512];

    (void)state;
    snprintf(path, sizeof(path), "%s/v%d/maps/addresses", bpffs, FENCE_ABI_VERSION);
    node_shell("mkdir -p %s/v%d/maps", bpffs, FENCE_ABI_VERSION);
    assert_int_equal(bpf_obj_pin(fd, path), 0);
    assert_int_equal(fence_load(&options, &pins, &err), -EUCLEAN);
    assert_non_null(strstr(err.text, "maps/addresses"));
    assert_non_null(strstr(err.text, "podfencectl uninstall"));
    assert_int_equal(access(path, F_OK), 0);
}

/* Killed between pinning maps and programs: the next run goes on, and keeps the maps. */
static void test_half_loaded(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_pins again;

    (void)state;
    node_shell("rm %s/progs/* %s/maps/rules", pins.root, pins.root);
    load_again(&pins, &again);
    assert_int_equal(map_id(pins.maps[FENCE_MAP_PEERS]), map_id(again.maps[FENCE_MAP_PEERS]));
    assert_int_not_equal(map_id(pins.maps[FENCE_MAP_RULES]), map_id(again.maps[FENCE_MAP_RULES]));
    fence_pins_close(&pins);
    fence_pins_close(&again);
}

/* Pin another program under from_pod's name, as an older build would have, and attach that. */
static void attach_other(struct fence_pins *pins, enum fence_attach_mode mode)
{
    enum fence_attach attach = FENCE_ATTACH_NONE;
    struct fence_endpoint_record record;
    struct fence_err err = {{0}};
    char path[512];

    snprintf(path, sizeof(path), "%s/progs/from_pod", pins->root);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(bpf_obj_pin(pins->progs[FENCE_PROG_PROBE_CLOCK], path), 0);
    close(pins->progs[FENCE_PROG_FROM_POD]);
    pins->progs[FENCE_PROG_FROM_POD] = dup(pins->progs[FENCE_PROG_PROBE_CLOCK]);
    node_check(fence_attach(pins, node_ifindex(0), mode, &attach, &err), &err);
    record = node_record(0, "web", "10.0.0.1");
    record.info.attach = attach;
    node_check(fence_endpoint_put(pins, &record, &err), &err);
}

/* An upgrade: the pinned program is replaced, and what is attached follows, never detached. */
static void test_upgrade(void **state)
{
    static const struct {
        enum fence_attach_mode mode;
        enum fence_attach attach;
    } rows[] = {
        {FENCE_ATTACH_MODE_TCX, FENCE_ATTACH_TCX},
        {FENCE_ATTACH_MODE_CLSACT, FENCE_ATTACH_CLSACT},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_pins pins = node_load(NULL, 0);
        struct fence_err err = {{0}};
        struct fence_pins again;
        __u32 old;

        attach_other(&pins, rows[i].mode);
        old = prog_id(pins.progs[FENCE_PROG_FROM_POD]);
        assert_int_equal(fence_attach_check(&pins, node_ifindex(0), rows[i].attach, &err), 0);
        load_again(&pins, &again);
        assert_int_not_equal(prog_id(again.progs[FENCE_PROG_FROM_POD]), old);
        node_check(fence_attach_check(&again, node_ifindex(0), rows[i].attach, &err), &err);
        assert_int_equal(fence_attach_check(&pins, node_ifindex(0), rows[i].attach, &err), -EBADF);
        node_check(fence_detach(&again, node_ifindex(0), &err), &err);
        fence_pins_close(&pins);
        fence_pins_close(&again);
    }
}

/* From one object to the other and back: what is attached follows, and settings say which it is.
 * The same once more changes nothing. */
static void test_kernel_structs(void **state)
{
    static const struct {
        enum fence_kernel_structs structs;
        bool same;
    } rows[] = {
        {FENCE_KERNEL_STRUCTS_OFF, false},
        {FENCE_KERNEL_STRUCTS_OFF, true},
        {FENCE_KERNEL_STRUCTS_AUTO, false},
        {FENCE_KERNEL_STRUCTS_OFF, false},
    };
    enum fence_attach attach = FENCE_ATTACH_NONE;
    struct fence_pins pins = node_load(NULL, 0);
    __u32 id, before = prog_id(pins.progs[FENCE_PROG_TO_POD]);
    struct fence_err err = {{0}};
    char bpffs[256];

    (void)state;
    bpffs_of(&pins, bpffs);
    node_check(fence_attach(&pins, node_ifindex(0), FENCE_ATTACH_MODE_AUTO, &attach, &err), &err);
    node_add(&pins, 0, "web", "10.0.0.1");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_load_options options = {.bpffs = bpffs, .kernel_structs = rows[i].structs};
        struct fence_settings settings;
        struct fence_pins again;

        assert_int_equal(fence_load(&options, &again, &err), 0);
        assert_int_equal(fence_settings_read(&again, &settings), 0);
        assert_int_equal(!!(settings.flags & FENCE_SETTING_PLAIN),
                         rows[i].structs == FENCE_KERNEL_STRUCTS_OFF);
        id = prog_id(again.progs[FENCE_PROG_TO_POD]);
        assert_int_equal(id == before, rows[i].same);
        before = id;
        node_check(fence_attach_check(&again, node_ifindex(0), attach, &err), &err);
        fence_pins_close(&again);
    }
    node_check(fence_detach(&pins, node_ifindex(0), &err), &err);
    fence_pins_close(&pins);
}

/* The link of a device that has gone does not stand in the way. */
static void test_upgrade_without_device(void **state)
{
    enum fence_attach attach = FENCE_ATTACH_NONE;
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};
    struct fence_pins again;

    (void)state;
    node_check(fence_attach(&pins, node_ifindex(2), FENCE_ATTACH_MODE_TCX, &attach, &err), &err);
    node_shell("ip link del host2");
    load_again(&pins, &again);
    assert_int_equal(fence_attach_check(&again, node_ifindex(2), attach, &err), -ENOENT);
    node_check(fence_detach(&again, node_ifindex(2), &err), &err);
    node_shell("test -z \"$(ls %s/links)\"", pins.root);
    fence_pins_close(&pins);
    fence_pins_close(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_hz),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_pinned_sizes),
        cmocka_unit_test(test_bad_size),
        cmocka_unit_test(test_wrong_filesystem),
        cmocka_unit_test(test_foreign_map),
        cmocka_unit_test(test_half_loaded),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_kernel_structs),
        cmocka_unit_test(test_upgrade_without_device),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
