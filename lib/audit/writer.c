/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/audit/resume.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define FORMAT_VERSION 1

/* What may wait to be written: about 500 connections, or four of the longest records. */
#define BUFFER_SIZE ((size_t)262144)

/* Records of ours without texts of others. */
#define SMALL_RECORD ((size_t)1024)

struct fence_audit_writer {
    struct fence_audit_writer_options options;
    struct fence_audit_chain chain;
    struct fence_audit_stats stats;
    uint64_t gap; /* records that are missing since the last record `gap` */
    uint64_t gap_since_ns;
    int fd; /* -1: it could not be opened (again) */
    off_t file_size;
    bool started; /* the file that was there has been looked at */
    bool fresh;   /* the present file has no record `file` yet */
    bool unsynced;
    char previous[NAME_MAX + 1];    /* what this file goes on from, for its record; "" = nothing */
    struct fence_audit_text record; /* that is being made, a part of `buffer` */
    size_t used; /* of buffer: sealed records, the first perhaps partly written */
    char buffer[BUFFER_SIZE];
};

static void set_failing(struct fence_audit_writer *writer, int error)
{
    writer->stats.errors++;
    writer->stats.failing = error;
}

/* ---- the file ------------------------------------------------------------------------------- */

static void numbered(const struct fence_audit_writer *writer, unsigned int number,
                     char name[PATH_MAX])
{
    if (number)
        snprintf(name, PATH_MAX, "%s.%u", writer->options.path, number);
    else
        snprintf(name, PATH_MAX, "%s", writer->options.path);
}

static void name_previous(struct fence_audit_writer *writer)
{
    char name[PATH_MAX];
    const char *slash;

    numbered(writer, 1, name);
    slash = strrchr(name, '/');
    snprintf(writer->previous, sizeof(writer->previous), "%s", slash ? slash + 1 : name);
}

/* FILE to FILE.1 and so on; what was the last of `files` is replaced. */
static int shift(const struct fence_audit_writer *writer)
{
    char from[PATH_MAX], to[PATH_MAX];

    if (writer->options.files < 2)
        return unlink(writer->options.path) < 0 && errno != ENOENT ? -errno : 0;
    for (unsigned int number = writer->options.files - 1; number > 0; number--) {
        numbered(writer, number - 1, from);
        numbered(writer, number, to);
        if (rename(from, to) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

static void sync_file(struct fence_audit_writer *writer)
{
    if (writer->fd >= 0 && writer->unsynced)
        writer->options.sync(writer->options.context, writer->fd);
    writer->unsynced = false;
}

static void leave_file(struct fence_audit_writer *writer)
{
    sync_file(writer);
    if (writer->fd >= 0)
        close(writer->fd);
    writer->fd = -1;
}

static int open_file(struct fence_audit_writer *writer, struct fence_err *err)
{
    const char *path = writer->options.path;
    FENCE_CLOSE int fd =
        open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat info;

    if (fd < 0)
        return fence_err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &info) < 0)
        return fence_err_set(err, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return fence_err_set(err, -EINVAL, "%s is no regular file", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return fence_err_set(err, -EBUSY, "%s: another process writes it", path);
    writer->fd = TAKE_FD(fd);
    writer->file_size = info.st_size;
    writer->fresh = info.st_size == 0;
    return 0;
}

/* ---- records -------------------------------------------------------------------------------- */

/* A text of `size` bytes at the end of the buffer. */
static bool reserve(struct fence_audit_writer *writer, size_t size)
{
    if (BUFFER_SIZE - writer->used < size)
        return false;
    writer->record =
        (struct fence_audit_text){.data = writer->buffer + writer->used, .capacity = size};
    return true;
}

static void count_missing(struct fence_audit_writer *writer)
{
    if (!writer->gap++)
        writer->gap_since_ns = fence_clock_wall_ns();
    writer->stats.missing++;
}

static void seal(struct fence_audit_writer *writer)
{
    if (fence_audit_seal(&writer->chain, &writer->record) < 0) {
        count_missing(writer);
        return;
    }
    writer->used += writer->record.size;
    writer->stats.records++;
}

/* The first record of each file. */
static void put_file_record(struct fence_audit_writer *writer)
{
    if (!writer->fresh || writer->fd < 0 || !reserve(writer, SMALL_RECORD))
        return;
    fence_audit_begin(&writer->chain, &writer->record, fence_clock_wall_ns(), "file");
    fence_audit_member_number(&writer->record, "version", FORMAT_VERSION);
    fence_audit_member(&writer->record, "algorithm", fence_audit_algorithm(&writer->chain.key));
    fence_audit_member(&writer->record, "node", writer->options.node_name);
    if (writer->previous[0])
        fence_audit_member(&writer->record, "previous", writer->previous);
    seal(writer);
    writer->fresh = false;
}

static void put_torn_record(struct fence_audit_writer *writer, const struct fence_audit_end *end)
{
    /* each byte may become six */
    if (!reserve(writer, SMALL_RECORD + 6 * sizeof(end->torn_text)))
        return;
    fence_audit_begin(&writer->chain, &writer->record, fence_clock_wall_ns(), "torn");
    fence_audit_member_number(&writer->record, "bytes", end->torn);
    fence_audit_puts(&writer->record, ",\"text\":");
    fence_audit_put_bytes(&writer->record, end->torn_text, strlen(end->torn_text));
    seal(writer);
}

static void put_gap_record(struct fence_audit_writer *writer)
{
    uint64_t missing = writer->gap;

    if (!missing || writer->stats.failing || writer->fd < 0 || !reserve(writer, SMALL_RECORD))
        return;
    fence_audit_begin(&writer->chain, &writer->record, fence_clock_wall_ns(), "gap");
    fence_audit_member_number(&writer->record, "missing", missing);
    fence_audit_member_number(&writer->record, "seconds",
                              (fence_clock_wall_ns() - writer->gap_since_ns + 999999999) /
                                  1000000000);
    seal(writer);
    writer->gap -= missing;
}

/* ---- starting ------------------------------------------------------------------------------- */

static void go_on_from(struct fence_audit_writer *writer, const struct fence_audit_end *end)
{
    writer->chain.seq = end->seq;
    memcpy(writer->chain.last, end->hash, sizeof(writer->chain.last));
    writer->stats.resumed = true;
}

/* A crash between two steps of the rotation: the chain ends in FILE.1. */
static void resume_before(struct fence_audit_writer *writer)
{
    struct fence_audit_end end;
    char name[PATH_MAX];
    FENCE_CLOSE int fd = -1;

    numbered(writer, 1, name);
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fence_audit_end_read(fd, &end) < 0 || !end.seq)
        return;
    go_on_from(writer, &end);
    name_previous(writer);
}

/* This file stays as it is, and another begins. */
static int begin_anew(struct fence_audit_writer *writer, struct fence_err *err)
{
    int result;

    leave_file(writer);
    result = shift(writer);
    if (result < 0)
        return fence_err_set(err, result, "cannot rename %s: %s", writer->options.path,
                             strerror(-result));
    name_previous(writer);
    return open_file(writer, err);
}

static int resume(struct fence_audit_writer *writer, struct fence_err *err)
{
    const char *path = writer->options.path;
    FENCE_FREE struct fence_audit_end *end = calloc(1, sizeof(*end));
    int result = end ? fence_audit_end_read(writer->fd, end) : -ENOMEM;

    if (result < 0)
        return fence_err_set(err, result, "cannot read %s: %s", path, strerror(-result));
    if (end->seq)
        go_on_from(writer, end);
    else
        resume_before(writer);
    if (end->strange || (end->seq && end->keyed != writer->chain.key.keyed))
        return begin_anew(writer, err);
    if (!end->torn)
        return 0;
    if (ftruncate(writer->fd, end->whole) < 0)
        return fence_err_set(err, -errno, "cannot take the torn line off %s: %s", path,
                             strerror(errno));
    writer->file_size = end->whole;
    writer->fresh = end->whole == 0;
    writer->stats.torn = true;
    put_file_record(writer);
    put_torn_record(writer, end);
    return 0;
}

static int start(struct fence_audit_writer *writer, struct fence_err *err)
{
    int result = open_file(writer, err);

    if (result == 0)
        result = resume(writer, err);
    if (result < 0)
        leave_file(writer);
    writer->started = result == 0;
    return result;
}

/* The disk's trouble, or the machine's, which may pass: the rest is the user's to put right. */
static bool is_passing(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EIO || error == -EROFS ||
           error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static void sync_now(void *context, int fd)
{
    (void)context;
    (void)fdatasync(fd);
}

int fence_audit_writer_new(const struct fence_audit_writer_options *options,
                           struct fence_audit_writer **ret_writer, struct fence_err *err)
{
    struct fence_audit_writer *writer = calloc(1, sizeof(*writer));
    int result;

    if (!writer)
        return fence_err_set(err, -ENOMEM, "out of memory");
    writer->options = *options;
    writer->fd = -1;
    if (!writer->options.sync)
        writer->options.sync = sync_now;
    fence_audit_chain_init(&writer->chain, options->key);
    result = start(writer, err);
    if (result < 0 && !is_passing(result)) {
        free(writer);
        return result;
    }
    if (result < 0)
        set_failing(writer, -result);
    put_file_record(writer);
    *ret_writer = writer;
    return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void rotate(struct fence_audit_writer *writer)
{
    int result;

    leave_file(writer);
    result = shift(writer);
    name_previous(writer);
    if (result == 0)
        result = open_file(writer, NULL);
    if (result < 0)
        set_failing(writer, -result);
    put_file_record(writer);
}

/* What has been written is taken out of the buffer, so that a try that failed half way goes on
 * where it ended. Nothing gets into the buffer while there is no file. */
static void write_buffer(struct fence_audit_writer *writer)
{
    size_t done = 0;
    int error = 0;

    while (done < writer->used && !error) {
        ssize_t wrote = write(writer->fd, writer->buffer + done, writer->used - done);

        if (wrote < 0)
            error = errno == EINTR ? 0 : errno;
        else
            done += (size_t)wrote;
    }
    memmove(writer->buffer, writer->buffer + done, writer->used - done);
    writer->used -= done;
    writer->file_size += (off_t)done;
    writer->unsynced |= done > 0;
    if (error) {
        set_failing(writer, error);
        return;
    }
    writer->stats.failing = 0;
    if ((size_t)writer->file_size >= writer->options.file_max)
        rotate(writer);
}

struct fence_audit_text *fence_audit_writer_begin(struct fence_audit_writer *writer,
                                                  uint64_t wall_ns, const char *type, size_t size)
{
    /* room for what says that something is missing is left alone */
    const size_t needed = size + 2 * SMALL_RECORD;

    if (BUFFER_SIZE - writer->used < needed && !writer->stats.failing)
        write_buffer(writer);
    put_gap_record(writer);
    if (writer->fd < 0 || writer->gap || BUFFER_SIZE - writer->used < needed ||
        !reserve(writer, size)) {
        count_missing(writer);
        return NULL;
    }
    fence_audit_begin(&writer->chain, &writer->record, wall_ns, type);
    return &writer->record;
}

void fence_audit_writer_end(struct fence_audit_writer *writer)
{
    seal(writer);
}

void fence_audit_writer_flush(struct fence_audit_writer *writer)
{
    if (writer->used)
        write_buffer(writer);
    sync_file(writer);
}

/* Somebody has moved or removed the file: what is written into it would be read by nobody. */
static bool is_in_place(const struct fence_audit_writer *writer)
{
    struct stat by_name, by_fd;

    return writer->fd >= 0 && stat(writer->options.path, &by_name) == 0 &&
           fstat(writer->fd, &by_fd) == 0 && by_name.st_ino == by_fd.st_ino &&
           by_name.st_dev == by_fd.st_dev;
}

static void find_file(struct fence_audit_writer *writer)
{
    int result;

    /* a part of a line may be in the old file: the rest belongs there too */
    if (writer->used)
        write_buffer(writer);
    if (writer->used)
        return;
    leave_file(writer);
    result = writer->started ? open_file(writer, NULL) : start(writer, NULL);
    if (result < 0)
        set_failing(writer, -result);
    else
        writer->stats.failing = 0;
}

void fence_audit_writer_tick(struct fence_audit_writer *writer)
{
    if (!is_in_place(writer))
        find_file(writer);
    put_file_record(writer);
    if (writer->used)
        write_buffer(writer);
    put_gap_record(writer);
    fence_audit_writer_flush(writer);
}

void fence_audit_writer_free(struct fence_audit_writer **writer)
{
    if (!*writer)
        return;
    put_gap_record(*writer);
    if ((*writer)->used)
        write_buffer(*writer);
    if ((*writer)->fd >= 0)
        (void)fdatasync((*writer)->fd);
    (*writer)->unsynced = false;
    leave_file(*writer);
    explicit_bzero(&(*writer)->chain.key, sizeof((*writer)->chain.key));
    free(TAKE_PTR(*writer));
}

struct fence_audit_stats fence_audit_writer_stats(const struct fence_audit_writer *writer)
{
    struct fence_audit_stats stats = writer->stats;

    stats.seq = writer->chain.seq;
    stats.hash = writer->chain.last;
    return stats;
}
