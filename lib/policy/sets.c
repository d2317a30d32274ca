/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set is what a list of policies means to every class of peers. Classes that the same rules mean
 * share a table, so a table is painted once for each combination of rules and not for each class.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/policy/compiler.h"

/* An index that no class has: whom only rules without peers mean. */
#define NOBODY FENCE_PLAN_NONE

/* Answers that a set remembers beside two for each class. */
#define ANSWERS_MOST 256

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

static bool is_asked_for(const struct fence_compiler *compiler,
                         const struct fence_indices *policies, const char *name)
{
    for (size_t i = 0; i < policies->count; i++)
        if (asks_for(&compiler->policies[policies->items[i]].object->policy, name))
            return true;
    return false;
}

/* The subject's own ports, as far as ingress rules ask for them by name; shared. */
static const struct fence_ports *own_ports(struct fence_compiler *compiler,
                                           const struct fence_subject *subject,
                                           const struct fence_indices *policies)
{
    const struct fence_ports *ports = subject->pod ? subject->pod->pod.ports : fence_ports_none();
    size_t count = 0;

    for (size_t i = 0; i < ports->count; i++) {
        if (!is_asked_for(compiler, policies, ports->items[i].name))
            continue;
        if (FENCE_GROW(compiler->chosen, compiler->chosen_capacity, count) < 0)
            return NULL;
        compiler->chosen[count++] = ports->items[i];
    }
    return fence_ports_shared(compiler->chosen, count);
}

/* Into the scratch text. */
static int make_content(struct fence_compiler *compiler, const struct fence_ports *ports,
                        const struct fence_indices *policies)
{
    struct fence_text *text = &compiler->text;

    fence_text_clear(text);
    fence_text_add(text, "set own-node-egress %d ", compiler->options.own_node_egress_is_policy);
    fence_text_ports(text, ports->items, ports->count);
    for (size_t i = 0; i < policies->count; i++) {
        const struct fence_text *policy = &compiler->policies[policies->items[i]].use->text;

        fence_text_raw(text, policy->data, policy->size);
    }
    return text->failed ? -ENOMEM : 0;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* All that can make two classes differ: the rules that mean them, their ports, what they are. */
static void sign(const struct fence_judgement *judgement, struct fence_text *text)
{
    const struct fence_compiler *compiler = judgement->compiler;
    const struct fence_plan_class *class = judgement->class;
    const struct fence_indices *policies = &judgement->set->policies;
    char kind = (char)(class->host | class->pending << 1);

    fence_text_clear(text);
    fence_text_raw(text, &kind, 1);
    /* by what they are: the set remembers longer than the class lives */
    if (judgement->direction == FENCE_EGRESS && class->ports && class->ports->count)
        fence_text_ports(text, class->ports->items, class->ports->count);
    for (uint32_t i = 0; i < policies->count; i++) {
        const struct fence_book_policy *policy = &compiler->policies[policies->items[i]];
        const struct fence_book_rule *rules = policy->use->rules[judgement->direction];
        size_t count = policy->object->policy.rule_count[judgement->direction];

        for (uint32_t j = 0; rules && j < count; j++) {
            const uint32_t place[] = {i, j};

            if (fence_book_rule_means(&rules[j], class))
                fence_text_raw(text, (const char *)place, sizeof(place));
        }
    }
}

/* Where ports lead elsewhere: what holds for the others, and where these lead. */
static void sign_route(const struct fence_judgement *judgement, uint32_t base,
                       struct fence_text *text)
{
    const struct fence_plan_class *class = judgement->class;
    static const char kind = 1 << 2;

    fence_text_clear(text);
    fence_text_raw(text, &kind, 1);
    fence_text_raw(text, (const char *)&base, sizeof(base));
    for (size_t i = 0; i < class->target_count; i++) {
        const struct fence_plan_target *where = &class->targets[i];
        const uint32_t target[] = {fence_class_at(judgement->compiler, where->index)->host,
                                   where->position, where->port, judgement->tables[i]};

        fence_text_raw(text, (const char *)target, sizeof(target));
    }
}

/* The table of what the judgement says, painted when its signature (the scratch text) is new. */
static int table_of(const struct fence_judgement *judgement, struct fence_intern *signatures,
                    uint32_t *ret_table)
{
    struct fence_compiler *compiler = judgement->compiler;
    const struct fence_text *text = &compiler->text;
    uint32_t table;
    int r;

    if (text->failed)
        return -ENOMEM;
    if (fence_intern_find(signatures, text->data, text->size, ret_table))
        return 0;
    r = fence_table_paint(judgement, &table);
    if (r != 0)
        return r;
    r = fence_intern_put(signatures, text->data, text->size, table, ret_table);
    if (r < 0)
        return r;
    /* the signature is found again: its table stays as long as the set does */
    FENCE_PLAN_REF(compiler->plan, tables, table);
    return 0;
}

/* Of a class without targets; mostly the set has been asked about it before. */
static int table_of_rules(struct fence_judgement judgement, uint32_t set, uint32_t class,
                          uint32_t *ret_table)
{
    struct fence_compiler *compiler = judgement.compiler;
    const struct fence_plan_set *planned = &compiler->plan->sets[set];

    if (class < planned->table_count &&
        planned->tables[judgement.direction][class] != FENCE_PLAN_NONE) {
        *ret_table = planned->tables[judgement.direction][class];
        return 0;
    }
    judgement.class = fence_class_at(compiler, class);
    sign(&judgement, &compiler->text);
    return table_of(&judgement, &compiler->sets[set].signatures[judgement.direction], ret_table);
}

/* On the way out: nobody comes in from an address whose ports lead elsewhere. */
static int table_of_route(struct fence_judgement judgement, uint32_t set, uint32_t base,
                          uint32_t *ret_table)
{
    struct fence_compiler *compiler = judgement.compiler;
    struct fence_indices *tables = &compiler->tables;
    uint32_t table;
    int r = 0;

    tables->count = 0;
    for (size_t i = 0; r == 0 && i < judgement.class->target_count; i++) {
        r = table_of_rules(judgement, set, judgement.class->targets[i].index, &table);
        if (r == 0)
            r = fence_indices_add(tables, table);
    }
    if (r < 0)
        return r;
    judgement.tables = tables->items;
    sign_route(&judgement, base, &compiler->text);
    return table_of(&judgement, &compiler->sets[set].signatures[FENCE_EGRESS], ret_table);
}

static int table_for(struct fence_compiler *compiler, uint32_t set, enum fence_direction direction,
                     uint32_t class, uint32_t *ret_table)
{
    struct fence_judgement judgement = {
        .compiler = compiler,
        .set = &compiler->sets[set],
        .direction = direction,
        .class = fence_class_at(compiler, class),
    };
    uint32_t base;
    int r;

    if (!judgement.class->target_count) {
        sign(&judgement, &compiler->text);
        return table_of(&judgement, &compiler->sets[set].signatures[direction], ret_table);
    }
    r = table_of_rules(judgement, set, judgement.class->base, &base);
    if (r == 0 && direction == FENCE_EGRESS)
        return table_of_route(judgement, set, base, ret_table);
    if (r == 0)
        *ret_table = base;
    return r;
}

/* How much passes: FENCE_DEFER lies between the others. */
static int openness(uint8_t verdict)
{
    return verdict == FENCE_DEFER ? 1 : 2 * (verdict == FENCE_ALLOW);
}

/* Is `table`, now and in the shadow, nowhere more open than `other`? */
static bool is_as_closed(const struct fence_plan_table *table, const struct fence_plan_table *other)
{
    size_t i = 0;
    size_t j = 0;

    while (i < table->count && j < other->count) {
        const struct fence_interval *one = &table->intervals[i];
        const struct fence_interval *two = &other->intervals[j];
        uint32_t next_one = i + 1 < table->count ? one[1].low : FENCE_POSITION_END;
        uint32_t next_two = j + 1 < other->count ? two[1].low : FENCE_POSITION_END;

        if (openness(one->verdict) > openness(two->verdict) ||
            openness(one->shadow) > openness(two->shadow))
            return false;
        i += next_one <= next_two;
        j += next_two <= next_one;
    }
    return true;
}

/*
 * What holds for classes that the set does not list, and for those that it has never heard of: so
 * it must be as closed as "pending", and depend on nothing but the rules, since sets are immutable.
 * The table of "nobody" saves most entries; where a Denylist selects workloads it is too open.
 * The first peer of every plan is the reserved "pending".
 */
static int choose_fallback(struct fence_compiler *compiler, uint32_t set,
                           enum fence_direction direction)
{
    const struct fence_plan *plan = compiler->plan;
    uint32_t pending = 0;
    uint32_t nobody = 0;
    int r = table_for(compiler, set, direction, plan->peers[0].class, &pending);

    if (r == 0)
        r = table_for(compiler, set, direction, NOBODY, &nobody);
    if (r == 0)
        plan->sets[set].fallback[direction] =
            is_as_closed(&plan->tables[nobody], &plan->tables[pending]) ? nobody : pending;
    return r;
}

static int ask(struct fence_compiler *compiler, uint32_t set, uint32_t class)
{
    struct fence_plan_set *planned = &compiler->plan->sets[set];
    int r = planned->problem ? 0 : fence_plan_set_reserve(planned, class + 1);

    for (int i = 0; r == 0 && !planned->problem && i < FENCE_DIRECTIONS; i++) {
        uint32_t table = FENCE_PLAN_NONE;

        r = table_for(compiler, set, i, class, &table);
        planned->tables[i][class] = table;
    }
    return r;
}

/* Does it know the class that this one is like? Then it has the same tables for both. */
static bool take_over(struct fence_compiler *compiler, uint32_t set,
                      const struct fence_new_class *class, int *ret)
{
    struct fence_plan_set *planned = &compiler->plan->sets[set];

    if (class->like >= planned->table_count ||
        planned->tables[FENCE_EGRESS][class->like] == FENCE_PLAN_NONE)
        return false;
    *ret = fence_plan_set_reserve(planned, class->class + 1);
    for (int i = 0; *ret == 0 && i < FENCE_DIRECTIONS; i++)
        planned->tables[i][class->class] = planned->tables[i][class->like];
    return true;
}

/* It cannot be compiled: whoever uses it is closed. */
static int close_set(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan_set *set = &compiler->plan->sets[index];
    uint32_t made = 0;
    int r = fence_table_closed(compiler, &made);

    if (r < 0)
        return r;
    for (int i = 0; i < FENCE_DIRECTIONS; i++) {
        FENCE_PLAN_REF(compiler->plan, tables, made);
        set->fallback[i] = made;
        for (size_t j = 0; j < set->table_count; j++)
            set->tables[i][j] = FENCE_PLAN_NONE;
    }
    if (asprintf(&set->problem,
                 "its rules need more than %u port intervals for one peer: write ranges (endPort) "
                 "instead of single ports",
                 FENCE_TABLE_MAX) >= 0)
        return 0;
    set->problem = NULL;
    return -ENOMEM;
}

static int ask_or_close(struct fence_compiler *compiler, uint32_t set, uint32_t class)
{
    int r = ask(compiler, set, class);

    return r == -E2BIG ? close_set(compiler, set) : r;
}

/* ---- sets ----------------------------------------------------------------------------------- */

static int build(struct fence_compiler *compiler, uint32_t set)
{
    const struct fence_plan_list *classes = &compiler->plan->classes_list;
    int r = 0;

    for (int direction = 0; r == 0 && direction < FENCE_DIRECTIONS; direction++)
        r = choose_fallback(compiler, set, direction);
    if (r == -E2BIG)
        return close_set(compiler, set);
    for (uint32_t i = 0; r == 0 && i < classes->count; i++)
        if (compiler->plan->classes[i].item.live)
            r = ask_or_close(compiler, set, i);
    compiler->sets[set].known = compiler->new_class_count;
    return r;
}

static int make_room(struct fence_compiler *compiler, uint32_t set)
{
    size_t capacity = compiler->plan->sets_list.capacity;
    struct fence_book_set *longer;

    if (set < compiler->set_capacity)
        return 0;
    longer = reallocarray(compiler->sets, capacity, sizeof(*longer));
    if (!longer)
        return -ENOMEM;
    memset(longer + compiler->set_capacity, 0,
           (capacity - compiler->set_capacity) * sizeof(*longer));
    compiler->sets = longer;
    compiler->set_capacity = capacity;
    return 0;
}

static int copy_policies(struct fence_compiler *compiler, const struct fence_indices *policies,
                         struct fence_book_set *set)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < policies->count; i++) {
        struct fence_book_policy *policy = &compiler->policies[policies->items[i]];

        r = fence_indices_add(&set->policies, policies->items[i]);
        if (r == 0)
            policy->sets++;
        set->audit |= policy->object->policy.audit;
    }
    return r;
}

/* Of the content in the scratch text; takes the ports. */
static int new_set(struct fence_compiler *compiler, const struct fence_ports **ports,
                   const struct fence_indices *policies, uint32_t *ret_set)
{
    struct fence_plan *plan = compiler->plan;
    const struct fence_text *text = &compiler->text;
    uint32_t index;
    int r = FENCE_PLAN_ADD(plan, sets, &index);

    if (r == 0)
        r = make_room(compiler, index);
    if (r < 0)
        return r;
    compiler->sets[index] = (struct fence_book_set){.ports = TAKE_PTR(*ports)};
    plan->sets[index].content = strndup(text->data, text->size);
    if (!plan->sets[index].content)
        return -ENOMEM;
    r = fence_intern_put(&compiler->set_texts, text->data, text->size, index, ret_set);
    if (r > 0)
        r = copy_policies(compiler, policies, &compiler->sets[index]);
    return r < 0 ? r : build(compiler, index);
}

/*
 * A set that is found by its content may have been made of policies that are there no more, by
 * others of equal meaning: it then goes on with these, which live longer.
 */
static int renew_policies(struct fence_compiler *compiler, struct fence_book_set *set,
                          const struct fence_indices *policies)
{
    struct fence_indices before = set->policies;
    int r;

    if (before.count == policies->count &&
        memcmp(before.items, policies->items, before.count * sizeof(*before.items)) == 0)
        return 0;
    set->policies = (struct fence_indices){0};
    r = copy_policies(compiler, policies, set);
    for (size_t i = 0; i < before.count; i++)
        compiler->policies[before.items[i]].sets--;
    free(before.items);
    return r;
}

int fence_set_get(struct fence_compiler *compiler, const struct fence_subject *subject,
                  const struct fence_indices *policies, uint32_t *ret_set)
{
    const struct fence_ports *ports = own_ports(compiler, subject, policies);
    int r = ports ? make_content(compiler, ports, policies) : -ENOMEM;

    if (r == 0 &&
        fence_intern_find(&compiler->set_texts, compiler->text.data, compiler->text.size, ret_set))
        r = policies->count ? renew_policies(compiler, &compiler->sets[*ret_set], policies) : 0;
    else if (r == 0)
        r = new_set(compiler, &ports, policies, ret_set);
    fence_ports_unref(&ports);
    return r;
}

/* In the order in which they came: the class that one is like comes before it. */
static int refresh(struct fence_compiler *compiler, uint32_t set)
{
    struct fence_book_set *book = &compiler->sets[set];
    int r = 0;

    for (; r == 0 && book->known < compiler->new_class_count; book->known++) {
        const struct fence_new_class *class = &compiler->new_classes[book->known];

        if (!take_over(compiler, set, class, &r))
            r = ask_or_close(compiler, set, class->class);
    }
    book->known = 0;
    return r;
}

int fence_sets_refresh(struct fence_compiler *compiler)
{
    const struct fence_plan *plan = compiler->plan;
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < plan->sets_list.count; i++)
        if (plan->sets[i].item.live)
            r = refresh(compiler, i);
    compiler->new_class_count = 0;
    return r;
}

static void forget_tables(struct fence_compiler *compiler, struct fence_intern *signatures)
{
    size_t position = 0;
    uint32_t table;

    while (fence_intern_next(signatures, &position, &table))
        FENCE_PLAN_UNREF(compiler->plan, tables, table);
    fence_intern_done(signatures);
}

/* What is asked again finds the same tables: they stay until the plan is swept. */
static int ask_again(struct fence_compiler *compiler, uint32_t set)
{
    const struct fence_plan *plan = compiler->plan;
    int r = 0;

    for (int direction = 0; r == 0 && direction < FENCE_DIRECTIONS; direction++) {
        forget_tables(compiler, &compiler->sets[set].signatures[direction]);
        r = choose_fallback(compiler, set, direction);
    }
    for (uint32_t i = 0; r == 0 && i < plan->classes_list.count; i++)
        if (plan->classes[i].item.live)
            r = ask(compiler, set, i);
    return r;
}

int fence_sets_settle(struct fence_compiler *compiler)
{
    const struct fence_plan *plan = compiler->plan;
    size_t most = 2 * fence_plan_live(&plan->classes_list) + ANSWERS_MOST;
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < plan->sets_list.count; i++) {
        const struct fence_intern *signatures = compiler->sets[i].signatures;

        if (plan->sets[i].item.live && !plan->sets[i].problem &&
            (fence_intern_count(&signatures[FENCE_EGRESS]) > most ||
             fence_intern_count(&signatures[FENCE_INGRESS]) > most))
            r = ask_again(compiler, i);
    }
    return r;
}

void fence_set_free(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan_set *planned = &compiler->plan->sets[index];
    struct fence_book_set *set = &compiler->sets[index];

    fence_intern_remove(&compiler->set_texts, planned->content, strlen(planned->content));
    for (size_t i = 0; i < set->policies.count; i++)
        compiler->policies[set->policies.items[i]].sets--;
    for (int i = 0; i < FENCE_DIRECTIONS; i++) {
        forget_tables(compiler, &set->signatures[i]);
        if (planned->problem)
            FENCE_PLAN_UNREF(compiler->plan, tables, planned->fallback[i]);
    }
    free(set->policies.items);
    fence_ports_unref(&set->ports);
    *set = (struct fence_book_set){0};
    fence_plan_set_done(planned);
    FENCE_PLAN_DROP(compiler->plan, sets, index);
}

void fence_sets_done(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->set_capacity; i++) {
        struct fence_book_set *set = &compiler->sets[i];

        free(set->policies.items);
        fence_ports_unref(&set->ports);
        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++)
            fence_intern_done(&set->signatures[direction]);
    }
    free(compiler->sets);
}
