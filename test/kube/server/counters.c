/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/counters.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"

struct counter *counters_get(struct counters *counters, const char *verb, const char *path)
{
    FENCE_FREE char *name = NULL;
    struct counter *counter;

    if (asprintf(&name, "%s %s", verb, path) < 0) {
        name = NULL;
        return NULL;
    }
    for (size_t i = 0; i < counters->count; i++)
        if (!strcmp(counters->items[i]->name, name))
            return counters->items[i];
    counter = calloc(1, sizeof(*counter));
    if (!counter || fence_array_grow((void **)&counters->items, &counters->capacity,
                                     counters->count, sizeof(void *)) < 0) {
        free(counter);
        return NULL;
    }
    counter->name = TAKE_PTR(name);
    counters->items[counters->count++] = counter;
    return counter;
}

void counters_log(struct counters *counters, const char *method, const char *uri,
                  unsigned int status)
{
    char *line = NULL;

    if (!counters->log)
        counters->log = calloc(COUNTERS_LOG, sizeof(char *));
    if (!counters->log || asprintf(&line, "%s %s %u", method, uri, status) < 0)
        return;
    free(counters->log[counters->log_next]);
    counters->log[counters->log_next] = line;
    counters->log_next = (counters->log_next + 1) % COUNTERS_LOG;
    if (counters->log_count < COUNTERS_LOG)
        counters->log_count++;
}

static void empty_log(struct counters *counters)
{
    for (size_t i = 0; counters->log && i < COUNTERS_LOG; i++)
        free(TAKE_PTR(counters->log[i]));
    counters->log_next = 0;
    counters->log_count = 0;
}

void counters_reset(struct counters *counters)
{
    for (size_t i = 0; i < counters->count; i++) {
        struct counter *counter = counters->items[i];

        counter->requests = 0;
        counter->bytes = 0;
        memset(counter->statuses, 0, sizeof(counter->statuses));
    }
    empty_log(counters);
}

cJSON *counters_json(const struct counters *counters)
{
    cJSON *all = cJSON_CreateObject();

    for (size_t i = 0; i < counters->count; i++) {
        const struct counter *counter = counters->items[i];
        cJSON *one = cJSON_AddObjectToObject(all, counter->name);
        char name[8] = "0xx";

        cJSON_AddNumberToObject(one, "requests", (double)counter->requests);
        cJSON_AddNumberToObject(one, "bytes", (double)counter->bytes);
        cJSON_AddNumberToObject(one, "open", (double)counter->open);
        for (size_t class = 0; class < FENCE_ARRAY_SIZE(counter->statuses); class ++) {
            name[0] = (char)('0' + class);
            if (counter->statuses[class])
                cJSON_AddNumberToObject(one, name, (double)counter->statuses[class]);
        }
    }
    return all;
}

cJSON *counters_log_json(const struct counters *counters)
{
    cJSON *all = cJSON_CreateArray();
    const size_t begin = counters->log_next + COUNTERS_LOG - counters->log_count;

    for (size_t i = 0; i < counters->log_count; i++)
        cJSON_AddItemToArray(all, cJSON_CreateString(counters->log[(begin + i) % COUNTERS_LOG]));
    return all;
}

void counters_done(struct counters *counters)
{
    for (size_t i = 0; i < counters->count; i++) {
        free(counters->items[i]->name);
        free(counters->items[i]);
    }
    free(counters->items);
    empty_log(counters);
    free(counters->log);
}
