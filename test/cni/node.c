/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin with real namespaces and veths, on a node without a data path: what ADD refuses and
 * why, and what failurePolicy and exemptNamespaces let start.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/cni/call.h"
#include "test/cni/run.h"
#include "test/net/netns.h"

#define FOLDER "/run/podfence/unenforced"
#define RECORD FOLDER "/c1:eth0"
#define PATHS  "\"bpffs\":\"/run/bpf\",\"socket\":\"/run/podfence/podfenced.sock\""
/* more than cJSON could print back */
#define RESULT                                                                                     \
    "{ \"cniVersion\":\"1.1.0\", \"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"veth0\"},"        \
    "{\"name\":\"eth0\",\"sandbox\":\"/run/netns/pod\",\"mtu\":1450}],\"ips\":[{\"interface\":2,"  \
    "\"address\":\"10.244.0.2/24\"},{\"interface\":2,\"address\":\"fd00::2/64\"}],"                \
    "\"x\":12345678901234567890 }"
#define ENTRY(settings, result)                                                                    \
    "{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"type\":\"podfence\"," PATHS settings             \
    ",\"prevResult\":" result "}"

static const struct attachment pod = {"c1", "/run/netns/pod", "eth0", NULL};

static int make_node(void **state)
{
    (void)state;
    return test_shell("set -e; ip netns add pod; ip netns add other\n"
                      "ip link add veth0 type veth peer name eth0 netns pod\n"
                      "ip link add link veth0 name mac0 netns pod type macvlan mode bridge\n"
                      "ip link add half type veth peer name far netns other\n"
                      "ip link set half netns pod\n"
                      "ip link add own0 type veth peer name own1\n"
                      ": > /run/netns/gone")
               ? 0
               : -1;
}

static const struct {
    struct attachment attachment;
    const char *result;
    const char *out;
} refused[] = {
    {{"c1", "/run/netns/none", "eth0", NULL}, RESULT, "\"code\":8"},
    {{"c1", "/run/netns/gone", "eth0", NULL}, RESULT, "\"code\":8"},
    {{"c1", "/proc/self/ns/net", "own0", NULL}, "{}", "\"code\":8"},
    {{"c1", "/run/netns/pod", "eth1", NULL}, RESULT, "there is no interface eth1"},
    {{"c1", "/run/netns/pod", "mac0", NULL}, RESULT, "of the kind macvlan"},
    {{"c1", "/run/netns/pod", "half", NULL}, RESULT, "is not in the node's network namespace"},
    {{"c1", "/run/netns/pod", "lo", NULL}, RESULT, "podfence needs a veth pair"},
    {{"c1", "/run/netns/pod", "eth0", NULL},
     "{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"/run/netns/other\"}]}",
     "prevResult says that eth0 is in /run/netns/other, but CNI_NETNS is /run/netns/pod"},
    {{"c1", "/run/netns/pod", "eth0", NULL}, RESULT, "\"code\":11,\"msg\":\"try again later"},
    {{"c1", "/proc/self/ns/net", "own0", "CNI_NETNS_OVERRIDE=1"}, "{}", "\"code\":11"},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refused); i++) {
        FENCE_FREE char *input = run_replace(ENTRY("", "@"), "@", refused[i].result);

        expect_call("ADD", &refused[i].attachment, input, 1, refused[i].out);
        assert_int_equal(access(FOLDER, F_OK), -1);
    }
}

/* A link to the same namespace is the same sandbox. */
static void compares_sandboxes_by_what_they_are(void **state)
{
    (void)state;
    assert_true(test_shell("ln -s /run/netns /run/alias"));
    expect_call("ADD", &(struct attachment){"c1", "/run/alias/pod", "eth0", NULL},
                ENTRY("", RESULT), 1, "\"code\":11");
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);

    assert_true(cJSON_IsString(value));
    return value->valuestring;
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);

    assert_true(cJSON_IsNumber(value));
    return value->valuedouble;
}

/* What the daemon finds the interface by. */
static void check_interface(const cJSON *record)
{
    struct stat own, netns;
    char command[256];

    assert_int_equal(stat("/proc/self/ns/net", &own), 0);
    assert_int_equal(stat("/run/netns/pod", &netns), 0);
    assert_true(number_of(record, "nodeNetns") == (double)own.st_ino);
    assert_true(number_of(record, "podNetns") == (double)netns.st_ino);
    snprintf(command, sizeof(command),
             "test $(cat /sys/class/net/veth0/ifindex 2>&- || ip -o link show veth0 | cut -d: -f1) "
             "= %.0f && ip -n pod link show eth0 | grep -qi 'ether %s '",
             number_of(record, "hostIfindex"), text_of(record, "mac"));
    assert_true(test_shell(command));
}

static void check_record(const char *reason)
{
    FENCE_FREE char *text = NULL;
    struct fence_err err;
    struct stat info;
    cJSON *record;
    size_t size;

    assert_int_equal(fence_file_read(AT_FDCWD, RECORD, 65536, &text, &size, &err), 0);
    record = cJSON_Parse(text);
    assert_non_null(record);
    assert_string_equal(text_of(record, "containerId"), "c1");
    assert_string_equal(text_of(record, "ifname"), "eth0");
    assert_string_equal(text_of(record, "netns"), "/run/netns/pod");
    assert_string_equal(text_of(record, "hostIfname"), "veth0");
    assert_string_equal(text_of(record, "network"), "net");
    assert_string_equal(text_of(record, "namespace"), "shop");
    assert_string_equal(text_of(record, "pod"), "web-1");
    assert_string_equal(text_of(record, "uid"), "u1");
    assert_string_equal(text_of(record, "labels"), "app=web");
    assert_string_equal(text_of(record, "reason"), reason);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(record, "addresses")), 2);
    check_interface(record);
    assert_int_equal(stat(RECORD, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    cJSON_Delete(record);
}

#define LABELS ",\"args\":{\"cni\":{\"labels\":{\"app\":\"web\"}}}"

static const struct {
    const char *settings;
    const char *reason;
} let_start[] = {
    {LABELS ",\"failurePolicy\":\"open\"", "no-data-path"},
    {LABELS ",\"exemptNamespaces\":[\"kube-system\",\"shop\"]", "exempt"},
};

static void lets_start_and_records_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(let_start); i++) {
        FENCE_FREE char *input = run_replace(ENTRY("@", RESULT), "@", let_start[i].settings);
        struct run_result result = call_plugin("ADD", &pod, input);

        assert_int_equal(result.status, 0);
        assert_string_equal(result.out, RESULT "\n");
        assert_non_null(strstr(result.err, "warning: the pod starts unenforced"));
        run_result_done(&result);
        check_record(let_start[i].reason);
        expect_call("ADD", &pod, input, 0, RESULT); /* again */
        expect_call("CHECK", &pod, input, 0, "");
        expect_call("DEL", &(struct attachment){"c1", "/run/netns/pod", "eth1", NULL}, input, 0,
                    "");
        assert_int_equal(access(RECORD, F_OK), 0); /* that was another interface */
        expect_call("DEL", &pod, input, 0, "");
        assert_int_equal(access(RECORD, F_OK), -1);
        expect_call("DEL", &(struct attachment){"c1", "", "eth0", NULL}, input, 0, "");
        expect_call("CHECK", &pod, input, 1, "\"code\":100");
    }
}

#define OPEN_ENTRY(more) ENTRY(LABELS ",\"failurePolicy\":\"open\"" more, RESULT)

static void collects_records(void **state)
{
    static const struct {
        const char *name; /* of the network */
        const char *list;
        bool kept;
    } calls[] = {
        {"net", "[{\"containerID\":\"c1\",\"ifname\":\"eth0\"}]", true},
        {"other", "[]", true},
        {"net", "[{\"containerID\":\"c1\",\"ifname\":\"eth1\"}]", false},
    };

    (void)state;
    expect_call("ADD", &pod, OPEN_ENTRY(""), 0, RESULT);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(calls); i++) {
        FENCE_FREE char *named = run_replace("{\"cniVersion\":\"1.1.0\"," PATHS
                                             ",\"name\":\"@\",\"cni.dev/valid-attachments\":#}",
                                             "@", calls[i].name);
        FENCE_FREE char *input = run_replace(named, "#", calls[i].list);

        expect_call("GC", &pod, input, 0, "");
        assert_int_equal(access(RECORD, F_OK) == 0, calls[i].kept);
    }
    expect_call("ADD", &pod, OPEN_ENTRY(""), 0, RESULT);
    expect_call("GC", &pod,
                "{\"cniVersion\":\"1.1.0\"," PATHS
                ",\"name\":\"net\",\"cni.dev/valid-attachments\":null}",
                0, "");
    assert_int_equal(access(RECORD, F_OK), -1);
}

/* What cannot be recorded cannot start; DEL bears the same mess. */
static void needs_its_record(void **state)
{
    (void)state;
    assert_true(test_shell("rm -rf /run/podfence && : > /run/podfence"));
    expect_call("ADD", &pod, OPEN_ENTRY(""), 1, "\"code\":5");
    expect_call("DEL", &pod, OPEN_ENTRY(""), 0, "");
    assert_true(test_shell("rm /run/podfence"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(compares_sandboxes_by_what_they_are),
        cmocka_unit_test(lets_start_and_records_it),
        cmocka_unit_test(collects_records),
        cmocka_unit_test(needs_its_record),
    };

    test_enter_own_node();
    return cmocka_run_group_tests(tests, make_node, NULL);
}
