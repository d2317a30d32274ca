/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies. Most of them select nobody on this node and cost a slot; those that do get their
 * rules, and count in the universe. The order of judgement is tier, priority, then their id.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"
#include "lib/policy/lookup.h"

/* ---- coming and going ----------------------------------------------------------------------- */

/* Whom does the policy select? They are to be looked at again. */
static void flag_subjects(struct fence_compiler *compiler, const struct fence_object *policy)
{
    for (size_t i = 0; i < compiler->subject_count; i++) {
        struct fence_subject *subject = compiler->subjects[i];
        const struct fence_book_namespace *home;

        /* those to be resolved will be asked anyway */
        if (subject->select || subject->resolve || subject->pending)
            continue;
        home = &compiler->namespaces[subject->namespace_index];
        if (fence_policy_selects(policy, home->name, home->labels, subject->labels))
            subject->select = true;
    }
}

static int add_policy(struct fence_compiler *compiler, const struct fence_object *object)
{
    struct fence_book_policy policy = {.object = object, .namespace_index = FENCE_PLAN_NONE};
    uint32_t index = (uint32_t)compiler->policy_count;
    struct fence_indices *list = &compiler->cluster_policies;
    int r = 0;

    if (fence_kind_is_namespaced(object->kind)) {
        r = fence_namespace_use(compiler, object->namespace_name, &policy.namespace_index);
        if (r < 0)
            return r;
        list = &compiler->namespaces[policy.namespace_index].policies;
    }
    if (compiler->free_policies.count)
        index = compiler->free_policies.items[--compiler->free_policies.count];
    else if (FENCE_GROW(compiler->policies, compiler->policy_capacity, compiler->policy_count) < 0)
        return -ENOMEM;
    else
        compiler->policy_count++;
    compiler->policies[index] = policy;
    r = fence_indices_add(list, index);
    if (r == 0 && object->policy.expires_at)
        r = fence_indices_add(&compiler->expiring, index);
    flag_subjects(compiler, object);
    return r;
}

static int remove_policy(struct fence_compiler *compiler, const struct fence_object *object)
{
    struct fence_indices *list = &compiler->cluster_policies;
    uint32_t home = FENCE_PLAN_NONE;
    size_t i = 0;

    if (fence_kind_is_namespaced(object->kind)) {
        if (!fence_intern_find(&compiler->namespace_names, object->namespace_name,
                               strlen(object->namespace_name), &home))
            return 0;
        list = &compiler->namespaces[home].policies;
    }
    while (i < list->count && compiler->policies[list->items[i]].object != object)
        i++;
    if (i == list->count)
        return 0;
    compiler->policies[list->items[i]].gone = true;
    if (compiler->policies[list->items[i]].users)
        flag_subjects(compiler, object);
    if (object->policy.expires_at)
        fence_indices_remove(&compiler->expiring, list->items[i]);
    if (fence_indices_add(&compiler->leaving, list->items[i]) < 0)
        return -ENOMEM;
    fence_indices_remove(list, list->items[i]);
    return 0;
}

int fence_rulebook_change(struct fence_compiler *compiler, const struct fence_change *change)
{
    int r = change->before ? remove_policy(compiler, change->before) : 0;

    return r == 0 && change->after ? add_policy(compiler, change->after) : r;
}

void fence_rulebook_expire(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->expiring.count; i++) {
        struct fence_book_policy *policy = &compiler->policies[compiler->expiring.items[i]];
        bool over = fence_policy_is_over(policy->object, compiler->now);

        /* a clock that is set back brings back what was over too soon */
        if (over != policy->over)
            flag_subjects(compiler, policy->object);
        policy->over = over;
    }
}

int64_t fence_rulebook_next_expiry(const struct fence_compiler *compiler)
{
    int64_t first = 0;

    for (size_t i = 0; i < compiler->expiring.count; i++) {
        const struct fence_object *object = compiler->policies[compiler->expiring.items[i]].object;
        int64_t end = object->policy.expires_at;

        if (!fence_policy_is_over(object, compiler->now) && (!first || end < first))
            first = end;
    }
    return first;
}

/* ---- use ------------------------------------------------------------------------------------ */

static int make_rules(struct fence_book_use *use, const struct fence_policy *spec,
                      enum fence_direction direction)
{
    size_t count = spec->rule_count[direction];

    if (!spec->applies[direction] || !count)
        return 0;
    use->rules[direction] = calloc(count, sizeof(*use->rules[direction]));
    if (!use->rules[direction])
        return -ENOMEM;
    use->rule_count[direction] = count;
    for (size_t i = 0; i < count; i++)
        use->rules[direction][i].rule = &spec->rules[direction][i];
    for (size_t i = 0; i < count; i++) {
        struct fence_book_rule *rule = &use->rules[direction][i];

        rule->atoms = calloc(rule->rule->peer_count + 1, sizeof(*rule->atoms));
        if (!rule->atoms)
            return -ENOMEM;
    }
    return 0;
}

static int make_use(struct fence_book_policy *policy)
{
    struct fence_book_use *use = calloc(1, sizeof(*use));
    int r = 0;

    if (!use)
        return -ENOMEM;
    policy->use = use;
    use->id = fence_object_id(policy->object);
    fence_text_policy(&use->text, policy->object);
    fence_text_fit(&use->text);
    if (!use->id || use->text.failed)
        r = -ENOMEM;
    for (int direction = 0; r == 0 && direction < FENCE_DIRECTIONS; direction++)
        r = make_rules(use, &policy->object->policy, direction);
    return r;
}

static int add_user(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_book_policy *policy = &compiler->policies[index];
    int r = policy->use ? 0 : make_use(policy);

    if (r == 0 && policy->users++ == 0 && !policy->use->counted)
        r = fence_universe_add(compiler, index);
    return r;
}

static void remove_user(struct fence_compiler *compiler, uint32_t index)
{
    if (--compiler->policies[index].users == 0)
        fence_universe_remove(compiler, index);
}

static void free_number(struct fence_compiler *compiler, uint32_t number)
{
    if (number)
        FENCE_PLAN_UNREF(compiler->plan, rules, number - 1);
}

static void free_numbers(struct fence_compiler *compiler, const struct fence_book_policy *policy)
{
    const struct fence_book_use *use = policy->use;

    for (int direction = 0; use && direction < FENCE_DIRECTIONS; direction++) {
        for (size_t i = 0; i < use->rule_count[direction]; i++)
            free_number(compiler, use->rules[direction][i].number);
        free_number(compiler, use->isolation_number[direction]);
    }
}

static void free_use(struct fence_book_policy *policy)
{
    struct fence_book_use *use = TAKE_PTR(policy->use);

    for (int direction = 0; use && direction < FENCE_DIRECTIONS; direction++) {
        for (size_t i = 0; i < use->rule_count[direction]; i++)
            free(use->rules[direction][i].atoms);
        free(use->rules[direction]);
    }
    if (use) {
        fence_text_done(&use->text);
        free(use->id);
    }
    free(use);
}

void fence_rulebook_settle(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->leaving.count;) {
        uint32_t index = compiler->leaving.items[i];
        struct fence_book_policy *policy = &compiler->policies[index];

        if (policy->sets || policy->users) {
            i++;
            continue;
        }
        free_numbers(compiler, policy);
        free_use(policy);
        if (policy->namespace_index != FENCE_PLAN_NONE)
            fence_namespace_leave(compiler, policy->namespace_index);
        *policy = (struct fence_book_policy){0};
        /* it came from there: there is room */
        (void)fence_indices_add(&compiler->free_policies, index);
        fence_indices_remove(&compiler->leaving, index);
    }
}

void fence_rulebook_done(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->policy_count; i++)
        if (compiler->policies[i].object)
            free_use(&compiler->policies[i]);
    free(compiler->policies);
    free(compiler->free_policies.items);
    free(compiler->cluster_policies.items);
    free(compiler->expiring.items);
    free(compiler->leaving.items);
}

/* ---- selection ------------------------------------------------------------------------------ */

static int priority_of(const struct fence_policy *policy)
{
    bool ordered = policy->tier == FENCE_TIER_ADMIN || policy->tier == FENCE_TIER_BASELINE;

    return ordered ? policy->priority : 0;
}

static int compare(const void *a, const void *b, void *context)
{
    const struct fence_compiler *compiler = context;
    const struct fence_book_policy *left = &compiler->policies[*(const uint32_t *)a];
    const struct fence_book_policy *right = &compiler->policies[*(const uint32_t *)b];
    const struct fence_policy *one = &left->object->policy;
    const struct fence_policy *other = &right->object->policy;

    if (one->tier != other->tier)
        return one->tier < other->tier ? -1 : 1;
    if (priority_of(one) != priority_of(other))
        return priority_of(one) < priority_of(other) ? -1 : 1;
    return strcmp(left->use->id, right->use->id);
}

static int select_from(struct fence_compiler *compiler, const struct fence_indices *list,
                       const struct fence_subject *subject, struct fence_indices *selected)
{
    const struct fence_book_namespace *home = &compiler->namespaces[subject->namespace_index];

    for (size_t i = 0; i < list->count; i++) {
        const struct fence_object *object = compiler->policies[list->items[i]].object;

        if (fence_policy_is_over(object, compiler->now) ||
            !fence_policy_selects(object, home->name, home->labels, subject->labels))
            continue;
        if (fence_indices_add(selected, list->items[i]) < 0)
            return -ENOMEM;
    }
    return 0;
}

void fence_rulebook_leave(struct fence_compiler *compiler, struct fence_subject *subject)
{
    for (size_t i = 0; i < subject->policies.count; i++)
        remove_user(compiler, subject->policies.items[i]);
    subject->policies.count = 0;
}

int fence_rulebook_select(struct fence_compiler *compiler, struct fence_subject *subject)
{
    struct fence_indices selected = {0};
    int r = 0;

    if (!subject->pending && !subject->local.exempt) {
        r = select_from(compiler, &compiler->namespaces[subject->namespace_index].policies, subject,
                        &selected);
        if (r == 0)
            r = select_from(compiler, &compiler->cluster_policies, subject, &selected);
    }
    /* the new ones before the old ones go: what both have never loses its last user */
    for (size_t i = 0; r == 0 && i < selected.count; i++)
        r = add_user(compiler, selected.items[i]);
    if (r < 0) {
        free(selected.items);
        return r;
    }
    fence_rulebook_leave(compiler, subject);
    free(subject->policies.items);
    subject->policies = selected;
    if (selected.count)
        qsort_r(selected.items, selected.count, sizeof(*selected.items), compare, compiler);
    subject->compile = true;
    return 0;
}

/* ---- numbers -------------------------------------------------------------------------------- */

/* The same rule of the next version of a policy keeps its index: tables stay equal. */
static int intern_rule(struct fence_compiler *compiler, const struct fence_plan_rule *wanted,
                       uint32_t *ret_index)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_text *key = &compiler->key;
    int r = 0;

    fence_text_clear(key);
    fence_text_add(key, "%u %u ", wanted->direction, wanted->index);
    fence_text_raw(key, wanted->policy, strlen(wanted->policy));
    if (key->failed)
        return -ENOMEM;
    if (fence_intern_find(&compiler->rule_keys, key->data, key->size, ret_index))
        return 0;
    r = FENCE_PLAN_ADD(plan, rules, ret_index);
    if (r < 0)
        return r;
    plan->rules[*ret_index].index = wanted->index;
    plan->rules[*ret_index].direction = wanted->direction;
    plan->rules[*ret_index].policy = strdup(wanted->policy);
    if (!plan->rules[*ret_index].policy)
        return -ENOMEM;
    r = fence_intern_put(&compiler->rule_keys, key->data, key->size, *ret_index, ret_index);
    return r < 0 ? r : 0;
}

void fence_rule_free(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan_rule *rule = &compiler->plan->rules[index];
    struct fence_text *key = &compiler->key;

    fence_text_clear(key);
    fence_text_add(key, "%u %u ", rule->direction, rule->index);
    fence_text_raw(key, rule->policy, strlen(rule->policy));
    if (!key->failed)
        fence_intern_remove(&compiler->rule_keys, key->data, key->size);
    free(TAKE_PTR(rule->policy));
    FENCE_PLAN_DROP(compiler->plan, rules, index);
}

int fence_rulebook_number(struct fence_compiler *compiler, uint32_t policy,
                          enum fence_direction direction, uint32_t index, uint32_t *ret_number)
{
    struct fence_book_use *use = compiler->policies[policy].use;
    uint32_t *number = index == FENCE_RULE_NONE ? &use->isolation_number[direction]
                                                : &use->rules[direction][index].number;

    if (!*number) {
        const struct fence_plan_rule rule = {
            .policy = use->id, .index = index, .direction = direction};
        uint32_t made;
        int r = intern_rule(compiler, &rule, &made);

        if (r < 0)
            return r;
        FENCE_PLAN_REF(compiler->plan, rules, made);
        *number = made + 1;
    }
    *ret_number = *number;
    return 0;
}
