/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alarms of this node (lib/alarm): fed with records, with what filters.c finds, and with how full
 * the maps are. An alarm that is raised, gets worse or is cleared is a line of the log, of the
 * event log and for observers ({"alarm":{...}}), a member of the status, a counter; and a cut,
 * where the configuration says `respond: cut`.
 *
 * A cut takes the egress of all pods of the workload on this node, selected by its namespace and
 * the label that names it (app, app.kubernetes.io/name or k8s-app, else all its labels). It is made
 * at the end of the turn of the loop in which the alarm came up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

#include "cni/daemon/loop.h"
#include "lib/alarm/alarm.h"
#include "lib/alarm/alike.h"

struct fence_client;
struct fence_daemon;
struct fence_endpoint_record;
struct fence_lost;
struct fence_record;

/* Of options_alarms.c; the text is borrowed from argv. */
struct fence_alarms_options {
    bool off;
    const char *config; /* NULL: the defaults */
};

/* Alarms that wait for an answer; who finds no room is told so, and asked again later. */
#define FENCE_ALARMS_WAITING 64u

struct fence_alarms {
    struct fence_alarm_engine *engine; /* NULL: --alarms off */
    struct fence_alike alike;
    struct fence_alarm_config config;
    struct fence_timer tick;
    struct fence_timer answer;
    uint64_t waiting[FENCE_ALARMS_WAITING]; /* ids */
    size_t waiting_count;

    struct stat config_seen;            /* of the file when it was read last */
    char config_problem[FENCE_ERR_MAX]; /* why the last good one counts, "" = it is the last one */
    bool cannot_save;                   /* has been said */
    uint64_t ticks;
    size_t next_map; /* whose turn it is to be looked at */

    unsigned int log_room; /* lines that may still be logged in this second */
    uint64_t log_left_out;

    uint64_t raised[FENCE_ALARM_RULES]; /* these count since the start */
    uint64_t cleared;
    uint64_t cuts;
    uint64_t cuts_refused; /* alarms that would have cut: exempted, too many, no workload, failed */
};

/* For the daemon's init(): every descriptor -1. */
#define FENCE_ALARMS_NONE                                                                          \
    {                                                                                              \
        .tick = {.fd = -1, .watch.fd = -1}, .answer = {.fd = -1, .watch.fd = -1},                  \
    }

/* A configuration or a baseline that cannot be read is named, and no error. */
int fence_alarms_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_alarms_done(struct fence_daemon *daemon);

/* As a consumer of records (observe.h). */
void fence_alarms_record(struct fence_daemon *daemon, const struct fence_record *record);
void fence_alarms_lost(struct fence_daemon *daemon, const struct fence_lost *lost);
bool fence_alarms_wanted(const struct fence_daemon *daemon);

/* What somebody has removed: of this endpoint, or pins (NULL). */
void fence_alarms_removed(struct fence_daemon *daemon, const struct fence_endpoint_record *record,
                          const char *text);

/* "alarms", the raised ones, and "alarming", figures about it. */
void fence_alarms_add_status(cJSON *status, const struct fence_daemon *daemon);

/* The socket's operations alarms and alarms-clear. */
void fence_alarms_handle_list(struct fence_client *client, const cJSON *request);
void fence_alarms_handle_clear(struct fence_client *client, const cJSON *request);
