/* SPDX-License-Identifier: Apache-2.0 */
/* Step 1: numbers of identities and rules, which stay with their content. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/failpoint.h"
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
    free(numbers->by_index);
}

void apply_numbers_forget(struct apply_numbers *numbers)
{
    for (struct fence_index_node *node = numbers->by_content.head; node;
         node = fence_index_next(node))
        ((struct apply_number *)node->item)->references = 0;
    for (size_t i = 0; i < numbers->index_count; i++)
        numbers->by_index[i] = NULL;
}

struct load {
    const struct fence_apply *apply;
    struct apply_numbers *numbers;
};

static int load_visit(void *context, const void *key, const void *value)
{
    struct load *load = context;
    struct apply_number number = {0};
    static const size_t sizes[FENCE_MAP_COUNT] = {
        [FENCE_MAP_IDENTITIES] = sizeof(struct fence_identity_info),
        [FENCE_MAP_CLASSES] = sizeof(struct fence_class_info),
        [FENCE_MAP_RULES] = sizeof(struct fence_rule_info),
    };

    memcpy(&number.number, key, sizeof(number.number));
    if (number.number >= load->numbers->limit)
        return 0; /* of no daemon of ours; never referred to */
    number.value = apply_hash(load->apply, value, sizes[load->numbers->map]);
    number.content = number.value;
    /* the others begin with it */
    if (load->numbers->map != FENCE_MAP_RULES)
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

    if (r == 0)
        r = load_one(apply, &apply->classes, FENCE_MAP_CLASSES, FENCE_CLASS_FIRST);
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

/* The thing with this index has that number from now on; NULL: none. */
static void point(struct apply_numbers *numbers, __u32 index, struct apply_number *number)
{
    struct apply_number *before = numbers->by_index[index];

    if (number)
        number->references++;
    if (before)
        before->references--;
    numbers->by_index[index] = number;
}

/* Write the value where the map does not have it. `wanted->number`: a reserved one, or 0. */
static int assign(struct fence_apply *apply, struct apply_numbers *numbers,
                  const struct apply_number *wanted, const void *value,
                  struct apply_number **ret_number)
{
    struct apply_number *known = find(numbers, wanted->content);
    struct apply_number fresh = *wanted;
    int r;

    if (known)
        fresh.number = known->number;
    else if (!fresh.number)
        fresh.number = next_free(numbers);
    if (!fresh.number)
        return -E2BIG;
    if (!known || memcmp(&known->value, &fresh.value, sizeof(fresh.value)) != 0) {
        r = apply_put(apply, numbers->map, &fresh.number, value);
        if (r < 0)
            return r;
    }
    if (known)
        known->value = fresh.value;
    r = known ? 0 : remember(numbers, &fresh);
    if (r == 0)
        *ret_number = find(numbers, fresh.content);
    return r;
}

static int give(struct apply_run *run, struct apply_numbers *numbers, __u32 index,
                const struct apply_number *wanted, const void *value)
{
    static const char *const consequences[FENCE_MAP_COUNT] = {
        /* names only: verdicts do not depend on them */
        [FENCE_MAP_IDENTITIES] = "some workloads are shown without identity",
        [FENCE_MAP_RULES] = "some verdicts are shown without rule",
        [FENCE_MAP_CLASSES] = "some peers are judged as if no rule meant them",
    };
    struct apply_number *number = NULL;
    int r = assign(run->apply, numbers, wanted, value, &number);

    point(numbers, index, number);
    return r < 0 ? apply_report_map(run, numbers->map, r, consequences[numbers->map]) : 0;
}

static int identity(struct apply_run *run, __u32 index)
{
    const struct fence_plan_identity *plan = &run->plan->identities[index];
    struct apply_number wanted = {.number = plan->reserved};
    FENCE_FREE char *labels = fence_labels_format(plan->labels);
    struct fence_identity_info info;

    if (!labels)
        return -ENOMEM;
    memset(&info, 0, sizeof(info));
    wanted.content = apply_hash_text(run->apply, plan->content);
    memcpy(info.content, &wanted.content, sizeof(info.content));
    info.kind = plan->kind;
    snprintf(info.namespace_name, sizeof(info.namespace_name), "%s", plan->namespace_name);
    snprintf(info.app, sizeof(info.app), "%s", plan->app);
    snprintf(info.labels, sizeof(info.labels), "%s", labels);
    wanted.value = apply_hash(run->apply, &info, sizeof(info));
    return give(run, &run->apply->identities, index, &wanted, &info);
}

static int class(struct apply_run *run, __u32 index)
{
    struct fence_text text = {0};
    struct fence_class_info info;
    struct apply_number wanted = {0};
    int r = fence_plan_class_content(run->plan, index, &text);

    if (r == 0) {
        wanted.content = apply_hash(run->apply, text.data, text.size);
        memcpy(info.content, &wanted.content, sizeof(info.content));
        wanted.value = apply_hash(run->apply, &info, sizeof(info));
        r = give(run, &run->apply->classes, index, &wanted, &info);
    }
    fence_text_done(&text);
    return r;
}

static int rule(struct apply_run *run, __u32 index)
{
    const struct fence_plan_rule *plan = &run->plan->rules[index];
    struct fence_rule_info info = {.index = plan->index, .direction = plan->direction};
    struct apply_number wanted = {0};

    snprintf(info.policy, sizeof(info.policy), "%s", plan->policy);
    wanted.value = apply_hash(run->apply, &info, sizeof(info));
    wanted.content = wanted.value;
    return give(run, &run->apply->rules, index, &wanted, &info);
}

static int make_room(struct apply_numbers *numbers, size_t count)
{
    return apply_grow((void **)&numbers->by_index, &numbers->index_count, count,
                      sizeof(struct apply_number *));
}

int apply_identities(struct apply_run *run)
{
    const struct fence_plan_list *list = &run->plan->identities_list;
    int r = make_room(&run->apply->identities, list->count);

    for (size_t i = 0; r == 0 && i < list->touched_count; i++) {
        __u32 index = list->touched[i];

        if (run->plan->identities[index].item.live)
            r = identity(run, index);
        else
            point(&run->apply->identities, index, NULL);
    }
    FENCE_FAILPOINT("apply.identities-done");
    return r;
}

int apply_classes(struct apply_run *run)
{
    const struct fence_plan_list *list = &run->plan->classes_list;
    int r = make_room(&run->apply->classes, list->count);

    for (size_t i = 0; r == 0 && i < list->touched_count; i++) {
        __u32 index = list->touched[i];

        if (run->plan->classes[index].item.live)
            r = class(run, index);
        else
            point(&run->apply->classes, index, NULL);
    }
    FENCE_FAILPOINT("apply.classes-done");
    return r;
}

int apply_rules(struct apply_run *run)
{
    const struct fence_plan_list *list = &run->plan->rules_list;
    int r = make_room(&run->apply->rules, list->count);

    for (size_t i = 0; r == 0 && i < list->touched_count; i++) {
        __u32 index = list->touched[i];

        if (run->plan->rules[index].item.live)
            r = rule(run, index);
        else
            point(&run->apply->rules, index, NULL);
    }
    FENCE_FAILPOINT("apply.rules-done");
    return r;
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
        if (keep[number->number] || number->references)
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
