/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log file (lib/base/logfile.h) that the loop writes: each second, and at once when much waits.
 * A full disk or a reader that sleeps is said once in the daemon's own log, stays in the status
 * until it is over, and has no other consequence than lines that are left out and counted.
 */
#pragma once

#include <cjson/cJSON.h>

#include "cni/daemon/loop.h"
#include "lib/base/logfile.h"

struct fence_daemon;

/* Zeroed but for the descriptors (-1): not in use, and everything below does nothing. */
struct fence_log_file {
    struct fence_logfile file;
    struct fence_timer timer;
    const char *what;            /* "event log", for people */
    char problem[FENCE_ERR_MAX]; /* in force, "" = none */
    uint64_t dropped_before;     /* when the problem came up */
};

/* For the daemon's init(): every descriptor -1. */
#define FENCE_LOG_FILE_NONE                                                                        \
    {                                                                                              \
        .file.fd = -1, .timer = {.fd = -1, .watch.fd = -1},                                        \
    }

/* `what` and options->path are borrowed; a path of NULL leaves it unused. A file that cannot be
 * opened is no error: it is tried again each second. */
int fence_log_file_init(struct fence_daemon *daemon, struct fence_log_file *log, const char *what,
                        const struct fence_logfile_options *options, struct fence_err *err);
void fence_log_file_done(struct fence_daemon *daemon, struct fence_log_file *log);
bool fence_log_file_is_used(const struct fence_log_file *log);

/* As fence_logfile_add. */
int fence_log_file_add(struct fence_log_file *log, const char *text, size_t size);
/* Write what waits, now. */
void fence_log_file_flush(struct fence_log_file *log);

/* {"file":"...","lines":12,"dropped":0,"problem":null}, or null when it is not used. */
cJSON *fence_log_file_json(const struct fence_log_file *log);
