/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reachability files: test-policy-cases [FOLDER...], folders are walked. Without arguments the
 * project's own in test/cases and the collection beside the source tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/policy/cases.h"

#define CASE_MAX_BYTES (64u << 20)
#define SHARED         FENCE_SOURCE_DIR "/../shared/cases"
#define OWN            FENCE_SOURCE_DIR "/test/cases"
#define EXIT_SKIPPED   77

struct tally {
    size_t files;
    size_t lines;
    size_t failures;
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
    else
        run_lines(&file, path, tally);
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

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int walk(char *const *folders, struct tally *tally)
{
    FTS *tree = fts_open(folders, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    FTSENT *entry;

    if (!tree)
        return -errno;
    while ((entry = fts_read(tree))) {
        const char *dot = strrchr(entry->fts_name, '.');

        if (entry->fts_info == FTS_F && dot && strcmp(dot, ".json") == 0)
            run_file(entry->fts_path, tally);
        else if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS ||
                 entry->fts_info == FTS_DNR)
            fail(tally, entry->fts_path, "cannot be read", strerror(entry->fts_errno));
    }
    fts_close(tree);
    return 0;
}

static bool in_ci(void)
{
    const char *ci = getenv("CI");

    return ci && strcmp(ci, "true") == 0;
}

int main(int argc, char **argv)
{
    static char own[] = OWN;
    static char shared[] = SHARED;
    char *defaults[] = {own, shared, NULL};
    bool skip = argc < 2 && access(shared, R_OK) != 0;
    struct tally tally = {0};

    if (skip)
        defaults[1] = NULL;
    if (walk(argc < 2 ? defaults : argv + 1, &tally) < 0) {
        fprintf(stderr, "the folders cannot be walked\n");
        return 1;
    }
    printf("%zu files, %zu lines, %zu failures\n", tally.files, tally.lines, tally.failures);
    if (tally.failures || !tally.lines)
        return 1;
    if (!skip)
        return 0;
    printf("%s is not there: only the project's own cases were run\n", SHARED);
    return in_ci() ? 1 : EXIT_SKIPPED;
}
