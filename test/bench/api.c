/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/api.h"

#include <errno.h>
#include <glob.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/live.h"
#include "lib/objects/object.h"

/* What a line says that it is. */
static const struct fence_object_kind *kind_of(const char *line)
{
    static const char mark[] = "\"kind\":\"";
    const char *at = strstr(line, mark);

    if (!at)
        return NULL;
    at += strlen(mark);
    return fence_object_kind_find(NULL, at, strcspn(at, "\""));
}

/* Each object has a line, with a comma behind it but for the last. */
static int read_file(struct fence_live *live, const char *path, struct fence_err *err)
{
    FENCE_FCLOSE FILE *file = fopen(path, "r");
    FENCE_FREE char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int r = 0;

    if (!file)
        return fence_err_set(err, -errno, "%s: %s", path, strerror(errno));
    while (r >= 0 && (size = getline(&line, &capacity, file)) > 0) {
        const struct fence_object_kind *kind = kind_of(line);

        while (size && strchr(",\n", line[size - 1]))
            line[--size] = '\0';
        if (kind)
            r = fence_live_object(live, fence_object_kind_number(kind), line, (size_t)size, err);
    }
    return r;
}

static int read_all(struct fence_live *live, const char *folder, struct fence_err *err)
{
    char pattern[512];
    glob_t files = {0};
    int r = 0;

    snprintf(pattern, sizeof(pattern), "%s/*.json", folder);
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        fence_live_begin(live, (enum fence_kind)kind);
    if (glob(pattern, 0, NULL, &files) == 0)
        for (size_t i = 0; r >= 0 && i < files.gl_pathc; i++)
            r = read_file(live, files.gl_pathv[i], err);
    globfree(&files);
    for (unsigned int kind = 0; r >= 0 && kind < FENCE_OBJECT_KINDS; kind++)
        r = fence_live_end(live, (enum fence_kind)kind, err);
    return r;
}

int bench_api_read(struct fence_store *store, const char *folder, struct fence_err *err)
{
    struct fence_live *live = NULL;
    int r = fence_live_new(store, 0, "kubernetes", &live, err);

    if (r == 0)
        r = read_all(live, folder, err);
    fence_live_free(&live);
    return r;
}
