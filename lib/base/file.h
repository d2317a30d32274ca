/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: bounded reading, atomic writing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/err.h"

struct stat;

/*
 * Read a regular file of at most `max` bytes; a NUL follows the data. `dirfd` may be AT_FDCWD.
 * -EFBIG when it is larger, -EINVAL when it is no regular file. *ret_data is the caller's to free.
 */
int fence_file_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size,
                    struct fence_err *err);

/* The same for a stream such as standard input, up to its end. */
int fence_fd_read(int fd, size_t max, char **ret_data, size_t *ret_size, struct fence_err *err);

/*
 * As fence_file_read, a file of this folder that nobody else could have written: no link, ours
 * (fence_file_is_ours). Returns its bytes. The error is about "it": the caller names the file.
 */
ssize_t fence_file_read_ours(int dirfd, const char *name, size_t max, char **ret_data,
                             struct fence_err *err);

/* All of it, however many calls that takes. -errno. */
int fence_fd_write(int fd, const void *data, size_t size);

/* Temporary file in the same folder, fsync, rename, fsync of the folder. */
int fence_file_write(const char *path, const void *data, size_t size, mode_t mode,
                     struct fence_err *err);

/* mkdir -p. */
int fence_mkdirs(const char *path, mode_t mode, struct fence_err *err);

/* It is root's or the caller's own, and nobody else may write it. */
bool fence_file_is_ours(const struct stat *info);
