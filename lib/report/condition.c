/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/report/condition.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const type_names[] = {
    [FENCE_REPORT_ACCEPTED] = "Accepted",
    [FENCE_REPORT_PROGRAMMED] = "Programmed",
    [FENCE_REPORT_DEGRADED] = "Degraded",
};

/* ---- what is there --------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : "";
}

/* What does not fit is not ours. */
static void read_condition(const cJSON *json, struct fence_report_condition *condition)
{
    const cJSON *generation = cJSON_GetObjectItemCaseSensitive(json, "observedGeneration");

    condition->known = true;
    condition->is_true = strcmp(text_of(json, "status"), "True") == 0;
    condition->generation = cJSON_IsNumber(generation) ? (int64_t)generation->valuedouble : 0;
    snprintf(condition->reason, sizeof(condition->reason), "%s", text_of(json, "reason"));
    snprintf(condition->message, sizeof(condition->message), "%s", text_of(json, "message"));
    snprintf(condition->since, sizeof(condition->since), "%s", text_of(json, "lastTransitionTime"));
}

void fence_report_status_read(const cJSON *object, struct fence_report_status *ret_status)
{
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(object, "status");
    const cJSON *conditions = cJSON_GetObjectItemCaseSensitive(status, "conditions"), *one;

    memset(ret_status, 0, sizeof(*ret_status));
    cJSON_ArrayForEach(one, conditions)
    {
        for (unsigned int type = 0; type < FENCE_REPORT_TYPES; type++)
            if (strcmp(text_of(one, "type"), type_names[type]) == 0)
                read_condition(one, &ret_status->conditions[type]);
    }
}

enum fence_report_difference fence_report_status_compare(const struct fence_report_status *has,
                                                         const struct fence_report_status *wants)
{
    enum fence_report_difference difference = FENCE_REPORT_SAME;

    for (unsigned int type = 0; type < FENCE_REPORT_TYPES; type++) {
        const struct fence_report_condition *a = &has->conditions[type];
        const struct fence_report_condition *b = &wants->conditions[type];

        if (!a->known || a->is_true != b->is_true || a->generation != b->generation ||
            strcmp(a->reason, b->reason) != 0)
            return FENCE_REPORT_OTHER;
        if (strcmp(a->message, b->message) != 0)
            difference = FENCE_REPORT_WORDS;
    }
    return difference;
}

/* ---- what is written ------------------------------------------------------------------------- */

static void add_metadata(cJSON *json, const char *id)
{
    const char *first = strchr(id, '/'), *second = first ? strchr(first + 1, '/') : NULL;
    cJSON *metadata = cJSON_AddObjectToObject(json, "metadata");
    char text[512];

    if (!first)
        return;
    snprintf(text, sizeof(text), "%.*s", (int)(first - id), id);
    cJSON_AddStringToObject(json, "apiVersion", "podfence.io/v1alpha1");
    cJSON_AddStringToObject(json, "kind", text);
    cJSON_AddStringToObject(metadata, "name", second ? second + 1 : first + 1);
    if (!second)
        return;
    snprintf(text, sizeof(text), "%.*s", (int)(second - first - 1), first + 1);
    cJSON_AddStringToObject(metadata, "namespace", text);
}

static void add_condition(cJSON *list, enum fence_report_type type,
                          const struct fence_report_condition *has,
                          const struct fence_report_condition *wants, const char *now)
{
    bool stays = has->known && has->is_true == wants->is_true && *has->since;
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "type", type_names[type]);
    cJSON_AddStringToObject(json, "status", wants->is_true ? "True" : "False");
    cJSON_AddStringToObject(json, "reason", wants->reason);
    cJSON_AddStringToObject(json, "message", wants->message);
    cJSON_AddNumberToObject(json, "observedGeneration", (double)wants->generation);
    cJSON_AddStringToObject(json, "lastTransitionTime", stays ? has->since : now);
    cJSON_AddItemToArray(list, json);
}

char *fence_report_status_format(const char *id, const struct fence_report_status *has,
                                 const struct fence_report_status *wants, int64_t now_s)
{
    cJSON *json = cJSON_CreateObject(), *list;
    time_t seconds = (time_t)now_s;
    struct tm parts;
    char now[FENCE_REPORT_TIME], *text;

    gmtime_r(&seconds, &parts);
    strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &parts);
    add_metadata(json, id);
    list = cJSON_AddArrayToObject(cJSON_AddObjectToObject(json, "status"), "conditions");
    for (unsigned int type = 0; type < FENCE_REPORT_TYPES; type++)
        add_condition(list, (enum fence_report_type)type, &has->conditions[type],
                      &wants->conditions[type], now);
    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}
