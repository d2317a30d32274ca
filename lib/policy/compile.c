/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World to plan, in the order in which things depend on each other:
 *
 *   endpoints -> Pod objects -> policies that select them -> blocks and port names of their rules
 *   -> peers (what those rules can tell apart) -> which rule means which peer -> sets -> endpoints
 *
 * Nothing here is quadratic in the number of pods: each pod costs a few table look-ups, and the
 * rest is sets x peers x rules, where peers are distinct label combinations.
 */
#include "lib/policy/compile.h"

#include <errno.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

static void state_done(struct fence_compile_state *state)
{
    for (size_t i = 0; state->subjects && i < state->world->local_count; i++)
        free(state->subjects[i].policies.items);
    for (size_t i = 0; i < state->bare_count; i++) {
        fence_labels_done(&state->bare_namespaces[i]->labels);
        free(state->bare_namespaces[i]);
    }
    free(state->bare_namespaces);
    fence_rulebook_done(state);
    free(state->subjects);
    free(state->pod_is_local);
    free(state->blocks.items);
    free(state->unknowns.items);
    free(state->claimants);
    free(state->shown.items);
    free(state->named);
    fence_text_done(&state->identity_text);
    fence_text_done(&state->peer_text);
    fence_intern_done(&state->bare_names);
    fence_intern_done(&state->selected_keys);
    fence_intern_done(&state->egress_names);
    fence_intern_done(&state->identities);
    fence_intern_done(&state->peers);
    fence_intern_done(&state->addresses);
    fence_intern_done(&state->sets);
    fence_intern_done(&state->tables);
    fence_plan_free(&state->plan);
}

/* The policies that are left when the first of them have run out; 0 when none ever does. */
static int64_t survivors(const struct fence_compile_state *state,
                         const struct fence_selection *policies, struct fence_selection *left)
{
    int64_t first = 0;

    for (size_t i = 0; i < policies->count; i++) {
        int64_t end = state->policies[policies->items[i]].object->policy.expires_at;

        if (end && (!first || end < first))
            first = end;
    }
    left->count = 0;
    for (size_t i = 0; first && i < policies->count; i++)
        if (state->policies[policies->items[i]].object->policy.expires_at != first)
            left->items[left->count++] = policies->items[i];
    return first;
}

static int plan_takeover(struct fence_compile_state *state, const struct fence_subject *subject,
                         struct fence_plan_endpoint *endpoint)
{
    struct fence_selection left = {0};
    FENCE_FREE uint32_t *items = calloc(subject->policies.count + 1, sizeof(*items));
    int64_t takeover;

    if (!items)
        return fence_out_of_memory(state->err);
    left.items = items;
    takeover = survivors(state, &subject->policies, &left);
    if (!takeover)
        return 0;
    endpoint->takeover = takeover;
    return fence_set_for(state, subject, &left, &endpoint->next_set);
}

static int plan_rules(struct fence_compile_state *state, const struct fence_subject *subject,
                      struct fence_plan_endpoint *endpoint)
{
    int r = fence_set_for(state, subject, &subject->policies, &endpoint->set);

    if (r == 0)
        r = plan_takeover(state, subject, endpoint);
    if (r == 0 && state->plan->sets[endpoint->set].problem)
        endpoint->flags |= FENCE_EP_NOT_APPLIED;
    return r;
}

static int plan_endpoint(struct fence_compile_state *state, const struct fence_subject *subject)
{
    struct fence_plan *plan = state->plan;
    struct fence_plan_endpoint endpoint = {
        .created_ns = subject->local->created_ns,
        .ifindex = subject->local->ifindex,
        .identity = FENCE_PLAN_NONE,
        .set = FENCE_PLAN_NONE,
        .next_set = FENCE_PLAN_NONE,
    };
    int r = 0;

    if (subject->local->exempt)
        endpoint.flags |= FENCE_EP_EXEMPT;
    if (!subject->pending) {
        r = fence_subject_identity(state, subject, &endpoint.identity);
        if (r == 0 && !subject->local->exempt)
            r = plan_rules(state, subject, &endpoint);
    } else if (!subject->local->exempt) {
        endpoint.flags |= FENCE_EP_PENDING | (subject->incomplete ? FENCE_EP_INCOMPLETE : 0);
        endpoint.pending = subject->pending;
    }
    if (r < 0)
        return r;
    if (FENCE_GROW(plan->endpoints, plan->endpoints_capacity, plan->endpoints_count) < 0)
        return fence_out_of_memory(state->err);
    plan->endpoints[plan->endpoints_count++] = endpoint;
    return 0;
}

static void find_expiry(struct fence_compile_state *state)
{
    for (size_t i = 0; i < state->policy_count; i++) {
        int64_t end = state->policies[i].object->policy.expires_at;

        if (end && (!state->plan->next_expiry || end < state->plan->next_expiry))
            state->plan->next_expiry = end;
    }
}

static int compile(struct fence_compile_state *state)
{
    static int (*const steps[])(struct fence_compile_state * state) = {
        fence_subjects_resolve, fence_rulebook_make, fence_rulebook_select,
        fence_blocks_make,      fence_peers_reserve, fence_workloads_add,
        fence_prefixes_add,     fence_peers_carry,   fence_rulebook_match,
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(steps); i++)
        r = steps[i](state);
    for (size_t i = 0; r == 0 && i < state->world->local_count; i++)
        r = plan_endpoint(state, &state->subjects[i]);
    if (r == 0)
        find_expiry(state);
    return r;
}

int fence_compile(const struct fence_world *world, const struct fence_plan *previous,
                  struct fence_plan **ret_plan, struct fence_err *err)
{
    struct fence_compile_state state = {.world = world, .previous = previous, .err = err};
    int r = 0;

    state.plan = calloc(1, sizeof(*state.plan));
    if (!state.plan)
        r = fence_out_of_memory(err);
    if (r == 0)
        r = compile(&state);
    if (r == 0)
        *ret_plan = TAKE_PTR(state.plan);
    state_done(&state);
    return r;
}
