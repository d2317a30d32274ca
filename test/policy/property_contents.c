/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Equal content means equal meaning, for ever: pinned tables are found again by the content of
 * their set and class. So in two plans of a changing world a set and a class with the same contents
 * must have the same table.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/names.h"
#include "test/policy/property.h"

struct table_ref {
    const struct fence_plan *plan;
    const struct fence_plan_table *table;
};

static bool rules_equal(const struct table_ref *a, uint32_t left, const struct table_ref *b,
                        uint32_t right)
{
    const struct fence_plan_rule *one, *other;

    if (!left || !right)
        return left == right;
    one = &a->plan->rules[left - 1];
    other = &b->plan->rules[right - 1];
    return one->index == other->index && one->direction == other->direction &&
           strcmp(one->policy, other->policy) == 0;
}

static bool tables_equal(const struct table_ref *a, const struct table_ref *b)
{
    if (a->table->count != b->table->count)
        return false;
    for (size_t i = 0; i < a->table->count; i++) {
        const struct fence_interval *left = &a->table->intervals[i];
        const struct fence_interval *right = &b->table->intervals[i];

        if (left->low != right->low || left->verdict != right->verdict ||
            left->shadow != right->shadow || left->reason != right->reason ||
            !rules_equal(a, left->rule, b, right->rule) ||
            !rules_equal(a, left->shadow_rule, b, right->shadow_rule))
            return false;
    }
    return true;
}

static struct table_ref table_of(const struct fence_plan *plan, const struct fence_plan_set *set,
                                 uint32_t class, uint32_t direction)
{
    uint32_t number = set->fallback[direction];

    if (class != FENCE_PLAN_NONE)
        number = fence_plan_table_of(set, direction, class);
    return (struct table_ref){plan, &plan->tables[number]};
}

/* Two sets with the same content: `class` and `same` FENCE_PLAN_NONE = their fallbacks. */
static bool sets_agree(const struct property_plans *plans, const struct fence_plan_set *sets[2],
                       uint32_t class, uint32_t same)
{
    for (uint32_t direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct table_ref before = table_of(plans->before, sets[0], class, direction);
        struct table_ref after = table_of(plans->after, sets[1], same, direction);

        if (!tables_equal(&before, &after))
            return false;
    }
    return true;
}

static bool class_is(const struct fence_plan *plan, uint32_t class, const struct fence_text *text)
{
    struct fence_text other = {0};
    bool same = fence_plan_class_content(plan, class, &other) == 0 && other.size == text->size &&
                memcmp(other.data, text->data, text->size) == 0;

    fence_text_done(&other);
    return same;
}

static uint32_t class_with(const struct fence_plan *plan, const struct fence_text *text)
{
    for (uint32_t i = 0; i < plan->classes_list.count; i++)
        if (plan->classes[i].item.live && class_is(plan, i, text))
            return i;
    return FENCE_PLAN_NONE;
}

static int compare_sets(const struct property_plans *plans, const struct fence_plan_set *sets[2],
                        struct fence_err *err)
{
    if (!sets_agree(plans, sets, FENCE_PLAN_NONE, FENCE_PLAN_NONE))
        return fence_err_set(err, -EBADMSG, "the fallback of a set changed, its content did not:%s",
                             sets[0]->content);
    for (uint32_t class = 0; class < plans->before->classes_list.count; class ++) {
        struct fence_text text = {0};
        uint32_t same = FENCE_PLAN_NONE;

        if (plans->before->classes[class].item.live &&
            fence_plan_class_content(plans->before, class, &text) == 0)
            same = class_with(plans->after, &text);
        if (same != FENCE_PLAN_NONE && !sets_agree(plans, sets, class, same)) {
            int r = fence_err_set(err, -EBADMSG,
                                  "the table of class %.200s changed, its content and that of its "
                                  "set did not:%s",
                                  text.data, sets[0]->content);

            fence_text_done(&text);
            return r;
        }
        fence_text_done(&text);
    }
    return 0;
}

int property_contents_agree(const struct property_plans *plans, struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; i < plans->before->sets_list.count; i++)
        for (size_t j = 0; r == 0 && j < plans->after->sets_list.count; j++) {
            const struct fence_plan_set *sets[2] = {&plans->before->sets[i],
                                                    &plans->after->sets[j]};

            if (sets[0]->item.live && sets[1]->item.live &&
                strcmp(sets[0]->content, sets[1]->content) == 0)
                r = compare_sets(plans, sets, err);
        }
    return r;
}
