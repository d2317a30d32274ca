/* SPDX-License-Identifier: Apache-2.0 */
/* The naive evaluator: the order of judgement (DESIGN 4.4). */
#include "test/policy/naive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/policy/naive_internal.h"

#define METADATA_NAME "kubernetes.io/metadata.name"

/* ---- policies ------------------------------------------------------------------------------- */

static bool has_kind(const cJSON *policy, const char *kind)
{
    return strcmp(naive_text(policy, "kind"), kind) == 0;
}

static bool is_segment_policy(const cJSON *policy)
{
    return has_kind(policy, "SegmentPolicy") || has_kind(policy, "ClusterSegmentPolicy");
}

static bool is_denylist(const cJSON *policy)
{
    return strcmp(naive_text(naive_get(policy, "spec"), "mode"), "Denylist") == 0;
}

static bool is_audit(const struct naive *naive, const cJSON *policy)
{
    const cJSON *annotations = naive_get(naive_get(policy, "metadata"), "annotations");

    if (is_segment_policy(policy))
        return strcmp(naive_text(naive_get(policy, "spec"), "enforcement"), "Audit") == 0;
    return cJSON_IsTrue(naive_get(naive->world, "auditAnnotation")) &&
           strcmp(naive_text(annotations, "podfence.io/enforcement"), "Audit") == 0;
}

/* RFC 3339. */
static double seconds_of(const char *text)
{
    struct tm tm = {0};
    int hours = 0, minutes = 0;
    char sign = 'Z';
    const char *zone = text + strcspn(text, "T");

    sscanf(text, "%d-%d-%dT%d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
           &tm.tm_sec);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    sscanf(zone + strcspn(zone, "Z+-"), "%c%d:%d", &sign, &hours, &minutes);
    return (double)timegm(&tm) - (sign == '-' ? -60.0 : 60.0) * (hours * 60 + minutes);
}

static bool is_over(const struct naive *naive, const cJSON *policy)
{
    const cJSON *now = naive_get(naive->world, "now");
    const char *text = naive_text(naive_get(policy, "spec"), "expiresAt");

    return *text && seconds_of(text) <= (now ? now->valuedouble : 0);
}

static bool cluster_subject_is(const struct naive_trial *trial, const cJSON *subject)
{
    const cJSON *pods = naive_get(subject, "pods");
    const cJSON *namespaces = naive_get(subject, "namespaces");

    if (pods)
        namespaces = naive_get(pods, "namespaceSelector");
    return naive_selects(namespaces, naive_namespace(trial->naive, trial->pod)) &&
           naive_selects(naive_get(pods, "podSelector"), naive_get(trial->pod, "labels"));
}

static bool policy_selects(const struct naive_trial *trial, const cJSON *policy)
{
    const cJSON *spec = naive_get(policy, "spec");
    const cJSON *scope = is_segment_policy(policy) ? naive_get(spec, "appliesTo") : spec;
    const char *home = naive_text(naive_get(policy, "metadata"), "namespace");

    if (has_kind(policy, "ClusterNetworkPolicy"))
        return cluster_subject_is(trial, naive_get(spec, "subject"));
    if (has_kind(policy, "ClusterSegmentPolicy")) {
        if (!naive_selects(naive_get(scope, "namespaceSelector"),
                           naive_namespace(trial->naive, trial->pod)))
            return false;
    } else if (strcmp(*home ? home : "default", naive_text(trial->pod, "ns")) != 0) {
        return false;
    }
    return naive_selects(naive_get(scope, "podSelector"), naive_get(trial->pod, "labels"));
}

/* Is this policy about this trial at all? */
static bool counts(const struct naive_trial *trial, const cJSON *policy)
{
    if (is_over(trial->naive, policy) || (is_audit(trial->naive, policy) && !trial->shadow))
        return false;
    return policy_selects(trial, policy);
}

static bool names_direction(const cJSON *types, enum fence_direction direction)
{
    const cJSON *type;

    cJSON_ArrayForEach(type, types)
    {
        if (strcmp(type->valuestring, direction == FENCE_EGRESS ? "Egress" : "Ingress") == 0)
            return true;
    }
    return false;
}

static const cJSON *rules_of(const struct naive_trial *trial, const cJSON *policy)
{
    return naive_get(naive_get(policy, "spec"),
                     trial->direction == FENCE_EGRESS ? "egress" : "ingress");
}

/* NetworkPolicy and SegmentPolicy: is the direction theirs? */
static bool has_direction(const struct naive_trial *trial, const cJSON *policy)
{
    const cJSON *types = naive_get(naive_get(policy, "spec"), "policyTypes");
    const cJSON *rules = rules_of(trial, policy);

    if (cJSON_GetArraySize(types) > 0)
        return names_direction(types, trial->direction);
    if (is_segment_policy(policy))
        return rules != NULL;
    return trial->direction == FENCE_INGRESS || cJSON_GetArraySize(rules) > 0;
}

static bool any_rule_matches(const struct naive_trial *trial, const cJSON *policy)
{
    const cJSON *rule;

    cJSON_ArrayForEach(rule, rules_of(trial, policy))
    {
        if (naive_rule_matches(trial, policy, rule))
            return true;
    }
    return false;
}

/* ---- tiers ---------------------------------------------------------------------------------- */

struct outcome {
    bool decided;
    bool allowed;
    const char *why;
    const cJSON *policy;
};

static struct outcome judge_denylists(const struct naive_trial *trial)
{
    const cJSON *policy;

    cJSON_ArrayForEach(policy, naive_get(trial->naive->world, "policies"))
    {
        if (is_segment_policy(policy) && is_denylist(policy) && counts(trial, policy) &&
            has_direction(trial, policy) && any_rule_matches(trial, policy))
            return (struct outcome){true, false, "a Denylist", policy};
    }
    return (struct outcome){0};
}

/* What the rules of one ClusterNetworkPolicy do, in order. */
static enum naive_action judge_cluster_policy(const struct naive_trial *trial, const cJSON *policy)
{
    const cJSON *rule;

    cJSON_ArrayForEach(rule, rules_of(trial, policy))
    {
        enum naive_action action = naive_cluster_rule(trial, rule);

        if (action != NAIVE_NO_MATCH)
            return action;
    }
    return NAIVE_NO_MATCH;
}

static struct outcome judge_cluster_tier(const struct naive_trial *trial, const char *tier)
{
    for (size_t i = 0; i < trial->naive->cluster_count; i++) {
        const cJSON *policy = trial->naive->cluster[i];
        enum naive_action action = NAIVE_NO_MATCH;

        if (strcmp(naive_text(naive_get(policy, "spec"), "tier"), tier) == 0 &&
            counts(trial, policy))
            action = judge_cluster_policy(trial, policy);
        if (action == NAIVE_PASS)
            break;
        if (action != NAIVE_NO_MATCH)
            return (struct outcome){true, action == NAIVE_ACCEPT, tier, policy};
    }
    return (struct outcome){0};
}

/* The own node is exempt from isolation, as Kubernetes documents, unless the operator says no. */
static bool is_exempt(const struct naive_trial *trial)
{
    const char *choice = naive_text(trial->naive->world, "ownNodeEgress");

    return trial->direction == FENCE_EGRESS && trial->peer.who == NAIVE_HOST &&
           !trial->peer.shared && strcmp(choice, "policy") != 0;
}

static struct outcome judge_allowlists(const struct naive_trial *trial)
{
    const cJSON *isolates = NULL;
    const cJSON *policy;

    cJSON_ArrayForEach(policy, naive_get(trial->naive->world, "policies"))
    {
        if (has_kind(policy, "ClusterNetworkPolicy") ||
            (is_segment_policy(policy) && is_denylist(policy)))
            continue;
        if (!counts(trial, policy) || !has_direction(trial, policy))
            continue;
        isolates = policy;
        if (any_rule_matches(trial, policy))
            return (struct outcome){true, true, "a rule", policy};
    }
    if (isolates && !is_exempt(trial))
        return (struct outcome){true, false, "isolated", isolates};
    return (struct outcome){0};
}

static struct outcome judge(const struct naive_trial *trial)
{
    struct outcome outcome;

    if (trial->direction == FENCE_INGRESS && trial->peer.who == NAIVE_HOST)
        return (struct outcome){true, true, "from its own node", NULL};
    if (naive_is_incomplete(trial->naive, trial->pod))
        return (struct outcome){true, false, "a required label is missing", NULL};
    outcome = judge_denylists(trial);
    if (!outcome.decided)
        outcome = judge_cluster_tier(trial, "Admin");
    if (!outcome.decided)
        outcome = judge_allowlists(trial);
    if (!outcome.decided)
        outcome = judge_cluster_tier(trial, "Baseline");
    if (!outcome.decided)
        outcome = (struct outcome){true, true, "nothing against it", NULL};
    return outcome;
}

/* ---- a question ----------------------------------------------------------------------------- */

/* An address of no workload, in no block. */
static const struct naive_peer nobody = {.who = NAIVE_SERVICE};

/* Every backend as a destination of its own: all of them, none of them, or some; but what must not
 * reach a process of the node itself is refused at once. */
static uint8_t judge_backends(const struct naive_trial *trial,
                              const struct naive_backends *backends)
{
    unsigned int allowed = 0;
    bool here = false;

    for (unsigned int i = 0; i < backends->count; i++) {
        struct naive_trial one = *trial;
        bool passes;

        one.peer = naive_resolve_backend(trial->naive, trial->pod, &backends->items[i].addr);
        one.port = backends->items[i].port;
        passes = judge(&one).allowed;
        allowed += passes;
        here |= !passes && one.peer.who == NAIVE_HOST;
    }
    if (allowed == backends->count)
        return FENCE_ALLOW;
    return allowed && !here ? FENCE_DEFER : FENCE_DENY;
}

/* Also says why: of a service with backends only that it is one. */
static uint8_t judge_way(const struct naive_trial *trial, struct outcome *outcome)
{
    struct naive_backends backends = {.count = 0};
    struct naive_trial nowhere = *trial;

    *outcome = judge_denylists(trial);
    if (trial->direction == FENCE_INGRESS || !naive_leads(trial, &backends)) {
        *outcome = judge(trial);
    } else if (!outcome->decided && !backends.count) {
        nowhere.peer = nobody;
        *outcome = judge(&nowhere);
    } else if (!outcome->decided) {
        outcome->why = "a service";
        return judge_backends(trial, &backends);
    }
    return outcome->allowed ? FENCE_ALLOW : FENCE_DENY;
}

static void ask_side(struct naive_trial *trial, struct naive_side *side)
{
    struct outcome outcome;
    struct outcome unused;

    side->asked = true;
    side->verdict = judge_way(trial, &outcome);
    side->why = outcome.why;
    side->policy = outcome.policy;
    trial->shadow = true;
    side->shadow = judge_way(trial, &unused);
}

int naive_ask(const struct naive *naive, const struct fence_query *query,
              struct naive_answer *ret_answer)
{
    static const struct naive_side unasked = {false, FENCE_ALLOW, FENCE_ALLOW, "no endpoint", NULL};
    const cJSON *pods[FENCE_DIRECTIONS] = {0};
    struct naive_addr addrs[FENCE_DIRECTIONS];

    if (!naive_find_end(naive, query->from, query->family, &pods[FENCE_EGRESS],
                        &addrs[FENCE_EGRESS]) ||
        !naive_find_end(naive, query->to, query->family, &pods[FENCE_INGRESS],
                        &addrs[FENCE_INGRESS]))
        return -ENOENT;
    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct naive_trial trial = {.naive = naive,
                                    .pod = pods[direction],
                                    .direction = direction,
                                    .protocol = query->protocol,
                                    .port = query->port};

        ret_answer->sides[direction] = unasked;
        /* a packet to the sender's own address never leaves the pod */
        if (!trial.pod || naive_has_addr(pods[FENCE_EGRESS], &addrs[FENCE_INGRESS]))
            continue;
        trial.peer = naive_resolve(naive, trial.pod, &addrs[!direction]);
        ask_side(&trial, &ret_answer->sides[direction]);
    }
    return 0;
}

/* ---- worlds --------------------------------------------------------------------------------- */

static void complete_namespace(cJSON *namespaces, const char *name)
{
    cJSON *labels = cJSON_GetObjectItemCaseSensitive(namespaces, name);

    if (!labels)
        labels = cJSON_AddObjectToObject(namespaces, name);
    cJSON_DeleteItemFromObjectCaseSensitive(labels, METADATA_NAME);
    cJSON_AddStringToObject(labels, METADATA_NAME, name);
}

static void complete(cJSON *world)
{
    cJSON *namespaces = cJSON_GetObjectItemCaseSensitive(world, "namespaces");
    const cJSON *item;

    if (!namespaces)
        namespaces = cJSON_AddObjectToObject(world, "namespaces");
    cJSON_ArrayForEach(item, namespaces)
    {
        complete_namespace(namespaces, item->string);
    }
    cJSON_ArrayForEach(item, naive_get(world, "pods"))
    {
        complete_namespace(namespaces, naive_text(item, "ns"));
    }
}

/* Equal priorities: the API leaves the order open, we promise that of the names. */
static int by_priority(const void *a, const void *b)
{
    const cJSON *left = *(const cJSON *const *)a;
    const cJSON *right = *(const cJSON *const *)b;
    double first = naive_get(naive_get(left, "spec"), "priority")->valuedouble;
    double second = naive_get(naive_get(right, "spec"), "priority")->valuedouble;

    if (first != second)
        return first < second ? -1 : 1;
    return strcmp(naive_text(naive_get(left, "metadata"), "name"),
                  naive_text(naive_get(right, "metadata"), "name"));
}

struct naive *naive_new(const cJSON *world)
{
    struct naive *naive = calloc(1, sizeof(*naive));
    const cJSON *policy;

    if (!naive)
        return NULL;
    naive->world = cJSON_Duplicate(world, true);
    complete(naive->world);
    naive->cluster =
        calloc((size_t)cJSON_GetArraySize(naive_get(world, "policies")) + 1, sizeof(void *));
    if (!naive->cluster) {
        naive_free(&naive);
        return NULL;
    }
    cJSON_ArrayForEach(policy, naive_get(naive->world, "policies"))
    {
        if (has_kind(policy, "ClusterNetworkPolicy"))
            naive->cluster[naive->cluster_count++] = policy;
    }
    qsort(naive->cluster, naive->cluster_count, sizeof(void *), by_priority);
    return naive;
}

void naive_free(struct naive **naive)
{
    if (!*naive)
        return;
    cJSON_Delete((*naive)->world);
    free((*naive)->cluster);
    free(*naive);
    *naive = NULL;
}
