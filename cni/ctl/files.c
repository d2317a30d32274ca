/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"

static int visit_stream(const struct ctl_file_visitor *visitor, struct fence_err *err)
{
    FENCE_FREE char *data = NULL;
    size_t size = 0;
    int r = fence_fd_read(STDIN_FILENO, FENCE_DOC_MAX_BYTES, &data, &size, err);

    if (r < 0)
        return fence_err_prefix(err, r, "standard input");
    return visitor->visit(visitor->context, "-", data, size, err);
}

static int visit_file(const char *path, const struct ctl_file_visitor *visitor,
                      struct fence_err *err)
{
    FENCE_FREE char *data = NULL;
    struct fence_err why;
    size_t size = 0;
    int r = fence_file_read(AT_FDCWD, path, FENCE_DOC_MAX_BYTES, &data, &size, &why);

    if (r == 0)
        return visitor->visit(visitor->context, path, data, size, err);
    if (r == -EINVAL)
        fence_err_set(&why, r, "%s is not a regular file: remove it or name it otherwise", path);
    if (r == -ENOMEM || !visitor->unreadable)
        return fence_err_set(err, r, "%s", why.text);
    return visitor->unreadable(visitor->context, path, why.text, err);
}

static int is_object_file(const struct dirent *entry)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    size_t length = strlen(entry->d_name);

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(ends); i++) {
        size_t end = strlen(ends[i]);

        if (length > end && strcmp(entry->d_name + length - end, ends[i]) == 0)
            return entry->d_name[0] != '.';
    }
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visit_entry(const char *folder, const struct dirent *entry,
                       const struct ctl_file_visitor *visitor, struct fence_err *err)
{
    size_t length = strlen(folder);
    FENCE_FREE char *path = NULL;

    if (asprintf(&path, "%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/",
                 entry->d_name) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return visit_file(path, visitor, err);
}

static int visit_folder(const char *path, const struct ctl_file_visitor *visitor,
                        struct fence_err *err)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_object_file, by_name);
    int r = 0;

    if (count < 0)
        return fence_err_set(err, -errno, "cannot read the folder %s: %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = visit_entry(path, entries[i], visitor, err);
        free(entries[i]);
    }
    free(entries);
    if (r == 0 && count == 0)
        return fence_err_set(err, -ENOENT, "there is no *.yaml, *.yml or *.json in %s", path);
    return r;
}

int ctl_files_visit(const char *path, const struct ctl_file_visitor *visitor, struct fence_err *err)
{
    struct stat info;

    if (strcmp(path, "-") == 0)
        return visit_stream(visitor, err);
    if (stat(path, &info) < 0)
        return fence_err_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return visit_folder(path, visitor, err);
    return visit_file(path, visitor, err);
}
