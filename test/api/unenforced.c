/* SPDX-License-Identifier: Apache-2.0 */
/* podfenced and the folder of pods that started unenforced, with the test in the plugin's place. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"
#include "lib/net/links.h"
#include "test/api/process.h"

#define POD                                                                                        \
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: web-1, namespace: shop,\n"                  \
    "  labels: { app: web } }\nspec: { nodeName: n1 }\n"                                           \
    "status: { podIPs: [ { ip: 10.9.0.2 } ] }\n"

/* What the plugin writes; %u the index, %llu the namespace's inode. */
#define RECORD                                                                                     \
    "{\"labelSource\":0,\"addresses\":[\"10.9.0.2\"],\"nodeNetns\":%llu,\"podNetns\":4026532999,"  \
    "\"hostIfindex\":%u,\"mac\":\"02:00:00:00:09:02\",\"containerId\":\"c1\",\"ifname\":\"eth0\"," \
    "\"netns\":\"/run/netns/p\",\"hostIfname\":\"fx0\",\"network\":\"net\",\"namespace\":"         \
    "\"shop\",\"pod\":\"web-1\",\"uid\":\"u1\",\"labels\":\"\",\"reason\":\"no-data-path\"}"

struct lab {
    struct daemon_lab *daemon;
    struct fence_pins pins;
    char folder[96];
    __u32 ifindex;
    unsigned long long netns;
};

static void run(const char *command)
{
    if (system(command) != 0)
        fail_msg("%s", command);
}

static int setup(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));
    void *daemon = NULL;
    char run_folder[96];
    struct stat own;

    if (!lab || daemon_lab_setup(&daemon) < 0 || stat("/proc/thread-self/ns/net", &own) < 0)
        return -1;
    lab->daemon = daemon;
    lab->netns = own.st_ino;
    fence_pins_init(&lab->pins);
    snprintf(run_folder, sizeof(run_folder), "%s/run", lab->daemon->root);
    snprintf(lab->folder, sizeof(lab->folder), "%s/run/unenforced", lab->daemon->root);
    run("ip link add fx0 type veth peer name fx1 && ip link set fx0 up && ip link set fx1 up");
    if (mkdir(run_folder, 0700) < 0 || mkdir(lab->folder, 0700) < 0 ||
        fence_link_index("fx0", &lab->ifindex) < 0)
        return -1;
    *state = lab;
    return 0;
}

static int teardown(void **state)
{
    struct lab *lab = *state;
    void *daemon = lab->daemon;

    fence_pins_close(&lab->pins);
    daemon_lab_teardown(&daemon);
    run("ip link del fx0 2>/dev/null; true");
    free(lab);
    return 0;
}

static void start(struct lab *lab, const char *const *extra)
{
    struct fence_err err = {""};

    daemon_start(lab->daemon, extra);
    daemon_expect(lab->daemon, "abi", FENCE_ABI_VERSION); /* it answers */
    fence_pins_close(&lab->pins);
    if (fence_pins_open(lab->daemon->bpffs, &lab->pins, &err) < 0)
        fail_msg("%s", err.text);
}

static void path_of(const struct lab *lab, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", lab->folder, name);
}

static bool has(const struct lab *lab, const char *name)
{
    struct stat info;
    char path[256];

    path_of(lab, name, path, sizeof(path));
    return lstat(path, &info) == 0;
}

static void write_file(const struct lab *lab, const char *name, const char *text, size_t size)
{
    struct fence_err err = {""};
    char path[256];

    path_of(lab, name, path, sizeof(path));
    if (fence_file_write(path, text, size, 0600, &err) < 0)
        fail_msg("%s", err.text);
}

/* The plugin's record with `from` put as `to`; NULL = as it is. */
static void write_record(const struct lab *lab, const char *name, const char *from, const char *to)
{
    char text[8192], changed[16384];
    const char *at;

    snprintf(text, sizeof(text), RECORD, lab->netns, lab->ifindex);
    at = from ? strstr(text, from) : NULL;
    if (from && !at)
        fail_msg("no %s in the record", from);
    if (from)
        snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, to,
                 at + strlen(from));
    write_file(lab, name, from ? changed : text, strlen(from ? changed : text));
}

static bool gets(const struct lab *lab, struct fence_endpoint_record *record)
{
    return fence_endpoint_get(&lab->pins, lab->ifindex, record) == 0;
}

/* Wait for the daemon's next sweep, at most. */
static void wait_until_gone(const struct lab *lab, const char *name)
{
    for (int i = 0; i < 150 && has(lab, name); i++)
        sleep_ms(100);
    assert_false(has(lab, name));
}

/* Some problem names this file and says this. */
static void expect_problem(const struct lab *lab, const char *name, const char *text)
{
    cJSON *status = daemon_status(lab->daemon);
    const cJSON *problem;
    bool found = false;
    char path[256];

    path_of(lab, name, path, sizeof(path));
    cJSON_ArrayForEach(problem, cJSON_GetObjectItem(status, "problems"))
    {
        const char *said = cJSON_GetStringValue(cJSON_GetObjectItem(problem, "text"));
        const char *file = cJSON_GetStringValue(cJSON_GetObjectItem(problem, "file"));

        if (!strcmp(file, path) && strstr(said, text))
            found = true;
    }
    if (!found) {
        char *all = cJSON_Print(cJSON_GetObjectItem(status, "problems"));

        print_message("%s", all);
        free(all);
    }
    cJSON_Delete(status);
    if (!found)
        fail_msg("no problem of %s with \"%s\"", name, text);
}

/* ---- what is lawful -------------------------------------------------------------------------- */

static const struct {
    const char *from, *to;
    const char *option;
    const char *object; /* NULL: nobody knows the pod */
    __u32 flags;
} lawful[] = {
    {NULL, NULL, NULL, NULL, FENCE_EP_PENDING | FENCE_EP_OPEN},
    {NULL, NULL, NULL, POD, 0},
    {"no-data-path", "exempt", NULL, NULL, FENCE_EP_EXEMPT},
    {"no-data-path", "exempt", NULL, POD, FENCE_EP_EXEMPT},
    {"{", "{\"later\":[1],", "--source-check=report", NULL,
     FENCE_EP_PENDING | FENCE_EP_OPEN | FENCE_EP_SOURCE_REPORT},
    {"[\"10.9.0.2\"]", "[]", "--source-check=off", NULL,
     FENCE_EP_PENDING | FENCE_EP_OPEN | FENCE_EP_SOURCE_OFF},
    {"\"pod\":\"web-1\"", "\"pod\":\"\"", NULL, NULL, FENCE_EP_PENDING | FENCE_EP_OPEN},
};

static void test_lawful_records_are_enrolled(void **state)
{
    static const __u8 mac[6] = {2, 0, 0, 0, 9, 2};
    struct lab *lab = *state;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(lawful); i++) {
        const char *const extra[] = {lawful[i].option, NULL};
        struct fence_endpoint_record record;
        const __u64 before = fence_clock_boot_ns();

        print_message("row %zu\n", i);
        if (lawful[i].object)
            daemon_write(lab->daemon, "a.yaml", lawful[i].object);
        write_record(lab, "c1:eth0", lawful[i].from, lawful[i].to);
        start(lab, extra);
        daemon_expect(lab->daemon, "endpoints.total", 1);
        assert_false(has(lab, "c1:eth0"));
        assert_true(gets(lab, &record));
        assert_int_equal(record.endpoint.flags, lawful[i].flags);
        assert_memory_equal(record.endpoint.mac, mac, sizeof(mac));
        assert_true(record.endpoint.recovery_until_ns > before + 59000000000ull);
        assert_true(record.endpoint.recovery_until_ns <= fence_clock_boot_ns() + 60000000000ull);
        assert_string_equal(record.info.container_id, "c1");
        assert_string_equal(record.info.network, "net");
        assert_int_equal(record.info.netns, 4026532999);
        assert_int_equal(fence_attach_check(&lab->pins, lab->ifindex, record.info.attach, NULL), 0);
        daemon_expect(lab->daemon, "problems", 0);
        daemon_expect(lab->daemon, "ready", 1);
        assert_int_equal(fence_endpoint_remove(&lab->pins, lab->ifindex, NULL), 0);
        assert_int_equal(daemon_stop(lab->daemon, SIGTERM), 0);
        if (lawful[i].object)
            daemon_remove(lab->daemon, "a.yaml");
    }
}

/* A restart does not settle for less: the endpoint stays as it was resolved. */
static void test_restart_in_the_middle(void **state)
{
    struct lab *lab = *state;
    struct fence_endpoint_record before, after;

    daemon_write(lab->daemon, "a.yaml", POD);
    write_record(lab, "c1:eth0", NULL, NULL);
    start(lab, NULL);
    daemon_expect(lab->daemon, "endpoints.enforced", 1);
    assert_true(gets(lab, &before));
    daemon_stop(lab->daemon, SIGKILL);
    /* killed before the file was removed, after the endpoint was written */
    write_record(lab, "c1:eth0", NULL, NULL);
    start(lab, NULL);
    daemon_expect(lab->daemon, "endpoints.enforced", 1);
    assert_false(has(lab, "c1:eth0"));
    assert_true(gets(lab, &after));
    assert_memory_equal(&before.endpoint, &after.endpoint, sizeof(before.endpoint));
    assert_memory_equal(&before.info, &after.info, sizeof(before.info));
}

/* ---- what is not ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *from, *to;
    const char *text;
} hostile[] = {
    {"c1:eth1", NULL, NULL, "its content is for c1:eth0"},
    {"c1", NULL, NULL, "its content is for c1:eth0"},
    {"..:eth0", "\"c1\"", "\"..\"", "containerId must be"},
    {"c2:eth0", "\"c1\"", "\"../../c2\"", "containerId must be"},
    {"c3:eth0", "\"c1\"", "17", "containerId must be"},
    {"c4:eth0", "\"c1\"", "\"c4\\u0000\"", "NUL"},
    {"c1:a", "\"eth0\"", "\"a/../b\"", "ifname must be"},
    {"c1:b", "\"eth0\"", "\"sixteen-letters-\"", "ifname must be"},
    {"c1:c", "\"fx0\"", "\"../fx0\"", "hostIfname must be"},
    {"c1:d", "\"fx0\"", "null", "hostIfname must be"},
    {"c1:e", "\"net\"", "\"a/b\"", "network must be"},
    {"c1:f", "\"shop\"", "[\"shop\"]", "namespace must be"},
    {"c1:g", "\"hostIfindex\":", "\"hostIfindex\":-", "hostIfindex must be"},
    {"c1:h", "\"hostIfindex\":", "\"hostIfindex\":0.5,\"x\":", "hostIfindex must be"},
    {"c1:i", "\"hostIfindex\":", "\"hostIfindex\":1e300,\"x\":", "hostIfindex must be"},
    {"c1:j", "\"hostIfindex\":", "\"hostIfindex\":\"7\",\"x\":", "hostIfindex must be"},
    {"c1:k", "\"hostIfindex\":", "\"x\":", "hostIfindex must be"},
    {"c1:l", "\"hostIfindex\":", "\"hostIfindex\":0,\"x\":", "hostIfindex is 0"},
    {"c1:m", "4026532999", "1e17", "podNetns must be"},
    {"c1:n", "\"labelSource\":0", "\"labelSource\":3", "labelSource must be"},
    {"c1:o", "02:00:00:00:09:02", "02:00:00:00:09:0g", "mac must be"},
    {"c1:p", "02:00:00:00:09:02", "02:00:00:00:09:02:03", "mac must be"},
    {"c1:q", "02:00:00:00:09:02", "02-00-00-00-09-02", "mac must be"},
    {"c1:r", "[\"10.9.0.2\"]", "\"10.9.0.2\"", "addresses must be"},
    {"c1:s", "[\"10.9.0.2\"]", "[\"10.9.0.2/24\"]", "no address"},
    {"c1:t", "[\"10.9.0.2\"]", "[1]", "no address"},
    {"c1:u", "[\"10.9.0.2\"]", "[\"::\"]", "no address"},
    {"c1:v", "[\"10.9.0.2\"]", "[1,2,3,4,5,6,7,8,9]", "addresses must be"},
    {"c1:w", "no-data-path", "because", "reason must be"},
    {"c1:x", "\"nodeNetns\":", "\"nodeNetns\":1,\"x\":", "another network namespace"},
    {"c1:y", "\"fx0\"", "\"fx9\"", "is fx0 now, not fx9"},
    {"c1:z", "}", "", "no JSON object"},
    {"c5:eth0", "}", "}{}", "no JSON object"},
};

/* A name of one letter is put for "eth0" in the content too, where it is still there: else the
 * difference alone would be refused. */
static void write_hostile(const struct lab *lab, size_t i)
{
    const char *ifname = hostile[i].name + 3;
    FENCE_FREE char *text = NULL;
    char path[256], named[8192];
    const char *at;
    size_t size;

    write_record(lab, hostile[i].name, hostile[i].from, hostile[i].to);
    if (strncmp(hostile[i].name, "c1:", 3) != 0 || strlen(ifname) != 1)
        return;
    path_of(lab, hostile[i].name, path, sizeof(path));
    assert_int_equal(fence_file_read(AT_FDCWD, path, sizeof(named), &text, &size, NULL), 0);
    at = strstr(text, "\"eth0\"");
    if (!at)
        return;
    snprintf(named, sizeof(named), "%.*s\"%s\"%s", (int)(at - text), text, ifname, at + 6);
    write_file(lab, hostile[i].name, named, strlen(named));
}

static void test_hostile_records(void **state)
{
    const size_t hostile_count = FENCE_ARRAY_SIZE(hostile);
    struct lab *lab = *state;
    struct fence_endpoint_record record;

    for (size_t i = 0; i < hostile_count; i++)
        write_hostile(lab, i);
    start(lab, NULL);
    for (size_t i = 0; i < hostile_count; i++) {
        expect_problem(lab, hostile[i].name, hostile[i].text);
        assert_true(has(lab, hostile[i].name));
    }
    daemon_expect(lab->daemon, "problems", (double)hostile_count);
    daemon_expect(lab->daemon, "ready", 0);
    daemon_expect(lab->daemon, "endpoints.total", 0);
    assert_false(gets(lab, &record));
    assert_true(daemon_logged(lab->daemon, "a pod that started unenforced stays so"));
}

/* What is no file of ours at all. */
static void test_hostile_files(void **state)
{
    struct lab *lab = *state;
    char command[1024];
    FENCE_FREE char *huge = malloc(100000);
    unsigned int seed = 1;
    char garbage[4096];

    assert_non_null(huge);
    memset(huge, ' ', 100000);
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (char)(seed = seed * 1103515245 + 12345, seed >> 16);
    write_file(lab, "huge:eth0", huge, 100000);
    memset(huge, '[', 60000);
    write_file(lab, "deep:eth0", huge, 60000);
    write_file(lab, "garbage:eth0", garbage, sizeof(garbage));
    write_file(lab, "empty:eth0", "", 0);
    write_record(lab, "writable:eth0", NULL, NULL);
    write_record(lab, "others:eth0", NULL, NULL);
    write_file(lab, "c1:eth0.tmp.aBcDeF", "{", 1); /* being written */
    snprintf(command, sizeof(command),
             "cd %s && mkdir folder:eth0 && mkfifo fifo:eth0 && ln -s /dev/zero device:eth0 && "
             "ln -s c1:eth0 link:eth0 && chmod 0666 writable:eth0 && chown 4242 others:eth0",
             lab->folder);
    run(command);
    start(lab, NULL);
    expect_problem(lab, "huge:eth0", "larger than");
    expect_problem(lab, "deep:eth0", "no JSON object");
    expect_problem(lab, "garbage:eth0", "no JSON object");
    expect_problem(lab, "empty:eth0", "no JSON object");
    expect_problem(lab, "writable:eth0", "others than root");
    expect_problem(lab, "others:eth0", "others than root");
    expect_problem(lab, "folder:eth0", "not a regular file");
    expect_problem(lab, "fifo:eth0", "not a regular file");
    expect_problem(lab, "device:eth0", "cannot open");
    expect_problem(lab, "link:eth0", "cannot open");
    daemon_expect(lab->daemon, "problems", 10);
    daemon_expect(lab->daemon, "endpoints.total", 0);
}

static void test_many_files_are_bounded(void **state)
{
    struct lab *lab = *state;
    char command[256];

    snprintf(command, sizeof(command), "cd %s && seq -f 'x%%g:eth0' 5000 | xargs touch",
             lab->folder);
    run(command);
    start(lab, NULL);
    daemon_expect(lab->daemon, "problems", 64);
}

static void test_folder_that_others_may_write(void **state)
{
    struct lab *lab = *state;

    write_record(lab, "c1:eth0", NULL, NULL);
    assert_int_equal(chmod(lab->folder, 0777), 0);
    start(lab, NULL);
    daemon_expect(lab->daemon, "problems", 1);
    daemon_expect(lab->daemon, "endpoints.total", 0);
    assert_true(has(lab, "c1:eth0"));
    /* put right: found by the sweep */
    assert_int_equal(chmod(lab->folder, 0700), 0);
    wait_until_gone(lab, "c1:eth0");
    daemon_expect(lab->daemon, "problems", 0);
    daemon_expect(lab->daemon, "endpoints.total", 1);
}

/* ---- interfaces ------------------------------------------------------------------------------ */

static void test_interface_has_gone(void **state)
{
    struct lab *lab = *state;

    run("ip link del fx0");
    write_record(lab, "c1:eth0", NULL, NULL);
    start(lab, NULL);
    assert_false(has(lab, "c1:eth0"));
    daemon_expect(lab->daemon, "problems", 0);
    daemon_expect(lab->daemon, "endpoints.total", 0);
}

static void test_interface_is_no_veth(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(fence_link_index("lo", &lab->ifindex), 0);
    write_record(lab, "c1:eth0", "\"fx0\"", "\"lo\"");
    start(lab, NULL);
    expect_problem(lab, "c1:eth0", "not a veth");
    daemon_expect(lab->daemon, "endpoints.total", 0);
}

/* A file never pushes out what the plugin has enrolled. */
static void test_interface_is_taken(void **state)
{
    struct lab *lab = *state;
    struct fence_endpoint_record record;

    write_record(lab, "c1:eth0", NULL, NULL);
    start(lab, NULL);
    daemon_expect(lab->daemon, "endpoints.total", 1);
    write_record(lab, "c2:eth0", "\"c1\"", "\"c2\"");
    for (int i = 0; i < 120 && !daemon_logged(lab->daemon, "c2:eth0"); i++)
        sleep_ms(100);
    expect_problem(lab, "c2:eth0", "is the endpoint of container c1 already");
    assert_true(gets(lab, &record));
    assert_string_equal(record.info.container_id, "c1");
    assert_true(has(lab, "c2:eth0"));
}

#define LAB_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB_TEST(test_lawful_records_are_enrolled),
        LAB_TEST(test_restart_in_the_middle),
        LAB_TEST(test_hostile_records),
        LAB_TEST(test_hostile_files),
        LAB_TEST(test_many_files_are_bounded),
        LAB_TEST(test_folder_that_others_may_write),
        LAB_TEST(test_interface_has_gone),
        LAB_TEST(test_interface_is_no_veth),
        LAB_TEST(test_interface_is_taken),
    };

    if (!daemon_lab_enter())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
