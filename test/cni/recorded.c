/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls recorded from kubelet and containerd, where the folder with them is at hand (it is not part
 * of the tree): our result is what the recording plugin passed on, the arguments are understood,
 * and the built plugin answers each call as it should without a data path.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/cni/args.h"
#include "lib/cni/result.h"
#include "test/cni/run.h"

#define FOLDER     FENCE_SOURCE_DIR "/../shared/fixtures/cni"
#define RECORD_MAX (1u << 20)
#define VARS_MAX   32
#define SKIPPED    77

#define ENVIRONMENT "== environment (all of it)\n"
#define INPUT       "== stdin\n"
#define INDENTED    "== stdin, indented\n"
#define OUTPUT      "== stdout\n"
/* for the plugin, so that it looks at nothing of this host */
#define PATHS       "{\"bpffs\":\"/nonexistent/bpf\",\"socket\":\"/nonexistent/run/podfenced.sock\","

struct call {
    char *text; /* owned; the others point into it */
    const char *vars[VARS_MAX];
    const char *input;
    const char *output;
};

static char *cut(char *text, const char *title)
{
    char *found = strstr(text, title);

    if (!found) {
        fail_msg("no %s", title);
        return NULL;
    }
    *found = '\0';
    return found + strlen(title);
}

static void load(const char *path, struct call *call)
{
    struct fence_err err;
    size_t size, count = 0;
    char *lines, *line, *input, *rest;

    if (fence_file_read(AT_FDCWD, path, RECORD_MAX, &call->text, &size, &err) < 0)
        fail_msg("%s", err.text);
    lines = cut(call->text, ENVIRONMENT);
    input = cut(lines, INPUT);
    rest = cut(input, INDENTED);
    /* only a call that was granted has one */
    call->output = strstr(rest, OUTPUT) ? cut(rest, OUTPUT) : NULL;
    call->input = input;
    while ((line = strsep(&lines, "\n")) && count + 1 < VARS_MAX)
        if (*line)
            call->vars[count++] = line;
    call->vars[count] = NULL;
}

static const char *var(const struct call *call, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; call->vars[i]; i++)
        if (strncmp(call->vars[i], name, length) == 0 && call->vars[i][length] == '=')
            return call->vars[i] + length + 1;
    return "";
}

static void check_echo(const struct call *call, const struct fence_netconf *conf)
{
    FENCE_FREE char *text = fence_cni_result_text(conf);
    cJSON *ours = cJSON_Parse(text);
    cJSON *recorded = cJSON_Parse(call->output);

    assert_non_null(ours);
    assert_non_null(recorded);
    assert_true(cJSON_Compare(ours, recorded, true));
    cJSON_Delete(ours);
    cJSON_Delete(recorded);
}

static void understands(void **state)
{
    struct call call = {0};
    struct fence_cni_error error = {0};
    struct fence_cni_result result = {0};
    struct fence_cni_args args = {0};
    struct fence_netconf conf;

    load(*state, &call);
    assert_int_equal(fence_cni_args_parse(var(&call, "CNI_ARGS"), &args, &error), 0);
    assert_string_equal(args.namespace_name, "demo");
    assert_true(args.pod[0] && args.uid[0]);
    if (fence_netconf_load(call.input, strlen(call.input), &conf, &error) < 0 ||
        fence_netconf_settings(&conf, &error) < 0)
        fail_msg("%s", error.msg.text);
    assert_string_equal(conf.name, "cbr0");
    if (strcmp(var(&call, "CNI_COMMAND"), "ADD") == 0) {
        assert_int_equal(fence_cni_result_read(&conf, var(&call, "CNI_IFNAME"), &result, &error),
                         0);
        assert_true(result.addr_count >= 1);
        assert_string_equal(result.sandbox, var(&call, "CNI_NETNS"));
        if (call.output) /* some calls were refused on purpose */
            check_echo(&call, &conf);
    }
    fence_netconf_done(&conf);
    free(call.text);
}

static void answers(void **state)
{
    FENCE_FREE char *input = NULL;
    struct call call = {0};
    struct run_result result;
    bool adds;

    load(*state, &call);
    adds = strcmp(var(&call, "CNI_COMMAND"), "ADD") == 0;
    if (asprintf(&input, PATHS "%s", strchr(call.input, '{') + 1) < 0)
        fail_msg("out of memory");
    result = run_plugin(call.vars, input, strlen(input), NULL);
    if (adds ? result.status != 1 || !strstr(result.out, "\"code\":8")
             : result.status != 0 || result.out[0])
        fail_msg("status %d\n%s%s", result.status, result.out, result.err);
    run_result_done(&result);
    free(call.text);
}

/* ---- one test a file and question ----------------------------------------------------------- */

static struct CMUnitTest *tests;
static size_t count, capacity;

static int is_record(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot && strcmp(dot, ".txt") == 0;
}

static void add_test(const char *path, void (*function)(void **state))
{
    char *name = strdup(path);

    if (!name || FENCE_GROW(tests, capacity, count) < 0)
        abort();
    tests[count++] = (struct CMUnitTest){
        .name = strrchr(name, '/') + 1, .test_func = function, .initial_state = name};
}

static void add_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int found = scandir(folder, &entries, is_record, alphasort);
    char path[4096];

    for (int i = 0; i < found; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        add_test(path, understands);
        add_test(path, answers);
        free(entries[i]);
    }
    free(entries);
}

int main(void)
{
    const char *ci = getenv("CI");
    int failed;

    add_folder(FOLDER);
    add_folder(FOLDER "/dual-and-refused");
    if (!count) {
        fprintf(stderr, "no recorded calls in %s\n", FOLDER);
        return ci && strcmp(ci, "true") == 0 ? 1 : SKIPPED;
    }
    failed = _cmocka_run_group_tests("recorded", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        free(tests[i].initial_state);
    free(tests);
    return failed;
}
