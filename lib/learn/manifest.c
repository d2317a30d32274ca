/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/learn/manifest.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

/* As a person would write them: ingress first. */
static const struct {
    unsigned int direction;
    const char *type;
    const char *member;
    const char *peers;
} directions[] = {
    {FENCE_INGRESS, "Ingress", "ingress", "from"},
    {FENCE_EGRESS, "Egress", "egress", "to"},
};

static bool is_segment(const struct fence_learn_options *options)
{
    return options->kind == FENCE_OBJECT_SEGMENT_POLICY;
}

/* ---- selectors ------------------------------------------------------------------------------ */

static bool add_selector(cJSON *object, const struct fence_learn_workload *workload)
{
    cJSON *selector = cJSON_AddObjectToObject(object, "podSelector");
    cJSON *match, *absent;
    bool ok = selector;

    if (ok && workload->match.count) {
        match = cJSON_AddObjectToObject(selector, "matchLabels");
        for (size_t i = 0; ok && i < workload->match.count; i++)
            ok = cJSON_AddStringToObject(match, workload->match.items[i].key,
                                         workload->match.items[i].value);
    }
    if (!ok || !workload->absent.count)
        return ok;
    absent = cJSON_AddArrayToObject(selector, "matchExpressions");
    for (size_t i = 0; ok && i < workload->absent.count; i++) {
        cJSON *item = cJSON_CreateObject();

        ok = cJSON_AddStringToObject(item, "key", workload->absent.items[i]) &&
             cJSON_AddStringToObject(item, "operator", "DoesNotExist");
        ok = cJSON_AddItemToArray(absent, item) && ok;
    }
    return ok;
}

static bool add_workload(cJSON *peers, const struct fence_learn_workload *workload,
                         const char *own_namespace)
{
    cJSON *peer = cJSON_CreateObject();
    cJSON *match;

    if (!cJSON_AddItemToArray(peers, peer))
        return false;
    if (strcmp(workload->namespace_name, own_namespace) != 0) {
        match = cJSON_AddObjectToObject(cJSON_AddObjectToObject(peer, "namespaceSelector"),
                                        "matchLabels");
        if (!cJSON_AddStringToObject(match, "kubernetes.io/metadata.name",
                                     workload->namespace_name))
            return false;
    }
    return add_selector(peer, workload);
}

static bool is_whole_family(const struct fence_prefix *block)
{
    return block->length == 0 || (fence_prefix_is_ipv4(block) && block->length == 96);
}

static bool add_exceptions(const struct fence_learn_proposal *proposal,
                           const struct fence_prefix *block, cJSON *object)
{
    bool ok = true;

    for (size_t i = 0; ok && i < proposal->exception_count; i++) {
        const struct fence_prefix *exception = &proposal->exceptions[i];
        char text[FENCE_PREFIX_TEXT];
        cJSON *list;

        if (fence_prefix_is_ipv4(block) != fence_prefix_is_ipv4(exception) ||
            exception->length <= block->length)
            continue;
        list = cJSON_GetObjectItemCaseSensitive(object, "except");
        if (!list)
            list = cJSON_AddArrayToObject(object, "except");
        ok = cJSON_AddItemToArray(list, cJSON_CreateString(fence_prefix_format(exception, text)));
    }
    return ok;
}

static bool add_block(const struct fence_learn_proposal *proposal, const struct fence_prefix *block,
                      cJSON *peers)
{
    cJSON *peer = cJSON_CreateObject();
    cJSON *object = cJSON_AddObjectToObject(peer, "ipBlock");
    char text[FENCE_PREFIX_TEXT];
    bool ok = cJSON_AddItemToArray(peers, peer) &&
              cJSON_AddStringToObject(object, "cidr", fence_prefix_format(block, text));

    return ok && (!is_whole_family(block) || add_exceptions(proposal, block, object));
}

/* ---- rules ---------------------------------------------------------------------------------- */

static bool add_port(cJSON *ports, const struct fence_learn_port *port)
{
    cJSON *object = cJSON_CreateObject();
    char name[8];
    bool ok =
        cJSON_AddItemToArray(ports, object) &&
        cJSON_AddStringToObject(object, "protocol", fence_protocol_name(port->protocol, name));

    if (fence_learn_is_icmp(port->protocol))
        return ok && cJSON_AddNumberToObject(object, "type", port->first >> 8) &&
               cJSON_AddNumberToObject(object, "code", port->first & 255);
    ok = ok && cJSON_AddNumberToObject(object, "port", port->first);
    return ok &&
           (port->first == port->last || cJSON_AddNumberToObject(object, "endPort", port->last));
}

static bool add_rule(const struct fence_learn_proposal *proposal,
                     const struct fence_learn_policy *policy, const struct fence_learn_rule *rule,
                     const char *peers_name, cJSON *rules)
{
    const struct fence_learn_workloads *workloads = &proposal->links.workloads;
    cJSON *object = cJSON_CreateObject();
    cJSON *peers = cJSON_AddArrayToObject(object, peers_name);
    cJSON *ports = cJSON_AddArrayToObject(object, "ports");
    bool ok = cJSON_AddItemToArray(rules, object) && peers && ports;

    if (ok && rule->peer != FENCE_LEARN_NOBODY)
        ok = add_workload(peers, &workloads->items[rule->peer],
                          workloads->items[policy->workload].namespace_name);
    for (size_t i = 0; ok && i < rule->block_count; i++)
        ok = add_block(proposal, &rule->blocks[i], peers);
    for (size_t i = 0; ok && i < rule->port_count; i++)
        ok = add_port(ports, &rule->ports[i]);
    return ok;
}

static bool add_rules(const struct fence_learn_proposal *proposal,
                      const struct fence_learn_policy *policy, cJSON *spec)
{
    cJSON *types = cJSON_AddArrayToObject(spec, "policyTypes");
    bool ok = types;

    for (size_t i = 0; ok && i < FENCE_ARRAY_SIZE(directions); i++) {
        unsigned int direction = directions[i].direction;
        cJSON *rules;

        if (!policy->isolates[direction])
            continue;
        rules = cJSON_AddArrayToObject(spec, directions[i].member);
        ok = rules && cJSON_AddItemToArray(types, cJSON_CreateString(directions[i].type));
        for (size_t j = 0; ok && j < policy->rule_count[direction]; j++)
            ok = add_rule(proposal, policy, &policy->rules[direction][j], directions[i].peers,
                          rules);
    }
    return ok;
}

/* ---- what it was learned from --------------------------------------------------------------- */

static bool add_evidence(cJSON *annotations, const char *direction, size_t number,
                         const struct fence_learn_rule *rule)
{
    char key[64], text[128], first[32], last[32];

    snprintf(key, sizeof(key), "podfence.io/evidence-%s-%zu", direction, number);
    snprintf(text, sizeof(text), "first=%s last=%s count=%llu",
             fence_learn_time(rule->first, first), fence_learn_time(rule->last, last),
             (unsigned long long)rule->count);
    return cJSON_AddStringToObject(annotations, key, text);
}

static bool add_left_out(cJSON *annotations, const char *direction,
                         const struct fence_learn_texts *texts)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    FILE *out;
    char key[64];

    if (!texts->count)
        return true;
    out = open_memstream(&text, &size);
    if (!out)
        return false;
    for (size_t i = 0; i < texts->count; i++)
        fprintf(out, "%s%s", i ? "; " : "", texts->items[i]);
    if (fclose(out) != 0)
        return false;
    snprintf(key, sizeof(key), "podfence.io/left-out-%s", direction);
    return cJSON_AddStringToObject(annotations, key, text);
}

static bool add_annotations(const struct fence_learn_policy *policy,
                            const struct fence_learn_options *options,
                            const struct fence_learn_flows *flows, cJSON *metadata)
{
    cJSON *annotations = cJSON_AddObjectToObject(metadata, "annotations");
    char text[128], since[32], until[32];
    bool ok;

    snprintf(text, sizeof(text), "since=%s until=%s lost=%llu",
             fence_learn_time(flows->since, since), fence_learn_time(flows->until, until),
             (unsigned long long)flows->lost);
    ok = cJSON_AddStringToObject(annotations, "podfence.io/learned", text);
    if (ok && options->audit && !is_segment(options))
        ok = cJSON_AddStringToObject(annotations, "podfence.io/enforcement", "Audit");
    for (size_t i = 0; ok && i < FENCE_ARRAY_SIZE(directions); i++) {
        unsigned int direction = directions[i].direction;

        for (size_t j = 0; ok && j < policy->rule_count[direction]; j++)
            ok = add_evidence(annotations, directions[i].member, j, &policy->rules[direction][j]);
        ok = ok && add_left_out(annotations, directions[i].member, &policy->left_out[direction]);
    }
    return ok;
}

static bool fill(const struct fence_learn_proposal *proposal,
                 const struct fence_learn_policy *policy, const struct fence_learn_options *options,
                 cJSON *object)
{
    const struct fence_learn_workload *workload =
        &proposal->links.workloads.items[policy->workload];
    cJSON *spec = cJSON_AddObjectToObject(object, "spec");

    if (!spec)
        return false;
    if (is_segment(options)) {
        cJSON *applies;

        if (!cJSON_AddStringToObject(spec, "mode", "Allowlist") ||
            !cJSON_AddStringToObject(spec, "enforcement", options->audit ? "Audit" : "Enforce"))
            return false;
        applies = cJSON_AddObjectToObject(spec, "appliesTo");
        return add_selector(applies, workload) && add_rules(proposal, policy, spec);
    }
    return add_selector(spec, workload) && add_rules(proposal, policy, spec);
}

cJSON *fence_learn_manifest(const struct fence_learn_proposal *proposal,
                            const struct fence_learn_policy *policy,
                            const struct fence_learn_options *options,
                            const struct fence_learn_flows *flows)
{
    const struct fence_learn_workload *workload =
        &proposal->links.workloads.items[policy->workload];
    const char *version = is_segment(options) ? "podfence.io/v1alpha1" : "networking.k8s.io/v1";
    cJSON *object = cJSON_CreateObject(), *metadata;
    bool ok = cJSON_AddStringToObject(object, "apiVersion", version) &&
              cJSON_AddStringToObject(object, "kind", fence_kind_name(options->kind));

    metadata = cJSON_AddObjectToObject(object, "metadata");
    ok = ok && cJSON_AddStringToObject(metadata, "name", policy->name) &&
         cJSON_AddStringToObject(metadata, "namespace", workload->namespace_name) &&
         add_annotations(policy, options, flows, metadata) &&
         fill(proposal, policy, options, object);
    if (ok)
        return object;
    cJSON_Delete(object);
    return NULL;
}
