/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden files: test/cni/golden/README.md. One file is one call of the plugin: environment,
 * standard input, exit status, standard output, standard error. @TMP@ stands for an empty folder,
 * @VERSION@ for podfence's own, @LAYOUT@ for its pinned layout.
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
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/cni/run.h"
#include "test/layout.h"

#define FOLDER   FENCE_SOURCE_DIR "/test/cni/golden"
#define CASE_MAX (1u << 20)
#define VARS_MAX 32

enum section { ENV, INPUT, STATUS, OUTPUT, LOG, SECTIONS };

static const char *const titles[SECTIONS] = {
    [ENV] = "== env\n",       [INPUT] = "== stdin\n", [STATUS] = "== exit\n",
    [OUTPUT] = "== stdout\n", [LOG] = "== stderr\n",
};

static char folder[] = "/tmp/podfence-golden-XXXXXX";

/* What stands behind the title; the title itself ends what stands before it. */
static char *cut(char *text, const char *title)
{
    char *found = strstr(text, title);

    if (!found) {
        fprintf(stderr, "no %s", title);
        abort();
    }
    *found = '\0';
    return found + strlen(title);
}

static void split(char *text, char *sections[SECTIONS])
{
    for (int i = 0; i < SECTIONS; i++)
        text = sections[i] = cut(text, titles[i]);
}

static void split_env(char *text, const char *vars[VARS_MAX])
{
    size_t count = 0;
    char *line;

    while ((line = strsep(&text, "\n")) && count + 1 < VARS_MAX)
        if (*line)
            vars[count++] = line;
    vars[count] = NULL;
}

static void plays_a_case(void **state)
{
    FENCE_FREE char *raw = NULL;
    FENCE_FREE char *versioned = NULL;
    FENCE_FREE char *laid_out = NULL;
    FENCE_FREE char *text = NULL;
    char *sections[SECTIONS] = {NULL};
    const char *vars[VARS_MAX];
    struct run_result result;
    struct fence_err err;
    size_t size;

    if (fence_file_read(AT_FDCWD, *state, CASE_MAX, &raw, &size, &err) < 0)
        fail_msg("%s", err.text);
    versioned = run_replace(raw, "@VERSION@", FENCE_VERSION);
    laid_out = run_replace(versioned, "@LAYOUT@", LAYOUT_TEXT);
    text = run_replace(laid_out, "@TMP@", folder);
    split(text, sections);
    split_env(sections[ENV], vars);
    result = run_plugin(vars, sections[INPUT], strlen(sections[INPUT]), NULL);
    if (result.status != atoi(sections[STATUS]))
        fail_msg("exit status %d\n%s%s", result.status, result.out, result.err);
    assert_string_equal(result.out, sections[OUTPUT]);
    assert_string_equal(result.err, sections[LOG]);
    run_result_done(&result);
}

static int is_case(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot && strcmp(dot, ".case") == 0;
}

int main(void)
{
    struct CMUnitTest *tests;
    struct dirent **entries;
    int count = scandir(FOLDER, &entries, is_case, alphasort);
    int failed;

    if (count <= 0 || !mkdtemp(folder)) {
        perror(FOLDER);
        return 1;
    }
    tests = calloc((size_t)count, sizeof(*tests));
    for (int i = 0; tests && i < count; i++) {
        char *path = NULL;

        if (asprintf(&path, "%s/%s", FOLDER, entries[i]->d_name) < 0)
            abort();
        tests[i] = (struct CMUnitTest){
            .name = entries[i]->d_name, .test_func = plays_a_case, .initial_state = path};
    }
    failed = _cmocka_run_group_tests("golden", tests, (size_t)count, NULL, NULL);
    for (int i = 0; tests && i < count; i++) {
        free(tests[i].initial_state);
        free(entries[i]);
    }
    free(tests);
    free(entries);
    /* not empty: something was written that should not have been */
    if (rmdir(folder) < 0) {
        perror(folder);
        return 1;
    }
    return failed;
}
