/* SPDX-License-Identifier: Apache-2.0 */
/* Step 2: tables in the intervals array: equal ones once, space by first fit. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/walk.h"

#define GRACE_FALLBACK_NS 100000000

void apply_grace(void)
{
    const struct timespec pause = {.tv_nsec = GRACE_FALLBACK_NS};

    /* This one is an RCU grace period, and programs run inside RCU read sections. */
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
        nanosleep(&pause, NULL);
}

static int extent_insert(struct fence_apply *apply, size_t at, const struct apply_extent *extent)
{
    int r = FENCE_GROW(apply->free_extents, apply->extent_capacity, apply->extent_count);

    if (r < 0)
        return r;
    memmove(&apply->free_extents[at + 1], &apply->free_extents[at],
            (apply->extent_count - at) * sizeof(*extent));
    apply->free_extents[at] = *extent;
    apply->extent_count++;
    return 0;
}

static void extent_remove(struct fence_apply *apply, size_t at)
{
    apply->extent_count--;
    memmove(&apply->free_extents[at], &apply->free_extents[at + 1],
            (apply->extent_count - at) * sizeof(*apply->free_extents));
}

static int extent_take(struct fence_apply *apply, __u32 count, __u32 *ret_offset)
{
    for (size_t i = 0; i < apply->extent_count; i++) {
        struct apply_extent *extent = &apply->free_extents[i];

        if (extent->count < count)
            continue;
        *ret_offset = extent->offset;
        extent->offset += count;
        extent->count -= count;
        if (extent->count == 0)
            extent_remove(apply, i);
        return 0;
    }
    return -E2BIG;
}

static int extent_give(struct fence_apply *apply, const struct apply_extent *extent)
{
    struct apply_extent *items = apply->free_extents;
    size_t at = 0;
    bool joins_before, joins_after;

    while (at < apply->extent_count && items[at].offset < extent->offset)
        at++;
    joins_before = at > 0 && items[at - 1].offset + items[at - 1].count == extent->offset;
    joins_after = at < apply->extent_count && extent->offset + extent->count == items[at].offset;
    if (joins_before) {
        items[at - 1].count += extent->count;
        if (joins_after) {
            items[at - 1].count += items[at].count;
            extent_remove(apply, at);
        }
        return 0;
    }
    if (joins_after) {
        items[at].offset = extent->offset;
        items[at].count += extent->count;
        return 0;
    }
    return extent_insert(apply, at, extent);
}

static int by_offset(const void *a, const void *b)
{
    const struct apply_table *one = *(struct apply_table *const *)a;
    const struct apply_table *other = *(struct apply_table *const *)b;

    return one->offset < other->offset ? -1 : one->offset > other->offset;
}

int apply_extents_load(struct fence_apply *apply, __u32 limit)
{
    size_t count = fence_index_count(&apply->tables);
    FENCE_FREE struct apply_table **tables = calloc(count + 1, sizeof(struct apply_table *));
    struct apply_extent gap = {0};
    size_t used = 0;

    if (!tables)
        return -ENOMEM;
    for (struct fence_index_node *node = apply->tables.head; node; node = fence_index_next(node))
        tables[used++] = node->item;
    qsort(tables, count, sizeof(struct apply_table *), by_offset);
    for (size_t i = 0; i < count; i++) {
        const struct apply_table *table = tables[i];

        if (table->offset > gap.offset) {
            gap.count = table->offset - gap.offset;
            if (extent_insert(apply, apply->extent_count, &gap) < 0)
                return -ENOMEM;
        }
        if (table->offset + table->count > gap.offset)
            gap.offset = table->offset + table->count;
    }
    gap.count = limit - gap.offset;
    return gap.count ? extent_insert(apply, apply->extent_count, &gap) : 0;
}

static int copy_visit(void *context, const void *key, const void *value)
{
    struct fence_interval *intervals = context;
    __u32 index;

    memcpy(&index, key, sizeof(index));
    memcpy(&intervals[index], value, sizeof(*intervals));
    return 0;
}

int apply_intervals_read(struct fence_apply *apply, struct fence_interval **ret_intervals,
                         __u32 *ret_count)
{
    FENCE_FREE struct fence_interval *intervals = NULL;
    int fd = apply->pins->maps[FENCE_MAP_INTERVALS];
    struct fence_map_shape shape;
    int r = fence_map_shape(fd, &shape);

    if (r < 0)
        return r;
    intervals = calloc(shape.max_entries, sizeof(*intervals));
    if (!intervals)
        return -ENOMEM;
    r = fence_map_walk(fd, copy_visit, intervals);
    if (r < 0)
        return r;
    *ret_intervals = TAKE_PTR(intervals);
    *ret_count = shape.max_entries;
    return 0;
}

static void free_table(struct apply_table **table)
{
    if (*table)
        free((*table)->intervals);
    free(*table);
    *table = NULL;
}

static struct apply_table *find_content(const struct fence_apply *apply, struct fence_hash content)
{
    return fence_index_find(&apply->tables_by_content, &content);
}

static void drop_table(struct fence_apply *apply, struct apply_table *table)
{
    fence_index_remove(&apply->tables, &table->by_offset);
    fence_index_remove(&apply->tables_by_content, &table->by_content);
    free_table(&table);
}

/* Takes the table; it is freed on failure. */
static int index_table(struct fence_apply *apply, struct apply_table *table)
{
    int r = fence_index_add(&apply->tables, &table->by_offset, &table->offset, table);

    if (r == 0 && !find_content(apply, table->content))
        r = fence_index_add(&apply->tables_by_content, &table->by_content, &table->content, table);
    if (r < 0)
        drop_table(apply, table);
    return r;
}

static struct apply_table *new_table(const struct fence_apply *apply,
                                     const struct fence_interval *intervals, __u32 count)
{
    struct apply_table *table = calloc(1, sizeof(*table));

    if (!table)
        return NULL;
    table->intervals = calloc(count, sizeof(*intervals));
    if (!table->intervals) {
        free(table);
        return NULL;
    }
    memcpy(table->intervals, intervals, count * sizeof(*intervals));
    table->count = count;
    table->content = apply_hash(apply, intervals, count * sizeof(*intervals));
    return table;
}

int apply_table_at(struct fence_apply *apply, const struct fence_policy_table *where,
                   const struct fence_interval *intervals, struct apply_table **ret_table)
{
    struct apply_table *table = fence_index_find(&apply->tables, &where->offset);
    int r;

    if (!table) {
        table = new_table(apply, intervals + where->offset, where->count);
        if (!table)
            return -ENOMEM;
        table->offset = where->offset;
        r = index_table(apply, table);
        if (r < 0)
            return r;
    }
    *ret_table = table;
    return 0;
}

void apply_tables_done(struct fence_apply *apply)
{
    struct fence_index_node *next;

    for (struct fence_index_node *node = apply->tables.head; node; node = next) {
        next = fence_index_next(node);
        drop_table(apply, node->item);
    }
    free(apply->free_extents);
    free(apply->tables_by_index);
}

/* The plan's table with this index is that one from now on; NULL: not asked for. */
static void point(struct fence_apply *apply, __u32 index, struct apply_table *table)
{
    struct apply_table *before = apply->tables_by_index[index];

    if (table)
        table->planned++;
    if (before)
        before->planned--;
    apply->tables_by_index[index] = table;
}

void apply_tables_forget(struct fence_apply *apply)
{
    for (struct fence_index_node *node = apply->tables.head; node; node = fence_index_next(node))
        ((struct apply_table *)node->item)->planned = 0;
    for (size_t i = 0; i < apply->table_index_count; i++)
        apply->tables_by_index[i] = NULL;
}

int apply_tables(struct apply_run *run)
{
    const struct fence_plan_list *list = &run->plan->tables_list;
    struct fence_apply *apply = run->apply;
    int r = apply_grow((void **)&apply->tables_by_index, &apply->table_index_count, list->count,
                       sizeof(struct apply_table *));

    /* new ones are written when a set asks for them; an index may be another table's now */
    for (size_t i = 0; r == 0 && i < list->touched_count; i++)
        point(apply, list->touched[i], NULL);
    return r;
}

static int write_intervals(struct fence_apply *apply, const struct apply_table *table)
{
    FENCE_FREE __u32 *keys = calloc(table->count, sizeof(*keys));
    __u32 count = table->count;

    if (!keys)
        return -ENOMEM;
    for (__u32 i = 0; i < table->count; i++)
        keys[i] = table->offset + i;
    return apply_put_all(apply, FENCE_MAP_INTERVALS, keys, table->intervals, &count);
}

static __u32 rule_number(const struct apply_run *run, __u32 rule)
{
    return rule ? apply_number_of(&run->apply->rules, rule - 1) : 0;
}

/* The plan's intervals with the numbers of their rules. */
static struct apply_table *translate(const struct apply_run *run,
                                     const struct fence_plan_table *plan)
{
    struct apply_table *table = new_table(run->apply, plan->intervals, (__u32)plan->count);

    if (!table)
        return NULL;
    for (size_t i = 0; i < plan->count; i++) {
        struct fence_interval *interval = &table->intervals[i];

        interval->rule = rule_number(run, interval->rule);
        interval->shadow_rule = rule_number(run, interval->shadow_rule);
    }
    table->content =
        apply_hash(run->apply, table->intervals, table->count * sizeof(*table->intervals));
    return table;
}

/* Takes `table`. */
static int place(struct fence_apply *apply, struct apply_table *table)
{
    struct apply_extent extent = {.count = table->count};
    int r = extent_take(apply, extent.count, &extent.offset);

    if (r < 0) {
        free_table(&table);
        return r;
    }
    table->offset = extent.offset;
    r = write_intervals(apply, table);
    if (r < 0)
        free_table(&table);
    else
        r = index_table(apply, table);
    if (r < 0)
        extent_give(apply, &extent);
    return r;
}

/* The table of this content, made from `wanted` (taken) when there is none. */
static int intern(struct fence_apply *apply, struct apply_table *wanted,
                  struct apply_table **ret_table)
{
    struct apply_table *known = find_content(apply, wanted->content);
    int r;

    if (known) {
        free_table(&wanted);
        *ret_table = known;
        return 0;
    }
    r = place(apply, wanted);
    if (r == 0)
        *ret_table = wanted;
    return r;
}

int apply_table(struct apply_run *run, __u32 index, struct apply_table **ret_table)
{
    const struct fence_plan_table *plan = &run->plan->tables[index];
    struct apply_table *table = run->apply->tables_by_index[index];
    int r;

    if (!table) {
        run->apply->failed_map = FENCE_MAP_INTERVALS;
        if (plan->count == 0 || plan->count > FENCE_TABLE_MAX)
            return -EMSGSIZE;
        table = translate(run, plan);
        if (!table)
            return -ENOMEM;
        r = intern(run->apply, table, &table);
        if (r < 0)
            return r;
        point(run->apply, index, table);
    }
    *ret_table = table;
    return 0;
}

static bool is_unused(const struct apply_table *table)
{
    return table->references == 0 && table->planned == 0;
}

int apply_tables_sweep(struct fence_apply *apply)
{
    struct fence_index_node *next;
    bool waited = false;

    for (struct fence_index_node *node = apply->tables.head; node; node = next) {
        struct apply_table *table = node->item;
        struct apply_extent extent = {.offset = table->offset, .count = table->count};

        next = fence_index_next(node);
        if (!is_unused(table))
            continue;
        if (!waited)
            apply_grace();
        waited = true;
        drop_table(apply, table);
        if (extent_give(apply, &extent) < 0)
            return -ENOMEM;
    }
    return 0;
}
