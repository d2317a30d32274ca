/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/memory.h"

int fence_logfile_init(struct fence_logfile *log, const struct fence_logfile_options *options)
{
    *log = (struct fence_logfile){.options = *options, .fd = -1};
    log->buffer = malloc(FENCE_LOGFILE_BUFFER);
    return log->buffer ? 0 : -ENOMEM;
}

int fence_logfile_add(struct fence_logfile *log, const char *text, size_t size)
{
    if (size >= FENCE_LOGFILE_FULL || size + 1 > FENCE_LOGFILE_BUFFER - log->used) {
        log->dropped++;
        return size >= FENCE_LOGFILE_FULL ? -EMSGSIZE : -ENOBUFS;
    }
    memcpy(log->buffer + log->used, text, size);
    log->buffer[log->used + size] = '\n';
    log->used += size + 1;
    log->lines++;
    return 0;
}

static void close_file(struct fence_logfile *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static bool is_stdout(const struct fence_logfile *log)
{
    return strcmp(log->options.path, "-") == 0;
}

/*
 * Others may have the same open file as our standard output and do not expect it to be
 * non-blocking: a pipe or terminal is opened a second time, a socket is told with each call.
 */
static int open_stdout(void)
{
    struct stat info;

    if (fstat(STDOUT_FILENO, &info) < 0)
        return -1;
    if (S_ISSOCK(info.st_mode) || S_ISREG(info.st_mode))
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    return open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int open_path(const char *path)
{
    return open(
        path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
}

static int open_failed(const struct fence_logfile *log, int error, struct fence_err *err)
{
    const char *remedy = "";

    if (error == ELOOP)
        remedy = ": it is a symbolic link, name the file itself (standard output is -)";
    else if (error == ENXIO)
        remedy = ": nobody reads this pipe";
    return fence_err_set(err, -error, "cannot open %s: %s%s", log->options.path, strerror(error),
                         remedy);
}

static int write_failed(const struct fence_logfile *log, int error, struct fence_err *err)
{
    return fence_err_set(err, -error, "cannot write %s: %s",
                         is_stdout(log) ? "standard output" : log->options.path, strerror(error));
}

/* Whoever wrote before us was perhaps stopped in a line; the next one gets a line of its own. */
static int end_last_line(struct fence_logfile *log, struct fence_err *err)
{
    FENCE_CLOSE int fd = open(log->options.path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char last = '\n';

    if (fd < 0 || pread(fd, &last, 1, (off_t)log->size - 1) != 1 || last == '\n')
        return 0;
    if (write(log->fd, "\n", 1) != 1)
        return write_failed(log, errno, err);
    log->size++;
    return 0;
}

static int open_file(struct fence_logfile *log, struct fence_err *err)
{
    struct stat info;

    log->fd = is_stdout(log) ? open_stdout() : open_path(log->options.path);
    if (log->fd < 0 || fstat(log->fd, &info) < 0)
        return open_failed(log, errno, err);
    log->is_regular = S_ISREG(info.st_mode) && !is_stdout(log);
    log->is_socket = S_ISSOCK(info.st_mode);
    log->device = info.st_dev;
    log->inode = info.st_ino;
    log->size = (uint64_t)info.st_size;
    return log->is_regular && log->size ? end_last_line(log, err) : 0;
}

/* Somebody else may have renamed or removed it meanwhile. */
static bool has_gone(const struct fence_logfile *log)
{
    struct stat info;

    return log->is_regular && log->begun == 0 &&
           (lstat(log->options.path, &info) < 0 || info.st_dev != log->device ||
            info.st_ino != log->inode);
}

static int make_open(struct fence_logfile *log, struct fence_err *err)
{
    int result = 0;

    if (log->fd >= 0 && has_gone(log))
        close_file(log);
    if (log->fd < 0)
        result = open_file(log, err);
    if (result < 0)
        close_file(log);
    return result;
}

static int number_name(const struct fence_logfile *log, unsigned int number, char name[PATH_MAX])
{
    int length = number ? snprintf(name, PATH_MAX, "%s.%u", log->options.path, number)
                        : snprintf(name, PATH_MAX, "%s", log->options.path);

    return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* FILE.3 becomes FILE.4, ..., FILE becomes FILE.1. Each step may be done again after a failure. */
static int rename_files(const struct fence_logfile *log, struct fence_err *err)
{
    char from[PATH_MAX], to[PATH_MAX];

    if (log->options.files <= 1 && unlink(log->options.path) < 0 && errno != ENOENT)
        return fence_err_set(err, -errno, "cannot remove %s: %s", log->options.path,
                             strerror(errno));
    for (unsigned int i = log->options.files - 1; i > 0; i--) {
        if (number_name(log, i - 1, from) < 0 || number_name(log, i, to) < 0)
            return fence_err_set(err, -ENAMETOOLONG, "%s: the name is too long for its number",
                                 log->options.path);
        if (rename(from, to) < 0 && errno != ENOENT)
            return fence_err_set(err, -errno, "cannot rename %s to %s: %s", from, to,
                                 strerror(errno));
    }
    return 0;
}

static size_t first_line(const struct fence_logfile *log)
{
    const char *end = memchr(log->buffer, '\n', log->used);

    return end ? (size_t)(end - log->buffer) + 1 : log->used;
}

/* How much of what waits is for this file: whole lines, 0 = it is full. */
static size_t share_of_file(const struct fence_logfile *log)
{
    uint64_t room = log->options.size > log->size ? log->options.size - log->size : 0;
    const char *end;

    if (log->begun)
        return log->begun;
    if (!log->is_regular || !log->options.size || room >= log->used)
        return log->used;
    end = memrchr(log->buffer, '\n', (size_t)room);
    if (end)
        return (size_t)(end - log->buffer) + 1;
    return log->size ? 0 : first_line(log);
}

/* `size` bytes have been written. */
static void take(struct fence_logfile *log, size_t size)
{
    const bool whole = log->buffer[size - 1] == '\n';

    log->size += size;
    log->used -= size;
    memmove(log->buffer, log->buffer + size, log->used);
    log->begun = whole ? 0 : first_line(log);
}

/* A stream whose reader has gone. The next one is not to begin within a line. */
static void leave_stream(struct fence_logfile *log)
{
    const size_t rest = log->begun;

    close_file(log);
    if (!rest)
        return;
    log->dropped++;
    log->lines--;
    log->used -= rest;
    memmove(log->buffer, log->buffer + rest, log->used);
    log->begun = 0;
}

static int write_some(struct fence_logfile *log, size_t size, struct fence_err *err)
{
    ssize_t written = log->is_socket ? send(log->fd, log->buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                     : write(log->fd, log->buffer, size);

    if (written < 0 && errno == EINTR)
        return 0;
    if (written <= 0) {
        const int error = written < 0 ? errno : EIO;

        if (!log->is_regular && error != EAGAIN)
            leave_stream(log);
        return write_failed(log, error, err);
    }
    take(log, (size_t)written);
    return 0;
}

int fence_logfile_flush(struct fence_logfile *log, struct fence_err *err)
{
    int result = make_open(log, err);

    while (log->used && result == 0) {
        size_t share = share_of_file(log);

        if (share) {
            result = write_some(log, share, err);
            continue;
        }
        result = rename_files(log, err);
        if (result == 0) {
            close_file(log);
            result = make_open(log, err);
        }
    }
    return result;
}

void fence_logfile_done(struct fence_logfile *log)
{
    if (log->buffer)
        (void)fence_logfile_flush(log, NULL);
    close_file(log);
    free(log->buffer);
    log->buffer = NULL;
    log->used = 0;
}
