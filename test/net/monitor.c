/* SPDX-License-Identifier: Apache-2.0 */
/* Following links and addresses. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "lib/net/links.h"
#include "test/net/netns.h"

static struct fence_net_monitor *monitor;

static int make_node(void **state)
{
    struct fence_err err = {0};

    (void)state;
    if (!test_shell("ip link add base type bridge"))
        return -1;
    return fence_net_monitor_new(&monitor, &err);
}

static int free_monitor(void **state)
{
    (void)state;
    fence_net_monitor_free(&monitor);
    return monitor ? -1 : 0;
}

static bool is_readable(int within_ms)
{
    struct pollfd stream = {.fd = fence_net_monitor_fd(monitor), .events = POLLIN};

    return poll(&stream, 1, within_ms) == 1;
}

static const struct {
    const char *command;
    bool addrs;
    bool links;
} changes[] = {
    {"ip addr add 10.1.0.1/24 dev base", true, false},
    {"ip addr del 10.1.0.1/24 dev base", true, false},
    {"ip -6 addr add fd00::1/64 dev base nodad", true, false},
    {"ip link add more type bridge", false, true},
    {"ip link del more", false, true},
    {"ip link set base mtu 1400", false, true},
    {"true", false, false},
};

static void tells_what_changed(void **state)
{
    bool addrs, links;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(changes); i++) {
        assert_int_equal(fence_net_monitor_handle(monitor, &addrs, &links), 0);
        assert_false(is_readable(0));
        assert_true(test_shell(changes[i].command));
        /* the kernel tells of an IPv6 address without DAD from a work queue, a little later */
        if (changes[i].addrs || changes[i].links)
            assert_true(is_readable(10000));
        else
            assert_false(is_readable(0));
        assert_int_equal(fence_net_monitor_handle(monitor, &addrs, &links), 0);
        if (addrs != changes[i].addrs || links != changes[i].links)
            fail_msg("%s: addrs %d, links %d", changes[i].command, addrs, links);
    }
}

static void counts_lost_messages_as_both(void **state)
{
    bool addrs = false, links = false;

    (void)state;
    assert_true(test_shell("for i in $(seq 1 4); do for j in $(seq 1 250); do echo addr add "
                           "10.2.$i.$j/32 dev base; echo addr del 10.2.$i.$j/32 dev base; done; "
                           "done > /run/batch && ip -batch /run/batch"));
    assert_int_equal(fence_net_monitor_handle(monitor, &addrs, &links), 0);
    assert_true(addrs);
    assert_true(links); /* nothing but the overflow says so */
    assert_false(is_readable(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_changed),
        cmocka_unit_test(counts_lost_messages_as_both),
    };

    test_enter_own_node();
    return cmocka_run_group_tests(tests, make_node, free_monitor);
}
