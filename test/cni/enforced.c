/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin over a real data path, without a daemon: what is written and attached, that repeated
 * and failed calls leave what they should, and that CHECK, STATUS and GC see what is wrong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/load.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"
#include "lib/net/links.h"
#include "test/cni/call.h"
#include "test/cni/run.h"
#include "test/layout.h"
#include "test/net/netns.h"

#define BPFFS        "/run/fs/podfence"
#define ENDPOINT_MAX 2 /* so that a third pod finds the map full */
#define PATHS        "\"bpffs\":\"" BPFFS "\",\"socket\":\"/run/podfence/podfenced.sock\""
#define HEAD         "{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"type\":\"podfence\"," PATHS
#define RESULT                                                                                     \
    "{\"cniVersion\":\"1.1.0\",\"ips\":[{\"address\":\"10.244.0.2/24\"},{\"address\":\"fd00::2/"   \
    "64\"}]}"
#define ENTRY(settings) HEAD settings ",\"prevResult\":" RESULT "}"

static const struct attachment pods[] = {
    {"c0", "/run/netns/p0", "eth0", NULL},
    {"c1", "/run/netns/p1", "eth0", NULL},
    {"c2", "/run/netns/p2", "eth0", NULL},
};

static struct fence_pins pins;

static int make_node(void **state)
{
    const struct fence_map_size sizes[] = {{FENCE_MAP_ENDPOINTS, ENDPOINT_MAX}};
    const struct fence_load_options options = {
        .bpffs = BPFFS, .sizes = sizes, .size_count = FENCE_ARRAY_SIZE(sizes)};
    struct fence_err err = {0};

    (void)state;
    if (!test_shell("mkdir /run/fs && mount -t bpf bpf /run/fs") ||
        fence_load(&options, &pins, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return 0;
}

static void force_attach(enum fence_attach_mode mode)
{
    struct fence_settings settings;
    struct fence_err err;

    assert_int_equal(fence_settings_read(&pins, &settings), 0);
    settings.attach = mode;
    assert_true(fence_settings_write(&pins, &settings, &err) >= 0);
}

static int make_pods(void **state)
{
    (void)state;
    force_attach(FENCE_ATTACH_MODE_AUTO);
    return test_shell("for i in 0 1 2; do ip netns add p$i && ip link add veth$i type veth peer "
                      "name eth0 netns p$i || exit 1; done")
               ? 0
               : -1;
}

/* Each test ends by DEL of all pods, after which nothing may be left. */
static int remove_pods(void **state)
{
    struct fence_endpoint_list list = {0};
    struct fence_err err;
    size_t left;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(pods); i++)
        expect_call("DEL", &pods[i], ENTRY(""), 0, "");
    if (fence_endpoints_list(&pins, &list, &err) < 0)
        return -1;
    left = list.count;
    fence_endpoint_list_done(&list);
    return left == 0 && test_shell("test -z \"$(ls " BPFFS "/v" LAYOUT_TEXT
                                   "/links)\" && for i in 0 1 2; do "
                                   "! tc filter show dev veth$i ingress | grep -q . || exit 1; "
                                   "ip netns del p$i; ip link del veth$i 2>&-; done; true")
               ? 0
               : -1;
}

static void get(const struct attachment *pod, struct fence_endpoint_record *record)
{
    memset(record, 0, sizeof(*record));
    assert_int_equal(fence_endpoint_find(&pins, pod->container_id, pod->ifname, record), 0);
}

static const struct {
    enum fence_attach_mode mode;
    enum fence_attach attach;
} ways[] = {
    {FENCE_ATTACH_MODE_CLSACT, FENCE_ATTACH_CLSACT},
    {FENCE_ATTACH_MODE_TCX, FENCE_ATTACH_TCX},
};

static void writes_and_attaches(void **state)
{
    struct fence_endpoint_record record;
    struct fence_err err;
    __u32 ifindex = 0;

    (void)state;
    assert_int_equal(fence_link_index("veth0", &ifindex), 0);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(ways); i++) {
        force_attach(ways[i].mode);
        expect_call("ADD", &pods[0], ENTRY(",\"args\":{\"cni\":{\"labels\":{\"app\":\"x\"}}}"), 0,
                    RESULT);
        get(&pods[0], &record);
        assert_int_equal(record.ifindex, ifindex);
        assert_int_equal(record.endpoint.flags, FENCE_EP_PENDING);
        assert_int_equal(record.endpoint.set, 0);
        assert_int_not_equal(record.endpoint.slot, 0);
        assert_int_equal(record.endpoint.addr_count, 2);
        assert_int_equal(record.info.attach, ways[i].attach);
        assert_int_equal(record.info.label_source, FENCE_LABELS_ARGS);
        assert_string_equal(record.info.labels, "app=x");
        assert_string_equal(record.info.network, "net");
        assert_string_equal(record.info.namespace_name, "shop");
        assert_string_equal(record.info.host_ifname, "veth0");
        assert_int_equal(fence_attach_check(&pins, ifindex, ways[i].attach, &err), 0);
        expect_call("CHECK", &pods[0], ENTRY(""), 0, "");
        expect_call("DEL", &pods[0], ENTRY(""), 0, "");
        assert_int_equal(fence_endpoint_get(&pins, ifindex, &record), -ENOENT);
        assert_true(fence_attach_check(&pins, ifindex, ways[i].attach, &err) < 0);
    }
}

static const struct {
    const char *entry;
    __u32 flags;
} modes[] = {
    {ENTRY(""), FENCE_EP_PENDING},
    {ENTRY(",\"startMode\":\"closed\""), FENCE_EP_PENDING},
    {ENTRY(",\"startMode\":\"open\""), FENCE_EP_PENDING | FENCE_EP_OPEN},
    {ENTRY(",\"startMode\":\"closed\",\"startModes\":{\"shop\":\"open\"}"),
     FENCE_EP_PENDING | FENCE_EP_OPEN},
    {ENTRY(",\"startMode\":\"open\",\"startModes\":{\"shop\":\"hold\"}"), FENCE_EP_PENDING},
    {ENTRY(",\"exemptNamespaces\":[\"shop\"]"), FENCE_EP_PENDING | FENCE_EP_EXEMPT},
};

static void starts_as_configured(void **state)
{
    struct fence_endpoint_record record;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes); i++) {
        expect_call("ADD", &pods[0], modes[i].entry, 0, RESULT);
        get(&pods[0], &record);
        assert_int_equal(record.endpoint.flags, modes[i].flags);
        expect_call("DEL", &pods[0], ENTRY(""), 0, "");
    }
}

/* A second ADD of the same must not take back what the daemon has resolved meanwhile. */
static void is_idempotent(void **state)
{
    struct fence_endpoint_record before, after;
    struct fence_err err;

    (void)state;
    expect_call("ADD", &pods[0], ENTRY(""), 0, RESULT);
    get(&pods[0], &before);
    before.endpoint.flags = 0;
    before.endpoint.identity = FENCE_IDENTITY_FIRST;
    assert_int_equal(fence_endpoint_update(&pins, before.ifindex, &before.endpoint, &err), 0);
    expect_call("ADD", &pods[0], ENTRY(""), 0, RESULT);
    get(&pods[0], &after);
    assert_memory_equal(&before.endpoint, &after.endpoint, sizeof(before.endpoint));
    assert_memory_equal(&before.info, &after.info, sizeof(before.info));
}

static void refuses_when_the_map_is_full(void **state)
{
    struct fence_endpoint_record record;
    struct run_result result;
    __u32 ifindex;

    (void)state;
    expect_call("ADD", &pods[0], ENTRY(""), 0, RESULT);
    expect_call("STATUS", &pods[0], ENTRY(""), 0, "");
    expect_call("ADD", &pods[1], ENTRY(""), 0, RESULT);
    expect_call("STATUS", &pods[0], ENTRY(""), 1,
                "\"code\":50,\"msg\":\"the endpoints map is full");
    result = call_plugin("ADD", &pods[2], ENTRY(""));
    assert_int_equal(result.status, 1);
    print_message("%s", result.out);
    assert_non_null(strstr(result.out, "\"code\":11"));
    assert_non_null(strstr(result.out, "endpoints"));
    assert_non_null(strstr(result.out, "full"));
    run_result_done(&result);
    assert_int_equal(fence_link_index("veth2", &ifindex), 0);
    assert_int_equal(fence_endpoint_get(&pins, ifindex, &record), -ENOENT);
    assert_true(test_shell("! ls " BPFFS "/v" LAYOUT_TEXT
                           "/links | grep -q \"^$(cat /sys/class/net/veth2/ifindex "
                           "2>&- || ip -o link show veth2 | cut -d: -f1)-\""));
    /* the runtime's answer to a failed ADD, and room again */
    expect_call("DEL", &pods[2], ENTRY(""), 0, "");
    expect_call("DEL", &pods[0], ENTRY(""), 0, "");
    expect_call("ADD", &pods[2], ENTRY(""), 0, RESULT);
}

/* A DEL that comes late, for an interface of the same name in another container. */
static void keeps_what_is_not_meant(void **state)
{
    const struct attachment late = {"c0", "", "eth0", NULL};
    const struct attachment again = {"c9", "/run/netns/p0", "eth0", NULL};
    struct fence_endpoint_record record;

    (void)state;
    expect_call("ADD", &pods[0], ENTRY(""), 0, RESULT);
    expect_call("ADD", &again, ENTRY(""), 0, RESULT); /* the same veth, a new container */
    expect_call("DEL", &late, ENTRY(""), 0, "");
    get(&again, &record);
    expect_call("CHECK", &again, ENTRY(""), 0, "");
    expect_call("CHECK", &pods[0], ENTRY(""), 1, "\"code\":100");
    expect_call("DEL", &again, ENTRY(""), 0, "");
}

static void detects_damage(void **state)
{
    (void)state;
    force_attach(FENCE_ATTACH_MODE_TCX);
    expect_call("ADD", &pods[0], ENTRY(""), 0, RESULT);
    assert_true(test_shell("rm " BPFFS "/v" LAYOUT_TEXT "/links/*-from_pod"));
    expect_call("CHECK", &pods[0], ENTRY(""), 1, "\"code\":100");
    expect_call("STATUS", &pods[0], ENTRY(""), 1, "\"code\":51");
    expect_call("ADD", &pods[0], ENTRY(""), 0, RESULT);
    expect_call("CHECK", &pods[0], ENTRY(""), 0, "");
    expect_call("CHECK", &pods[0],
                HEAD ",\"prevResult\":{\"ips\":[{\"address\":\"10.9.9.9/24\"}]}}", 1, "10.9.9.9");
    assert_true(test_shell("ip link del veth0 && ip link add veth0 type veth peer name eth0 netns "
                           "p0"));
    expect_call("CHECK", &pods[0], ENTRY(""), 1, "but its host veth is");
    /* an endpoint whose veth has gone is no damage */
    expect_call("STATUS", &pods[0], ENTRY(""), 0, "");
}

/* As an ADD leaves it between its first write and its filters: STATUS at that moment is good. */
static void status_bears_an_add_under_way(void **state)
{
    struct fence_endpoint_record record;
    struct fence_err err;

    (void)state;
    expect_call("ADD", &pods[0], ENTRY(""), 0, RESULT);
    get(&pods[0], &record);
    assert_int_equal(fence_detach(&pins, record.ifindex, &err), 0);
    expect_call("STATUS", &pods[0], ENTRY(""), 1, "\"code\":51");
    record.info.attach = FENCE_ATTACH_NONE;
    assert_int_equal(fence_endpoint_put(&pins, &record, &err), 0);
    expect_call("STATUS", &pods[0], ENTRY(""), 0, "");
    expect_call("CHECK", &pods[0], ENTRY(""), 1, "\"code\":100");
}

static void collects_garbage(void **state)
{
    static const char list[] =
        HEAD ",\"cni.dev/valid-attachments\":[{\"containerID\":\"c0\",\"ifname\":\"eth0\"}]}";
    struct fence_endpoint_record record;
    FENCE_FREE char *other = run_replace(list, "\"net\"", "\"other\"");

    (void)state;
    expect_call("ADD", &pods[0], ENTRY(""), 0, RESULT);
    expect_call("ADD", &pods[1], ENTRY(""), 0, RESULT);
    expect_call("GC", &pods[0], HEAD "}", 0, "");
    expect_call("GC", &pods[0], other, 0, "");
    get(&pods[1], &record);
    expect_call("GC", &pods[0], list, 0, "");
    get(&pods[0], &record);
    assert_int_equal(fence_endpoint_find(&pins, "c1", "eth0", &record), -ENOENT);
}

#define POD_TEST(function) cmocka_unit_test_setup_teardown(function, make_pods, remove_pods)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POD_TEST(writes_and_attaches),     POD_TEST(starts_as_configured),
        POD_TEST(is_idempotent),           POD_TEST(refuses_when_the_map_is_full),
        POD_TEST(keeps_what_is_not_meant), POD_TEST(detects_damage),
        POD_TEST(collects_garbage),        POD_TEST(status_bears_an_add_under_way),
    };

    test_enter_own_node();
    fence_pins_init(&pins);
    return cmocka_run_group_tests(tests, make_node, NULL);
}
