/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's work with exactly the capabilities BPF, NET_ADMIN and PERFMON. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/events.h"
#include "lib/datapath/read.h"
#include "test/cmocka.h"
#include "test/datapath/plans.h"

#define BIT(capability) (1ull << (capability))

static void keep_only(__u64 capabilities)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (__u32)capabilities, .permitted = (__u32)capabilities},
        {.effective = (__u32)(capabilities >> 32), .permitted = (__u32)(capabilities >> 32)},
    };

    if (syscall(SYS_capset, &header, data) < 0)
        _exit(100);
}

static void ignore(void *context, const struct fence_event *event)
{
    (void)context;
    (void)event;
}

/* Both ways of attaching, there and back. */
static int attach_both(const struct fence_pins *pins)
{
    static const enum fence_attach_mode modes[] = {FENCE_ATTACH_MODE_CLSACT, FENCE_ATTACH_MODE_TCX};
    enum fence_attach attach = FENCE_ATTACH_NONE;
    struct fence_err err = {{0}};
    int r = 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes) && r == 0; i++) {
        r = fence_attach(pins, node_ifindex(0), modes[i], &attach, &err);
        if (r == 0)
            r = fence_attach_check(pins, node_ifindex(0), attach, &err);
        if (r < 0)
            fprintf(stderr, "attaching: %s\n", err.text);
    }
    return r;
}

static int work(const struct fence_load_options *options)
{
    struct fence_events *events = NULL;
    struct fence_err err = {{0}};
    struct fence_apply *apply;
    struct fence_pins pins;
    int r = fence_load(options, &pins, &err);

    if (r == 0)
        r = attach_both(&pins);
    if (r == 0)
        r = fence_events_new(&pins, ignore, NULL, &events, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.text);
        return r;
    }
    shop_pods(&pins);
    apply = apply_begin(&pins);
    apply_well(apply, plan_shop());
    apply_sweep(apply);
    if (ask(&pins, 1, FENCE_INGRESS, "10.0.0.1", 5432) != FENCE_ALLOW)
        return -EPERM;
    fence_events_free(&events);
    fence_apply_free(&apply);
    /* again, over what is pinned */
    r = fence_load(options, &pins, &err);
    return r < 0 ? r : fence_endpoint_remove(&pins, node_ifindex(0), &err);
}

/* In a process of its own, so that the rights are back afterwards. */
static int run_with(__u64 capabilities, enum fence_kernel_structs kernel_structs)
{
    struct fence_load_options options = {.bpffs = node_bpffs(), .kernel_structs = kernel_structs};
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        keep_only(capabilities);
        _exit(-work(&options));
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void test_enough(void **state)
{
    const __u64 enough = BIT(CAP_BPF) | BIT(CAP_NET_ADMIN) | BIT(CAP_PERFMON);

    (void)state;
    assert_int_equal(run_with(enough, FENCE_KERNEL_STRUCTS_AUTO), 0);
    assert_int_equal(run_with(enough, FENCE_KERNEL_STRUCTS_OFF), 0);
}

static void test_too_little(void **state)
{
    (void)state;
    assert_int_equal(run_with(BIT(CAP_NET_ADMIN), FENCE_KERNEL_STRUCTS_AUTO), -EPERM);
    assert_int_equal(run_with(0, FENCE_KERNEL_STRUCTS_AUTO), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enough),
        cmocka_unit_test(test_too_little),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
