/* SPDX-License-Identifier: Apache-2.0 */
/* When the policies of an endpoint run out, and what is left then. */
#include <errno.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

static const struct fence_policy *policy_of(const struct fence_compiler *compiler, uint32_t index)
{
    return &compiler->policies[index].object->policy;
}

/* It lets something pass, and what it lets pass is too much when it stays too long. */
static bool policy_allows(const struct fence_policy *policy)
{
    return policy->tier != FENCE_TIER_DENYLIST && !policy->audit;
}

/* The first moment after `after` at which one of them runs out, 0 = none; `allows`: of those that
 * let something pass. */
static int64_t next_end(const struct fence_compiler *compiler, const struct fence_indices *policies,
                        int64_t after, bool allows)
{
    int64_t first = 0;

    for (size_t i = 0; i < policies->count; i++) {
        const struct fence_policy *policy = policy_of(compiler, policies->items[i]);
        int64_t end = policy->expires_at;

        if (end > after && (!first || end < first) && (!allows || policy_allows(policy)))
            first = end;
    }
    return first;
}

/* The policies that are in force at that moment. */
static void survivors(const struct fence_compiler *compiler, const struct fence_indices *policies,
                      int64_t at, struct fence_indices *left)
{
    left->count = 0;
    for (size_t i = 0; i < policies->count; i++) {
        int64_t end = policy_of(compiler, policies->items[i])->expires_at;

        if (!end || end > at)
            left->items[left->count++] = policies->items[i];
    }
}

int fence_subject_ends(struct fence_compiler *compiler, const struct fence_subject *subject,
                       struct fence_plan_endpoint *wanted)
{
    FENCE_FREE uint32_t *items = calloc(subject->policies.count + 1, sizeof(*items));
    struct fence_indices left = {.items = items};
    struct fence_plan_end *ends = wanted->ends;
    int64_t at = 0;
    int r = 0;

    if (!items)
        return -ENOMEM;
    while (r == 0 && wanted->end_count < FENCE_PLAN_ENDS) {
        int64_t end = next_end(compiler, &subject->policies, at, false);

        if (!end)
            return 0;
        at = end;
        survivors(compiler, &subject->policies, at, &left);
        r = fence_set_get(compiler, subject, &left, &ends[wanted->end_count].set);
        ends[wanted->end_count++].at = at;
    }
    at = next_end(compiler, &subject->policies, at, true);
    if (r == 0 && at)
        ends[wanted->end_count++].at = at; /* and set 0: see FENCE_PLAN_ENDS */
    return r;
}
