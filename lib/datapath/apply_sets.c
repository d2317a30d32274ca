/* SPDX-License-Identifier: Apache-2.0 */
/* Step 2: policy sets. Their entries: apply_entries.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/walk.h"

struct apply_set *apply_set_by_number(struct fence_apply *apply, __u32 number)
{
    return fence_index_find(&apply->sets, &number);
}

struct apply_set *apply_set_by_content(const struct fence_apply *apply, struct fence_hash content)
{
    return fence_index_find(&apply->sets_by_content, &content);
}

static int new_set(struct fence_apply *apply, __u32 number, struct apply_set **ret_set)
{
    struct apply_set *set = calloc(1, sizeof(*set));

    if (!set)
        return -ENOMEM;
    set->number = number;
    if (fence_index_add(&apply->sets, &set->by_number, &set->number, set) < 0) {
        free(set);
        return -ENOMEM;
    }
    *ret_set = set;
    return 0;
}

/* Of two with the same content the newer one counts. */
static int index_content(struct fence_apply *apply, struct apply_set *set)
{
    struct apply_set *other = apply_set_by_content(apply, set->content);

    if (other && other->number > set->number)
        return 0;
    if (other)
        fence_index_remove(&apply->sets_by_content, &other->by_content);
    return fence_index_add(&apply->sets_by_content, &set->by_content, &set->content, set);
}

static void free_set(struct fence_apply *apply, struct apply_set *set)
{
    fence_index_remove(&apply->sets_by_content, &set->by_content);
    fence_index_remove(&apply->sets, &set->by_number);
    free(set->entries);
    free(set);
}

void apply_sets_done(struct fence_apply *apply)
{
    struct fence_index_node *next;

    for (struct fence_index_node *node = apply->sets.head; node; node = next) {
        next = fence_index_next(node);
        free_set(apply, node->item);
    }
    free(apply->sets_by_index);
}

/* The plan's set with this index is that one from now on; NULL: it could not be written. */
static void point(struct fence_apply *apply, __u32 index, struct apply_set *set)
{
    struct apply_set *before = apply->sets_by_index[index];

    if (set)
        set->planned++;
    if (before)
        before->planned--;
    apply->sets_by_index[index] = set;
}

void apply_sets_forget(struct fence_apply *apply)
{
    for (struct fence_index_node *node = apply->sets.head; node; node = fence_index_next(node))
        ((struct apply_set *)node->item)->planned = 0;
    for (size_t i = 0; i < apply->set_index_count; i++)
        apply->sets_by_index[i] = NULL;
}

struct load {
    struct fence_apply *apply;
    struct fence_interval *intervals;
    __u32 interval_count;
};

static int load_policy(void *context, const void *key, const void *value)
{
    const struct fence_policy_table *where = value;
    const struct fence_policy_key *policy = key;
    struct load *load = context;
    struct apply_set *set = apply_set_by_number(load->apply, policy->set);
    struct apply_table *table = NULL;
    int r = 0;

    /* not of our making: an entry like this is never looked at again */
    if (where->count == 0 || where->count > load->interval_count ||
        where->offset > load->interval_count - where->count ||
        policy->direction >= FENCE_DIRECTIONS)
        return 0;
    if (!set)
        r = new_set(load->apply, policy->set, &set);
    if (r == 0)
        r = apply_table_at(load->apply, where, load->intervals, &table);
    if (r == 0)
        r = FENCE_GROW(set->entries, set->capacity, set->count);
    if (r < 0)
        return r;
    table->references++;
    set->entries[set->count++] = (struct apply_entry){
        .where = apply_where(policy->class, policy->direction),
        .table = table,
    };
    return 0;
}

static int load_set(void *context, const void *key, const void *value)
{
    struct load *load = context;
    struct apply_set *set;
    __u32 number;
    int r = 0;

    memcpy(&number, key, sizeof(number));
    set = apply_set_by_number(load->apply, number);
    if (!set)
        r = new_set(load->apply, number, &set);
    if (r < 0)
        return r;
    memcpy(&set->content, value, sizeof(set->content));
    set->complete = true;
    return index_content(load->apply, set);
}

int apply_sets_load(struct fence_apply *apply)
{
    struct load load = {.apply = apply};
    int r = apply_intervals_read(apply, &load.intervals, &load.interval_count);

    if (r == 0)
        r = fence_map_walk(apply->pins->maps[FENCE_MAP_POLICIES], load_policy, &load);
    free(load.intervals);
    if (r == 0)
        r = fence_map_walk(apply->pins->maps[FENCE_MAP_SETS], load_set, &load);
    if (r < 0)
        return r;
    for (struct fence_index_node *node = apply->sets.head; node; node = fence_index_next(node)) {
        const struct apply_set *set = node->item;

        apply_entries_sort(set->entries, set->count);
    }
    return apply_extents_load(apply, load.interval_count);
}

struct wanted {
    struct apply_entry *entries;
    size_t count;
    size_t capacity;
};

static void wanted_done(struct wanted *wanted)
{
    free(wanted->entries);
}

static int want(struct apply_run *run, struct wanted *wanted, __u32 where, __u32 table)
{
    struct apply_entry entry = {.where = where};
    int r = apply_table(run, table, &entry.table);

    if (r == 0)
        r = FENCE_GROW(wanted->entries, wanted->capacity, wanted->count);
    if (r == 0)
        wanted->entries[wanted->count++] = entry;
    return r;
}

/* What differs from the fallback. A class that got no number is judged by the fallback. */
static int want_class(struct apply_run *run, const struct fence_plan_set *plan, __u32 class,
                      struct wanted *wanted)
{
    __u32 number = apply_number_of(&run->apply->classes, class);
    int r = 0;

    for (__u32 i = 0; i < FENCE_DIRECTIONS && r == 0 && number; i++) {
        __u32 table = fence_plan_table_of(plan, i, class);

        if (table != plan->fallback[i])
            r = want(run, wanted, apply_where(number, i), table);
    }
    return r;
}

/* What the set's entries should be, in order. */
static int wanted_init(struct apply_run *run, const struct fence_plan_set *plan,
                       struct wanted *wanted)
{
    const struct fence_plan_list *classes = &run->plan->classes_list;
    int r = 0;

    for (__u32 i = 0; i < FENCE_DIRECTIONS && r == 0; i++)
        r = want(run, wanted, apply_where(FENCE_CLASS_ANY, i), plan->fallback[i]);
    for (__u32 i = 0; i < classes->count && r == 0; i++)
        if (run->plan->classes[i].item.live)
            r = want_class(run, plan, i, wanted);
    if (r == 0)
        apply_entries_sort(wanted->entries, wanted->count);
    return r;
}

/* The same for the classes that were touched only. */
static int wanted_more(struct apply_run *run, const struct fence_plan_set *plan,
                       struct wanted *wanted)
{
    const struct fence_plan_list *classes = &run->plan->classes_list;
    int r = 0;

    for (size_t i = 0; i < classes->touched_count && r == 0; i++)
        if (run->plan->classes[classes->touched[i]].item.live)
            r = want_class(run, plan, classes->touched[i], wanted);
    if (r == 0)
        apply_entries_sort(wanted->entries, wanted->count);
    return r;
}

/* Does the plan have a class with this number? */
static bool is_planned(const struct fence_apply *apply, __u32 class)
{
    return class < apply->classes.limit && apply->class_planned[class];
}

/* May an existing set become this by adding entries for classes that it has never had? */
static bool can_grow_to(const struct fence_apply *apply, const struct apply_set *set,
                        const struct wanted *wanted)
{
    size_t k = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct apply_entry *have = &set->entries[i];

        while (k < wanted->count && wanted->entries[k].where < have->where)
            k++;
        if (k < wanted->count && wanted->entries[k].where == have->where) {
            if (wanted->entries[k].table != have->table)
                return false;
        } else if (is_planned(apply, have->where >> 1)) {
            return false;
        }
    }
    return true;
}

static int next_number(struct fence_apply *apply, __u32 *ret_number)
{
    struct fence_settings settings = apply->settings;
    int r;

    *ret_number = settings.next_set++;
    r = apply_settings(apply, &settings);
    return r;
}

int apply_set_remove(struct fence_apply *apply, struct apply_set *set)
{
    int r = set->complete ? apply_delete(apply, FENCE_MAP_SETS, &set->number) : 0;

    if (r < 0)
        return r;
    set->complete = false;
    fence_index_remove(&apply->sets_by_content, &set->by_content);
    r = apply_entries_remove(apply, set);
    if (r < 0)
        return r;
    free_set(apply, set);
    return 0;
}

static int complete_set(struct fence_apply *apply, struct apply_set *set, struct fence_hash content)
{
    struct fence_set_info info;
    int r;

    memcpy(info.content, &content, sizeof(info.content));
    r = apply_put(apply, FENCE_MAP_SETS, &set->number, &info);
    if (r < 0)
        return r;
    set->content = content;
    set->complete = true;
    return index_content(apply, set);
}

static int create_set(struct fence_apply *apply, const struct wanted *wanted,
                      struct fence_hash content, struct apply_set **ret_set)
{
    struct apply_set *set = NULL;
    __u32 number;
    int r = next_number(apply, &number);

    if (r == 0)
        r = new_set(apply, number, &set);
    if (!set)
        return r;
    r = apply_entries_add(apply, set, wanted->entries, wanted->count);
    if (r == 0)
        r = complete_set(apply, set, content);
    if (r < 0) {
        apply_set_remove(apply, set);
        return r;
    }
    *ret_set = set;
    return 0;
}

static int write_set(struct apply_run *run, const struct fence_plan_set *plan,
                     struct apply_set **ret_set)
{
    FENCE_CLEANUP(wanted_done) struct wanted wanted = {0};
    struct fence_apply *apply = run->apply;
    struct fence_hash content = apply_hash_text(apply, plan->content);
    struct apply_set *set;
    int r = wanted_init(run, plan, &wanted);

    if (r < 0)
        return r;
    set = apply_set_by_content(apply, content);
    if (set && !can_grow_to(apply, set, &wanted))
        set = NULL;
    if (!set)
        return create_set(apply, &wanted, content, ret_set);
    r = apply_entries_add(apply, set, wanted.entries, wanted.count);
    if (r == 0)
        *ret_set = set;
    return r;
}

/* A set that goes on gets its tables for the classes that have come. */
static int extend_set(struct apply_run *run, __u32 index, struct apply_set **ret_set)
{
    FENCE_CLEANUP(wanted_done) struct wanted wanted = {0};
    struct apply_set *set = run->apply->sets_by_index[index];
    int r = wanted_more(run, &run->plan->sets[index], &wanted);

    if (r == 0)
        r = apply_entries_add(run->apply, set, wanted.entries, wanted.count);
    *ret_set = set;
    return r;
}

static int write_or_extend(struct apply_run *run, __u32 index, struct apply_set **ret_set)
{
    if (run->apply->sets_by_index[index])
        return extend_set(run, index, ret_set);
    return write_set(run, &run->plan->sets[index], ret_set);
}

/* Once a run, when a map is full: what nobody uses any more makes room. */
static int write_or_sweep(struct apply_run *run, __u32 index, struct apply_set **ret_set)
{
    int r = write_or_extend(run, index, ret_set);

    if (r != -E2BIG || run->swept)
        return r;
    run->swept = true;
    r = apply_sweep_policies(run->apply, NULL);
    return r < 0 ? r : write_or_extend(run, index, ret_set);
}

static int apply_set(struct apply_run *run, __u32 index)
{
    const struct fence_plan_set *plan = &run->plan->sets[index];
    struct apply_set *set = NULL;
    int r;

    if (plan->problem) {
        point(run->apply, index, NULL);
        run->lacks_sets = true;
        return 0;
    }
    r = write_or_sweep(run, index, &set);
    point(run->apply, index, r == 0 ? set : NULL);
    if (r == 0)
        return 0;
    run->lacks_sets = true;
    return apply_report_map(run, run->apply->failed_map, r,
                            "endpoints whose policy does not fit are closed");
}

static int note_planned_classes(struct apply_run *run)
{
    struct fence_apply *apply = run->apply;

    if (!apply->class_planned)
        apply->class_planned = calloc(apply->classes.limit, 1);
    if (!apply->class_planned)
        return -ENOMEM;
    memset(apply->class_planned, 0, apply->classes.limit);
    for (__u32 i = 0; i < run->plan->classes_list.count; i++)
        if (run->plan->classes[i].item.live)
            apply->class_planned[apply_number_of(&apply->classes, i)] = 1;
    apply->class_planned[FENCE_CLASS_ANY] = 1;
    return 0;
}

int apply_sets(struct apply_run *run)
{
    const struct fence_plan_list *list = &run->plan->sets_list;
    struct fence_apply *apply = run->apply;
    int r = apply_grow((void **)&apply->sets_by_index, &apply->set_index_count, list->count,
                       sizeof(struct apply_set *));

    if (r == 0 && (run->fresh || list->touched_count))
        r = note_planned_classes(run);
    /* an index may be another set's now */
    for (size_t i = 0; r == 0 && i < list->touched_count; i++)
        point(apply, list->touched[i], NULL);
    for (__u32 i = 0; i < list->count && r == 0; i++)
        if (run->plan->sets[i].item.live &&
            (run->plan->sets[i].item.touched || run->plan->classes_list.touched_count))
            r = apply_set(run, i);
    FENCE_FAILPOINT("apply.sets-done");
    return r;
}
