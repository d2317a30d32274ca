/* SPDX-License-Identifier: Apache-2.0 */
/* Step 1: numbers of identities and rules, which stay with their content. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/walk.h"

static struct apply_number *find(const struct apply_numbers *numbers, struct fence_hash content)
{
    return fence_index_find(&numbers->by_content, &content);
}

static int remember(struct apply_numbers *numbers, const struct apply_number *values)
{
    struct apply_number *number = calloc(1, sizeof(*number));

    if (!number)
        return -ENOMEM;
    *number = *values;
    memset(&number->node, 0, sizeof(number->node));
    if (fence_index_add(&numbers->by_content, &number->node, &number->content, number) < 0) {
        free(number);
        return -ENOMEM;
    }
    numbers->used[number->number] = 1;
    return 0;
}

void apply_numbers_done(struct apply_numbers *numbers)
{
    struct fence_index_node *next;

    for (struct fence_index_node *node = numbers->by_content.head; node; node = next) {
        struct apply_number *number = node->item;

        next = fence_index_next(node);
        fence_index_remove(&numbers->by_content, node);
        free(number);
    }
    free(numbers->used);
}

struct load {
    const struct fence_apply *apply;
    struct apply_numbers *numbers;
};

static int load_visit(void *context, const void *key, const void *value)
{
    struct load *load = context;
    struct apply_number number = {0};
    bool is_identity = load->numbers->map == FENCE_MAP_IDENTITIES;
    size_t size = is_identity ? sizeof(struct fence_identity_info) : sizeof(struct fence_rule_info);

    memcpy(&number.number, key, sizeof(number.number));
    if (number.number >= load->numbers->limit)
        return 0; /* of no daemon of ours; never referred to */
    number.value = apply_hash(load->apply, value, size);
    number.content = number.value;
    if (is_identity)
        memcpy(&number.content, value, sizeof(number.content));
    load->numbers->used[number.number] = 1;
    if (number.number >= load->numbers->cursor)
        load->numbers->cursor = number.number + 1;
    return find(load->numbers, number.content) ? 0 : remember(load->numbers, &number);
}

static int load_one(struct fence_apply *apply, struct apply_numbers *numbers, enum fence_map map,
                    __u32 first)
{
    struct load load = {.apply = apply, .numbers = numbers};
    struct fence_map_shape shape;
    int r = fence_map_shape(apply->pins->maps[map], &shape);

    if (r < 0)
        return r;
    numbers->map = map;
    numbers->first = numbers->cursor = first;
    numbers->limit = first + shape.max_entries;
    numbers->used = calloc(numbers->limit, 1);
    if (!numbers->used)
        return -ENOMEM;
    return fence_map_walk(apply->pins->maps[map], load_visit, &load);
}

int apply_numbers_load(struct fence_apply *apply)
{
    int r = load_one(apply, &apply->identities, FENCE_MAP_IDENTITIES, FENCE_IDENTITY_FIRST);

    return r < 0 ? r : load_one(apply, &apply->rules, FENCE_MAP_RULES, 1);
}

/* 0 = none is free. */
static __u32 next_free(struct apply_numbers *numbers)
{
    for (__u32 i = numbers->first; i < numbers->limit; i++) {
        if (numbers->cursor >= numbers->limit)
            numbers->cursor = numbers->first;
        if (!numbers->used[numbers->cursor])
            return numbers->cursor++;
        numbers->cursor++;
    }
    return 0;
}

/* Write the value where the map does not have it. `reserved`: its number, or 0. */
static int assign(struct fence_apply *apply, struct apply_numbers *numbers,
                  const struct apply_number *wanted, const void *value, __u32 *ret_number)
{
    struct apply_number *known = find(numbers, wanted->content);
    struct apply_number fresh = *wanted;
    int r;

    if (!known && !fresh.number)
        fresh.number = next_free(numbers);
    if (known) {
        fresh.number = known->number;
        known->plan = apply->serial;
    }
    if (!fresh.number)
        return -E2BIG;
    if (!known || memcmp(&known->value, &fresh.value, sizeof(fresh.value)) != 0) {
        r = apply_put(apply, numbers->map, &fresh.number, value);
        if (r < 0)
            return r;
    }
    if (known)
        known->value = fresh.value;
    fresh.plan = apply->serial;
    r = known ? 0 : remember(numbers, &fresh);
    if (r == 0)
        *ret_number = fresh.number;
    return r;
}

static void fill_identity(struct fence_identity_info *info, const struct fence_plan_identity *plan,
                          struct fence_hash content)
{
    memset(info, 0, sizeof(*info));
    memcpy(info->content, &content, sizeof(info->content));
    info->kind = plan->kind;
    snprintf(info->namespace_name, sizeof(info->namespace_name), "%s",
             plan->namespace_name ? plan->namespace_name : "");
    snprintf(info->app, sizeof(info->app), "%s", plan->app ? plan->app : "");
    snprintf(info->labels, sizeof(info->labels), "%s", plan->labels ? plan->labels : "");
}

int apply_identities(struct apply_run *run)
{
    struct fence_apply *apply = run->apply;

    for (size_t i = 0; i < run->plan->identities_count; i++) {
        const struct fence_plan_identity *plan = &run->plan->identities[i];
        struct apply_number wanted = {.number = plan->reserved};
        struct fence_identity_info info;
        int r;

        wanted.content = apply_hash_text(apply, plan->content);
        fill_identity(&info, plan, wanted.content);
        wanted.value = apply_hash(apply, &info, sizeof(info));
        r = assign(apply, &apply->identities, &wanted, &info, &run->identities[i]);
        /* A name only: verdicts do not depend on it. */
        if (r < 0)
            r = apply_report_map(run, FENCE_MAP_IDENTITIES, r,
                                 "some workloads are shown without identity");
        if (r < 0)
            return r;
    }
    return 0;
}

int apply_rules(struct apply_run *run)
{
    struct fence_apply *apply = run->apply;

    for (size_t i = 0; i < run->plan->rules_count; i++) {
        const struct fence_plan_rule *plan = &run->plan->rules[i];
        struct apply_number wanted = {0};
        struct fence_rule_info info = {.index = plan->index, .direction = plan->direction};
        int r;

        snprintf(info.policy, sizeof(info.policy), "%s", plan->policy);
        wanted.value = apply_hash(apply, &info, sizeof(info));
        wanted.content = wanted.value;
        r = assign(apply, &apply->rules, &wanted, &info, &run->rules[i]);
        if (r < 0)
            r = apply_report_map(run, FENCE_MAP_RULES, r, "some verdicts are shown without rule");
        if (r < 0)
            return r;
    }
    return 0;
}

int apply_numbers_sweep(struct fence_apply *apply, struct apply_numbers *numbers,
                        const unsigned char *keep)
{
    struct fence_index_node *next;
    int first = 0;

    for (struct fence_index_node *node = numbers->by_content.head; node; node = next) {
        struct apply_number *number = node->item;
        int r;

        next = fence_index_next(node);
        if (keep[number->number] || number->plan == apply->serial)
            continue;
        r = apply_delete(apply, numbers->map, &number->number);
        if (r < 0) {
            first = first ? first : r;
            continue;
        }
        numbers->used[number->number] = 0;
        fence_index_remove(&numbers->by_content, node);
        free(number);
    }
    return first;
}
