/* SPDX-License-Identifier: Apache-2.0 */
/* --event-log: records as JSON lines, the same that observers get (lib/api/event_json.h). */
#pragma once

#include <stdbool.h>

#include "cni/daemon/logfile.h"
#include "lib/api/filter.h"

struct fence_daemon;
struct fence_options;

/* Of options_events.c; texts are borrowed from argv. */
struct fence_event_log_options {
    struct fence_logfile_options file;
    struct fence_filter *filters; /* a record is written that fits one of them, or there is none */
    size_t filter_count;
    size_t filter_capacity;
};

struct fence_event_log {
    struct fence_log_file file;
    uint64_t unsaid; /* lines left out, and not yet said in the log itself */
};

int fence_event_log_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_event_log_done(struct fence_daemon *daemon);

/* As a consumer of records (observe.h). */
void fence_event_log_record(struct fence_daemon *daemon, const struct fence_record *record);
void fence_event_log_lost(struct fence_daemon *daemon, const struct fence_lost *lost);
bool fence_event_log_wanted(const struct fence_daemon *daemon);
/* A line that is no record, whatever the filters say. */
void fence_event_log_line(struct fence_daemon *daemon, const char *text, size_t size);

/* For the status: as fence_log_file_json. */
cJSON *fence_event_log_json(const struct fence_daemon *daemon);
