/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/cut.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/api/cut_parse.h"
#include "lib/base/memory.h"

#define NS_PER_SECOND 1000000000ll

static const char *const direction_names[] = {
    [FENCE_CUT_BOTH] = "both",
    [FENCE_CUT_INGRESS] = "ingress",
    [FENCE_CUT_EGRESS] = "egress",
};
_Static_assert(FENCE_ARRAY_SIZE(direction_names) == FENCE_CUT_DIRECTIONS, "a name for each");

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

const char *fence_cut_direction_name(enum fence_cut_direction direction)
{
    return direction_names[direction];
}

int fence_cut_direction_parse(const char *text, enum fence_cut_direction *ret_direction)
{
    for (unsigned int i = 0; i < FENCE_CUT_DIRECTIONS; i++)
        if (strcmp(text, direction_names[i]) == 0) {
            *ret_direction = (enum fence_cut_direction)i;
            return 0;
        }
    return -EINVAL;
}

/* ---- durations ------------------------------------------------------------------------------ */

/* Seconds of a unit, 0 = there is no such unit. */
static unsigned int unit_seconds(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 60 * 60;
    case 'd':
        return 24 * 60 * 60;
    default:
        return 0;
    }
}

/* Numbers with units that get smaller. 0 = not a duration within the bounds. */
static uint32_t add_up(const char *text)
{
    uint64_t sum = 0;
    unsigned int before = UINT32_MAX;

    while (*text) {
        uint64_t number = 0;
        unsigned int unit;
        size_t digits = strspn(text, "0123456789");

        if (digits == 0 || digits > 8)
            return 0;
        for (; digits; digits--)
            number = number * 10 + (uint64_t)(*text++ - '0');
        unit = unit_seconds(*text++);
        if (!unit || unit >= before)
            return 0;
        before = unit;
        sum += number * unit;
        if (sum > FENCE_CUT_SECONDS_MAX)
            return 0;
    }
    return (uint32_t)sum;
}

int fence_cut_duration_parse(const char *text, uint32_t *ret_seconds, struct fence_err *err)
{
    uint32_t seconds = add_up(text);

    if (!seconds)
        return fence_err_set(err, -EINVAL,
                             "\"%.40s\" is not a duration from 1s to 30d, such as 90s, 10m, 1h30m",
                             text);
    *ret_seconds = seconds;
    return 0;
}

/* ---- the policy ----------------------------------------------------------------------------- */

/* `json` becomes the member, or is freed. */
static int take(cJSON *object, const char *name, cJSON *json, struct fence_err *err)
{
    if (json && cJSON_AddItemToObject(object, name, json))
        return 0;
    cJSON_Delete(json);
    return no_memory(err);
}

static int take_item(cJSON *array, cJSON *json, struct fence_err *err)
{
    if (json && cJSON_AddItemToArray(array, json))
        return 0;
    cJSON_Delete(json);
    return no_memory(err);
}

static const char *namespace_of(const struct fence_cut *cut)
{
    const char *name = text_or_empty(cut->namespace_name);

    return strcmp(name, "all") == 0 ? "" : name;
}

static int add_pods(cJSON *spec, const struct fence_cut *cut, struct fence_err *err)
{
    const char *text = text_or_empty(cut->pods);
    cJSON *pods = NULL;
    const cJSON *labels;
    int r = cut_parse_pods(text, namespace_of(cut), &pods, err);

    if (r < 0)
        return r == -EINVAL ? fence_err_prefix(err, r, "pods") : r;
    labels = cJSON_GetObjectItemCaseSensitive(pods, "podSelector");
    if (!cut->everything && !labels->child && !cJSON_HasObjectItem(pods, "namespaceSelector")) {
        cJSON_Delete(pods);
        return fence_err_set(err, -EINVAL,
                             "this would cut off every pod of every namespace; give labels or a "
                             "namespace, or say --everything (\"everything\": true)");
    }
    return take(spec, "appliesTo", pods, err);
}

static int add_ports(cJSON *rule, const struct fence_cut *cut, struct fence_err *err)
{
    cJSON *list;
    int r = 0;

    if (!cut->port_count)
        return 0;
    list = cJSON_AddArrayToObject(rule, "ports");
    for (size_t i = 0; r == 0 && i < cut->port_count; i++) {
        cJSON *port = NULL;

        r = cut_parse_port(cut->ports[i], &port, err);
        if (r == 0)
            r = take_item(list, port, err);
        else if (r == -EINVAL)
            r = fence_err_prefix(err, r, "port");
    }
    return r;
}

/* One rule; `ends` is "from" or "to". */
static int add_rule(cJSON *spec, const struct fence_cut *cut, enum fence_cut_direction direction,
                    struct fence_err *err)
{
    const char *ends = direction == FENCE_CUT_INGRESS ? "from" : "to";
    cJSON *rules = cJSON_AddArrayToObject(spec, fence_cut_direction_name(direction));
    cJSON *rule = cJSON_CreateObject(), *peer = NULL;
    int r = take_item(rules, rule, err);

    if (r < 0)
        return r;
    if (*text_or_empty(cut->peer)) {
        r = cut_parse_peer(cut->peer, &peer, err);
        if (r == 0)
            r = take_item(cJSON_AddArrayToObject(rule, ends), peer, err);
        else if (r == -EINVAL)
            r = fence_err_prefix(err, r, "peer");
    }
    return r < 0 ? r : add_ports(rule, cut, err);
}

static int add_rules(cJSON *spec, const struct fence_cut *cut, struct fence_err *err)
{
    int r = 0;

    if (cut->direction != FENCE_CUT_EGRESS)
        r = add_rule(spec, cut, FENCE_CUT_INGRESS, err);
    if (r == 0 && cut->direction != FENCE_CUT_INGRESS)
        r = add_rule(spec, cut, FENCE_CUT_EGRESS, err);
    return r;
}

static int add_spec(cJSON *policy, const struct fence_cut *cut, int64_t expires_at,
                    struct fence_err *err)
{
    cJSON *spec = cJSON_AddObjectToObject(policy, "spec");
    const time_t end = (time_t)expires_at;
    char text[32] = "";
    struct tm parts;
    int r;

    if (gmtime_r(&end, &parts))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (!cJSON_AddStringToObject(spec, "mode", "Denylist") ||
        !cJSON_AddStringToObject(spec, "enforcement", "Enforce") ||
        !cJSON_AddStringToObject(spec, "expiresAt", text))
        return no_memory(err);
    r = add_pods(spec, cut, err);
    return r < 0 ? r : add_rules(spec, cut, err);
}

static int add_metadata(cJSON *policy, const struct fence_cut *cut, const char *name,
                        struct fence_err *err)
{
    cJSON *metadata = cJSON_AddObjectToObject(policy, "metadata");
    cJSON *notes;

    if (!cJSON_AddStringToObject(metadata, "name", name))
        return no_memory(err);
    notes = cJSON_AddObjectToObject(metadata, "annotations");
    if (!cJSON_AddStringToObject(notes, "podfence.io/origin", text_or_empty(cut->origin)) ||
        (*text_or_empty(cut->reason) &&
         !cJSON_AddStringToObject(notes, "podfence.io/reason", cut->reason)))
        return no_memory(err);
    return 0;
}

static int check_texts(const struct fence_cut *cut, struct fence_err *err)
{
    if (strlen(text_or_empty(cut->pods)) > FENCE_CUT_TEXT_MAX ||
        strlen(text_or_empty(cut->peer)) > FENCE_CUT_TEXT_MAX)
        return fence_err_set(err, -EINVAL, "a selector has at most %u bytes", FENCE_CUT_TEXT_MAX);
    if (strlen(text_or_empty(cut->reason)) > FENCE_CUT_REASON_MAX)
        return fence_err_set(err, -EINVAL, "a reason has at most %u bytes", FENCE_CUT_REASON_MAX);
    if (cut->seconds < 1 || cut->seconds > FENCE_CUT_SECONDS_MAX)
        return fence_err_set(err, -EINVAL, "a cut lasts from 1 second to 30 days");
    if (cut->port_count > FENCE_CUT_PORTS_MAX)
        return fence_err_set(err, -EINVAL, "a cut has at most %u ports", FENCE_CUT_PORTS_MAX);
    return 0;
}

int fence_cut_policy(const struct fence_cut *cut, const char *name, int64_t expires_at,
                     cJSON **ret_policy, struct fence_err *err)
{
    int r = check_texts(cut, err);
    cJSON *policy = r == 0 ? cJSON_CreateObject() : NULL;

    if (r == 0 && (!cJSON_AddStringToObject(policy, "apiVersion", "podfence.io/v1alpha1") ||
                   !cJSON_AddStringToObject(policy, "kind", "ClusterSegmentPolicy")))
        r = no_memory(err);
    if (r == 0)
        r = add_metadata(policy, cut, name, err);
    if (r == 0)
        r = add_spec(policy, cut, expires_at, err);
    if (r < 0) {
        cJSON_Delete(policy);
        return r;
    }
    *ret_policy = policy;
    return 0;
}

int64_t fence_cut_expiry(int64_t before, uint64_t end_ns, uint64_t wall_ns, uint64_t boot_ns)
{
    const int64_t end = (int64_t)(wall_ns + (end_ns - boot_ns));
    const int64_t moved = end - before * NS_PER_SECOND;

    if (moved < NS_PER_SECOND && moved > -NS_PER_SECOND)
        return before;
    return (end + NS_PER_SECOND / 2) / NS_PER_SECOND;
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static bool add_members(cJSON *json, const struct fence_cut *cut)
{
    cJSON *ports = cJSON_AddArrayToObject(json, "ports");
    bool fine = ports != NULL;

    for (size_t i = 0; fine && i < cut->port_count; i++)
        fine = take_item(ports, cJSON_CreateString(cut->ports[i]), NULL) == 0;
    return fine && cJSON_AddStringToObject(json, "selector", text_or_empty(cut->pods)) &&
           cJSON_AddStringToObject(json, "namespace", namespace_of(cut)) &&
           cJSON_AddStringToObject(json, "peer", text_or_empty(cut->peer)) &&
           cJSON_AddStringToObject(json, "direction", fence_cut_direction_name(cut->direction)) &&
           cJSON_AddNumberToObject(json, "seconds", cut->seconds) &&
           cJSON_AddBoolToObject(json, "everything", cut->everything) &&
           cJSON_AddStringToObject(json, "origin", text_or_empty(cut->origin)) &&
           cJSON_AddStringToObject(json, "reason", text_or_empty(cut->reason));
}

cJSON *fence_cut_to_json(const struct fence_cut *cut)
{
    cJSON *json = cJSON_CreateObject();

    if (add_members(json, cut))
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* An absent text is "". */
static bool take_text(const cJSON *json, const char *name, const char **ret_text)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, name);

    if (member && !cJSON_IsString(member))
        return false;
    *ret_text = member ? member->valuestring : "";
    return true;
}

static bool take_ports(const cJSON *json, struct fence_cut *cut)
{
    const cJSON *ports = cJSON_GetObjectItemCaseSensitive(json, "ports"), *port;

    if (ports && !cJSON_IsArray(ports))
        return false;
    cJSON_ArrayForEach(port, ports)
    {
        if (!cJSON_IsString(port) || cut->port_count >= FENCE_CUT_PORTS_MAX)
            return false;
        cut->ports[cut->port_count++] = port->valuestring;
    }
    return true;
}

int fence_cut_from_json(const cJSON *json, struct fence_cut *ret_cut, struct fence_err *err)
{
    static const char *const names[] = {"selector", "namespace", "peer", "origin", "reason"};
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(json, "seconds");
    const char *direction;
    struct fence_cut cut = {0};
    const char **const texts[] = {&cut.pods, &cut.namespace_name, &cut.peer, &cut.origin,
                                  &cut.reason};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++)
        if (!take_text(json, names[i], texts[i]))
            return fence_err_set(err, -EINVAL, "%s must be a text", names[i]);
    if (!take_text(json, "direction", &direction) ||
        (*direction && fence_cut_direction_parse(direction, &cut.direction) < 0))
        return fence_err_set(err, -EINVAL, "direction must be both, ingress or egress");
    if (!take_ports(json, &cut))
        return fence_err_set(err, -EINVAL, "ports must be a list of at most %u texts",
                             FENCE_CUT_PORTS_MAX);
    if (!cJSON_IsNumber(seconds) ||
        !(seconds->valuedouble >= 1 && seconds->valuedouble <= FENCE_CUT_SECONDS_MAX))
        return fence_err_set(err, -EINVAL, "seconds must be a number from 1 to %u",
                             FENCE_CUT_SECONDS_MAX);
    cut.seconds = (uint32_t)seconds->valuedouble;
    cut.everything = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "everything"));
    *ret_cut = cut;
    return 0;
}
