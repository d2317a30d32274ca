/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was learned, as one JSON object: {"version":1,"key":"<32 hex digits>","nextId":N,
 * "workloads":[{"name":"shop/web","learnedSeconds":N,"usualPeers":N,"overflowed":false,
 * "peers":"<16 hex digits each>","rates":[[mean,deviation,parts],[…]]}]}. The first in the list are
 * those unseen for the longest time.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alarm/subject.h"
#include "lib/base/memory.h"

#define VERSION    1
#define SECOND_NS  1000000000ull
#define KEY_DIGITS 16u
#define EXACT_MAX  9007199254740992.0 /* 2^53: above, JSON's numbers are not exact */
#define LONGEST_S  (100.0 * 366 * 24 * 3600)

/* ---- to text -------------------------------------------------------------------------------- */

static bool add_peers(cJSON *object, const struct fence_usual *usual)
{
    char text[FENCE_USUAL_MAX * KEY_DIGITS + 1] = "";

    for (uint32_t i = 0; i < usual->count; i++)
        snprintf(text + (size_t)i * KEY_DIGITS, KEY_DIGITS + 1, "%016" PRIx64, usual->keys[i]);
    return cJSON_AddStringToObject(object, "peers", text) != NULL;
}

static bool add_rates(cJSON *object, const struct fence_rate rates[FENCE_DIRECTIONS])
{
    cJSON *list = cJSON_AddArrayToObject(object, "rates");

    for (unsigned int i = 0; i < FENCE_DIRECTIONS; i++) {
        const double values[] = {rates[i].mean, rates[i].deviation, rates[i].parts};

        if (!cJSON_AddItemToArray(list, cJSON_CreateDoubleArray(values, FENCE_ARRAY_SIZE(values))))
            return false;
    }
    return true;
}

static bool add_workload(cJSON *list, const struct fence_alarm_subject *subject)
{
    uint64_t seconds = subject->learned_ns / SECOND_NS;
    cJSON *object = cJSON_CreateObject();

    if (!cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return false;
    }
    return cJSON_AddStringToObject(object, "name", subject->who.name) &&
           cJSON_AddNumberToObject(object, "learnedSeconds", (double)seconds) &&
           cJSON_AddNumberToObject(object, "usualPeers", subject->usual_peers) &&
           cJSON_AddBoolToObject(object, "overflowed", subject->usual.overflowed) &&
           add_peers(object, &subject->usual) && add_rates(object, subject->rates);
}

static int by_seen(const void *a, const void *b)
{
    const struct fence_alarm_subject *one = *(struct fence_alarm_subject *const *)a;
    const struct fence_alarm_subject *other = *(struct fence_alarm_subject *const *)b;

    return one->seen_ns < other->seen_ns ? -1 : one->seen_ns > other->seen_ns;
}

static bool fill(cJSON *object, const struct fence_alarm_engine *engine)
{
    const struct fence_alarm_table *table = &engine->tables[FENCE_ALARM_OF_WORKLOAD];
    struct fence_alarm_subject *sorted[FENCE_ALARM_WORKLOADS];
    char key[2 * KEY_DIGITS + 1];
    cJSON *list;

    snprintf(key, sizeof(key), "%016" PRIx64 "%016" PRIx64, engine->hash_key[0],
             engine->hash_key[1]);
    if (!cJSON_AddNumberToObject(object, "version", VERSION) ||
        !cJSON_AddStringToObject(object, "key", key) ||
        !cJSON_AddNumberToObject(object, "nextId", (double)engine->next_id))
        return false;
    list = cJSON_AddArrayToObject(object, "workloads");
    for (uint32_t i = 0; i < table->count; i++)
        sorted[i] = table->items[i];
    if (table->count)
        qsort(sorted, table->count, sizeof(struct fence_alarm_subject *), by_seen);
    for (uint32_t i = 0; i < table->count; i++)
        if (!add_workload(list, sorted[i]))
            return false;
    return true;
}

char *fence_alarm_save(const struct fence_alarm_engine *engine)
{
    cJSON *object = cJSON_CreateObject();
    char *text = object && fill(object, engine) ? cJSON_PrintUnformatted(object) : NULL;

    cJSON_Delete(object);
    return text;
}

/* ---- back ----------------------------------------------------------------------------------- */

static const cJSON *get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool get_number(const cJSON *item, double most, double *ret_value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= most))
        return false;
    *ret_value = item->valuedouble;
    return true;
}

static bool get_hex(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned int i = 0; i < KEY_DIGITS; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *at = text[i] ? strchr(digits, text[i]) : NULL;

        if (!at)
            return false;
        value = value << 4 | (uint64_t)(at - digits);
    }
    *ret_value = value;
    return true;
}

static bool get_peers(const cJSON *object, struct fence_usual *usual)
{
    const char *text = cJSON_GetStringValue(get(object, "peers"));
    size_t size = text ? strlen(text) : 1;

    if (size % KEY_DIGITS || size / KEY_DIGITS > FENCE_USUAL_MAX)
        return false;
    for (size_t i = 0; i < size; i += KEY_DIGITS) {
        uint64_t key;

        if (!get_hex(text + i, &key))
            return false;
        fence_usual_see(usual, key, false);
    }
    return true;
}

static bool get_rates(const cJSON *object, struct fence_rate rates[FENCE_DIRECTIONS])
{
    const cJSON *list = get(object, "rates");

    for (int i = 0; i < FENCE_DIRECTIONS; i++) {
        const cJSON *values = cJSON_GetArrayItem(list, i);
        double parts;

        if (!get_number(cJSON_GetArrayItem(values, 0), UINT32_MAX, &rates[i].mean) ||
            !get_number(cJSON_GetArrayItem(values, 1), UINT32_MAX, &rates[i].deviation) ||
            !get_number(cJSON_GetArrayItem(values, 2), FENCE_RATE_WARM, &parts))
            return false;
        rates[i].parts = (uint32_t)parts;
    }
    return true;
}

static int get_workload(struct fence_alarm_engine *engine, const cJSON *object,
                        struct fence_err *err)
{
    const char *name = cJSON_GetStringValue(get(object, "name"));
    const cJSON *overflowed = get(object, "overflowed");
    struct fence_alarm_subject *subject;
    double seconds;

    if (!name || !*name || strlen(name) >= FENCE_ALARM_NAME_MAX)
        return fence_err_set(err, -EINVAL, "a workload has no name");
    subject = fence_alarm_subject(engine, FENCE_ALARM_OF_WORKLOAD, name, 0);
    if (!subject)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (!get_number(get(object, "learnedSeconds"), LONGEST_S, &seconds) ||
        !get_number(get(object, "usualPeers"), FENCE_REACH_PEERS, &subject->usual_peers) ||
        !cJSON_IsBool(overflowed) || !get_peers(object, &subject->usual) ||
        !get_rates(object, subject->rates))
        return fence_err_set(err, -EINVAL, "workload %.64s is not as this version writes it", name);
    subject->usual.overflowed = cJSON_IsTrue(overflowed);
    subject->learned_ns = (uint64_t)seconds * SECOND_NS;
    return 0;
}

static int get_head(struct fence_alarm_engine *engine, const cJSON *root, struct fence_err *err)
{
    const char *key = cJSON_GetStringValue(get(root, "key"));
    double version, next_id;

    if (!get_number(get(root, "version"), EXACT_MAX, &version) || version != VERSION)
        return fence_err_set(err, -EINVAL, "it is of another version");
    if (!key || strlen(key) != (size_t)2 * KEY_DIGITS || !get_hex(key, &engine->hash_key[0]) ||
        !get_hex(key + KEY_DIGITS, &engine->hash_key[1]) ||
        !get_number(get(root, "nextId"), EXACT_MAX, &next_id) || next_id < 1)
        return fence_err_set(err, -EINVAL, "key or nextId is not as this version writes it");
    engine->next_id = (uint64_t)next_id;
    return 0;
}

static int get_all(struct fence_alarm_engine *engine, const cJSON *root, struct fence_err *err)
{
    const cJSON *workload, *list = get(root, "workloads");
    int r = get_head(engine, root, err);

    if (r == 0 && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > (int)FENCE_ALARM_WORKLOADS))
        return fence_err_set(err, -EINVAL, "workloads is no list of at most %u",
                             FENCE_ALARM_WORKLOADS);
    cJSON_ArrayForEach(workload, list)
    {
        if (r == 0)
            r = get_workload(engine, workload, err);
    }
    return r;
}

int fence_alarm_restore(struct fence_alarm_engine *engine, const char *text, size_t size,
                        struct fence_err *err)
{
    cJSON *root = size > FENCE_ALARM_STATE_MAX ? NULL : cJSON_ParseWithLength(text, size);
    struct fence_alarm_engine *fresh = NULL;
    struct fence_alarm_engine taken;
    int r;

    if (!cJSON_IsObject(root)) {
        cJSON_Delete(root);
        return fence_err_set(err, -EINVAL, "it is no JSON object");
    }
    r = fence_alarm_new(engine->config, engine->handler, engine->context, &fresh);
    if (r < 0)
        fence_err_set(err, r, "out of memory");
    else
        r = get_all(fresh, root, err);
    cJSON_Delete(root);
    if (r == 0) {
        taken = *engine;
        *engine = *fresh;
        *fresh = taken;
    }
    fence_alarm_free(&fresh);
    return r;
}
