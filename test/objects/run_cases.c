/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is accepted and what is refused (cases.h): test-objects-cases [FILE|FOLDER...]. Without
 * arguments the project's own cases beside this file and the collection beside the source tree.
 */
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/objects/cases.h"

#define SHARED       FENCE_SOURCE_DIR "/../shared/cases/validation"
#define OWN          FENCE_SOURCE_DIR "/test/objects/cases"
#define EXIT_SKIPPED 77

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int walk(char *const *paths, struct object_cases *tally)
{
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    const FTSENT *entry;

    if (!tree)
        return -errno;
    while ((entry = fts_read(tree))) {
        if (entry->fts_info == FTS_F) {
            tally->own = strstr(entry->fts_path, SHARED) == NULL;
            object_cases_file(entry->fts_path, tally);
        } else if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP) {
            tally->failures++;
            printf("FAIL %s: cannot be read\n", entry->fts_path);
        }
    }
    fts_close(tree);
    return 0;
}

int main(int argc, char **argv)
{
    static char own[] = OWN;
    static char shared[] = SHARED;
    char *defaults[] = {own, shared, NULL};
    bool skip = argc < 2 && access(shared, R_OK) != 0;
    const char *ci = getenv("CI");
    struct object_cases tally = {0};

    if (skip)
        defaults[1] = NULL;
    if (walk(argc < 2 ? defaults : argv + 1, &tally) < 0) {
        fprintf(stderr, "the folders cannot be walked\n");
        return 1;
    }
    printf("%zu cases, %zu failures\n", tally.cases, tally.failures);
    if (tally.failures || !tally.cases)
        return 1;
    if (!skip)
        return 0;
    printf("%s is not there: only the project's own cases were run\n", SHARED);
    return ci && strcmp(ci, "true") == 0 ? 1 : EXIT_SKIPPED;
}
