/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "cni/daemon/alarms_internal.h"
#include "cni/daemon/answer.h"
#include "cni/daemon/daemon.h"
#include "lib/base/memory.h"

/* In the status; `alarms` has all. */
#define STATUS_MAX 50

#define EXACT_MAX 9007199254740992.0 /* 2^53 */

struct list {
    const struct fence_alarm **items;
    size_t count;
    size_t capacity;
    bool raised_only;
};

static void collect(void *context, const struct fence_alarm *alarm)
{
    struct list *list = context;

    if (list->raised_only && !alarm->raised)
        return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        void *items = realloc(list->items, capacity * sizeof(const struct fence_alarm *));

        if (!items)
            return;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = alarm;
}

/* Raised ones first, worst first, then the latest. */
static int compare(const void *a, const void *b)
{
    const struct fence_alarm *one = *(const struct fence_alarm *const *)a;
    const struct fence_alarm *other = *(const struct fence_alarm *const *)b;

    if (one->raised != other->raised)
        return one->raised ? -1 : 1;
    if (one->raised && one->severity != other->severity)
        return one->severity > other->severity ? -1 : 1;
    return one->id > other->id ? -1 : 1;
}

static cJSON *make_list(const struct fence_daemon *daemon, bool raised_only, size_t most)
{
    struct list list = {.raised_only = raised_only};
    cJSON *json = cJSON_CreateArray();

    if (daemon->alarms.engine)
        fence_alarm_each(daemon->alarms.engine, collect, &list);
    if (list.count)
        qsort(list.items, list.count, sizeof(const struct fence_alarm *), compare);
    for (size_t i = 0; i < list.count && i < most; i++)
        cJSON_AddItemToArray(json, fence_alarm_json(list.items[i]));
    free(list.items);
    return json;
}

static void add_figures(cJSON *status, const struct fence_daemon *daemon)
{
    const struct fence_alarms *alarms = &daemon->alarms;
    cJSON *object = cJSON_AddObjectToObject(status, "alarming"), *raised;
    size_t known, learning;

    cJSON_AddNumberToObject(object, "raisedNow", (double)fence_alarm_raised(alarms->engine));
    raised = cJSON_AddObjectToObject(object, "raised");
    for (unsigned int i = 0; i < FENCE_ALARM_RULES; i++)
        cJSON_AddNumberToObject(raised, fence_alarm_rule_name((enum fence_alarm_rule)i),
                                (double)alarms->raised[i]);
    cJSON_AddNumberToObject(object, "cleared", (double)alarms->cleared);
    cJSON_AddNumberToObject(object, "cuts", (double)alarms->cuts);
    cJSON_AddNumberToObject(object, "cutsRefused", (double)alarms->cuts_refused);
    fence_alarm_subjects(alarms->engine, &known, &learning);
    cJSON_AddNumberToObject(object, "workloads", (double)known);
    cJSON_AddNumberToObject(object, "learning", (double)learning);
    cJSON_AddNumberToObject(object, "forgotten",
                            (double)fence_alarm_counts(alarms->engine)->forgotten);
    cJSON_AddNumberToObject(object, "bytes", (double)fence_alarm_bytes(alarms->engine));
    if (daemon->options.alarms.config)
        cJSON_AddStringToObject(object, "config", daemon->options.alarms.config);
    else
        cJSON_AddNullToObject(object, "config");
    if (alarms->config_problem[0])
        cJSON_AddStringToObject(object, "problem", alarms->config_problem);
    else
        cJSON_AddNullToObject(object, "problem");
}

void fence_alarms_add_status(cJSON *status, const struct fence_daemon *daemon)
{
    cJSON_AddItemToObject(status, "alarms", make_list(daemon, true, STATUS_MAX));
    if (daemon->alarms.engine)
        add_figures(status, daemon);
    else
        cJSON_AddNullToObject(status, "alarming");
}

void fence_alarms_handle_list(struct fence_client *client, const cJSON *request)
{
    if (!client->daemon->alarms.engine) {
        fence_client_refuse(client, "podfenced runs with --alarms off");
        return;
    }
    fence_answer_send(client, "alarms", make_list(client->daemon, false, SIZE_MAX));
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request, "follow")))
        client->hears_alarms = true;
}

void fence_alarms_handle_clear(struct fence_client *client, const cJSON *request)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(request, "id");
    struct fence_alarm_engine *engine = client->daemon->alarms.engine;
    const struct fence_alarm_time now = alarms_now();

    if (!engine) {
        fence_client_refuse(client, "podfenced runs with --alarms off");
    } else if (!cJSON_IsNumber(id) || !(id->valuedouble >= 1 && id->valuedouble <= EXACT_MAX)) {
        fence_client_refuse(client, "id must be the number of an alarm");
    } else if (fence_alarm_clear(engine, (uint64_t)id->valuedouble, &now) < 0) {
        fence_client_refuse(client, "no alarm %.0f is raised: see podfencectl alarms",
                            id->valuedouble);
    } else {
        cJSON *answer = cJSON_CreateObject();

        cJSON_AddTrueToObject(answer, "ok");
        fence_client_send(client, answer);
    }
}
