/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/alarms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cni/daemon/alarms_internal.h"
#include "cni/daemon/daemon.h"
#include "lib/api/event_json.h"
#include "lib/api/json_text.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"

#define TICK_MS    1000
#define SAVE_TICKS 60u

/* One map each time, since a map is counted by walking it. */
#define MAP_TICKS 2u

#define LINES_PER_SECOND 10u

struct fence_alarm_time alarms_now(void)
{
    return (struct fence_alarm_time){.boot_ns = fence_clock_boot_ns(),
                                     .wall_ns = fence_clock_wall_ns()};
}

/* ---- telling -------------------------------------------------------------------------------- */

const char *alarms_line(const struct fence_alarm *alarm, char text[ALARMS_LINE_MAX])
{
    snprintf(text, ALARMS_LINE_MAX, "alarm %llu %s: %s%s%s%s: %s%s%s",
             (unsigned long long)alarm->id, fence_alarm_rule_name(alarm->rule), alarm->who->name,
             *alarm->who->pod ? " (pod " : "", alarm->who->pod, *alarm->who->pod ? ")" : "",
             alarm->evidence, *alarm->response ? "; " : "", alarm->response);
    return text;
}

static void log_change(struct fence_alarms *alarms, const struct fence_alarm *alarm,
                       const char *change)
{
    char text[ALARMS_LINE_MAX];

    if (!alarms->log_room) {
        alarms->log_left_out++;
        return;
    }
    alarms->log_room--;
    fence_log(alarm->raised ? FENCE_LOG_WARNING : FENCE_LOG_INFO, "%s: %s",
              alarms_line(alarm, text), change);
}

/* cJSON leaves bytes above ASCII as they are; no terminal is to obey them. */
static size_t make_safe(const char *from, char text[FENCE_EVENT_JSON_MAX])
{
    struct fence_json_text json = {.at = text, .end = text + FENCE_EVENT_JSON_MAX - 1};

    while (*from) {
        size_t plain = 0, other = 0;

        while (from[plain] && (unsigned char)from[plain] < 0x7f)
            plain++;
        fence_json_raw(&json, from, plain);
        from += plain;
        while ((unsigned char)from[other] >= 0x7f)
            other++;
        fence_json_escaped(&json, from, other);
        from += other;
    }
    *json.at = '\0';
    return json.full ? 0 : (size_t)(json.at - text);
}

/* Whoever asked for alarms, and who observes everything. There are few alarms: a client that is
 * slow has them in his queue, which is bounded. */
static void send_to_clients(const struct fence_server *server, const char *text, size_t size)
{
    for (size_t i = 0; i < server->count; i++) {
        struct fence_client *client = server->clients[i];
        const struct fence_observer *observer = &client->observer;

        if (client->hears_alarms ||
            (observer->on && observer->follows && observer->filter.count == 0))
            fence_client_send_text(client, text, size);
    }
}

static void publish(struct fence_daemon *daemon, const cJSON *event)
{
    FENCE_FREE char *printed = cJSON_PrintUnformatted(event);
    char text[FENCE_EVENT_JSON_MAX];
    size_t size = printed ? make_safe(printed, text) : 0;

    if (!size)
        return;
    send_to_clients(&daemon->server, text, size);
    fence_event_log_line(daemon, text, size);
}

static void publish_alarm(struct fence_daemon *daemon, const struct fence_alarm *alarm,
                          const char *change)
{
    cJSON *event = cJSON_CreateObject(), *json = fence_alarm_json(alarm);

    if (!cJSON_AddStringToObject(json, "change", change) ||
        !cJSON_AddStringToObject(json, "nodeName", daemon->options.node_name) ||
        !cJSON_AddItemToObject(event, "alarm", json)) {
        cJSON_Delete(json);
        cJSON_Delete(event);
        return;
    }
    publish(daemon, event);
    fence_audit_note(daemon, "alarm", cJSON_DetachItemFromObjectCaseSensitive(event, "alarm"));
    cJSON_Delete(event);
}

void alarms_tell(struct fence_daemon *daemon, const struct fence_alarm *alarm, const char *change)
{
    log_change(&daemon->alarms, alarm, change);
    publish_alarm(daemon, alarm, change);
}

static void wait_for_answer(struct fence_alarms *alarms, struct fence_alarm *alarm)
{
    /* the answer will say when to be asked again */
    alarm->answer_boot_ns = UINT64_MAX;
    if (alarms->waiting_count == FENCE_ALARMS_WAITING) {
        alarm->answer_boot_ns = 0;
        return;
    }
    alarms->waiting[alarms->waiting_count++] = alarm->id;
    (void)fence_timer_after(&alarms->answer, 0, 0);
}

static void changed(void *context, struct fence_alarm *alarm, enum fence_alarm_change change)
{
    struct fence_daemon *daemon = context;
    struct fence_alarms *alarms = &daemon->alarms;

    if (change == FENCE_ALARM_RAISED)
        alarms->raised[alarm->rule]++;
    else if (change == FENCE_ALARM_CLEARED)
        alarms->cleared++;
    if (change != FENCE_ALARM_GOES_ON)
        alarms_tell(daemon, alarm, fence_alarm_change_name(change));
    if (alarm->raised && alarms->config.rules[alarm->rule].cut &&
        (change == FENCE_ALARM_RAISED || change == FENCE_ALARM_GOES_ON))
        wait_for_answer(alarms, alarm);
}

/* ---- feeding -------------------------------------------------------------------------------- */

void fence_alarms_record(struct fence_daemon *daemon, const struct fence_record *record)
{
    struct fence_alarms *alarms = &daemon->alarms;
    struct fence_record taken = *record;
    struct fence_event event;

    if (!alarms->engine || !fence_alike_take(&alarms->alike, record->event, &event))
        return;
    taken.event = &event;
    fence_alarm_record(alarms->engine, &taken);
}

void fence_alarms_lost(struct fence_daemon *daemon, const struct fence_lost *lost)
{
    const struct fence_alarm_time now = alarms_now();

    if (daemon->alarms.engine)
        fence_alarm_lost(daemon->alarms.engine, lost->count, &now);
}

bool fence_alarms_wanted(const struct fence_daemon *daemon)
{
    return daemon->alarms.engine != NULL;
}

void fence_alarms_removed(struct fence_daemon *daemon, const struct fence_endpoint_record *record,
                          const char *text)
{
    const struct fence_alarm_time now = alarms_now();
    char name[FENCE_ALARM_NAME_MAX] = "pins";

    if (!daemon->alarms.engine)
        return;
    if (record)
        snprintf(name, sizeof(name), "%s/%s", record->info.namespace_name, record->info.pod);
    fence_alarm_filter(daemon->alarms.engine, name, text, &now);
}

/* What makes place by itself when it is full is no matter of alarm. */
static void look_at_map(struct fence_daemon *daemon)
{
    static const enum fence_map maps[] = {
        FENCE_MAP_ENDPOINTS, FENCE_MAP_IDENTITIES, FENCE_MAP_PEERS,       FENCE_MAP_ADDRESSES,
        FENCE_MAP_PREFIXES,  FENCE_MAP_SETS,       FENCE_MAP_POLICIES,    FENCE_MAP_INTERVALS,
        FENCE_MAP_RULES,     FENCE_MAP_CLASSES,    FENCE_MAP_CONNECTIONS,
    };
    struct fence_alarms *alarms = &daemon->alarms;
    const struct fence_alarm_time now = alarms_now();
    enum fence_map map = maps[alarms->next_map++ % FENCE_ARRAY_SIZE(maps)];
    size_t used = 0, max = 0;

    if (fence_map_usage(&daemon->pins, map, &used, &max) == 0 && max)
        fence_alarm_map(alarms->engine, fence_map_name(map), (unsigned int)(used * 100 / max),
                        &now);
}

static void tick(void *context)
{
    struct fence_daemon *daemon = context;
    struct fence_alarms *alarms = &daemon->alarms;
    const struct fence_alarm_time now = alarms_now();

    if (alarms->log_left_out)
        fence_log(FENCE_LOG_WARNING, "alarms: %llu lines were left out; see podfencectl alarms",
                  (unsigned long long)alarms->log_left_out);
    alarms->log_left_out = 0;
    alarms->log_room = LINES_PER_SECOND;
    alarms->ticks++;
    fence_alarm_tick(alarms->engine, &now);
    alarms_reread(daemon);
    if (alarms->ticks % MAP_TICKS == 0)
        look_at_map(daemon);
    if (alarms->ticks % SAVE_TICKS == 0)
        alarms_save(daemon);
}

/* ---- start and end -------------------------------------------------------------------------- */

static int open_timer(struct fence_daemon *daemon, struct fence_timer *timer,
                      void (*fire)(void *context), struct fence_err *err)
{
    timer->fire = fire;
    timer->context = daemon;
    return fence_timer_open(&daemon->loop, timer, CLOCK_MONOTONIC, err);
}

int fence_alarms_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_alarms *alarms = &daemon->alarms;
    int r;

    if (daemon->options.alarms.off)
        return 0;
    r = fence_alarm_config_defaults(&alarms->config);
    if (r == 0)
        r = fence_alarm_new(&alarms->config, changed, daemon, &alarms->engine);
    if (r < 0)
        return fence_err_set(err, r, "alarms: out of memory");
    alarms->log_room = LINES_PER_SECOND;
    alarms_reread(daemon);
    alarms_load(daemon);
    r = open_timer(daemon, &alarms->answer, alarms_answer, err);
    if (r == 0)
        r = open_timer(daemon, &alarms->tick, tick, err);
    return r < 0 ? r : fence_timer_after(&alarms->tick, TICK_MS, TICK_MS);
}

void fence_alarms_done(struct fence_daemon *daemon)
{
    struct fence_alarms *alarms = &daemon->alarms;

    if (alarms->engine)
        alarms_save(daemon);
    fence_timer_close(&daemon->loop, &alarms->answer);
    fence_timer_close(&daemon->loop, &alarms->tick);
    fence_alarm_free(&alarms->engine);
    fence_alarm_config_done(&alarms->config);
}
