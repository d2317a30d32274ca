/* SPDX-License-Identifier: Apache-2.0 */
/* Files of cases through every leg: run-cases --help. */
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "test/policy/runner.h"

#define SHARED       FENCE_SOURCE_DIR "/../shared/cases"
#define OWN          FENCE_SOURCE_DIR "/test/cases"
#define EXIT_SKIPPED 77

static const char help[] =
    "Usage: run-cases [--no-kernel] [FOLDER|FILE...]\n"
    "\n"
    "Run files of cases (*.json; forms: test/cases/README.md). Of a file with\n"
    "  expect   each line is asked, for each family, of a naive evaluator, of the evaluator,\n"
    "           of the compiled plan, and of the kernel by a test run of its probe programs;\n"
    "           their answers are compared with the file and with each other: verdict, shadow\n"
    "           verdict, reason, policy and rule of each side\n"
    "  packets  each packet passes through the entry programs of the pod's hooks, in order\n"
    "  valid    the object is accepted or refused\n"
    "\n"
    "The kernel: one live compiler and data path for each node follow from file to file, so each\n"
    "file is also a step of a sequence, forwards and then backwards; after each step the maps are\n"
    "compared with those of a fresh compile. Needs root.\n"
    "\n"
    "Without arguments: test/cases and ../shared/cases, which must be there when CI=true.\n"
    "\n"
    "  --no-kernel   leave out the kernel and the packets\n"
    "\n"
    "A failure is printed with file, line and all answers; of each side \"verdict/shadow (reason,\n"
    "policy rule)\". GAP: a file that asks for what podfence does not do yet.\n"
    "\n"
    "Exit: 0 all as expected, 1 not, 2 usage, 77 as expected but not all could be run.\n"
    "\n"
    "Examples:\n"
    "  run-cases ../shared/cases/networkpolicy\n"
    "  run-cases --no-kernel test/cases/seg-04-audit.json\n";

/* ---- folders --------------------------------------------------------------------------------- */

struct paths {
    char **items;
    size_t count;
    size_t capacity;
};

/* step10 comes behind step9 */
static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strverscmp((*a)->fts_name, (*b)->fts_name);
}

static int add_path(struct paths *paths, const char *path)
{
    if (fence_array_grow((void **)&paths->items, &paths->capacity, paths->count, sizeof(char *)) <
        0)
        return -ENOMEM;
    paths->items[paths->count] = strdup(path);
    return paths->items[paths->count++] ? 0 : -ENOMEM;
}

static int find_files(char *const *folders, struct paths *paths, struct runner *runner)
{
    FTS *tree = fts_open(folders, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    FTSENT *entry;
    int r = 0;

    if (!tree)
        return -errno;
    while (r == 0 && (entry = fts_read(tree))) {
        const char *dot = strrchr(entry->fts_name, '.');

        if (entry->fts_info == FTS_F && dot && strcmp(dot, ".json") == 0)
            r = add_path(paths, entry->fts_path);
        else if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS ||
                 entry->fts_info == FTS_DNR) {
            runner->path = entry->fts_path;
            runner_fail(runner, RUNNER_UNREADABLE, "cannot be read", strerror(entry->fts_errno));
        }
    }
    fts_close(tree);
    return r;
}

/* In the order of names, in which the steps of a sequence follow each other; with the kernel
 * backwards too: every step undone. */
static int walk(char *const *folders, struct runner *runner)
{
    struct paths paths = {0};
    int r = find_files(folders, &paths, runner);

    for (size_t i = 0; r == 0 && i < paths.count; i++)
        runner_file(runner, paths.items[i]);
    runner->backwards = true;
    for (size_t i = paths.count; r == 0 && runner->kernel && i > 0; i--)
        runner_file(runner, paths.items[i - 1]);
    for (size_t i = 0; i < paths.count; i++)
        free(paths.items[i]);
    free(paths.items);
    return r;
}

/* 0, 1 or EXIT_SKIPPED. */
static int run(char *const *folders, struct runner *runner)
{
    struct fence_err err = {0};
    bool skipped = runner->kernel && geteuid() != 0;
    bool passed;

    if (skipped)
        runner->kernel = false;
    if (runner->kernel && reconciler_setup(&err) < 0) {
        fprintf(stderr, "run-cases: %s\n", err.text);
        return 1;
    }
    if (walk(folders, runner) < 0) {
        fprintf(stderr, "run-cases: the folders cannot be walked\n");
        return 1;
    }
    passed = runner_report(runner);
    if (runner->kernel)
        printf("%zu steps of live maps\n", runner->live.steps);
    runner_done(runner);
    if (skipped)
        printf("not root: the kernel was not asked\n");
    return !passed ? 1 : skipped ? EXIT_SKIPPED : 0;
}

static int run_defaults(struct runner *runner)
{
    static char own[] = OWN;
    static char shared[] = SHARED;
    char *folders[] = {own, shared, NULL};
    int result;

    if (access(shared, R_OK) == 0)
        return run(folders, runner);
    folders[1] = NULL;
    result = run(folders, runner);
    printf("%s is not there: only the project's own cases were run\n", SHARED);
    return result ? result : EXIT_SKIPPED;
}

static bool in_ci(void)
{
    const char *ci = getenv("CI");

    return ci && strcmp(ci, "true") == 0;
}

int main(int argc, char **argv)
{
    struct runner runner = {.kernel = true};
    int first = 1;
    int result;

    for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
        if (strcmp(argv[first], "--no-kernel") != 0) {
            fputs(help, strcmp(argv[first], "--help") == 0 ? stdout : stderr);
            return strcmp(argv[first], "--help") == 0 ? 0 : 2;
        }
        runner.kernel = false;
    }
    result = argc > first ? run(argv + first, &runner) : run_defaults(&runner);
    return result == EXIT_SKIPPED && in_ci() ? 1 : result;
}
