/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: the intervals that rules paint, merged with their shadow; equal ones are one. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

static void count_rules(struct fence_plan *plan, const struct fence_plan_table *table, bool add)
{
    for (size_t i = 0; i < table->count; i++) {
        const uint32_t numbers[] = {table->intervals[i].rule, table->intervals[i].shadow_rule};

        for (size_t j = 0; j < FENCE_ARRAY_SIZE(numbers); j++) {
            if (!numbers[j])
                continue;
            if (add)
                FENCE_PLAN_REF(plan, rules, numbers[j] - 1);
            else
                FENCE_PLAN_UNREF(plan, rules, numbers[j] - 1);
        }
    }
}

static bool defers(const struct fence_plan_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->intervals[i].verdict == FENCE_DEFER)
            return true;
    return false;
}

/* Takes the intervals when they are new. */
static int table_add(struct fence_compiler *compiler, struct fence_plan_table *table,
                     uint32_t *ret_table)
{
    struct fence_plan *plan = compiler->plan;
    size_t size = table->count * sizeof(table->intervals[0]);
    struct fence_plan_table *added;
    int r;

    if (fence_intern_find(&compiler->table_keys, table->intervals, size, ret_table))
        return 0;
    r = FENCE_PLAN_ADD(plan, tables, ret_table);
    if (r == 0)
        r = fence_intern_put(&compiler->table_keys, table->intervals, size, *ret_table, ret_table);
    if (r < 0)
        return r;
    added = &plan->tables[*ret_table];
    added->intervals = TAKE_PTR(table->intervals);
    added->count = table->count;
    added->capacity = table->capacity;
    count_rules(plan, added, true);
    plan->deferring += defers(added);
    return 0;
}

void fence_table_free(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan_table *table = &compiler->plan->tables[index];

    fence_intern_remove(&compiler->table_keys, table->intervals,
                        table->count * sizeof(table->intervals[0]));
    count_rules(compiler->plan, table, false);
    compiler->plan->deferring -= defers(table);
    free(TAKE_PTR(table->intervals));
    FENCE_PLAN_DROP(compiler->plan, tables, index);
}

static bool same_answer(const struct fence_interval *a, const struct fence_interval *b)
{
    return a->rule == b->rule && a->shadow_rule == b->shadow_rule && a->verdict == b->verdict &&
           a->reason == b->reason && a->shadow == b->shadow && a->shadow_reason == b->shadow_reason;
}

static int append(struct fence_plan_table *table, const struct fence_interval *interval)
{
    if (table->count && same_answer(&table->intervals[table->count - 1], interval))
        return 0;
    if (table->count >= FENCE_TABLE_MAX)
        return -E2BIG;
    if (FENCE_GROW(table->intervals, table->capacity, table->count) < 0)
        return -ENOMEM;
    table->intervals[table->count++] = *interval;
    return 0;
}

/* Both canvases cover the whole line: walk them side by side. */
static int merge(const struct fence_canvas *enforced, const struct fence_canvas *shadow,
                 struct fence_plan_table *table)
{
    size_t i = 0;
    size_t j = 0;
    int r = 0;

    while (r == 0) {
        const struct fence_stroke *one = &enforced->strokes[i];
        const struct fence_stroke *other = &shadow->strokes[j];
        uint32_t next_one = i + 1 < enforced->count ? one[1].low : FENCE_POSITION_END;
        uint32_t next_other = j + 1 < shadow->count ? other[1].low : FENCE_POSITION_END;
        struct fence_interval interval = {
            .low = one->low > other->low ? one->low : other->low,
            .rule = one->decision.rule,
            .shadow_rule = other->decision.rule,
            .verdict = one->decision.verdict,
            .reason = one->decision.reason,
            .shadow = other->decision.verdict,
            .shadow_reason = other->decision.reason,
        };

        r = append(table, &interval);
        if (next_one == FENCE_POSITION_END && next_other == FENCE_POSITION_END)
            break;
        i += next_one <= next_other;
        j += next_other <= next_one;
    }
    return r;
}

int fence_table_paint(const struct fence_judgement *judgement, uint32_t *ret_table)
{
    struct fence_compiler *compiler = judgement->compiler;
    bool audit = judgement->set->audit;
    struct fence_plan_table table = {0};
    int r = fence_judge(judgement, false, &compiler->enforced);

    if (r == 0 && audit)
        r = fence_judge(judgement, true, &compiler->shadow);
    if (r == 0)
        r = merge(&compiler->enforced, audit ? &compiler->shadow : &compiler->enforced, &table);
    if (r == 0)
        r = table_add(compiler, &table, ret_table);
    free(table.intervals);
    return r;
}

int fence_table_closed(struct fence_compiler *compiler, uint32_t *ret_table)
{
    struct fence_interval closed = {.verdict = FENCE_DENY,
                                    .reason = FENCE_REASON_NOT_APPLIED,
                                    .shadow = FENCE_DENY,
                                    .shadow_reason = FENCE_REASON_NOT_APPLIED};
    struct fence_plan_table table = {0};
    int r = append(&table, &closed);

    if (r == 0)
        r = table_add(compiler, &table, ret_table);
    free(table.intervals);
    return r;
}
