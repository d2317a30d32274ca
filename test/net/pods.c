/* SPDX-License-Identifier: Apache-2.0 */
/* Pods seen from the node alone, with real devices in namespaces of the test's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/addr.h"
#include "lib/net/pods.h"
#include "test/net/netns.h"

static int make_node(void **state)
{
    (void)state;
    return test_shell(
               "set -e; ip link set lo up; ip netns add one; ip netns add two\n"
               "ip link add br0 type bridge; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0\n"
               "ip link add veth1 type veth peer name eth0 netns one\n"
               "ip link set veth1 master br0 up; ip -n one link set eth0 address "
               "02:00:00:00:00:01\n"
               "ip -n one link set eth0 up; ip -n one addr add 10.1.0.2/24 dev eth0\n"
               "ip -n one addr add fd00::2/64 dev eth0 nodad\n"
               "ip link add veth2 type veth peer name net1 netns two; ip link set veth2 up\n"
               "ip -n two link set net1 up; ip -n two addr add 10.2.0.2/32 dev net1\n"
               "ip route add 10.2.0.2/32 dev veth2; ip -6 route add fd00::3/128 dev veth2\n"
               "ip link add own0 type veth peer name own1; ip link set own0 up\n"
               "ip link set own1 up; ip addr add 10.3.0.1/24 dev own0\n"
               "ip route add 10.4.0.1/32 nexthop dev own0 nexthop dev veth2")
               ? 0
               : -1;
}

static struct fence_addr addr_of(const char *text)
{
    struct fence_addr addr;

    assert_int_equal(fence_addr_parse(text, &addr), 0);
    return addr;
}

static bool has(const struct fence_seen_pod *pod, const char *text)
{
    const struct fence_addr addr = addr_of(text);

    return fence_seen_pod_has(pod, &addr);
}

static const struct fence_seen_pod *find(const struct fence_seen_pods *pods, const char *host)
{
    for (size_t i = 1; i < pods->count; i++)
        if (strcmp(pods->items[i].link.host_ifname, host) == 0)
            return &pods->items[i];
    assert_string_equal(pods->items[0].link.host_ifname, host);
    return &pods->items[0];
}

static void sees_the_pods(void **state)
{
    static const unsigned char mac[6] = {2, 0, 0, 0, 0, 1};
    struct fence_seen_pods pods = {0};
    const struct fence_seen_pod *pod;
    struct fence_err err = {""};
    __u32 ifindex = 0, bridge = 0;

    (void)state;
    if (fence_seen_pods_list(&pods, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pods.count, 2); /* no pair within the node */
    pod = find(&pods, "veth1");
    assert_int_equal(fence_link_index("veth1", &ifindex), 0);
    assert_int_equal(fence_link_index("br0", &bridge), 0);
    assert_int_equal(pod->link.host_ifindex, ifindex);
    assert_int_equal(pod->link.host_bridge, bridge);
    assert_memory_equal(pod->link.mac, mac, sizeof(mac));
    assert_string_equal(pod->ifname, "eth0");
    assert_true(has(pod, "10.1.0.2") && has(pod, "fd00::2"));
    assert_false(has(pod, "10.1.0.1") || has(pod, "10.2.0.2"));
    pod = find(&pods, "veth2");
    assert_int_equal(pod->link.host_bridge, 0);
    assert_string_equal(pod->ifname, "net1");
    assert_true(has(pod, "10.2.0.2"));
    fence_seen_pods_done(&pods);
}

static const struct {
    const char *addr;
    const char *device; /* NULL: `error` */
    int error;
} routes[] = {
    {"10.2.0.2", "veth2", 0},       {"fd00::3", "veth2", 0},
    {"10.1.0.2", NULL, -ENOENT}, /* by the bridge's own prefix */
    {"10.1.0.1", NULL, -ENOENT}, /* the node's */
    {"10.4.0.1", NULL, -ENOTUNIQ},  {"198.51.100.1", NULL, -ENOENT},
    {"2001:db8::1", NULL, -ENOENT},
};

static void follows_routes_of_one_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct fence_addr addr = addr_of(routes[i].addr);
        __u32 found = 0, wanted = 0;

        if (fence_host_route(&addr, &found) != routes[i].error)
            fail_msg("%s: %d, not %d", routes[i].addr, fence_host_route(&addr, &found),
                     routes[i].error);
        if (!routes[i].device)
            continue;
        assert_int_equal(fence_link_index(routes[i].device, &wanted), 0);
        assert_int_equal(found, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_the_pods),
        cmocka_unit_test(follows_routes_of_one_address),
    };

    test_enter_own_node();
    return cmocka_run_group_tests(tests, make_node, NULL);
}
