/* SPDX-License-Identifier: Apache-2.0 */
/* The policies in the order of judgement: tier, priority, then their id. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

static int priority_of(const struct fence_policy *policy)
{
    bool ordered = policy->tier == FENCE_TIER_ADMIN || policy->tier == FENCE_TIER_BASELINE;

    return ordered ? policy->priority : 0;
}

static int compare(const void *a, const void *b)
{
    const struct fence_book_policy *left = a;
    const struct fence_book_policy *right = b;
    const struct fence_policy *one = &left->object->policy;
    const struct fence_policy *other = &right->object->policy;

    if (one->tier != other->tier)
        return one->tier < other->tier ? -1 : 1;
    if (priority_of(one) != priority_of(other))
        return priority_of(one) < priority_of(other) ? -1 : 1;
    return strcmp(left->id, right->id);
}

static int add_keys(struct fence_compile_state *state, const struct fence_selector *selector)
{
    for (size_t i = 0; selector && i < selector->count; i++) {
        const char *key = selector->items[i].key;
        uint32_t ignored;

        if (fence_intern_put(&state->selected_keys, key, strlen(key), 0, &ignored) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int add_rule_keys(struct fence_compile_state *state, const struct fence_rule *rule)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < rule->peer_count; i++)
        r = add_keys(state, rule->peers[i].pods);
    return r;
}

static int add_policy_keys(struct fence_compile_state *state, const struct fence_policy *policy)
{
    int r = add_keys(state, &policy->pods);

    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++)
        for (size_t i = 0; r == 0 && i < policy->rule_count[direction]; i++)
            r = add_rule_keys(state, &policy->rules[direction][i]);
    return r;
}

static int add_policy(struct fence_compile_state *state, const struct fence_object *object)
{
    struct fence_book_policy policy = {.object = object};

    if (fence_policy_is_over(object, state->world->now))
        return 0;
    if (FENCE_GROW(state->policies, state->policy_capacity, state->policy_count) < 0)
        return -ENOMEM;
    policy.id = fence_object_id(object);
    if (!policy.id)
        return -ENOMEM;
    state->policies[state->policy_count++] = policy;
    return add_policy_keys(state, &object->policy);
}

int fence_rulebook_make(struct fence_compile_state *state)
{
    const struct fence_world *world = state->world;
    int r = 0;

    for (size_t i = 0; r == 0 && i < world->object_count; i++)
        if (fence_kind_is_policy(world->objects[i]->kind))
            r = add_policy(state, world->objects[i]);
    if (r < 0)
        return fence_out_of_memory(state->err);
    if (state->policy_count)
        qsort(state->policies, state->policy_count, sizeof(state->policies[0]), compare);
    return 0;
}

static int select_for(struct fence_compile_state *state, struct fence_subject *subject)
{
    struct fence_selection *selection = &subject->policies;

    for (size_t i = 0; i < state->policy_count; i++) {
        if (!fence_policy_selects(state->policies[i].object, subject->namespace_name,
                                  subject->namespace_labels, subject->labels))
            continue;
        if (FENCE_GROW(selection->items, selection->capacity, selection->count) < 0)
            return -ENOMEM;
        selection->items[selection->count++] = (uint32_t)i;
        state->policies[i].in_use = true;
    }
    return 0;
}

/* The port names of egress rules: they are resolved on each destination. */
static int add_names(struct fence_compile_state *state, const struct fence_rule *rule)
{
    for (size_t i = 0; i < rule->port_count; i++) {
        const char *name = rule->ports[i].name;
        uint32_t ignored;

        if (name && fence_intern_put(&state->egress_names, name, strlen(name), 0, &ignored) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int number_rules(struct fence_compile_state *state, struct fence_book_policy *policy,
                        enum fence_direction direction)
{
    const struct fence_policy *spec = &policy->object->policy;
    size_t count = spec->rule_count[direction];
    int r = 0;

    if (!spec->applies[direction] || !count)
        return 0;
    policy->rules[direction] = calloc(count, sizeof(*policy->rules[direction]));
    if (!policy->rules[direction])
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct fence_book_rule *rule = &policy->rules[direction][i];

        rule->rule = &spec->rules[direction][i];
        rule->ordinal = state->rule_count++;
        if (direction == FENCE_EGRESS)
            r = add_names(state, rule->rule);
    }
    return r;
}

int fence_rulebook_select(struct fence_compile_state *state)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < state->world->local_count; i++) {
        struct fence_subject *subject = &state->subjects[i];

        if (!subject->pending && !subject->local->exempt)
            r = select_for(state, subject);
    }
    for (size_t i = 0; i < state->policy_count; i++)
        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++)
            if (r == 0 && state->policies[i].in_use)
                r = number_rules(state, &state->policies[i], direction);
    return r < 0 ? fence_out_of_memory(state->err) : 0;
}

static bool means(const struct fence_book_policy *policy, const struct fence_rule *rule,
                  const struct fence_peer_view *view)
{
    if (rule->any_peer)
        return true;
    for (size_t i = 0; i < rule->peer_count; i++)
        if (fence_peer_matches(&rule->peers[i], policy->object->namespace_name, rule->action, view))
            return true;
    return false;
}

const struct fence_peer_view *fence_book_view(const struct fence_compile_state *state,
                                              uint32_t peer)
{
    static const struct fence_peer_view nobody = {.kind = FENCE_VIEW_WORLD,
                                                  .where = {.length = FENCE_WHERE_NONE}};

    return peer < state->plan->peers_count ? &state->plan->peers[peer].view->view : &nobody;
}

static int match_rule(const struct fence_compile_state *state,
                      const struct fence_book_policy *policy, struct fence_book_rule *rule)
{
    const struct fence_plan *plan = state->plan;

    rule->matches = calloc(plan->peers_count / 64 + 1, sizeof(*rule->matches));
    if (!rule->matches)
        return -ENOMEM;
    for (uint32_t i = 0; i <= plan->peers_count; i++)
        if (means(policy, rule->rule, fence_book_view(state, i)))
            rule->matches[i / 64] |= UINT64_C(1) << i % 64;
    return 0;
}

int fence_rulebook_match(struct fence_compile_state *state)
{
    int r = 0;

    for (size_t i = 0; i < state->policy_count; i++) {
        struct fence_book_policy *policy = &state->policies[i];

        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++)
            for (size_t j = 0; r == 0 && policy->rules[direction] &&
                               j < policy->object->policy.rule_count[direction];
                 j++)
                r = match_rule(state, policy, &policy->rules[direction][j]);
    }
    return r < 0 ? fence_out_of_memory(state->err) : 0;
}

int fence_rulebook_number(struct fence_compile_state *state, uint32_t policy,
                          enum fence_direction direction, uint32_t index, uint32_t *ret_number)
{
    struct fence_book_policy *owner = &state->policies[policy];
    struct fence_plan *plan = state->plan;
    uint32_t *number = index == FENCE_RULE_NONE ? &owner->isolation_number[direction]
                                                : &owner->rules[direction][index].number;

    if (!*number) {
        struct fence_plan_rule rule = {.index = index, .direction = direction};

        if (FENCE_GROW(plan->rules, plan->rules_capacity, plan->rules_count) < 0)
            return fence_out_of_memory(state->err);
        rule.policy = strdup(owner->id);
        if (!rule.policy)
            return fence_out_of_memory(state->err);
        plan->rules[plan->rules_count++] = rule;
        *number = (uint32_t)plan->rules_count;
    }
    *ret_number = *number;
    return 0;
}

void fence_rulebook_done(struct fence_compile_state *state)
{
    for (size_t i = 0; i < state->policy_count; i++) {
        struct fence_book_policy *policy = &state->policies[i];

        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
            for (size_t j = 0;
                 policy->rules[direction] && j < policy->object->policy.rule_count[direction]; j++)
                free(policy->rules[direction][j].matches);
            free(policy->rules[direction]);
        }
        fence_text_done(&policy->text);
        free(policy->id);
    }
    free(state->policies);
}
