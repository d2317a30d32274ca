/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log of lines in a file that is renamed when it is full, FILE to FILE.1 to FILE.2 and so on, or
 * on a stream that perhaps nobody reads. Adding a line never blocks and never fails for want of
 * room on the disk: lines wait in a bounded buffer, and when that is full they are counted instead.
 * A line that was taken is written whole and once, in order, as long as the process lives.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/err.h"

#define FENCE_LOGFILE_BUFFER (1u << 20) /* bytes that may wait */
#define FENCE_LOGFILE_FULL   (1u << 16) /* from so many on a flush is worth its while */
#define FENCE_LOGFILE_FILES  1000u      /* at most */

/* `path` is borrowed. */
struct fence_logfile_options {
    const char *path;   /* "-": standard output, which is never renamed */
    uint64_t size;      /* bytes of one file: it is renamed before it grows larger; 0 = never */
    unsigned int files; /* that are kept, the current one among them: 1 to FENCE_LOGFILE_FILES */
};

struct fence_logfile {
    struct fence_logfile_options options;
    int fd;          /* -1: to be opened */
    bool is_regular; /* and so renamed when it is full */
    bool is_socket;
    dev_t device;
    ino_t inode;
    uint64_t size; /* of the file as it is */
    char *buffer;
    size_t used;      /* bytes that wait */
    size_t begun;     /* of these, the rest of a line that the file has the begin of */
    uint64_t lines;   /* taken */
    uint64_t dropped; /* not taken */
};

/* Opens nothing yet: see fence_logfile_flush. -ENOMEM. */
int fence_logfile_init(struct fence_logfile *log, const struct fence_logfile_options *options);

/*
 * Take a line; a newline is added. -ENOBUFS: too many wait, it has been counted as dropped. `text`
 * has no newline and less than FENCE_LOGFILE_FULL bytes (-EMSGSIZE, counted too).
 */
int fence_logfile_add(struct fence_logfile *log, const char *text, size_t size);

/*
 * Write what waits. Opens the file first (mode 0600, no symbolic link) when it is not open or
 * somebody has renamed or removed it. 0 when nothing waits any more; -EAGAIN when the stream's
 * reader is slow; another error is in force until a later call succeeds: call again in a second.
 */
int fence_logfile_flush(struct fence_logfile *log, struct fence_err *err);

/* Writes what can be written, and closes. Zeroed with fd -1: does nothing. */
void fence_logfile_done(struct fence_logfile *log);
