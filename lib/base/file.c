/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"

int fence_fd_read(int fd, size_t max, char **ret_data, size_t *ret_size, struct fence_err *err)
{
    FENCE_FREE char *data = NULL;
    size_t size = 0, capacity = 0;

    for (;;) {
        ssize_t got;

        if (size + 1 >= capacity) {
            size_t wanted = capacity ? capacity * 2 : 65536;
            char *grown = realloc(data, wanted);

            if (!grown)
                return fence_err_set(err, -ENOMEM, "out of memory after %zu bytes", size);
            data = grown;
            capacity = wanted;
        }
        got = read(fd, data + size, capacity - size - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fence_err_set(err, -errno, "cannot read: %s", strerror(errno));
        if (got == 0)
            break;
        size += (size_t)got;
        if (size > max)
            return fence_err_set(err, -EFBIG, "is larger than %zu bytes", max);
    }
    data[size] = '\0';
    *ret_data = TAKE_PTR(data);
    *ret_size = size;
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): dirfd and path are one name, as in openat(2) */
int fence_file_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size,
                    struct fence_err *err)
{
    /* O_NONBLOCK: a FIFO in the folder must not hang us before fstat tells it apart */
    FENCE_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) < 0)
        return fence_err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return fence_err_set(err, -EINVAL, "%s is not a regular file", path);
    if (info.st_size > 0 && (size_t)info.st_size > max)
        return fence_err_set(err, -EFBIG, "%s has %lld bytes, more than the %zu that are read",
                             path, (long long)info.st_size, max);
    return fence_fd_read(fd, max, ret_data, ret_size, err);
}

ssize_t fence_file_read_ours(int dirfd, const char *name, size_t max, char **ret_data,
                             struct fence_err *err)
{
    /* O_NONBLOCK: a FIFO must not hang us before fstat tells it apart */
    FENCE_CLOSE int fd =
        openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    size_t size = 0;
    int r;

    if (fd < 0 || fstat(fd, &info) < 0)
        return fence_err_set(err, -errno, "cannot open it: %s", strerror(errno));
    if (!S_ISREG(info.st_mode))
        return fence_err_set(err, -EINVAL, "it is not a regular file");
    if (!fence_file_is_ours(&info))
        return fence_err_set(err, -EPERM, "others than root may write it");
    r = fence_fd_read(fd, max, ret_data, &size, err);
    if (r < 0)
        return fence_err_prefix(err, r, "it cannot be read");
    return (ssize_t)size;
}

int fence_fd_write(int fd, const void *data, size_t size)
{
    const char *rest = data;

    while (size) {
        ssize_t put = write(fd, rest, size);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        rest += put;
        size -= (size_t)put;
    }
    return 0;
}

static int sync_folder(const char *path)
{
    FENCE_FREE char *copy = strdup(path);
    FENCE_CLOSE int fd = -1;

    if (!copy)
        return -ENOMEM;
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int fence_file_write(const char *path, const void *data, size_t size, mode_t mode,
                     struct fence_err *err)
{
    FENCE_FREE char *temporary = NULL;
    FENCE_CLOSE int fd = -1;
    int r;

    if (asprintf(&temporary, "%s.tmp.XXXXXX", path) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return fence_err_set(err, -errno, "cannot create %s: %s", temporary, strerror(errno));
    r = fence_fd_write(fd, data, size);
    FENCE_FAILPOINT("file.written-aside");
    if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0))
        r = -errno;
    if (r < 0) {
        unlink(temporary);
        return fence_err_set(err, r, "cannot write %s: %s", path, strerror(-r));
    }
    FENCE_FAILPOINT("file.renamed");
    r = sync_folder(path);
    return r < 0 ? fence_err_set(err, r, "cannot sync the folder of %s: %s", path, strerror(-r))
                 : 0;
}

int fence_mkdirs(const char *path, mode_t mode, struct fence_err *err)
{
    FENCE_FREE char *copy = strdup(path);

    if (!copy)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (!*copy)
        return fence_err_set(err, -EINVAL, "the name of a folder is empty");
    for (char *at = copy + 1;; at++) {
        char kept = *at;

        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return fence_err_set(err, -errno, "cannot make the folder %s: %s", copy,
                                 strerror(errno));
        *at = kept;
        if (kept == '\0')
            return 0;
    }
}

bool fence_file_is_ours(const struct stat *info)
{
    return (info->st_uid == 0 || info->st_uid == geteuid()) &&
           !(info->st_mode & (S_IWGRP | S_IWOTH));
}
