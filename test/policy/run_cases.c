/* SPDX-License-Identifier: Apache-2.0 */
/* Reachability files through every leg: run-cases --help. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/policy/cases.h"
#include "test/policy/live.h"

#define CASE_MAX_BYTES (64u << 20)
#define SHARED         FENCE_SOURCE_DIR "/../shared/cases"
#define OWN            FENCE_SOURCE_DIR "/test/cases"
#define EXIT_SKIPPED   77

static const char help[] =
    "Usage: run-cases [--no-kernel] [FOLDER|FILE...]\n"
    "\n"
    "Ask every line of the reachability files (*.json; their form: test/cases/README.md) of the\n"
    "evaluator, of the compiled plan, and of the kernel, and compare the answers with the file "
    "and\n"
    "with each other: verdict, shadow verdict, reason, policy and rule of each side.\n"
    "\n"
    "The kernel: one live compiler and data path for each node follow from file to file, so each\n"
    "file is also a step of a sequence, forwards and then backwards; after each the maps are\n"
    "compared with those of a fresh compile. Needs root.\n"
    "\n"
    "Without arguments: test/cases and ../shared/cases, which must be there when CI=true.\n"
    "\n"
    "  --no-kernel   leave out the kernel\n"
    "\n"
    "Exit: 0 all as expected, 1 not, 77 a folder is missing or a right.\n";

struct tally {
    size_t files;
    size_t lines;
    size_t failures;
    bool kernel;
    struct live live;
    struct case_file previous; /* what the live ones have followed to */
};

static void fail(struct tally *tally, const char *path, const char *what, const char *why)
{
    tally->failures++;
    printf("FAIL %s: %s: %s\n", path, what, why);
}

static void run_line(const struct case_file *file, const char *path, const cJSON *line,
                     struct tally *tally)
{
    size_t before = tally->lines;

    for (int family = 4; family <= 6; family += 2) {
        FENCE_FREE char *text = NULL;
        struct fence_err err = {0};

        if (!case_has_family(file, line, family))
            continue;
        tally->lines++;
        if (case_check(file, line, family, &err) > 0)
            continue;
        text = cJSON_PrintUnformatted(line);
        fail(tally, path, text ? text : "a line", err.text);
    }
    if (tally->lines == before)
        fail(tally, path, "expect", "a line holds for no family");
}

static void run_lines(const struct case_file *file, const char *path, struct tally *tally)
{
    const cJSON *line;

    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(file->json, "expect"))
        run_line(file, path, line, tally);
}

/* The objects of the file before live until the reconcilers have left them. */
static void keep_alive(struct tally *tally, struct case_file *file)
{
    case_done(&tally->previous);
    tally->previous = *file;
    *file = (struct case_file){0};
}

/* ---- files ----------------------------------------------------------------------------------- */

static void run_text(const char *path, const char *text, struct tally *tally)
{
    cJSON *json = cJSON_Parse(text);
    bool reachability = cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, "expect"));
    struct case_file file = {0};
    struct fence_err err = {0};

    cJSON_Delete(json);
    if (json && !reachability)
        return;
    tally->files++;
    if (case_load(&file, text, &err) < 0)
        fail(tally, path, "cannot be set up", err.text);
    else if (tally->kernel && live_follow(&tally->live, &file, &err) < 0)
        fail(tally, path, "the live maps", err.text);
    else
        run_lines(&file, path, tally);
    if (tally->kernel)
        keep_alive(tally, &file);
    case_done(&file);
}

static void run_file(const char *path, struct tally *tally)
{
    FENCE_FREE char *text = NULL;
    struct fence_err err = {0};
    size_t size;

    if (fence_file_read(AT_FDCWD, path, CASE_MAX_BYTES, &text, &size, &err) < 0)
        fail(tally, path, "cannot be read", err.text);
    else
        run_text(path, text, tally);
}

/* ---- folders --------------------------------------------------------------------------------- */

struct paths {
    char **items;
    size_t count;
    size_t capacity;
};

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_path(struct paths *paths, const char *path)
{
    if (fence_array_grow((void **)&paths->items, &paths->capacity, paths->count, sizeof(char *)) <
        0)
        return -ENOMEM;
    paths->items[paths->count] = strdup(path);
    return paths->items[paths->count++] ? 0 : -ENOMEM;
}

static int find_files(char *const *folders, struct paths *paths, struct tally *tally)
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
                 entry->fts_info == FTS_DNR)
            fail(tally, entry->fts_path, "cannot be read", strerror(entry->fts_errno));
    }
    fts_close(tree);
    return r;
}

/* In the order of names, in which the steps of a sequence follow each other; with the kernel
 * backwards too: every step undone. */
static int walk(char *const *folders, struct tally *tally)
{
    struct paths paths = {0};
    int r = find_files(folders, &paths, tally);

    for (size_t i = 0; r == 0 && i < paths.count; i++)
        run_file(paths.items[i], tally);
    for (size_t i = paths.count; r == 0 && tally->kernel && i > 0; i--)
        run_file(paths.items[i - 1], tally);
    for (size_t i = 0; i < paths.count; i++)
        free(paths.items[i]);
    free(paths.items);
    return r;
}

static bool in_ci(void)
{
    const char *ci = getenv("CI");

    return ci && strcmp(ci, "true") == 0;
}

static int report(struct tally *tally)
{
    printf("%zu files, %zu lines, %zu failures", tally->files, tally->lines, tally->failures);
    if (tally->kernel)
        printf(", %zu steps of live maps", tally->live.steps);
    printf("\n");
    live_done(&tally->live);
    case_done(&tally->previous);
    return tally->failures || !tally->lines ? 1 : 0;
}

static int run(char *const *folders, struct tally *tally)
{
    struct fence_err err = {0};

    if (tally->kernel && reconciler_setup(&err) < 0) {
        fprintf(stderr, "run-cases: %s\n", err.text);
        return 1;
    }
    if (walk(folders, tally) < 0) {
        fprintf(stderr, "run-cases: the folders cannot be walked\n");
        return 1;
    }
    return report(tally);
}

int main(int argc, char **argv)
{
    static char own[] = OWN;
    static char shared[] = SHARED;
    char *defaults[] = {own, shared, NULL};
    struct tally tally = {.kernel = true};
    int first = 1;
    int result;

    for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
        if (strcmp(argv[first], "--no-kernel") != 0) {
            fputs(help, strcmp(argv[first], "--help") == 0 ? stdout : stderr);
            return strcmp(argv[first], "--help") == 0 ? 0 : 2;
        }
        tally.kernel = false;
    }
    if (argc > first)
        return run(argv + first, &tally);
    if (access(shared, R_OK) == 0)
        return run(defaults, &tally);
    defaults[1] = NULL;
    result = run(defaults, &tally);
    printf("%s is not there: only the project's own cases were run\n", SHARED);
    return result || in_ci() ? 1 : EXIT_SKIPPED;
}
