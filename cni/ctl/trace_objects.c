/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cni/ctl/files.h"
#include "cni/ctl/text.h"
#include "cni/ctl/trace.h"
#include "lib/base/memory.h"
#include "lib/objects/folder.h"

struct trace_objects {
    struct fence_store *store;
    struct fence_world world;
};

static int put_file(void *context, const char *path, const char *data, size_t size,
                    struct fence_err *err)
{
    struct trace_objects *objects = context;
    struct fence_decoded_list list = {0};
    int r = fence_decode_stream(data, size, &list, err);

    if (r < 0)
        return fence_err_prefix(err, r, "%s", path);
    r = fence_store_put(objects->store, 0, path, &list, err);
    fence_decoded_list_done(&list);
    return r < 0 ? r : 0;
}

/* As the daemon reads it, so that ..data, last dots and conflicts are judged alike. */
static int read_folder(struct trace_objects *objects, const char *path, unsigned int order,
                       struct fence_err *err)
{
    struct fence_folder *folder = NULL;
    int r = fence_folder_new(path, order, NULL, &folder, err);

    if (r < 0)
        return r;
    r = fence_folder_read(folder, objects->store, err);
    if (r >= 0 && !fence_folder_present(folder))
        r = fence_err_set(err, -ENOENT, "the folder %s cannot be read", path);
    fence_folder_free(&folder);
    return r < 0 ? r : 0;
}

static int read_path(struct trace_objects *objects, const char *path, unsigned int order,
                     struct fence_err *err)
{
    const struct ctl_file_visitor visitor = {.visit = put_file, .context = objects};
    struct stat info;

    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return read_folder(objects, path, order, err);
    return ctl_files_visit(path, &visitor, err);
}

static void tell_problems(const struct ctl *ctl, const struct fence_store *store)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(store, &problems);

    for (size_t i = 0; i < count; i++) {
        unsigned int line = problems[i].line;
        const char *text = ctl_split_line(problems[i].text, &line);

        if (!problems[i].warning)
            ctl_fail(ctl, "left out: %s:%u: %s%s%s", problems[i].unit, line, problems[i].id,
                     *problems[i].id ? ": " : "", text);
    }
}

int trace_objects_new(const struct ctl *ctl, const struct ctl_texts *paths,
                      struct trace_objects **ret_objects, struct fence_err *err)
{
    struct trace_objects *objects = calloc(1, sizeof(*objects));
    int r = objects ? fence_store_new(&objects->store) : -ENOMEM;

    if (r < 0)
        fence_err_set(err, r, "out of memory");
    for (size_t i = 0; r == 0 && i < paths->count; i++)
        r = read_path(objects, paths->items[i], (unsigned int)i, err);
    if (r < 0) {
        trace_objects_free(&objects);
        return r;
    }
    tell_problems(ctl, objects->store);
    objects->world.object_count = fence_store_objects(objects->store, &objects->world.objects);
    objects->world.now = time(NULL);
    *ret_objects = objects;
    return 0;
}

void trace_objects_free(struct trace_objects **objects)
{
    if (!*objects)
        return;
    fence_store_free(&(*objects)->store);
    free(*objects);
    *objects = NULL;
}

const struct fence_world *trace_objects_world(const struct trace_objects *objects)
{
    return &objects->world;
}

size_t trace_objects_refused(const struct trace_objects *objects)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(objects->store, &problems), refused = 0;

    for (size_t i = 0; i < count; i++)
        refused += !problems[i].warning;
    return refused;
}

static int ask(void *context, const struct fence_query *query, struct fence_answer *ret_answer,
               struct fence_err *err)
{
    const struct trace_objects *objects = context;

    return fence_evaluate(&objects->world, query, ret_answer, err);
}

struct trace_source trace_objects_source(struct trace_objects *objects)
{
    return (struct trace_source){.ask = ask, .context = objects};
}
