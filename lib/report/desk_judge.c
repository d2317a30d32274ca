/* SPDX-License-Identifier: Apache-2.0 */
/* From what lies on the desk to what is to be written. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/report/desk_internal.h"
#include "lib/report/text.h"

#define LAGGARDS 3u
#define PENDING  "Pending"

/* ---- nodes ----------------------------------------------------------------------------------- */

/* The last number of a digest; 0 when it is none of ours, or too old. */
static uint64_t number_of(const struct fence_desk *desk, const struct desk_node *node)
{
    for (uint64_t n = desk->sequence; n > 0 && n + DESK_DIGESTS > desk->sequence; n--)
        if (desk->digests[n % DESK_DIGESTS].sum == node->sum &&
            desk->digests[n % DESK_DIGESTS].count == node->count)
            return n;
    return 0;
}

static int by_sequence(const void *a, const void *b)
{
    const struct desk_node *x = *(struct desk_node *const *)a, *y = *(struct desk_node *const *)b;

    if (x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void note_failures(struct fence_desk *desk, const struct desk_node *node)
{
    for (size_t i = 0; i < node->failure_count; i++) {
        struct desk_policy *policy = desk_policy_find(desk, node->failures[i].policy);

        if (!policy)
            continue;
        if (!policy->failing++) {
            policy->failing_node = node->name;
            policy->failing_text = node->failures[i].text;
        }
    }
}

static int order_nodes(struct fence_desk *desk)
{
    if (desk->ordered == desk->version)
        return 0;
    desk->order_count = 0;
    for (struct desk_node *node = desk->nodes; node; node = node->hh.next) {
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
        if (FENCE_GROW(desk->order, desk->order_capacity, desk->order_count) < 0)
            return -ENOMEM;
        node->sequence = number_of(desk, node);
        desk->order[desk->order_count++] = node;
    }
    if (desk->order_count)
        qsort(desk->order, desk->order_count, sizeof(struct desk_node *), by_sequence);
    for (struct desk_policy *policy = desk->policies; policy; policy = policy->hh.next)
        policy->failing = 0;
    for (size_t i = 0; i < desk->order_count; i++)
        note_failures(desk, desk->order[i]);
    desk->ordered = desk->version;
    return 0;
}

/* Nodes that do not have the digest of this number yet: they come first. */
static size_t lagging(const struct fence_desk *desk, uint64_t sequence)
{
    size_t low = 0, high = desk->order_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (desk->order[middle]->sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void fence_desk_count(const struct fence_desk *desk, size_t *ret_nodes, size_t *ret_current)
{
    size_t current = 0;

    for (const struct desk_node *node = desk->nodes; node; node = node->hh.next)
        current += desk->sequence && number_of(desk, node) == desk->sequence;
    *ret_nodes = HASH_COUNT(desk->nodes);
    *ret_current = current;
}

/* ---- conditions ------------------------------------------------------------------------------ */

__attribute__((format(printf, 4, 5))) static void say(struct fence_report_condition *condition,
                                                      bool is_true, const char *reason,
                                                      const char *format, ...)
{
    char text[2 * FENCE_REPORT_MESSAGE];
    va_list arguments;

    condition->known = true;
    condition->is_true = is_true;
    snprintf(condition->reason, sizeof(condition->reason), "%s", reason);
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fence_report_copy(condition->message, sizeof(condition->message), text);
}

static void name_laggards(const struct fence_desk *desk, size_t count, char *text, size_t size)
{
    size_t used = 0;

    *text = '\0';
    for (size_t i = 0; i < count && i < LAGGARDS && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", desk->order[i]->name);
    if (count > LAGGARDS && used < size)
        snprintf(text + used, size - used, " and %zu more", count - LAGGARDS);
}

static void judge_programmed(const struct fence_desk *desk, const struct desk_policy *policy,
                             struct fence_report_condition *condition)
{
    size_t all = desk->order_count, behind = lagging(desk, policy->sequence);
    char names[FENCE_REPORT_MESSAGE];

    if (policy->refused) {
        say(condition, false, "Invalid", "%s",
            policy->kept ? "its last valid version stays in force" : "it is not valid");
    } else if (policy->over) {
        say(condition, false, "Expired", "expiresAt has passed");
    } else if (!all) {
        say(condition, false, PENDING, "no node has reported yet");
    } else if (behind) {
        name_laggards(desk, behind, names, sizeof(names));
        say(condition, false, PENDING, "in force on %zu of %zu nodes; not yet on %s", all - behind,
            all, names);
    } else {
        say(condition, true, "Programmed", "in force on %zu of %zu nodes", all, all);
    }
}

static void judge(const struct fence_desk *desk, const struct desk_policy *policy,
                  struct fence_report_status *wants)
{
    struct fence_report_condition *conditions = wants->conditions;

    if (policy->refused)
        say(&conditions[FENCE_REPORT_ACCEPTED], false, "Invalid", "%s", policy->refused);
    else
        say(&conditions[FENCE_REPORT_ACCEPTED], true, "Accepted", "the policy is valid");
    judge_programmed(desk, policy, &conditions[FENCE_REPORT_PROGRAMMED]);
    if (policy->failing == 1)
        say(&conditions[FENCE_REPORT_DEGRADED], true, "NotEnforced", "on %s: %s",
            policy->failing_node, policy->failing_text);
    else if (policy->failing)
        say(&conditions[FENCE_REPORT_DEGRADED], true, "NotEnforced", "on %llu nodes; on %s: %s",
            (unsigned long long)policy->failing, policy->failing_node, policy->failing_text);
    else
        say(&conditions[FENCE_REPORT_DEGRADED], false, "Enforced", "no node reports a failure");
    for (unsigned int type = 0; type < FENCE_REPORT_TYPES; type++)
        conditions[type].generation = policy->generation;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The store has this very version: what it says is of it. A refused one has none. */
static bool is_judged(const struct desk_policy *policy)
{
    return policy->present && policy->viewed &&
           (policy->refused || policy->view_generation == policy->generation);
}

static void format_path(const struct desk_policy *policy, char *path, size_t size)
{
    const char *name = strrchr(policy->id, '/') + 1, *space = strchr(policy->id, '/') + 1;
    const char *query = "status?fieldManager=podfence&force=true";

    if (policy->kind == FENCE_DESK_CLUSTER_SEGMENT_POLICY)
        snprintf(path, size, "/apis/podfence.io/v1alpha1/clustersegmentpolicies/%s/%s", name,
                 query);
    else
        snprintf(path, size, "/apis/podfence.io/v1alpha1/namespaces/%.*s/segmentpolicies/%s/%s",
                 (int)(name - space - 1), space, name, query);
}

/* Most are in force everywhere in a moment: one status instead of two. */
static bool is_on_its_way(struct desk_policy *policy, uint64_t now_ns,
                          const struct fence_report_condition *programmed)
{
    if (policy->fresh) {
        policy->fresh = false;
        policy->fresh_ns = now_ns;
    }
    return strcmp(programmed->reason, PENDING) == 0 &&
           now_ns < policy->fresh_ns + FENCE_DESK_FRESH_NS;
}

/* Is something to be written of this one now? */
static bool is_due(struct fence_desk *desk, struct desk_policy *policy, uint64_t now_ns,
                   struct fence_report_status *wants)
{
    enum fence_report_difference difference;

    if (policy->waiting || policy->checked == desk->version || now_ns < policy->again_ns ||
        !is_judged(policy))
        return false;
    memset(wants, 0, sizeof(*wants));
    judge(desk, policy, wants);
    if (is_on_its_way(policy, now_ns, &wants->conditions[FENCE_REPORT_PROGRAMMED]))
        return false;
    difference = fence_report_status_compare(&policy->has, wants);
    if (difference == FENCE_REPORT_SAME)
        policy->checked = desk->version;
    if (difference == FENCE_REPORT_WORDS && policy->written_ns &&
        now_ns < policy->written_ns + FENCE_DESK_WORDS_NS)
        return false;
    return difference != FENCE_REPORT_SAME;
}

bool fence_desk_next(struct fence_desk *desk, uint64_t now_ns, int64_t now_s,
                     struct fence_desk_write *ret_write)
{
    struct desk_policy *policy = desk->cursor ? desk->cursor : desk->policies;
    struct fence_report_status wants;

    if (order_nodes(desk) < 0)
        return false;
    while (policy && !is_due(desk, policy, now_ns, &wants))
        policy = policy->hh.next;
    desk->cursor = policy ? policy->hh.next : NULL;
    if (!policy)
        return false;
    ret_write->body = fence_report_status_format(policy->id, &policy->has, &wants, now_s);
    if (!ret_write->body)
        return false;
    format_path(policy, ret_write->path, sizeof(ret_write->path));
    snprintf(ret_write->id, sizeof(ret_write->id), "%s", policy->id);
    policy->waiting = true;
    policy->written_ns = now_ns;
    return true;
}

void fence_desk_answered(struct fence_desk *desk, const char *id, uint64_t again_ns)
{
    struct desk_policy *policy = desk_policy_find(desk, id);

    if (!policy)
        return;
    policy->waiting = false;
    policy->again_ns = again_ns;
}
