/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/faults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/kube/server/replay.h"
#include "test/kube/server/store.h"

void effect_init(struct effect *effect)
{
    *effect = (struct effect){.retry_after = -1, .cut_after = -1, .scale = 1};
}

void effect_done(struct effect *effect)
{
    free(effect->text);
    free(effect->replay);
    effect_init(effect);
}

static void fault_free(struct fault *fault)
{
    if (!fault)
        return;
    if (!fault->exact)
        regfree(&fault->match);
    free(fault->exact);
    free(fault->text);
    effect_done(&fault->effect);
    free(fault);
}

void faults_clear(struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        fault_free(faults->items[i]);
    free(TAKE_PTR(faults->items));
    faults->count = 0;
    faults->capacity = 0;
}

/* ---- definitions ---------------------------------------------------------------------------- */

static const char *const members[] = {"match", "times",  "status", "retryAfter", "text",
                                      "reset", "silent", "delay",  "cutAfter",   "length",
                                      "piece", "replay", "scale"};

/* A misspelt one would be a fault that does nothing. */
static int check_members(const cJSON *definition, struct fence_err *err)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, definition)
    {
        bool known = false;

        for (size_t i = 0; i < FENCE_ARRAY_SIZE(members) && !known; i++)
            known = !strcmp(member->string, members[i]);
        if (!known)
            return fence_err_set(err, -EINVAL, "a fault has no %s", member->string);
    }
    return cJSON_IsObject(definition) ? 0 : fence_err_set(err, -EINVAL, "a fault is an object");
}

static long number_of(const cJSON *definition, const char *member, long otherwise)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(definition, member);

    return cJSON_IsNumber(number) ? (long)number->valuedouble : otherwise;
}

static bool is_true(const cJSON *definition, const char *member)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(definition, member));
}

static int read_effect(const cJSON *definition, struct effect *effect)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(definition, "text"));
    const char *replay = json_text(definition, "replay");
    const cJSON *scale = cJSON_GetObjectItemCaseSensitive(definition, "scale");

    effect->status = (unsigned int)number_of(definition, "status", 0);
    effect->retry_after = number_of(definition, "retryAfter", -1);
    effect->reset = is_true(definition, "reset");
    effect->silent = is_true(definition, "silent");
    effect->delay_ms = number_of(definition, "delay", 0);
    effect->cut_after = number_of(definition, "cutAfter", -1);
    effect->length = number_of(definition, "length", 0);
    effect->piece = number_of(definition, "piece", 0);
    if (cJSON_IsNumber(scale))
        effect->scale = scale->valuedouble;
    if (text && !(effect->text = strdup(text)))
        return -ENOMEM;
    if (replay[0] && !(effect->replay = strdup(replay)))
        return -ENOMEM;
    return 0;
}

/* calloc has made `exact` NULL: regfree of a pattern that was never compiled must not be. */
static int read_match(const cJSON *definition, const char *fixtures, struct fault *fault,
                      struct fence_err *err)
{
    const char *match = json_text(definition, "match");

    if (fault->effect.replay && !match[0])
        return replay_request(fixtures, fault->effect.replay, &fault->exact, err);
    if (regcomp(&fault->match, match, REG_EXTENDED | REG_NOSUB) != 0) {
        fault->exact = strdup("");
        return fence_err_set(err, -EINVAL, "%s is no regular expression", match);
    }
    return 0;
}

int faults_add(struct faults *faults, const cJSON *definition, const char *fixtures,
               struct fence_err *err)
{
    struct fault *fault;
    int result = check_members(definition, err);

    if (result < 0)
        return result;
    if (fence_array_grow((void **)&faults->items, &faults->capacity, faults->count,
                         sizeof(void *)) < 0 ||
        !(fault = calloc(1, sizeof(*fault))))
        return fence_err_set(err, -ENOMEM, "out of memory");
    effect_init(&fault->effect);
    fault->times = number_of(definition, "times", 1);
    fault->text = cJSON_PrintUnformatted(definition);
    result = read_effect(definition, &fault->effect);
    if (result == 0)
        result = read_match(definition, fixtures, fault, err);
    else
        fault->exact = strdup("");
    if (result < 0) {
        fault_free(fault);
        return result;
    }
    faults->items[faults->count++] = fault;
    return 0;
}

/* ---- use ------------------------------------------------------------------------------------ */

static bool is_hit(const struct fault *fault, const char *line)
{
    if (fault->exact)
        return !strcmp(fault->exact, line);
    return regexec(&fault->match, line, 0, NULL, 0) == 0;
}

static void copy_effect(const struct effect *from, struct effect *to)
{
    *to = *from;
    to->text = from->text ? strdup(from->text) : NULL;
    to->replay = from->replay ? strdup(from->replay) : NULL;
}

bool faults_take(struct faults *faults, const char *method, const char *uri,
                 struct effect *ret_effect)
{
    FENCE_FREE char *line = NULL;

    effect_init(ret_effect);
    if (asprintf(&line, "%s %s", method, uri) < 0) {
        line = NULL;
        return false;
    }
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = faults->items[i];

        if (fault->times == 0 || !is_hit(fault, line))
            continue;
        if (fault->times > 0)
            fault->times--;
        copy_effect(&fault->effect, ret_effect);
        return true;
    }
    return false;
}

cJSON *faults_json(const struct faults *faults)
{
    cJSON *all = cJSON_CreateArray();

    for (size_t i = 0; i < faults->count; i++) {
        cJSON *one = cJSON_CreateObject();

        cJSON_AddNumberToObject(one, "left", (double)faults->items[i]->times);
        cJSON_AddItemToObject(one, "fault", cJSON_Parse(faults->items[i]->text));
        cJSON_AddItemToArray(all, one);
    }
    return all;
}
