/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/plan.h"

#include "lib/base/memory.h"
#include "lib/policy/view.h"

static void free_identities(struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->identities_count; i++) {
        free(plan->identities[i].content);
        free(plan->identities[i].namespace_name);
        free(plan->identities[i].app);
        free(plan->identities[i].labels);
    }
    free(plan->identities);
}

static void free_peers(struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->peers_count; i++) {
        free(plan->peers[i].content);
        fence_plan_view_unref(&plan->peers[i].view);
    }
    free(plan->peers);
}

static void free_sets(struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->sets_count; i++) {
        free(plan->sets[i].content);
        free(plan->sets[i].entries);
        free(plan->sets[i].problem);
    }
    free(plan->sets);
}

static void free_rest(struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->rules_count; i++)
        free(plan->rules[i].policy);
    free(plan->rules);
    for (size_t i = 0; i < plan->tables_count; i++)
        free(plan->tables[i].intervals);
    free(plan->tables);
    for (size_t i = 0; i < plan->notes_count; i++) {
        free(plan->notes[i].subject);
        free(plan->notes[i].text);
    }
    free(plan->notes);
    free(plan->addresses);
    free(plan->prefixes);
    free(plan->endpoints);
}

void fence_plan_free(struct fence_plan **plan)
{
    if (!plan || !*plan)
        return;
    free_identities(*plan);
    free_peers(*plan);
    free_sets(*plan);
    free_rest(*plan);
    free(*plan);
    *plan = NULL;
}
