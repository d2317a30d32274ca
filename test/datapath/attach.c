/* SPDX-License-Identifier: Apache-2.0 */
/* Attaching both ways; what is somebody else's stays. Order among others is in reorder.c. */
#include "lib/datapath/attach.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/program.h"
#include "lib/datapath/tc.h"
#include "test/cmocka.h"
#include "test/datapath/node.h"

static const enum fence_attach_mode modes[] = {FENCE_ATTACH_MODE_TCX, FENCE_ATTACH_MODE_CLSACT};

static void test_mode_names(void **state)
{
    static const struct {
        const char *text;
        int result;
        enum fence_attach_mode mode;
    } rows[] = {
        {"auto", 0, FENCE_ATTACH_MODE_AUTO},     {"tcx", 0, FENCE_ATTACH_MODE_TCX},
        {"clsact", 0, FENCE_ATTACH_MODE_CLSACT}, {"TCX", -EINVAL, FENCE_ATTACH_MODE_AUTO},
        {"", -EINVAL, FENCE_ATTACH_MODE_AUTO},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        enum fence_attach_mode mode = FENCE_ATTACH_MODE_AUTO;

        assert_int_equal(fence_attach_mode_parse(rows[i].text, &mode), rows[i].result);
        assert_int_equal(mode, rows[i].mode);
    }
}

static enum fence_attach attach(const struct fence_pins *pins, unsigned int link,
                                enum fence_attach_mode mode)
{
    enum fence_attach done = FENCE_ATTACH_NONE;
    struct fence_err err = {{0}};

    node_check(fence_attach(pins, node_ifindex(link), mode, &done, &err), &err);
    return done;
}

static void check(const struct fence_pins *pins, unsigned int link, enum fence_attach how)
{
    struct fence_err err = {{0}};

    node_check(fence_attach_check(pins, node_ifindex(link), how, &err), &err);
}

static void detach(const struct fence_pins *pins, unsigned int link)
{
    struct fence_err err = {{0}};

    node_check(fence_detach(pins, node_ifindex(link), &err), &err);
}

/* Both directions, as the kernel sees them. */
static void expect_filters(const struct fence_pins *pins, unsigned int link, size_t count)
{
    for (int egress = 0; egress < 2; egress++) {
        enum fence_prog prog = egress ? FENCE_PROG_TO_POD : FENCE_PROG_FROM_POD;
        struct fence_tc_filters filters = {0};
        struct fence_err err = {{0}};
        __u32 id;

        node_check(fence_tc_filters(node_ifindex(link), egress, &filters, &err), &err);
        assert_int_equal(filters.count, count);
        assert_int_equal(fence_prog_id(pins->progs[prog], &id), 0);
        if (count)
            assert_int_equal(filters.items[0].prog_id, id);
        fence_tc_filters_done(&filters);
    }
}

static void test_clsact(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};

    (void)state;
    assert_int_equal(fence_attach_check(&pins, node_ifindex(0), FENCE_ATTACH_CLSACT, &err),
                     -ENOENT);
    assert_int_equal(attach(&pins, 0, FENCE_ATTACH_MODE_CLSACT), FENCE_ATTACH_CLSACT);
    check(&pins, 0, FENCE_ATTACH_CLSACT);
    expect_filters(&pins, 0, 1);
    assert_int_equal(attach(&pins, 0, FENCE_ATTACH_MODE_CLSACT), FENCE_ATTACH_CLSACT);
    expect_filters(&pins, 0, 1);
    detach(&pins, 0);
    detach(&pins, 0);
    expect_filters(&pins, 0, 0);
    node_shell("tc qdisc show dev host0 | grep -q clsact");
    node_shell("tc qdisc del dev host0 clsact");
    fence_pins_close(&pins);
}

static void test_tcx(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};

    (void)state;
    assert_int_equal(fence_attach_check(&pins, node_ifindex(0), FENCE_ATTACH_TCX, &err), -ENOENT);
    assert_int_equal(attach(&pins, 0, FENCE_ATTACH_MODE_TCX), FENCE_ATTACH_TCX);
    check(&pins, 0, FENCE_ATTACH_TCX);
    assert_int_equal(attach(&pins, 0, FENCE_ATTACH_MODE_TCX), FENCE_ATTACH_TCX);
    node_shell("test $(ls %s/links | wc -l) = 2", pins.root);
    node_shell("test -z \"$(tc qdisc show dev host0 clsact)\"");
    detach(&pins, 0);
    detach(&pins, 0);
    assert_int_equal(fence_attach_check(&pins, node_ifindex(0), FENCE_ATTACH_TCX, &err), -ENOENT);
    node_shell("test -z \"$(ls %s/links)\"", pins.root);
    fence_pins_close(&pins);
}

/* One way replaces the other; never are both there in the end. */
static void test_change_of_mode(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);

    (void)state;
    attach(&pins, 0, FENCE_ATTACH_MODE_CLSACT);
    attach(&pins, 0, FENCE_ATTACH_MODE_TCX);
    check(&pins, 0, FENCE_ATTACH_TCX);
    expect_filters(&pins, 0, 0);
    attach(&pins, 0, FENCE_ATTACH_MODE_CLSACT);
    check(&pins, 0, FENCE_ATTACH_CLSACT);
    node_shell("test -z \"$(ls %s/links)\"", pins.root);
    detach(&pins, 0);
    fence_pins_close(&pins);
}

/* Soon by clsact, in the long run by TCX; what has come to that stays. */
static void test_auto(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};

    (void)state;
    assert_int_equal(attach(&pins, 0, FENCE_ATTACH_MODE_AUTO), FENCE_ATTACH_CLSACT);
    check(&pins, 0, FENCE_ATTACH_CLSACT);
    assert_int_equal(attach(&pins, 0, FENCE_ATTACH_MODE_AUTO), FENCE_ATTACH_CLSACT);
    expect_filters(&pins, 0, 1);
    assert_int_equal(fence_attach_has_tcx(), 1);
    node_check(fence_attach_settle(&pins, node_ifindex(0), &err), &err);
    expect_filters(&pins, 0, 0);
    check(&pins, 0, FENCE_ATTACH_TCX);
    /* the endpoint says so a moment later */
    check(&pins, 0, FENCE_ATTACH_CLSACT);
    assert_int_equal(attach(&pins, 0, FENCE_ATTACH_MODE_AUTO), FENCE_ATTACH_TCX);
    detach(&pins, 0);
    assert_int_equal(fence_attach_settle(&pins, 9999, &err), -ENODEV);
    fence_pins_close(&pins);
}

/* What others attached is there before, during and after. */
static void test_foreign_stays(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);

    (void)state;
    node_shell("tc qdisc add dev host1 clsact && "
               "tc filter add dev host1 ingress prio 20 protocol ip u32 match u32 0 0 && "
               "tc filter add dev host1 egress prio 20 protocol ip u32 match u32 0 0");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes); i++) {
        check(&pins, 1, attach(&pins, 1, modes[i]));
        detach(&pins, 1);
        node_shell("tc filter show dev host1 ingress | grep -q 'pref 20' && "
                   "tc filter show dev host1 egress | grep -q 'pref 20'");
        node_shell("! tc filter show dev host1 ingress | grep -q from_pod");
    }
    node_shell("tc qdisc del dev host1 clsact");
    fence_pins_close(&pins);
}

/* The bandwidth plugin's qdisc takes no egress filter: refused, and the qdisc stays. */
static void test_ingress_qdisc(void **state)
{
    enum fence_attach done = FENCE_ATTACH_NONE;
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};

    (void)state;
    node_shell("tc qdisc add dev host1 handle ffff: ingress");
    assert_int_equal(fence_attach(&pins, node_ifindex(1), FENCE_ATTACH_MODE_CLSACT, &done, &err),
                     -EEXIST);
    assert_non_null(strstr(err.text, "ingress"));
    assert_non_null(strstr(err.text, "tcx"));
    assert_int_equal(done, FENCE_ATTACH_NONE);
    node_shell("tc qdisc show dev host1 | grep -q 'qdisc ingress'");
    node_shell("test -z \"$(tc filter show dev host1 ingress)\"");
    check(&pins, 1, attach(&pins, 1, FENCE_ATTACH_MODE_AUTO));
    detach(&pins, 1);
    node_shell("tc qdisc show dev host1 | grep -q 'qdisc ingress'");
    node_shell("tc qdisc del dev host1 ingress");
    fence_pins_close(&pins);
}

/* Removed behind our back, in one direction or both. */
static void test_damage_is_noticed(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};

    (void)state;
    attach(&pins, 0, FENCE_ATTACH_MODE_CLSACT);
    node_shell("tc filter del dev host0 egress");
    assert_int_equal(fence_attach_check(&pins, node_ifindex(0), FENCE_ATTACH_CLSACT, &err),
                     -ENOENT);
    assert_non_null(strstr(err.text, "egress"));
    attach(&pins, 0, FENCE_ATTACH_MODE_CLSACT);
    check(&pins, 0, FENCE_ATTACH_CLSACT);
    detach(&pins, 0);

    attach(&pins, 0, FENCE_ATTACH_MODE_TCX);
    node_shell("rm %s/links/%u-to_pod", pins.root, node_ifindex(0));
    assert_int_equal(fence_attach_check(&pins, node_ifindex(0), FENCE_ATTACH_TCX, &err), -ENOENT);
    attach(&pins, 0, FENCE_ATTACH_MODE_TCX);
    check(&pins, 0, FENCE_ATTACH_TCX);
    detach(&pins, 0);
    fence_pins_close(&pins);
}

static void test_no_device(void **state)
{
    enum fence_attach done = FENCE_ATTACH_NONE;
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes); i++)
        assert_int_equal(fence_attach(&pins, 9999, modes[i], &done, &err), -ENODEV);
    node_check(fence_detach(&pins, 9999, &err), &err);
    node_shell("test -z \"$(ls %s/links)\"", pins.root);
    fence_pins_close(&pins);
}

/* A program of another direction in our place, as a kernel or a hand may put it there. */
static void test_wrong_direction(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_pins swapped = pins;
    struct fence_err err = {{0}};

    (void)state;
    swapped.progs[FENCE_PROG_FROM_POD] = pins.progs[FENCE_PROG_TO_POD];
    swapped.progs[FENCE_PROG_TO_POD] = pins.progs[FENCE_PROG_FROM_POD];
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes); i++) {
        enum fence_attach how = attach(&swapped, 0, modes[i]);

        assert_int_equal(fence_attach_check(&pins, node_ifindex(0), how, &err), -EBADF);
        attach(&pins, 0, modes[i]);
        check(&pins, 0, how);
        detach(&pins, 0);
    }
    fence_pins_close(&pins);
}

/* A device that is no pod's has one filter, and both kinds live together on a veth that becomes a
 * pod's. */
static void test_device(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};
    char what[64] = "";

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes); i++) {
        enum fence_attach how;

        for (int again = 0; again < 2; again++)
            node_check(fence_attach_device(&pins, node_ifindex(0), modes[i], &err), &err);
        node_shell("test $(ls %s/links | wc -l) = %d", pins.root,
                   modes[i] == FENCE_ATTACH_MODE_TCX);
        assert_int_equal(fence_attach_others(&pins, node_ifindex(0), what), 0);
        how = attach(&pins, 0, modes[i]);
        check(&pins, 0, how);
        assert_int_equal(fence_attach_others(&pins, node_ifindex(0), what), 0);
        node_check(fence_detach_device(&pins, node_ifindex(0), &err), &err);
        check(&pins, 0, how);
        detach(&pins, 0);
        node_check(fence_detach_device(&pins, node_ifindex(0), &err), &err);
        node_shell("test $(ls %s/links | wc -l) = 0", pins.root);
        expect_filters(&pins, 0, 0);
    }
    assert_int_equal(fence_attach_device(&pins, 9999, FENCE_ATTACH_MODE_TCX, &err), -ENODEV);
    node_check(fence_detach_device(&pins, 9999, &err), &err);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode_names),    cmocka_unit_test(test_clsact),
        cmocka_unit_test(test_tcx),           cmocka_unit_test(test_change_of_mode),
        cmocka_unit_test(test_auto),          cmocka_unit_test(test_foreign_stays),
        cmocka_unit_test(test_ingress_qdisc), cmocka_unit_test(test_damage_is_noticed),
        cmocka_unit_test(test_no_device),     cmocka_unit_test(test_wrong_direction),
        cmocka_unit_test(test_device),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
