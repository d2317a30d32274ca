/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "lib/alarm/alarm.h"
#include "lib/base/memory.h"

#define SECOND_NS 1000000000ull

static const char *const kinds[] = {
    [FENCE_ALARM_OF_WORKLOAD] = "workload",
    [FENCE_ALARM_OF_OUTSIDE] = "outside",
    [FENCE_ALARM_OF_NODE] = "node",
};
_Static_assert(FENCE_ARRAY_SIZE(kinds) == FENCE_ALARM_KINDS, "a name for each kind");

static const char *const changes[] = {
    [FENCE_ALARM_RAISED] = "raised",
    [FENCE_ALARM_WORSE] = "worse",
    [FENCE_ALARM_GOES_ON] = "still raised",
    [FENCE_ALARM_CLEARED] = "cleared",
};
_Static_assert(FENCE_ARRAY_SIZE(changes) == FENCE_ALARM_CHANGES, "a name for each change");

const char *fence_alarm_change_name(enum fence_alarm_change change)
{
    return changes[change];
}

static bool add_time(cJSON *object, const char *name, uint64_t ns)
{
    time_t seconds = (time_t)(ns / SECOND_NS);
    char day[32], text[48];
    struct tm parts;

    if (!ns)
        return cJSON_AddNullToObject(object, name) != NULL;
    if (!gmtime_r(&seconds, &parts) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts))
        return false;
    snprintf(text, sizeof(text), "%s.%03uZ", day, (unsigned int)(ns % SECOND_NS / 1000000));
    return cJSON_AddStringToObject(object, name, text) != NULL;
}

static bool add_subject(cJSON *object, const struct fence_alarm_who *who)
{
    cJSON *subject = cJSON_AddObjectToObject(object, "subject");

    if (!cJSON_AddStringToObject(subject, "kind", kinds[who->kind]) ||
        !cJSON_AddStringToObject(subject, "name", who->name))
        return false;
    if (who->kind != FENCE_ALARM_OF_WORKLOAD)
        return true;
    return cJSON_AddStringToObject(subject, "namespace", who->namespace_name) &&
           cJSON_AddStringToObject(subject, "app", who->app) &&
           cJSON_AddStringToObject(subject, "pod", who->pod);
}

static bool fill(cJSON *object, const struct fence_alarm *alarm)
{
    const char *severity = fence_alarm_severity_name(alarm->severity);

    return cJSON_AddNumberToObject(object, "id", (double)alarm->id) &&
           cJSON_AddStringToObject(object, "rule", fence_alarm_rule_name(alarm->rule)) &&
           cJSON_AddStringToObject(object, "severity", severity) &&
           cJSON_AddStringToObject(object, "state", alarm->raised ? "raised" : "cleared") &&
           add_subject(object, alarm->who) &&
           (alarm->peer[0] ? cJSON_AddStringToObject(object, "peer", alarm->peer)
                           : cJSON_AddNullToObject(object, "peer")) &&
           cJSON_AddNumberToObject(object, "count", (double)alarm->count) &&
           cJSON_AddNumberToObject(object, "others", (double)alarm->others) &&
           cJSON_AddStringToObject(object, "evidence", alarm->evidence) &&
           (alarm->response[0] ? cJSON_AddStringToObject(object, "response", alarm->response)
                               : cJSON_AddNullToObject(object, "response")) &&
           add_time(object, "firstSeen", alarm->first_ns) &&
           add_time(object, "lastSeen", alarm->last_ns) &&
           add_time(object, "clearedAt", alarm->cleared_ns);
}

cJSON *fence_alarm_json(const struct fence_alarm *alarm)
{
    cJSON *object = cJSON_CreateObject();

    if (object && fill(object, alarm))
        return object;
    cJSON_Delete(object);
    return NULL;
}
