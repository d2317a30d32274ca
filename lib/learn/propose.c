/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/learn/propose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/policy/lookup.h"

const char *fence_learn_time(int64_t seconds, char buffer[32])
{
    time_t time = (time_t)seconds;
    struct tm tm;

    if (!gmtime_r(&time, &tm) || !strftime(buffer, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        snprintf(buffer, 32, "%lld", (long long)seconds);
    return buffer;
}

/* ---- rules ---------------------------------------------------------------------------------- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_blocks(const struct fence_learn_candidate *a,
                          const struct fence_learn_candidate *b)
{
    int order = 0;

    for (size_t i = 0; order == 0 && i < a->block_count && i < b->block_count; i++)
        order = fence_prefix_compare(&a->blocks[i], &b->blocks[i]);
    return order ? order : compare_numbers(a->block_count, b->block_count);
}

static int compare_peers(const struct fence_learn_candidate *a,
                         const struct fence_learn_candidate *b,
                         const struct fence_learn_workloads *workloads)
{
    if (a->peer == b->peer)
        return a->peer == FENCE_LEARN_NOBODY ? compare_blocks(a, b) : 0;
    if (a->peer == FENCE_LEARN_NOBODY || b->peer == FENCE_LEARN_NOBODY)
        return a->peer == FENCE_LEARN_NOBODY ? 1 : -1;
    return fence_learn_workload_compare(&workloads->items[a->peer], &workloads->items[b->peer]);
}

static int compare_candidates(const void *left, const void *right, void *context)
{
    const struct fence_learn_candidate *a = left, *b = right;
    int order = compare_numbers(a->subject, b->subject);

    if (order == 0)
        order = compare_numbers(a->direction, b->direction);
    if (order == 0)
        order = compare_peers(a, b, context);
    if (order == 0)
        order = compare_numbers(a->protocol, b->protocol);
    return order ? order : compare_numbers(a->port, b->port);
}

static int add_port(struct fence_learn_rule *rule, const struct fence_learn_candidate *candidate)
{
    struct fence_learn_port *last = rule->port_count ? &rule->ports[rule->port_count - 1] : NULL;
    bool joins = fence_learn_has_ports(candidate->protocol);

    if (last && last->protocol == candidate->protocol && last->last == candidate->port)
        return 0;
    if (last && joins && last->protocol == candidate->protocol &&
        last->last + 1u == candidate->port) {
        last->last = candidate->port;
        return 0;
    }
    if (FENCE_GROW(rule->ports, rule->port_capacity, rule->port_count) < 0)
        return -ENOMEM;
    rule->ports[rule->port_count++] = (struct fence_learn_port){
        .protocol = candidate->protocol, .first = candidate->port, .last = candidate->port};
    return 0;
}

static int add_rule(struct fence_learn_policy *policy,
                    const struct fence_learn_candidate *candidate)
{
    unsigned int direction = candidate->direction;
    struct fence_learn_rule rule = {.peer = candidate->peer,
                                    .first = candidate->first,
                                    .last = candidate->last,
                                    .block_count = candidate->block_count};

    if (FENCE_GROW(policy->rules[direction], policy->rule_capacity[direction],
                   policy->rule_count[direction]) < 0)
        return -ENOMEM;
    if (candidate->block_count) {
        rule.blocks = calloc(candidate->block_count, sizeof(rule.blocks[0]));
        if (!rule.blocks)
            return -ENOMEM;
        memcpy(rule.blocks, candidate->blocks, candidate->block_count * sizeof(rule.blocks[0]));
    }
    policy->rules[direction][policy->rule_count[direction]++] = rule;
    return 0;
}

/* The candidates are sorted: those of one rule stand together. */
static int add_candidate(struct fence_learn_policy *policy,
                         const struct fence_learn_candidate *candidate, bool begins)
{
    struct fence_learn_rule *rule;
    int r = begins ? add_rule(policy, candidate) : 0;

    if (r < 0)
        return r;
    rule = &policy->rules[candidate->direction][policy->rule_count[candidate->direction] - 1];
    rule->count += candidate->count;
    if (candidate->first < rule->first)
        rule->first = candidate->first;
    if (candidate->last > rule->last)
        rule->last = candidate->last;
    return add_port(rule, candidate);
}

/* What the addresses of services told, and what their backends did, is the same once more. */
static struct fence_learn_candidate once(const struct fence_learn_candidate *candidate,
                                         const struct fence_learn_candidate *before, bool begins,
                                         uint64_t *most)
{
    struct fence_learn_candidate one = *candidate;

    if (begins || before->protocol != candidate->protocol || before->port != candidate->port)
        *most = 0;
    one.count = candidate->count > *most ? candidate->count - *most : 0;
    *most += one.count;
    return one;
}

static int add_rules(const struct fence_learn_proposal *proposal,
                     const struct fence_learn_sides *sides, struct fence_learn_policy *policy)
{
    const struct fence_learn_candidate *before = NULL;
    uint64_t most = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < sides->candidate_count; i++) {
        const struct fence_learn_candidate *candidate = &sides->candidates[i];
        struct fence_learn_candidate one;
        bool begins;

        if (candidate->subject != policy->workload || !policy->isolates[candidate->direction])
            continue;
        begins = !before || before->direction != candidate->direction ||
                 compare_peers(before, candidate, &proposal->links.workloads) != 0;
        one = once(candidate, before, begins, &most);
        r = add_candidate(policy, &one, begins);
        before = candidate;
    }
    return r;
}

/* ---- names ---------------------------------------------------------------------------------- */

static char name_character(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return c;
    return '-';
}

/* What says exactly which pods: equal texts, equal workloads. */
static char *selector_text(const struct fence_learn_workload *workload)
{
    FENCE_FREE char *match = fence_labels_format(&workload->match);
    char *text = NULL;

    if (!match || asprintf(&text, "%s/%s", workload->namespace_name, match) < 0)
        return NULL;
    return text;
}

/* Is the name free for this workload, without a hash behind it? */
static bool is_plain_name(const struct fence_learn_workloads *workloads,
                          const struct fence_learn_workload *workload)
{
    if (!workload->app)
        return false;
    for (const char *at = workload->app; *at; at++)
        if (name_character(*at) != *at)
            return false;
    for (size_t i = 0; i < workloads->count; i++) {
        const struct fence_learn_workload *other = &workloads->items[i];

        if (other != workload && other->app && strcmp(other->app, workload->app) == 0 &&
            strcmp(other->namespace_name, workload->namespace_name) == 0)
            return false;
    }
    return true;
}

static int name_policy(const struct fence_learn_workloads *workloads,
                       struct fence_learn_policy *policy)
{
    static const __u64 key[2] = {0, 0};
    const struct fence_learn_workload *workload = &workloads->items[policy->workload];
    const char *app = workload->app ? workload->app : "unnamed";
    FENCE_FREE char *text = selector_text(workload);
    size_t length;

    if (!text)
        return -ENOMEM;
    length = (size_t)snprintf(policy->name, sizeof(policy->name), "learned-%.63s", app);
    for (char *at = policy->name; *at; at++)
        *at = name_character(*at);
    if (!is_plain_name(workloads, workload))
        snprintf(policy->name + length, sizeof(policy->name) - length, "-%08llx",
                 (unsigned long long)(fence_hash_bytes(key, text, strlen(text)).words[0] >> 32));
    return 0;
}

/* ---- policies ------------------------------------------------------------------------------- */

static void policy_done(struct fence_learn_policy *policy)
{
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        for (size_t i = 0; i < policy->rule_count[direction]; i++) {
            free(policy->rules[direction][i].blocks);
            free(policy->rules[direction][i].ports);
        }
        free(policy->rules[direction]);
        fence_learn_texts_done(&policy->left_out[direction]);
    }
    fence_learn_texts_done(&policy->notes);
}

static bool isolates(const struct fence_learn_options *options,
                     const struct fence_learn_workload *workload,
                     const struct fence_learn_side *side)
{
    bool local = workload->judged[FENCE_EGRESS] || workload->judged[FENCE_INGRESS];

    return !side->unknown && (side->made || (options->isolate_both && local));
}

static int fill_policy(const struct fence_learn_proposal *proposal, struct fence_learn_sides *sides,
                       struct fence_learn_policy *policy)
{
    struct fence_learn_side *of = sides->items[policy->workload];
    int r = name_policy(&proposal->links.workloads, policy);

    if (r == 0)
        r = add_rules(proposal, sides, policy);
    return r < 0 ? r : fence_learn_note_policy(of, policy);
}

static int add_policy(const struct fence_learn_options *options, struct fence_learn_sides *sides,
                      uint32_t number, struct fence_learn_proposal *proposal)
{
    const struct fence_learn_workload *workload = &proposal->links.workloads.items[number];
    struct fence_learn_policy policy = {.workload = number};

    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++)
        policy.isolates[direction] = isolates(options, workload, &sides->items[number][direction]);
    if (!policy.isolates[FENCE_EGRESS] && !policy.isolates[FENCE_INGRESS])
        return 0;
    if (FENCE_GROW(proposal->policies, proposal->capacity, proposal->count) < 0)
        return -ENOMEM;
    proposal->policies[proposal->count] = policy;
    return fill_policy(proposal, sides, &proposal->policies[proposal->count++]);
}

static int compare_policies(const void *left, const void *right, void *context)
{
    const struct fence_learn_policy *a = left, *b = right;
    const struct fence_learn_workloads *workloads = context;
    int order = strcmp(workloads->items[a->workload].namespace_name,
                       workloads->items[b->workload].namespace_name);

    return order ? order : strcmp(a->name, b->name);
}

static bool wants(const struct fence_learn_options *options, const char *namespace_name)
{
    for (size_t i = 0; i < options->namespace_count; i++)
        if (strcmp(options->namespaces[i], namespace_name) == 0)
            return true;
    return !options->namespace_count;
}

static int add_policies(const struct fence_learn_options *options, struct fence_learn_sides *sides,
                        struct fence_learn_proposal *proposal)
{
    struct fence_learn_workloads *workloads = &proposal->links.workloads;
    int r = 0;

    if (sides->candidate_count)
        qsort_r(sides->candidates, sides->candidate_count, sizeof(sides->candidates[0]),
                compare_candidates, workloads);
    for (uint32_t i = 0; r == 0 && i < workloads->count; i++)
        if (wants(options, workloads->items[i].namespace_name))
            r = add_policy(options, sides, i, proposal);
    if (r == 0 && proposal->count)
        qsort_r(proposal->policies, proposal->count, sizeof(proposal->policies[0]),
                compare_policies, workloads);
    return r;
}

/* The pods of the cluster are no part of the world. */
static int add_exceptions(const struct fence_node *node, struct fence_learn_proposal *proposal)
{
    for (size_t i = 0; i < node->pod_prefix_count; i++) {
        if (FENCE_GROW(proposal->exceptions, proposal->exception_capacity,
                       proposal->exception_count) < 0)
            return -ENOMEM;
        proposal->exceptions[proposal->exception_count++] = node->pod_prefixes[i];
    }
    return 0;
}

static int find_exceptions(const struct fence_world *world, struct fence_learn_proposal *proposal)
{
    struct fence_object_range nodes = fence_world_kind(world, FENCE_OBJECT_NODE);
    int r = 0;

    for (size_t i = 0; r == 0 && i < nodes.count; i++)
        r = add_exceptions(&nodes.items[i]->node, proposal);
    return r;
}

int fence_learn_propose(const struct fence_learn_flows *flows,
                        const struct fence_learn_options *options,
                        struct fence_learn_proposal *proposal)
{
    struct fence_learn_sides sides = {0};
    int r = fence_learn_links_find(&proposal->links, flows, options->world);

    if (r == 0 && options->world)
        r = find_exceptions(options->world, proposal);
    if (r == 0)
        r = fence_learn_sides_find(proposal, options, &sides);
    if (r == 0)
        r = add_policies(options, &sides, proposal);
    if (r == 0)
        r = fence_learn_note_all(flows, options, &sides, proposal);
    fence_learn_sides_done(&sides);
    return r;
}

void fence_learn_proposal_done(struct fence_learn_proposal *proposal)
{
    for (size_t i = 0; i < proposal->count; i++)
        policy_done(&proposal->policies[i]);
    free(proposal->policies);
    free(proposal->exceptions);
    fence_learn_texts_done(&proposal->notes);
    fence_learn_links_done(&proposal->links);
    *proposal = (struct fence_learn_proposal){0};
}
