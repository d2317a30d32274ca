/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody is ahead of us, or gets ahead later: noticed, and put right by attaching again. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/tc.h"
#include "test/cmocka.h"
#include "test/datapath/node.h"

#define TCX_INGRESS 46
#define F_BEFORE    (1u << 3)

static struct fence_pins pins;

static int load(void **state)
{
    int r = node_setup(state);

    if (r == 0)
        pins = node_load(NULL, 0);
    return r;
}

static int unload(void **state)
{
    fence_pins_close(&pins);
    return node_teardown(state);
}

static void attach(enum fence_attach_mode mode)
{
    enum fence_attach done = FENCE_ATTACH_NONE;
    struct fence_err err = {{0}};

    node_check(fence_attach(&pins, node_ifindex(0), mode, &done, &err), &err);
}

static int check(enum fence_attach how)
{
    return fence_attach_check(&pins, node_ifindex(0), how, NULL);
}

static void detach(void)
{
    struct fence_err err = {{0}};

    node_check(fence_detach(&pins, node_ifindex(0), &err), &err);
}

/* probe_clock does nothing and lets everything pass: a harmless stranger. */
static int foreign_tcx(void)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = F_BEFORE);
    int fd = bpf_link_create(pins.progs[FENCE_PROG_PROBE_CLOCK], (int)node_ifindex(0),
                             (enum bpf_attach_type)TCX_INGRESS, &opts);

    assert_true(fd >= 0);
    return fd;
}

static void foreign_filter(__u32 priority, __u32 handle)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)node_ifindex(0), .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = pins.progs[FENCE_PROG_PROBE_CLOCK],
                .priority = priority, .handle = handle);
    int r = bpf_tc_hook_create(&hook);

    assert_true(r == 0 || r == -EEXIST);
    assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
}

static size_t count_filters(void)
{
    struct fence_tc_filters filters = {0};
    size_t count;

    assert_int_equal(fence_tc_filters(node_ifindex(0), false, &filters, NULL), 0);
    count = filters.count;
    fence_tc_filters_done(&filters);
    return count;
}

static void drop_qdisc(void)
{
    node_shell("tc qdisc del dev host0 clsact");
}

static void test_tcx_before_us(void **state)
{
    FENCE_CLOSE int foreign = foreign_tcx();

    (void)state;
    attach(FENCE_ATTACH_MODE_TCX);
    assert_int_equal(check(FENCE_ATTACH_TCX), 0);
    detach();
}

static void test_tcx_gets_ahead(void **state)
{
    int foreign;

    (void)state;
    attach(FENCE_ATTACH_MODE_TCX);
    foreign = foreign_tcx();
    assert_int_equal(check(FENCE_ATTACH_TCX), -EBUSY);
    attach(FENCE_ATTACH_MODE_TCX);
    assert_int_equal(check(FENCE_ATTACH_TCX), 0);
    assert_int_equal(count_filters(), 0);
    close(foreign);
    detach();
    drop_qdisc(); /* of the stand-in */
}

static void test_tcx_ahead_of_clsact(void **state)
{
    int foreign;

    (void)state;
    attach(FENCE_ATTACH_MODE_CLSACT);
    foreign = foreign_tcx();
    assert_int_equal(check(FENCE_ATTACH_CLSACT), -EBUSY);
    close(foreign);
    detach();
    drop_qdisc();
}

/* Whatever priority the stranger has, we come first, and only once. */
static void test_filter_before_us(void **state)
{
    static const struct {
        __u32 priority, handle;
    } rows[] = {{1, 1}, {2, 1}, {49152, 1}, {1, 0x706f + 1}};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        foreign_filter(rows[i].priority, rows[i].handle);
        attach(FENCE_ATTACH_MODE_CLSACT);
        assert_int_equal(check(FENCE_ATTACH_CLSACT), 0);
        assert_int_equal(count_filters(), 2);
        detach();
        assert_int_equal(count_filters(), 1);
        drop_qdisc();
    }
}

static void test_filter_gets_ahead(void **state)
{
    (void)state;
    attach(FENCE_ATTACH_MODE_CLSACT);
    foreign_filter(1, 1);
    assert_int_equal(check(FENCE_ATTACH_CLSACT), -EBUSY);
    for (unsigned int again = 0; again < 3; again++) {
        attach(FENCE_ATTACH_MODE_CLSACT);
        assert_int_equal(check(FENCE_ATTACH_CLSACT), 0);
        assert_int_equal(count_filters(), 2);
    }
    foreign_filter(1, 2);
    assert_int_equal(check(FENCE_ATTACH_CLSACT), -EBUSY);
    attach(FENCE_ATTACH_MODE_CLSACT);
    assert_int_equal(check(FENCE_ATTACH_CLSACT), 0);
    assert_int_equal(count_filters(), 3);
    detach();
    assert_int_equal(count_filters(), 2);
    drop_qdisc();
}

/* Nothing gets ahead of another kind of filter at priority 1: attached behind it, and said. */
static void test_priority_taken(void **state)
{
    (void)state;
    node_shell("tc qdisc add dev host0 clsact && "
               "tc filter add dev host0 ingress prio 1 protocol ip u32 match u32 0 0 && "
               "tc filter add dev host0 ingress prio 2 protocol ip u32 match u32 0 0");
    attach(FENCE_ATTACH_MODE_CLSACT);
    assert_int_equal(check(FENCE_ATTACH_CLSACT), -EBUSY);
    attach(FENCE_ATTACH_MODE_CLSACT);
    assert_int_equal(check(FENCE_ATTACH_CLSACT), -EBUSY);
    node_shell("tc filter show dev host0 ingress | grep -q 'pref 3 bpf'");
    node_shell("tc filter del dev host0 ingress prio 1 && tc filter del dev host0 ingress prio 2");
    assert_int_equal(check(FENCE_ATTACH_CLSACT), 0);
    detach();
    drop_qdisc();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcx_before_us),       cmocka_unit_test(test_tcx_gets_ahead),
        cmocka_unit_test(test_tcx_ahead_of_clsact), cmocka_unit_test(test_filter_before_us),
        cmocka_unit_test(test_filter_gets_ahead),   cmocka_unit_test(test_priority_taken),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
