/* SPDX-License-Identifier: Apache-2.0 */
/* A flow from JSON: the daemon's answer, a saved one, or the daemon's own file. */
#include <errno.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/flows/flow.h"

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(member) ? member->valuestring : NULL;
}

/* A whole number from 0 to `max`; false when it is there and is none. Absent: *ret_number stays. */
static bool take_number(const cJSON *object, const char *name, double max, uint64_t *ret_number)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!member || cJSON_IsNull(member))
        return true;
    if (!cJSON_IsNumber(member) || !(member->valuedouble >= 0 && member->valuedouble <= max))
        return false;
    *ret_number = (uint64_t)member->valuedouble;
    return true;
}

static int parse_labels(const cJSON *object, char **ret_text)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(object, "labels"), *label;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    const char *between = "";

    if (!out)
        return -ENOMEM;
    cJSON_ArrayForEach(label, labels)
    {
        if (!cJSON_IsString(label) || !label->string)
            continue;
        fprintf(out, "%s%s=%s", between, label->string, label->valuestring);
        between = ",";
    }
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    *ret_text = text;
    return 0;
}

static int parse_remotes(const cJSON *object, struct fence_flow_parsed *parsed)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "addresses"), *item;
    struct fence_flow_seen *seen = &parsed->seen;
    size_t count = 0;

    if (!cJSON_IsArray(list))
        return 0;
    free(parsed->remotes);
    parsed->remotes = calloc(FENCE_FLOW_REMOTES, sizeof(*parsed->remotes));
    if (!parsed->remotes)
        return -ENOMEM;
    cJSON_ArrayForEach(item, list)
    {
        struct fence_prefix prefix;

        if (count == FENCE_FLOW_REMOTES || !cJSON_IsString(item) ||
            fence_prefix_parse(item->valuestring, &prefix, NULL) < 0)
            return -EINVAL;
        parsed->remotes[count++] = prefix.addr;
    }
    seen->remotes = parsed->remotes;
    seen->remote_count = count;
    if (!take_number(object, "addressesOmitted", 1e15, &seen->remotes_omitted) ||
        !take_number(object, "addressesHeard", 1e15, &seen->remotes_heard))
        return -EINVAL;
    return 0;
}

static int parse_workload(const cJSON *object, struct fence_flow_end *end, char **labels)
{
    int r;

    end->kind = FENCE_FLOW_WORKLOAD;
    end->namespace_name = text_of(object, "namespace");
    end->name = text_of(object, "app");
    if (!end->namespace_name || !end->name)
        return -EINVAL;
    r = parse_labels(object, labels);
    if (r == 0)
        end->labels = *labels;
    return r;
}

static int parse_end(const cJSON *json, const char *name, struct fence_flow_parsed *parsed,
                     struct fence_flow_end *end)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(json, name);
    const char *kind = text_of(object, "kind");
    char **labels =
        end == &parsed->seen.source ? &parsed->source_labels : &parsed->destination_labels;

    *end = (struct fence_flow_end){.namespace_name = "", .name = NULL, .labels = ""};
    if (!kind)
        return -EINVAL;
    if (strcmp(kind, "workload") == 0)
        return parse_workload(object, end, labels);
    if (strcmp(kind, "node") == 0) {
        end->kind = FENCE_FLOW_NODE;
        end->name = text_of(object, "node");
        return end->name ? 0 : -EINVAL;
    }
    if (strcmp(kind, "reserved") != 0)
        return -EINVAL;
    end->kind = FENCE_FLOW_RESERVED;
    end->name = text_of(object, "name");
    return end->name ? parse_remotes(object, parsed) : -EINVAL;
}

static int parse_reason(const cJSON *json, const char *name, uint8_t *reason)
{
    const char *text = text_of(json, name);

    *reason = FENCE_REASON_NONE;
    if (!text)
        return 0;
    for (unsigned int i = 0; i < FENCE_REASON_COUNT; i++)
        if (strcmp(fence_reason_name(i), text) == 0)
            *reason = (uint8_t)i;
    return 0; /* of another version: "none" */
}

static int parse_position(const cJSON *json, struct fence_flow_seen *seen)
{
    uint64_t port = 0, type = 0, code = 0;

    if (!take_number(json, "port", 65535, &port) || !take_number(json, "type", 255, &type) ||
        !take_number(json, "code", 255, &code))
        return -EINVAL;
    seen->port = (uint16_t)(fence_flow_is_icmp(seen->protocol) ? type << 8 | code : port);
    return 0;
}

static int parse_protocol(const cJSON *json, struct fence_flow_seen *seen)
{
    const char *text = text_of(json, "protocol");
    unsigned int protocol;

    if (!text || fence_protocol_parse(text, &protocol) < 0)
        return -EINVAL;
    seen->protocol = (uint8_t)protocol;
    return parse_position(json, seen);
}

static int parse_direction(const cJSON *json, struct fence_flow_seen *seen)
{
    const char *text = text_of(json, "direction");

    if (!text || (strcmp(text, "INGRESS") != 0 && strcmp(text, "EGRESS") != 0))
        return -EINVAL;
    seen->direction = strcmp(text, "INGRESS") == 0 ? FENCE_INGRESS : FENCE_EGRESS;
    return 0;
}

static int parse_verdict(const cJSON *json, struct fence_flow_seen *seen)
{
    const char *text = text_of(json, "verdict");
    enum fence_flow_verdict verdict;

    if (!text || fence_flow_verdict_parse(text, &verdict) < 0)
        return -EINVAL;
    seen->verdict = (uint8_t)verdict;
    parse_reason(json, "reason", &seen->reason);
    parse_reason(json, "auditReason", &seen->audit_reason);
    return 0;
}

static int parse_rule(const cJSON *json, const char *policy_name, const char *rule_name,
                      struct fence_flow_rule *rule)
{
    const char *policy = text_of(json, policy_name);
    uint64_t index = FENCE_RULE_NONE;

    *rule = (struct fence_flow_rule){.policy = policy ? policy : "", .index = FENCE_RULE_NONE};
    if (!take_number(json, rule_name, UINT32_MAX, &index))
        return -EINVAL;
    rule->index = (uint32_t)index;
    return 0;
}

static int parse_times(const cJSON *json, struct fence_flow_seen *seen)
{
    const char *first = text_of(json, "firstSeen"), *last = text_of(json, "lastSeen");

    if (!first || !last || fence_flow_time_parse(first, &seen->first_ns) < 0 ||
        fence_flow_time_parse(last, &seen->last_ns) < 0)
        return -EINVAL;
    return 0;
}

static const char *parse_members(const cJSON *json, struct fence_flow_parsed *parsed, int *result)
{
    struct fence_flow_seen *seen = &parsed->seen;

    if ((*result = parse_end(json, "source", parsed, &seen->source)) < 0)
        return "source";
    if ((*result = parse_end(json, "destination", parsed, &seen->destination)) < 0)
        return "destination";
    if ((*result = parse_protocol(json, seen)) < 0)
        return "protocol, port, type or code";
    if ((*result = parse_direction(json, seen)) < 0)
        return "direction";
    if ((*result = parse_verdict(json, seen)) < 0)
        return "verdict";
    if ((*result = parse_rule(json, "policy", "rule", &seen->rule)) < 0)
        return "rule";
    if ((*result = parse_rule(json, "auditPolicy", "auditRule", &seen->audit_rule)) < 0)
        return "auditRule";
    *result = take_number(json, "count", 1e18, &seen->count) ? 0 : -EINVAL;
    if (*result < 0)
        return "count";
    *result = parse_times(json, seen);
    return "firstSeen or lastSeen";
}

int fence_flow_parse(const cJSON *json, struct fence_flow_parsed *ret_parsed, struct fence_err *err)
{
    struct fence_flow_parsed parsed = {0};
    const char *member;
    int result;

    if (!cJSON_IsObject(json))
        return fence_err_set(err, -EINVAL, "a flow must be an object");
    member = parse_members(json, &parsed, &result);
    if (result < 0) {
        fence_flow_parsed_done(&parsed);
        return result == -ENOMEM ? fence_err_set(err, result, "out of memory")
                                 : fence_err_set(err, result, "%s is missing or not valid", member);
    }
    *ret_parsed = parsed;
    return 0;
}

void fence_flow_parsed_done(struct fence_flow_parsed *parsed)
{
    free(parsed->source_labels);
    free(parsed->destination_labels);
    free(parsed->remotes);
    *parsed = (struct fence_flow_parsed){0};
}
