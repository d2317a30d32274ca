/* SPDX-License-Identifier: Apache-2.0 */
/* fence_pod_link_find and its like, with real devices in namespaces of the test's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/net/links.h"
#include "test/net/netns.h"

#define POD   "/run/netns/pod"
#define OTHER "/run/netns/other"

static int make_node(void **state)
{
    (void)state;
    return test_shell("set -e; ip link set lo up; ip netns add pod; ip netns add other\n"
                      "ip link add veth0 type veth peer name eth0 netns pod\n"
                      "ip -n pod link set eth0 address 02:00:00:00:00:07\n"
                      "ip link add half type veth peer name far netns other\n"
                      "ip link set half netns pod\n"
                      "ip link add base type bridge; ip link set base up\n"
                      "ip link add link veth0 name mac0 netns pod type macvlan mode bridge\n"
                      "ip -n pod link add br0 type bridge\n"
                      "ip link add own0 type veth peer name own1\n"
                      "ip addr add 10.1.0.1/24 dev base; ip addr add 10.1.0.1/32 dev own0\n"
                      "ip addr add 192.0.2.1 peer 192.0.2.2 dev own0\n"
                      "ip -6 addr add fd00::1/64 dev base nodad\n"
                      ": > /run/netns/gone; mkfifo /run/netns/fifo")
               ? 0
               : -1;
}

static void finds_the_host_end(void **state)
{
    struct fence_pod_link link = {0};
    struct fence_err err = {0};
    const unsigned char mac[6] = {2, 0, 0, 0, 0, 7};
    struct stat netns;
    __u32 ifindex = 0;
    char name[16];

    (void)state;
    assert_int_equal(fence_link_index("veth0", &ifindex), 0);
    /* twice: with a namespace number to be made, then with one that is there */
    for (int i = 0; i < 2; i++) {
        memset(&link, 0, sizeof(link));
        assert_int_equal(fence_pod_link_find(POD, "eth0", &link, &err), 0);
        assert_int_equal(link.host_ifindex, ifindex);
        assert_string_equal(link.host_ifname, "veth0");
        assert_memory_equal(link.mac, mac, sizeof(mac));
        assert_int_equal(stat(POD, &netns), 0);
        assert_int_equal(link.netns, netns.st_ino);
    }
    assert_int_equal(fence_link_name(ifindex, name), 0);
    assert_string_equal(name, "veth0");
}

/* Indexes are counted per namespace: the pod's own index must not be mistaken for the node's. */
static void is_not_misled_by_equal_indexes(void **state)
{
    struct fence_pod_link link = {0};
    struct fence_err err = {0};

    (void)state;
    assert_true(test_shell("ip netns add twin && ip link add index 4242 name twin0 type veth peer "
                           "name eth0 index 4242 netns twin"));
    assert_int_equal(fence_pod_link_find("/run/netns/twin", "eth0", &link, &err), 0);
    assert_int_equal(link.host_ifindex, 4242);
    assert_string_equal(link.host_ifname, "twin0");
}

static void finds_the_bridge(void **state)
{
    struct fence_pod_link link = {0};
    struct fence_err err = {0};
    __u32 base = 0, bridge = 1;

    (void)state;
    assert_int_equal(fence_link_index("base", &base), 0);
    assert_true(test_shell("ip netns add port && ip link add port0 type veth peer name eth0 netns "
                           "port"));
    assert_int_equal(fence_pod_link_find("/run/netns/port", "eth0", &link, &err), 0);
    assert_int_equal(link.host_bridge, 0);
    assert_int_equal(fence_link_bridge(link.host_ifindex, &bridge), 0);
    assert_int_equal(bridge, 0);
    assert_true(test_shell("ip link set port0 master base"));
    assert_int_equal(fence_pod_link_find("/run/netns/port", "eth0", &link, &err), 0);
    assert_int_equal(link.host_bridge, base);
    assert_int_equal(fence_link_bridge(link.host_ifindex, &bridge), 0);
    assert_int_equal(bridge, base);
}

static const struct {
    const char *title;
    const char *netns;
    const char *ifname;
    int error;
    const char *text; /* part of the message */
} refused[] = {
    {"missing namespace", "/run/netns/none", "eth0", -ENOENT,
     "/run/netns/none: No such file or directory; either the pod has gone"},
    {"namespace that has gone", "/run/netns/gone", "eth0", -ENOENT,
     "not a network namespace (any more); either the pod has gone"},
    {"fifo", "/run/netns/fifo", "eth0", -ENOENT, "not a network namespace"},
    {"other kind of namespace", "/proc/self/ns/mnt", "eth0", -ENOENT, "not a network namespace"},
    {"own namespace", "/proc/self/ns/net", "eth0", -EXDEV, "the node itself"},
    {"missing interface", POD, "eth9", -ENODEV,
     "no interface eth9 in the pod's namespace; chain podfence behind"},
    {"name too long", POD, "a-name-that-is-too-long", -ENODEV, "a-name-that-is-too-long"},
    {"macvlan", POD, "mac0", -EMEDIUMTYPE, "is of the kind macvlan and"},
    {"bridge", POD, "br0", -EMEDIUMTYPE, "bridge"},
    {"no kind", POD, "lo", -EMEDIUMTYPE, "interface lo of the pod is the loopback device and"},
    {"peer in a third namespace", POD, "half", -ENOTUNIQ, "half"},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refused); i++) {
        struct fence_pod_link link = {.host_ifindex = 99};
        struct fence_err err = {0};
        int r = fence_pod_link_find(refused[i].netns, refused[i].ifname, &link, &err);

        if (r != refused[i].error || !strstr(err.text, refused[i].text))
            fail_msg("%s: %d, %s", refused[i].title, r, err.text);
        assert_int_equal(link.host_ifindex, 99);
    }
}

static void finds_a_pair_in_its_own_namespace(void **state)
{
    struct fence_pod_link link = {0};
    struct fence_err err = {0};

    (void)state;
    assert_int_equal(fence_own_link_find("own0", &link, &err), 0);
    assert_string_equal(link.host_ifname, "own1");
    assert_int_equal(fence_own_link_find("base", &link, &err), -EMEDIUMTYPE);
    /* its other end is in the pod, so this is no pair of ours */
    assert_int_equal(fence_own_link_find("veth0", &link, &err), -ENOTUNIQ);
}

static void reports_a_device_that_has_gone(void **state)
{
    __u32 ifindex = 7;
    char name[16] = "kept";

    (void)state;
    assert_int_equal(fence_link_index("nothere", &ifindex), -ENODEV);
    assert_int_equal(ifindex, 7);
    assert_int_equal(fence_link_name(999999, name), -ENODEV);
    assert_string_equal(name, "kept");
}

static bool has(const struct fence_addr *addrs, size_t count, const char *text)
{
    struct fence_addr wanted;

    assert_int_equal(fence_addr_parse(text, &wanted), 0);
    for (size_t i = 0; i < count; i++)
        if (fence_addr_equal(&addrs[i], &wanted))
            return true;
    return false;
}

static void lists_local_addresses(void **state)
{
    FENCE_FREE struct fence_addr *addrs = NULL;
    struct fence_err err = {0};
    size_t count = 0;

    (void)state;
    assert_int_equal(fence_local_addrs(&addrs, &count, &err), 0);
    assert_true(has(addrs, count, "10.1.0.1"));
    assert_true(has(addrs, count, "fd00::1"));
    assert_true(has(addrs, count, "192.0.2.1"));  /* this end of a point-to-point address */
    assert_false(has(addrs, count, "192.0.2.2")); /* the other end */
    assert_false(has(addrs, count, "127.0.0.1"));
    assert_false(has(addrs, count, "::1"));
    for (size_t i = 1; i < count; i++)
        assert_true(memcmp(&addrs[i - 1], &addrs[i], sizeof(addrs[0])) < 0);
}

static void lists_many_addresses(void **state)
{
    FENCE_FREE struct fence_addr *before = NULL;
    FENCE_FREE struct fence_addr *after = NULL;
    struct fence_err err = {0};
    size_t few = 0, many = 0;

    (void)state;
    assert_int_equal(fence_local_addrs(&before, &few, &err), 0);
    assert_true(test_shell("for i in $(seq 1 4); do for j in $(seq 1 250); do "
                           "echo addr add 10.2.$i.$j/32 dev base; done; done | ip -batch -"));
    assert_int_equal(fence_local_addrs(&after, &many, &err), 0);
    assert_int_equal(many, few + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_host_end),
        cmocka_unit_test(is_not_misled_by_equal_indexes),
        cmocka_unit_test(finds_the_bridge),
        cmocka_unit_test(refuses),
        cmocka_unit_test(finds_a_pair_in_its_own_namespace),
        cmocka_unit_test(reports_a_device_that_has_gone),
        cmocka_unit_test(lists_local_addresses),
        cmocka_unit_test(lists_many_addresses),
    };

    test_enter_own_node();
    return cmocka_run_group_tests(tests, make_node, NULL);
}
