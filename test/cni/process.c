/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin as a process: large and hostile input, closed and stuck streams, tight limits. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "test/cni/run.h"

#define PATHS "\"bpffs\":\"/nonexistent/bpf\",\"socket\":\"/nonexistent/run/podfenced.sock\""
#define ENTRY                                                                                      \
    "{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"type\":\"podfence\"," PATHS ",\"prevResult\":{}" \
    "}"
#define OTHERS "CNI_CONTAINERID=c1", "CNI_NETNS=/nonexistent/netns", "CNI_IFNAME=eth0", "CNI_PATH=/"

static const char *const add[] = {"CNI_COMMAND=ADD", OTHERS, NULL};
static const char *const del[] = {"CNI_COMMAND=DEL", OTHERS, NULL};
static const char *const version[] = {"CNI_COMMAND=VERSION", NULL};

#define FAST_MS     1000u /* generous: the sanitized build is slow to start */
#define WATCHDOG_MS 5000u

static void expect(const char *const *environment, const char *input, size_t size, int status,
                   const char *out)
{
    struct run_result result = run_plugin(environment, input, size, NULL);

    if (result.status != status || (*out ? !strstr(result.out, out) : result.out[0] != '\0'))
        fail_msg("status %d\n%s%s", result.status, result.out, result.err);
    run_result_done(&result);
}

/* An entry with a value of `size` times `c`. */
static char *filled(size_t size, const char *before, char c, const char *after)
{
    size_t head = strlen(before), tail = strlen(after);
    char *text = malloc(head + size + tail + 1);

    if (!text)
        abort();
    memcpy(text, before, head);
    memset(text + head, c, size);
    memcpy(text + head + size, after, tail);
    text[head + size + tail] = '\0';
    return text;
}

static const struct {
    const char *title;
    size_t size;
    const char *before;
    char c;
    const char *after;
    const char *code; /* what ADD says; DEL always succeeds */
} inputs[] = {
    {"1 MiB is fine", 1 << 20, "{\"cniVersion\":\"1.1.0\",\"name\":\"net\"," PATHS ",\"x\":\"", 'x',
     "\",\"prevResult\":{}}", "\"code\":8"},
    {"more than 16 MiB", (16 << 20) + 1, "{\"x\":\"", 'x', "\"}", "\"code\":5"},
    {"deep nesting", 1 << 20, "{\"x\":", '[', "", "\"code\":6"},
    {"deep nesting of objects in a result", 999, "{\"prevResult\":", '[', "", "\"code\":6"},
    {"blanks", 1 << 20, "", ' ', "", "\"code\":6"},
    {"backslashes", (1 << 20) + 1, "{\"x\":\"", '\\', "\"}", "\"code\":6"},
    {"NUL bytes", 100, "{}", '\0', "", "\"code\":6"},
    {"not UTF-8", 100, "{\"name\":\"", '\xff', "\"}", "\"code\":7"},
};

static void bears_hostile_input(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(inputs); i++) {
        FENCE_FREE char *text =
            filled(inputs[i].size, inputs[i].before, inputs[i].c, inputs[i].after);
        size_t size = strlen(inputs[i].before) + inputs[i].size + strlen(inputs[i].after);

        print_message("%s\n", inputs[i].title);
        expect(add, text, size, 1, inputs[i].code);
        expect(del, text, size, 0, "");
    }
}

/* Every beginning of a good entry is an error, and none of them a crash. */
static void bears_truncated_input(void **state)
{
    (void)state;
    for (size_t size = 0; size < strlen(ENTRY); size += 7)
        expect(add, ENTRY, size, 1, "\"code\":6");
    expect(add, ENTRY, strlen(ENTRY), 1, "\"code\":8");
}

static void expect_in(void (*setup)(void), const char *const *environment, int status,
                      const char *out)
{
    struct run_result result = run_plugin(environment, ENTRY, strlen(ENTRY), setup);

    if (result.status != status || (*out ? !strstr(result.out, out) : result.out[0] != '\0') ||
        result.ms > FAST_MS)
        fail_msg("status %d after %u ms\n%s%s", result.status, result.ms, result.out, result.err);
    run_result_done(&result);
}

static void close_input(void)
{
    close(STDIN_FILENO);
}

static void close_output(void)
{
    close(STDOUT_FILENO);
}

static void close_all(void)
{
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
}

static void break_output(void)
{
    int ends[2];

    if (pipe(ends) < 0 || dup2(ends[1], STDOUT_FILENO) < 0)
        _exit(126);
    close(ends[0]);
    close(ends[1]);
}

static void stop_log(void)
{
    static const char page[4096];
    int ends[2];

    if (pipe2(ends, O_NONBLOCK) < 0)
        _exit(126);
    while (write(ends[1], page, sizeof(page)) > 0)
        ;
    if (fcntl(ends[1], F_SETFL, 0) < 0 || dup2(ends[1], STDERR_FILENO) < 0)
        _exit(126);
}

static void hang_input(void)
{
    int ends[2];

    /* the write end stays open in the plugin itself, so there is never an end */
    if (pipe(ends) < 0 || dup2(ends[0], STDIN_FILENO) < 0)
        _exit(126);
}

static void tighten(void)
{
    const struct rlimit files = {16, 16};
    char folder[] = "/tmp/podfence-gone-XXXXXX";

    umask(0777);
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || !mkdtemp(folder) || chdir(folder) < 0 ||
        rmdir(folder) < 0)
        _exit(126);
}

static void bears_closed_streams(void **state)
{
    (void)state;
    expect_in(close_input, add, 1, "\"code\":6");
    expect_in(close_input, del, 0, "");
    expect_in(close_input, version, 0, "supportedVersions");
    expect_in(close_all, del, 0, "");
    expect_in(break_output, version, 1, "");
    expect_in(break_output, del, 0, "");
    /* descriptor 1 is free then, and must not be taken by something that gets written to */
    expect_in(close_output, version, 0, "");
}

static void bears_a_stuck_log(void **state)
{
    (void)state;
    expect_in(stop_log, add, 1, "\"code\":8");
    expect_in(stop_log, del, 0, "");
}

static void bears_tight_limits(void **state)
{
    (void)state;
    expect_in(tighten, add, 1, "\"code\":8");
    expect_in(tighten, del, 0, "");
    expect_in(tighten, version, 0, "supportedVersions");
}

static void gives_up_in_time(void **state)
{
    const struct {
        const char *const *environment;
        int status;
        const char *out;
    } calls[] = {{add, 1, "\"code\":11"}, {del, 0, NULL}};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(calls); i++) {
        struct run_result result = run_plugin(calls[i].environment, "", 0, hang_input);

        assert_int_equal(result.status, calls[i].status);
        assert_true(result.ms < WATCHDOG_MS);
        if (calls[i].out)
            assert_non_null(strstr(result.out, calls[i].out));
        else
            assert_string_equal(result.out, "");
        run_result_done(&result);
    }
}

static void is_fast(void **state)
{
    struct run_result result = run_plugin(version, "", 0, NULL);

    (void)state;
    assert_int_equal(result.status, 0);
    assert_true(result.ms < FAST_MS);
    run_result_done(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bears_hostile_input),
        cmocka_unit_test(bears_truncated_input),
        cmocka_unit_test(bears_closed_streams),
        cmocka_unit_test(bears_a_stuck_log),
        cmocka_unit_test(bears_tight_limits),
        cmocka_unit_test(gives_up_in_time),
        cmocka_unit_test(is_fast),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
