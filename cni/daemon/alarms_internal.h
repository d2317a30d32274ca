/* SPDX-License-Identifier: Apache-2.0 */
/* Private to alarms: alarms.c feeds and tells, alarms_answer.c cuts,
 * alarms_file.c reads and writes, alarms_requests.c serves. */
#pragma once

#include "cni/daemon/alarms.h"

struct fence_alarm_time alarms_now(void);

/* One line about it, for the log. */
#define ALARMS_LINE_MAX 1024u
const char *alarms_line(const struct fence_alarm *alarm, char text[ALARMS_LINE_MAX]);
/* To the log, the event log and observers. `change`: what has happened. */
void alarms_tell(struct fence_daemon *daemon, const struct fence_alarm *alarm, const char *change);

/* Cut what waits for it. The timer of the answer. */
void alarms_answer(void *context);

/* The configuration, when its file has changed since it was read. */
void alarms_reread(struct fence_daemon *daemon);
/* The baseline from --state, and back. */
void alarms_load(struct fence_daemon *daemon);
void alarms_save(struct fence_daemon *daemon);
