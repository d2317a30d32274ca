/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/logfile.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "cni/daemon/daemon.h"

#define FLUSH_MS 1000

bool fence_log_file_is_used(const struct fence_log_file *log)
{
    return log->file.buffer != NULL;
}

static void begin_problem(struct fence_log_file *log, const struct fence_err *err)
{
    if (!*log->problem) {
        log->dropped_before = log->file.dropped;
        fence_log(FENCE_LOG_ERROR, "%s: %s; enforcement goes on without it", log->what, err->text);
    }
    snprintf(log->problem, sizeof(log->problem), "%s", err->text);
}

static void end_problem(struct fence_log_file *log)
{
    if (!*log->problem)
        return;
    log->problem[0] = '\0';
    fence_log(FENCE_LOG_INFO, "%s: is written again; %llu lines were left out", log->what,
              (unsigned long long)(log->file.dropped - log->dropped_before));
}

void fence_log_file_flush(struct fence_log_file *log)
{
    struct fence_err err = {""};
    int result;

    if (!fence_log_file_is_used(log))
        return;
    result = fence_logfile_flush(&log->file, &err);
    if (result == 0)
        end_problem(log);
    else if (result != -EAGAIN) /* a reader that is only slow is none, as long as there is room */
        begin_problem(log, &err);
}

/* Once lines are left out, all are until it is over: a gap has one place. */
static bool leaves_out(const struct fence_log_file *log)
{
    return *log->problem && log->file.dropped > log->dropped_before;
}

int fence_log_file_add(struct fence_log_file *log, const char *text, size_t size)
{
    struct fence_err err = {""};
    int result;

    if (!fence_log_file_is_used(log))
        return 0;
    if (leaves_out(log)) {
        log->file.dropped++;
        return -ENOBUFS;
    }
    result = fence_logfile_add(&log->file, text, size);
    if (result == -ENOBUFS) {
        if (!*log->problem) {
            fence_err_set(&err, result, "nobody reads %s", log->file.options.path);
            begin_problem(log, &err);
            log->dropped_before--;
        }
        return result;
    }
    if (log->file.used >= FENCE_LOGFILE_FULL && !*log->problem)
        fence_log_file_flush(log);
    return result;
}

static void flush_on(void *context)
{
    fence_log_file_flush(context);
}

int fence_log_file_init(struct fence_daemon *daemon, struct fence_log_file *log, const char *what,
                        const struct fence_logfile_options *options, struct fence_err *err)
{
    int result;

    if (!options->path)
        return 0;
    log->what = what;
    if (fence_logfile_init(&log->file, options) < 0)
        return fence_err_set(err, -ENOMEM, "%s: out of memory", what);
    result = fence_timer_open(&daemon->loop, &log->timer, CLOCK_MONOTONIC, err);
    if (result < 0)
        return result;
    log->timer.fire = flush_on;
    log->timer.context = log;
    fence_log_file_flush(log);
    return fence_timer_after(&log->timer, FLUSH_MS, FLUSH_MS);
}

void fence_log_file_done(struct fence_daemon *daemon, struct fence_log_file *log)
{
    fence_timer_close(&daemon->loop, &log->timer);
    fence_logfile_done(&log->file);
}

cJSON *fence_log_file_json(const struct fence_log_file *log)
{
    cJSON *json;

    if (!fence_log_file_is_used(log))
        return cJSON_CreateNull();
    json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", log->file.options.path);
    cJSON_AddNumberToObject(json, "lines", (double)log->file.lines);
    cJSON_AddNumberToObject(json, "dropped", (double)log->file.dropped);
    if (*log->problem)
        cJSON_AddStringToObject(json, "problem", log->problem);
    else
        cJSON_AddNullToObject(json, "problem");
    return json;
}
