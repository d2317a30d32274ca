/* SPDX-License-Identifier: Apache-2.0 */
/* podfenced as its users see it: options, socket, signals, restarts. No pods needed. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/api/api.h"
#include "lib/base/memory.h"
#include "test/api/process.h"
#include "test/layout.h"

#define POLICY(name, port)                                                                         \
    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"                                 \
    "metadata: { name: " name ", namespace: shop }\n"                                              \
    "spec:\n  podSelector: {}\n  ingress: [ { ports: [ { port: " port " } ] } ]\n"

/* ---- options -------------------------------------------------------------------------------- */

struct bad_option {
    const char *args[4];
    const char *says[2];
};

static const struct bad_option bad_options[] = {
    {{NULL}, {"--objects DIR or --kubernetes is needed"}},
    {{"--nonsense"}, {"--nonsense is not an option", "--help"}},
    {{"stray"}, {"stray is not an option"}},
    {{"--objects"}, {"--objects needs a value"}},
    {{"--objects", ""}, {"--objects: ", "folder"}},
    {{"--objects", "/a", "--objects", "/a"}, {"/a is given twice"}},
    {{"--attach", "xdp"}, {"--attach: xdp", "auto, tcx, clsact"}},
    {{"--adopt", "some"}, {"--adopt: some", "pods, all, chained, off"}},
    {{"--own-node-egress", "no"}, {"--own-node-egress: no", "exempt, policy"}},
    {{"--source-check", "on"}, {"--source-check: on", "strict, report, off"}},
    {{"--required-label", "-a"}, {"--required-label: -a is not a label's key"}},
    {{"--trust-domain", "Shop"}, {"--trust-domain: \"Shop\"", "a-z"}},
    {{"--trust-domain", ""}, {"--trust-domain: "}},
    {{"--log-level", "loud"}, {"--log-level: loud", "error, warning, info, debug"}},
    {{"--node-name", ""}, {"--node-name: "}},
    {{"--mark-mask", "0"}, {"--mark-mask: 0 is neither off nor a mask", "0x10ff"}},
    {{"--mark-mask", "0x1ffffffff"}, {"--mark-mask: 0x1ffffffff is neither"}},
    {{"--mark-mask", "-1"}, {"--mark-mask: -1 is neither"}},
    {{"--mark-mask", "0x10fg"}, {"--mark-mask: 0x10fg is neither"}},
    {{"--kernel-structs", "on"}, {"--kernel-structs: on is none of auto, off"}},
    {{"--map-size", "policies"}, {"--map-size: policies is not NAME=ENTRIES"}},
    {{"--map-size", "polices=4"}, {"--map-size: polices is none of", "policies"}},
    {{"--map-size", "settings=4"}, {"--map-size: settings is none of"}},
    {{"--map-size", "policies=0"}, {"--map-size: 0 is not a number of entries"}},
    {{"--map-size", "policies=-1"}, {"--map-size: -1 is not a number of entries"}},
    {{"--map-size", "policies=4x"}, {"--map-size: 4x is not a number of entries"}},
    {{"--map-size", "policies=99999999999999999999"}, {"is not a number of entries"}},
    {{"--map-size", "events=5000"}, {"power of two"}},
    {{"--audit-all=yes"}, {"--audit-all"}},
};

static void test_bad_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(bad_options); i++) {
        const struct bad_option *bad = &bad_options[i];
        const char *argv[6] = {"podfenced"};
        char text[4096];

        for (size_t arg = 0; arg < 4 && bad->args[arg]; arg++)
            argv[arg + 1] = bad->args[arg];
        assert_int_equal(daemon_run(argv, text, sizeof(text)), 2);
        print_message("%s", text);
        for (size_t said = 0; said < 2 && bad->says[said]; said++)
            assert_non_null(strstr(text, bad->says[said]));
    }
}

static void test_help_and_version(void **state)
{
    static const char *const help[] = {"podfenced", "--help", NULL};
    static const char *const version[] = {"podfenced", "--version", NULL};
    static const char *const names[] = {"--objects DIR", "--state",        "--bpffs",
                                        "--socket",      "--node-name",    "--attach",
                                        "--map-size",    "--source-check", "Example:"};
    char text[16384];

    (void)state;
    assert_int_equal(daemon_run(help, text, sizeof(text)), 0);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++)
        assert_non_null(strstr(text, names[i]));
    assert_int_equal(daemon_run(version, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "podfenced " FENCE_VERSION ", pinned layout v" LAYOUT_TEXT));
}

/* ---- start and end -------------------------------------------------------------------------- */

static void test_not_on_bpffs(void **state)
{
    struct daemon_lab *lab = *state;

    snprintf(lab->bpffs, sizeof(lab->bpffs), "%s/plain", lab->root);
    daemon_spawn(lab, NULL);
    assert_int_equal(daemon_wait(lab), 1);
    assert_true(daemon_logged(lab, "not on a BPF file system"));
    assert_true(daemon_logged(lab, "mount -t bpf"));
}

static void test_second_is_refused(void **state)
{
    struct daemon_lab *lab = *state;
    const char *const other[] = {"--socket", "/dev/null/other.sock", NULL};
    struct daemon_lab second = *lab;

    daemon_start(lab, NULL);
    daemon_spawn(&second, other);
    assert_int_equal(daemon_wait(&second), 1);
    assert_true(daemon_logged(lab, "another podfenced serves"));
    daemon_expect(lab, "ready", 1);
}

static void test_ends_by_signal(void **state)
{
    struct daemon_lab *lab = *state;
    static const int signals[] = {SIGTERM, SIGINT};
    char pin[160];

    snprintf(pin, sizeof(pin), "%s/v" LAYOUT_TEXT "/progs/from_pod", lab->bpffs);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(signals); i++) {
        daemon_start(lab, NULL);
        assert_int_equal(daemon_stop(lab, signals[i]), 0);
        assert_int_equal(access(lab->socket, F_OK), -1);
        assert_int_equal(access(pin, F_OK), 0);
    }
}

static void test_restart_writes_nothing(void **state)
{
    struct daemon_lab *lab = *state;

    daemon_write(lab, "a.yaml", POLICY("a", "80"));
    daemon_start(lab, NULL);
    daemon_expect(lab, "ready", 1);
    daemon_expect(lab, "lastApply.failures", 0);
    assert_int_equal(daemon_stop(lab, SIGKILL), 128 + SIGKILL);
    assert_int_equal(access(lab->socket, F_OK), 0);
    daemon_start(lab, NULL);
    daemon_expect(lab, "applies", 1);
    daemon_expect(lab, "lastApply.writes", 0);
    daemon_expect(lab, "objects.NetworkPolicy", 1);
}

/* ---- objects -------------------------------------------------------------------------------- */

static void test_missing_folder_applies_nothing(void **state)
{
    struct daemon_lab *lab = *state;
    cJSON *status;
    char *text;

    assert_int_equal(rmdir(lab->objects), 0);
    daemon_start(lab, NULL);
    status = daemon_status(lab);
    assert_int_equal(json_number(status, "ready"), 0);
    assert_int_equal(json_number(status, "applies"), 0);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(status, "lastApply")));
    text = cJSON_PrintUnformatted(cJSON_GetObjectItem(status, "notReady"));
    assert_non_null(strstr(text, lab->objects));
    assert_non_null(strstr(text, "nothing is changed until"));
    free(text);
    cJSON_Delete(status);
    assert_int_equal(mkdir(lab->objects, 0700), 0);
    daemon_write(lab, "a.yaml", POLICY("a", "80"));
    daemon_expect(lab, "objects.NetworkPolicy", 1);
    daemon_expect(lab, "ready", 1);
    daemon_expect(lab, "lastApply.failures", 0);
}

/* A folder that goes away later keeps its objects. */
static void test_folder_goes_away(void **state)
{
    struct daemon_lab *lab = *state;
    char other[128];

    snprintf(other, sizeof(other), "%s.away", lab->objects);
    daemon_write(lab, "a.yaml", POLICY("a", "80"));
    daemon_start(lab, NULL);
    daemon_expect(lab, "ready", 1);
    assert_int_equal(rename(lab->objects, other), 0);
    daemon_expect(lab, "ready", 0);
    daemon_expect(lab, "objects.NetworkPolicy", 1);
    assert_int_equal(rename(other, lab->objects), 0);
    daemon_expect(lab, "ready", 1);
    daemon_expect(lab, "objects.NetworkPolicy", 1);
}

static void test_changes_are_followed(void **state)
{
    struct daemon_lab *lab = *state;

    daemon_start(lab, NULL);
    daemon_expect(lab, "ready", 1);
    daemon_write(lab, "a.yaml", POLICY("a", "80") POLICY("b", "81"));
    daemon_expect(lab, "objects.NetworkPolicy", 2);
    daemon_write(lab, "a.yaml", POLICY("a", "80"));
    daemon_expect(lab, "objects.NetworkPolicy", 1);
    daemon_remove(lab, "a.yaml");
    daemon_expect(lab, "objects.NetworkPolicy", -1);
    daemon_expect(lab, "ready", 1);
}

static void test_broken_file_is_shown(void **state)
{
    struct daemon_lab *lab = *state;
    cJSON *status, *problem;

    daemon_write(lab, "good.yaml", POLICY("a", "80"));
    daemon_write(lab, "broken.yaml", "a: [ 1\nb: }\n");
    daemon_start(lab, NULL);
    daemon_expect(lab, "problems", 1);
    status = daemon_status(lab);
    problem = cJSON_GetArrayItem(cJSON_GetObjectItem(status, "problems"), 0);
    assert_non_null(
        strstr(cJSON_GetStringValue(cJSON_GetObjectItem(problem, "file")), "broken.yaml"));
    assert_non_null(strstr(cJSON_GetStringValue(cJSON_GetObjectItem(problem, "text")), "line"));
    assert_int_equal(json_number(problem, "kept"), 0);
    assert_int_equal(json_number(status, "ready"), 0);
    assert_int_equal(json_number(status, "objects.NetworkPolicy"), 1);
    assert_int_equal(json_number(status, "lastApply.failures"), 0);
    cJSON_Delete(status);
    assert_true(daemon_logged(lab, "broken.yaml"));
    daemon_remove(lab, "broken.yaml");
    daemon_expect(lab, "ready", 1);
    daemon_expect(lab, "problems", 0);
    assert_true(daemon_logged(lab, "no longer: "));
}

static void test_last_good_outlives_the_daemon(void **state)
{
    struct daemon_lab *lab = *state;
    cJSON *answer, *policy;

    daemon_write(lab, "a.yaml", POLICY("a", "80"));
    daemon_start(lab, NULL);
    daemon_expect(lab, "ready", 1);
    daemon_write(lab, "a.yaml", POLICY("a", "700000"));
    daemon_expect(lab, "problems", 1);
    daemon_expect(lab, "objects.NetworkPolicy", 1);
    daemon_expect(lab, "ready", 1);
    daemon_stop(lab, SIGKILL);
    daemon_start(lab, NULL);
    daemon_expect(lab, "problems", 1);
    daemon_expect(lab, "objects.NetworkPolicy", 1);
    daemon_expect(lab, "lastApply.writes", 0);
    answer = daemon_ask(lab, "{\"op\":\"policies\"}");
    policy = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "policies"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(policy, "id")),
                        "NetworkPolicy/shop/a");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(policy, "state")),
                        "last good in force");
    cJSON_Delete(answer);
}

static void test_policies(void **state)
{
    struct daemon_lab *lab = *state;
    cJSON *answer, *list;

    daemon_write(lab, "a.yaml", POLICY("a", "80") POLICY("never", "70000"));
    daemon_write(lab, "b.yaml",
                 "apiVersion: podfence.io/v1alpha1\nkind: SegmentPolicy\n"
                 "metadata: { name: old, namespace: shop }\n"
                 "spec: { mode: Allowlist, enforcement: Enforce, appliesTo: {},\n"
                 "        ingress: [], expiresAt: 2001-01-01T00:00:00Z }\n");
    daemon_start(lab, NULL);
    answer = daemon_ask(lab, "{\"op\":\"policies\"}");
    list = cJSON_GetObjectItem(answer, "policies");
    assert_int_equal(cJSON_GetArraySize(list), 3);
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "state")),
        "in force");
    assert_int_equal(json_number(cJSON_GetArrayItem(list, 0), "line"), 2);
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 1), "state")), "expired");
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 2), "state")), "refused");
    cJSON_Delete(answer);
}

/* ---- socket --------------------------------------------------------------------------------- */

struct hostile {
    const char *message;
    const char *error;
};

static const struct hostile hostile[] = {
    {"[]", "not a JSON object"},
    {"{", "not a JSON object"},
    {"{}", "op must be a text"},
    {"{\"op\":1}", "op must be a text"},
    {"{\"op\":\"nonsense\\n\"}", "unknown op"},
    {"{\"op\":\"added\"}", "ifindex must be"},
    {"{\"op\":\"added\",\"ifindex\":\"7\",\"containerId\":\"c\",\"ifname\":\"eth0\"}",
     "ifindex must be"},
    {"{\"op\":\"added\",\"ifindex\":-1,\"containerId\":\"c\",\"ifname\":\"eth0\"}",
     "ifindex must be"},
    {"{\"op\":\"added\",\"ifindex\":1e300,\"containerId\":\"c\",\"ifname\":\"eth0\"}",
     "ifindex must be"},
    {"{\"op\":\"added\",\"ifindex\":7,\"ifname\":\"eth0\"}", "containerId must be"},
    {"{\"op\":\"added\",\"ifindex\":7,\"containerId\":\"c\",\"ifname\":\"sixteen-and-more\"}",
     "ifname must be"},
    {"{\"op\":\"added\",\"ifindex\":4000000,\"containerId\":\"c\",\"ifname\":\"eth0\","
     "\"wait\":true}",
     "no such endpoint"},
};

static void test_hostile_messages(void **state)
{
    struct daemon_lab *lab = *state;

    daemon_start(lab, NULL);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(hostile); i++) {
        FENCE_CLOSE int fd = daemon_connect(lab);
        cJSON *answer = NULL;

        print_message("%s\n", hostile[i].message);
        assert_int_equal(daemon_tell(fd, hostile[i].message), 0);
        assert_int_equal(fence_api_receive(fd, 5000, &answer, NULL), 0);
        assert_int_equal(json_number(answer, "ok"), 0);
        assert_non_null(
            strstr(cJSON_GetStringValue(cJSON_GetObjectItem(answer, "error")), hostile[i].error));
        cJSON_Delete(answer);
    }
    daemon_expect(lab, "ready", 1);
}

/* After a message that breaks the form nothing more is heard, and the error still arrives. */
static void test_bad_message_ends_the_connection(void **state)
{
    struct daemon_lab *lab = *state;
    FENCE_CLOSE int fd = -1;
    cJSON *answer = NULL;

    daemon_start(lab, NULL);
    fd = daemon_connect(lab);
    assert_int_equal(daemon_tell(fd, "{"), 0);
    for (int i = 0; i < 10; i++)
        (void)daemon_tell(fd, "{\"op\":\"status\"}");
    assert_int_equal(fence_api_receive(fd, 5000, &answer, NULL), 0);
    assert_int_equal(json_number(answer, "ok"), 0);
    cJSON_Delete(answer);
    answer = NULL;
    assert_int_equal(fence_api_receive(fd, 5000, &answer, NULL), -ECONNRESET);
}

static void test_client_that_does_not_read(void **state)
{
    struct daemon_lab *lab = *state;
    FENCE_CLOSE int deaf = -1;
    int sent = 0;

    daemon_start(lab, NULL);
    deaf = daemon_connect(lab);
    while (sent < 100000 && daemon_tell(deaf, "{\"op\":\"status\"}") == 0)
        sent++;
    assert_true(sent > 0);
    daemon_expect(lab, "ready", 1);
    /* the daemon lets go of it: then sending fails otherwise than by a full buffer */
    for (int i = 0; i < 1000; i++) {
        int result = daemon_tell(deaf, "{\"op\":\"status\"}");

        if (result == -EPIPE || result == -ECONNRESET)
            return;
        sleep_ms(20);
    }
    fail_msg("a client that does not read was kept");
}

static void test_others_are_refused(void **state)
{
    struct daemon_lab *lab = *state;
    char run[128];
    int status;
    pid_t pid;

    daemon_start(lab, NULL);
    /* open the doors of the file system: the peer's credentials still count, and he is told */
    snprintf(run, sizeof(run), "%s/run", lab->root);
    assert_int_equal(chmod(lab->root, 0755), 0);
    assert_int_equal(chmod(run, 0755), 0);
    assert_int_equal(chmod(lab->socket, 0666), 0);
    pid = fork();
    if (pid == 0) {
        cJSON *answer = NULL;
        int fd;

        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(10);
        fd = fence_api_connect(lab->socket, NULL);
        if (fd < 0)
            _exit(11);
        (void)daemon_tell(fd, "{\"op\":\"status\"}");
        if (fence_api_receive(fd, 5000, &answer, NULL) < 0 ||
            !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(answer, "ok")))
            _exit(12);
        _exit(fence_api_receive(fd, 5000, &answer, NULL) == -ECONNRESET ? 0 : 13);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    daemon_expect(lab, "ready", 1);
}

/* More than fits one message. */
static void test_large_answer(void **state)
{
    struct daemon_lab *lab = *state;
    const size_t size = 1 << 20;
    FENCE_FREE char *text = malloc(size);
    size_t used = 0;
    cJSON *status;

    assert_non_null(text);
    for (int i = 0; i < 2000; i++)
        used += (size_t)snprintf(text + used, size - used,
                                 "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
                                 "metadata: { name: p%d, namespace: shop }\n"
                                 "spec: { podSelector: {}, ingress: [ { ports: "
                                 "[ { port: 70000 } ] } ] }\n",
                                 i);
    daemon_write(lab, "many.yaml", text);
    daemon_start(lab, NULL);
    daemon_expect(lab, "problems", 2000);
    status = daemon_status(lab);
    assert_int_equal(json_number(status, "more"), -1);
    assert_int_equal(json_number(status, "ready"), 0);
    cJSON_Delete(status);
}

static void test_many_clients(void **state)
{
    struct daemon_lab *lab = *state;
    int clients[400];
    size_t count = 0;

    daemon_start(lab, NULL);
    while (count < FENCE_ARRAY_SIZE(clients)) {
        int fd = fence_api_connect(lab->socket, NULL);

        if (fd >= 0)
            clients[count++] = fd;
        else
            sleep_ms(5);
    }
    while (count)
        close(clients[--count]);
    daemon_expect(lab, "ready", 1);
}

int main(void)
{
#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, daemon_lab_setup, daemon_lab_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_help_and_version),
        TEST(test_not_on_bpffs),
        TEST(test_second_is_refused),
        TEST(test_ends_by_signal),
        TEST(test_restart_writes_nothing),
        TEST(test_missing_folder_applies_nothing),
        TEST(test_folder_goes_away),
        TEST(test_changes_are_followed),
        TEST(test_broken_file_is_shown),
        TEST(test_last_good_outlives_the_daemon),
        TEST(test_policies),
        TEST(test_hostile_messages),
        TEST(test_bad_message_ends_the_connection),
        TEST(test_client_that_does_not_read),
        TEST(test_others_are_refused),
        TEST(test_large_answer),
        TEST(test_many_clients),
    };

    if (!daemon_lab_enter())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
