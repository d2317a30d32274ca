/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set is what a list of policies means to every peer. Peers that the same rules mean share a
 * table, so a table is painted once for each combination of rules and not for each peer.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

/* Work of one set. */
struct set_builder {
    struct fence_compile_state *state;
    const struct fence_subject *subject;
    const struct fence_selection *policies;
    struct fence_plan_set set;
    struct fence_intern signatures; /* of one direction: rules that match -> table */
    struct fence_text signature;
    struct fence_canvas enforced;
    struct fence_canvas shadow;
    bool audit;
};

static void builder_done(struct set_builder *builder)
{
    free(builder->set.content);
    free(builder->set.entries);
    free(builder->set.problem);
    fence_intern_done(&builder->signatures);
    fence_text_done(&builder->signature);
    fence_canvas_done(&builder->enforced);
    fence_canvas_done(&builder->shadow);
}

/* ---- content -------------------------------------------------------------------------------- */

static bool asks_for(const struct fence_policy *policy, const char *name)
{
    for (size_t i = 0; policy->applies[FENCE_INGRESS] && i < policy->rule_count[FENCE_INGRESS];
         i++) {
        const struct fence_rule *rule = &policy->rules[FENCE_INGRESS][i];

        for (size_t j = 0; j < rule->port_count; j++)
            if (rule->ports[j].name && strcmp(rule->ports[j].name, name) == 0)
                return true;
    }
    return false;
}

static bool is_asked_for(const struct set_builder *builder, const char *name)
{
    for (size_t i = 0; i < builder->policies->count; i++)
        if (asks_for(&builder->state->policies[builder->policies->items[i]].object->policy, name))
            return true;
    return false;
}

/* The subject's own ports, as far as ingress rules ask for them by name. */
static int add_own_ports(const struct set_builder *builder, struct fence_text *text)
{
    const struct fence_object *pod = builder->subject->pod;
    size_t total = pod ? pod->pod.port_count : 0;
    FENCE_FREE struct fence_container_port *asked = calloc(total + 1, sizeof(*asked));
    size_t count = 0;

    if (!asked)
        return -ENOMEM;
    for (size_t i = 0; i < total; i++)
        if (is_asked_for(builder, pod->pod.ports[i].name))
            asked[count++] = pod->pod.ports[i];
    fence_text_ports(text, asked, count);
    return 0;
}

static int make_content(struct set_builder *builder, char **ret_content)
{
    struct fence_compile_state *state = builder->state;
    struct fence_text text = {0};

    fence_text_add(&text, "set own-node-egress %d ", state->world->own_node_egress_is_policy);
    if (add_own_ports(builder, &text) < 0)
        text.failed = true;
    for (size_t i = 0; i < builder->policies->count; i++) {
        struct fence_book_policy *policy = &state->policies[builder->policies->items[i]];

        if (!policy->text.data)
            fence_text_policy(&policy->text, policy->object);
        if (policy->text.failed)
            text.failed = true;
        else
            fence_text_raw(&text, policy->text.data, policy->text.size);
    }
    *ret_content = fence_text_take(&text);
    return *ret_content ? 0 : fence_out_of_memory(state->err);
}

/* ---- tables --------------------------------------------------------------------------------- */

static int table_add(struct fence_compile_state *state, struct fence_plan_table *table,
                     uint32_t *ret_table)
{
    struct fence_plan *plan = state->plan;
    uint32_t number = (uint32_t)plan->tables_count;
    int r = fence_intern_put(&state->tables, table->intervals,
                             table->count * sizeof(table->intervals[0]), number, &number);

    if (r == 1 && FENCE_GROW(plan->tables, plan->tables_capacity, plan->tables_count) < 0)
        r = -ENOMEM;
    if (r < 0)
        return fence_out_of_memory(state->err);
    if (r == 1) {
        plan->tables[plan->tables_count++] = *table;
        *table = (struct fence_plan_table){0};
    }
    *ret_table = number;
    return 0;
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

static int paint_table(struct set_builder *builder, const struct fence_judgement *judgement,
                       uint32_t *ret_table)
{
    struct fence_plan_table table = {0};
    int r = fence_judge(judgement, false, &builder->enforced);

    if (r == 0 && builder->audit)
        r = fence_judge(judgement, true, &builder->shadow);
    if (r == 0)
        r = merge(&builder->enforced, builder->audit ? &builder->shadow : &builder->enforced,
                  &table);
    if (r == 0)
        r = table_add(builder->state, &table, ret_table);
    free(table.intervals);
    return r;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* All that can make two peers differ: the rules that mean them, their ports, what they are. */
static void sign(struct set_builder *builder, const struct fence_judgement *judgement)
{
    const struct fence_compile_state *state = builder->state;
    const struct fence_peer_view *view = fence_book_view(state, judgement->peer);
    enum fence_direction direction = judgement->direction;
    struct fence_text *text = &builder->signature;
    char kind = (char)((view->kind == FENCE_VIEW_HOST) | (view->kind == FENCE_VIEW_PENDING) << 1);

    fence_text_clear(text);
    fence_text_raw(text, &kind, 1);
    for (size_t i = 0; i < builder->policies->count; i++) {
        const struct fence_book_policy *policy = &state->policies[builder->policies->items[i]];
        const struct fence_book_rule *rules = policy->rules[direction];

        for (size_t j = 0; rules && j < policy->object->policy.rule_count[direction]; j++)
            if (fence_book_rule_means(&rules[j], judgement->peer))
                fence_text_raw(text, (const char *)&rules[j].ordinal, sizeof(rules[j].ordinal));
    }
    if (direction == FENCE_EGRESS && view->port_count) {
        static const uint32_t end = UINT32_MAX;

        fence_text_raw(text, (const char *)&end, sizeof(end));
        fence_text_ports(text, view->ports, view->port_count);
    }
}

static int table_for(struct set_builder *builder, const struct fence_judgement *judgement,
                     uint32_t *ret_table)
{
    struct fence_text *text = &builder->signature;
    uint32_t table;
    int r;

    sign(builder, judgement);
    if (text->failed)
        return fence_out_of_memory(builder->state->err);
    if (fence_intern_find(&builder->signatures, text->data, text->size, ret_table))
        return 0;
    r = paint_table(builder, judgement, &table);
    if (r == 0 &&
        fence_intern_put(&builder->signatures, text->data, text->size, table, ret_table) < 0)
        r = fence_out_of_memory(builder->state->err);
    return r;
}

static int add_entry(struct set_builder *builder, const struct fence_plan_entry *entry)
{
    struct fence_plan_set *set = &builder->set;

    if (entry->table == set->fallback[entry->direction])
        return 0;
    if (FENCE_GROW(set->entries, set->entry_capacity, set->entry_count) < 0)
        return fence_out_of_memory(builder->state->err);
    set->entries[set->entry_count++] = *entry;
    return 0;
}

/* Does `table` deny, now and in the shadow, wherever `other` does? */
static bool is_as_closed(const struct fence_plan_table *table, const struct fence_plan_table *other)
{
    size_t i = 0;
    size_t j = 0;

    while (i < table->count && j < other->count) {
        const struct fence_interval *one = &table->intervals[i];
        const struct fence_interval *two = &other->intervals[j];
        uint32_t next_one = i + 1 < table->count ? one[1].low : FENCE_POSITION_END;
        uint32_t next_two = j + 1 < other->count ? two[1].low : FENCE_POSITION_END;

        if (one->verdict > two->verdict || one->shadow > two->shadow)
            return false;
        i += next_one <= next_two;
        j += next_two <= next_one;
    }
    return true;
}

/*
 * What holds for peers that the set does not list, and for those that it has never heard of: so it
 * must be as closed as "pending", and depend on nothing but the rules, since sets are immutable.
 * The table of "nobody" saves most entries; where a Denylist selects workloads it is too open.
 * The first peer of every plan is the reserved "pending".
 */
static int choose_fallback(struct set_builder *builder, enum fence_direction direction)
{
    struct fence_judgement judgement = {.state = builder->state,
                                        .subject = builder->subject,
                                        .policies = builder->policies,
                                        .direction = direction,
                                        .peer = 0};
    const struct fence_plan *plan = builder->state->plan;
    uint32_t pending = 0;
    uint32_t nobody = 0;
    int r = table_for(builder, &judgement, &pending);

    judgement.peer = (uint32_t)plan->peers_count;
    if (r == 0)
        r = table_for(builder, &judgement, &nobody);
    if (r == 0)
        builder->set.fallback[direction] =
            is_as_closed(&plan->tables[nobody], &plan->tables[pending]) ? nobody : pending;
    return r;
}

static int build_direction(struct set_builder *builder, enum fence_direction direction)
{
    struct fence_judgement judgement = {.state = builder->state,
                                        .subject = builder->subject,
                                        .policies = builder->policies,
                                        .direction = direction};
    int r = choose_fallback(builder, direction);

    for (uint32_t i = 0; r == 0 && i < builder->state->plan->peers_count; i++) {
        struct fence_plan_entry entry = {.peer = i, .direction = direction};

        judgement.peer = i;
        r = table_for(builder, &judgement, &entry.table);
        if (r == 0)
            r = add_entry(builder, &entry);
    }
    fence_intern_done(&builder->signatures);
    return r;
}

/* It cannot be compiled: whoever uses it is closed. */
static int close_set(struct set_builder *builder)
{
    struct fence_interval closed = {.verdict = FENCE_DENY,
                                    .reason = FENCE_REASON_NOT_APPLIED,
                                    .shadow = FENCE_DENY,
                                    .shadow_reason = FENCE_REASON_NOT_APPLIED};
    struct fence_plan_set *set = &builder->set;
    struct fence_plan_table table = {0};
    int r = append(&table, &closed);

    if (r == 0)
        r = table_add(builder->state, &table, &set->fallback[FENCE_EGRESS]);
    free(table.intervals);
    set->fallback[FENCE_INGRESS] = set->fallback[FENCE_EGRESS];
    set->entry_count = 0;
    if (asprintf(&set->problem,
                 "its rules need more than %u port intervals for one peer: write ranges (endPort) "
                 "instead of single ports",
                 FENCE_TABLE_MAX) < 0) {
        set->problem = NULL;
        r = -ENOMEM;
    }
    return r < 0 ? fence_out_of_memory(builder->state->err) : 0;
}

static int build(struct set_builder *builder)
{
    struct fence_plan *plan = builder->state->plan;
    int r = 0;

    for (size_t i = 0; i < builder->policies->count; i++)
        builder->audit |=
            builder->state->policies[builder->policies->items[i]].object->policy.audit;
    for (int direction = 0; r == 0 && direction < FENCE_DIRECTIONS; direction++)
        r = build_direction(builder, direction);
    if (r == -E2BIG)
        r = close_set(builder);
    if (r == 0)
        r = FENCE_GROW(plan->sets, plan->sets_capacity, plan->sets_count);
    if (r < 0)
        return fence_out_of_memory(builder->state->err);
    plan->sets[plan->sets_count++] = builder->set;
    builder->set = (struct fence_plan_set){0};
    return 0;
}

int fence_set_for(struct fence_compile_state *state, const struct fence_subject *subject,
                  const struct fence_selection *policies, uint32_t *ret_set)
{
    struct set_builder builder = {.state = state, .subject = subject, .policies = policies};
    uint32_t number = (uint32_t)state->plan->sets_count;
    int r = make_content(&builder, &builder.set.content);

    if (r == 0) {
        r = fence_intern_put(&state->sets, builder.set.content, strlen(builder.set.content), number,
                             &number);
        if (r == 1)
            r = build(&builder);
        else if (r < 0)
            r = fence_out_of_memory(state->err);
    }
    builder_done(&builder);
    if (r == 0)
        *ret_set = number;
    return r;
}
