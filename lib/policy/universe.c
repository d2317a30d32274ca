/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rules in use can tell apart: the peers that they name (atoms), blocks, names of ports,
 * and keys of labels. All of it is counted by the policies in use, those that select somebody on
 * this node. What loses its last user goes on being told apart until the plan settles, because the
 * sets of a moment ago are still in force then.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/policy/compiler.h"

/* ---- counted names -------------------------------------------------------------------------- */

static int count_name(struct fence_counts *counts, const char *name)
{
    uint32_t index = (uint32_t)counts->count;
    int r = fence_intern_put(&counts->by_name, name, strlen(name), index, &index);

    if (r == 1) {
        struct fence_counted fresh = {.name = strdup(name)};

        if (!fresh.name || FENCE_GROW(counts->items, counts->capacity, counts->count) < 0) {
            free(fresh.name);
            return -ENOMEM;
        }
        counts->items[counts->count++] = fresh;
        counts->changed = true;
    }
    if (r < 0)
        return r;
    counts->items[index].users++;
    return 0;
}

static void uncount_name(struct fence_counts *counts, const char *name)
{
    uint32_t index;

    if (fence_intern_find(&counts->by_name, name, strlen(name), &index) &&
        --counts->items[index].users == 0)
        counts->dead = true;
}

bool fence_counts_has(const struct fence_counts *counts, const char *name)
{
    uint32_t index;

    return fence_intern_find(&counts->by_name, name, strlen(name), &index);
}

void fence_counts_settle(struct fence_counts *counts)
{
    counts->changed = counts->dead;
    for (size_t i = 0; counts->dead && i < counts->count;) {
        struct fence_counted *item = &counts->items[i];
        uint32_t moved = (uint32_t)i;

        if (item->users) {
            i++;
            continue;
        }
        fence_intern_remove(&counts->by_name, item->name, strlen(item->name));
        free(item->name);
        *item = counts->items[--counts->count];
        if (i == counts->count)
            continue;
        fence_intern_remove(&counts->by_name, item->name, strlen(item->name));
        /* memory for it has just been given back */
        (void)fence_intern_put(&counts->by_name, item->name, strlen(item->name), moved, &moved);
    }
    counts->dead = false;
}

static void counts_done(struct fence_counts *counts)
{
    for (size_t i = 0; i < counts->count; i++)
        free(counts->items[i].name);
    free(counts->items);
    fence_intern_done(&counts->by_name);
}

/* ---- atoms ---------------------------------------------------------------------------------- */

static int make_room(struct fence_compiler *compiler, uint32_t atom)
{
    size_t capacity = compiler->plan->atoms_list.capacity;
    struct fence_atom *longer;

    if (atom < compiler->atom_capacity)
        return 0;
    longer = reallocarray(compiler->atoms, capacity, sizeof(*longer));
    if (!longer)
        return -ENOMEM;
    memset(longer + compiler->atom_capacity, 0,
           (capacity - compiler->atom_capacity) * sizeof(*longer));
    compiler->atoms = longer;
    compiler->atom_capacity = capacity;
    return 0;
}

/* What the scratch text says, as a new atom. */
static int new_atom(struct fence_compiler *compiler, const struct fence_atom *like,
                    uint32_t *ret_atom)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_atom atom = {.action = like->action, .cuts = like->cuts};
    uint32_t index;
    int r;

    if (FENCE_PLAN_ADD(plan, atoms, &index) < 0 || make_room(compiler, index) < 0)
        return -ENOMEM;
    plan->atoms[index].content = strdup(compiler->text.data);
    if (!plan->atoms[index].content)
        return -ENOMEM;
    r = fence_peer_spec_copy(&like->spec, &atom.spec);
    atom.namespace_name = fence_shared_string(like->namespace_name);
    compiler->atoms[index] = atom;
    *ret_atom = index;
    return r < 0 || !atom.namespace_name ? -ENOMEM : 0;
}

/* The namespace that the peer of a rule means without naming it; "" where it means none. */
static const char *implied_namespace(const struct fence_object *policy,
                                     const struct fence_peer_spec *peer)
{
    bool own = !peer->unknown && !peer->block && !peer->nodes && !peer->namespaces;

    return own ? policy->namespace_name : "";
}

/* One more rule has this peer. `like` is borrowed. */
static int use_atom(struct fence_compiler *compiler, const struct fence_atom *like,
                    uint32_t *ret_atom)
{
    struct fence_text *text = &compiler->text;
    uint32_t index = FENCE_PLAN_NONE;
    int r;

    fence_text_clear(text);
    /* the only thing that the action changes is what unknown and pending ends look like, and that
     * Denylists do is services */
    fence_text_add(text, "%d ", (like->action == FENCE_ACTION_DENY) + like->cuts);
    fence_text_string(text, like->namespace_name);
    fence_text_peer(text, &like->spec);
    if (text->failed)
        return -ENOMEM;
    if (!fence_intern_find(&compiler->atom_texts, text->data, text->size, &index)) {
        r = new_atom(compiler, like, &index);
        if (r == 0 &&
            fence_intern_put(&compiler->atom_texts, text->data, text->size, index, &index) < 0)
            r = -ENOMEM;
        if (r < 0)
            return r;
    }
    /* one that had lost its users may have been taken out of classes already */
    if (compiler->atoms[index].users++ == 0 && fence_indices_add(&compiler->new_atoms, index) < 0)
        return -ENOMEM;
    FENCE_PLAN_REF(compiler->plan, atoms, index);
    *ret_atom = index;
    return 0;
}

static void leave_atom(struct fence_compiler *compiler, uint32_t atom)
{
    if (--compiler->atoms[atom].users == 0)
        compiler->dead_atoms = true;
    FENCE_PLAN_UNREF(compiler->plan, atoms, atom);
}

void fence_atom_free(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan_atom *planned = &compiler->plan->atoms[index];
    struct fence_atom *atom = &compiler->atoms[index];

    fence_intern_remove(&compiler->atom_texts, planned->content, strlen(planned->content));
    free(TAKE_PTR(planned->content));
    fence_shared_string_unref(&atom->namespace_name);
    fence_peer_spec_done(&atom->spec);
    *atom = (struct fence_atom){0};
    FENCE_PLAN_DROP(compiler->plan, atoms, index);
}

/* ---- what a rule adds ----------------------------------------------------------------------- */

static int count_keys(struct fence_counts *keys, const struct fence_selector *selector)
{
    int r = 0;

    for (size_t i = 0; r == 0 && selector && i < selector->count; i++)
        if (fence_label_is_system(selector->items[i].key))
            r = count_name(keys, selector->items[i].key);
    return r;
}

static void uncount_keys(struct fence_counts *keys, const struct fence_selector *selector)
{
    for (size_t i = 0; selector && i < selector->count; i++)
        if (fence_label_is_system(selector->items[i].key))
            uncount_name(keys, selector->items[i].key);
}

static int count_block(struct fence_counts *blocks, const struct fence_ip_block *block)
{
    char shown[FENCE_PREFIX_TEXT];
    int r;

    if (!block)
        return 0;
    r = count_name(blocks, fence_prefix_format(&block->cidr, shown));
    for (size_t i = 0; r == 0 && i < block->except_count; i++)
        r = count_name(blocks, fence_prefix_format(&block->except[i], shown));
    return r;
}

static void uncount_block(struct fence_counts *blocks, const struct fence_ip_block *block)
{
    char shown[FENCE_PREFIX_TEXT];

    if (!block)
        return;
    uncount_name(blocks, fence_prefix_format(&block->cidr, shown));
    for (size_t i = 0; i < block->except_count; i++)
        uncount_name(blocks, fence_prefix_format(&block->except[i], shown));
}

static int add_rule(struct fence_compiler *compiler, const struct fence_object *object,
                    struct fence_book_rule *book)
{
    const struct fence_rule *rule = book->rule;
    int r = 0;

    for (size_t i = 0; r == 0 && i < rule->peer_count; i++) {
        struct fence_atom like = {.spec = rule->peers[i],
                                  .namespace_name = implied_namespace(object, &rule->peers[i]),
                                  .action = rule->action,
                                  .cuts = object->policy.tier == FENCE_TIER_DENYLIST &&
                                          rule->peers[i].block};

        r = use_atom(compiler, &like, &book->atoms[i]);
        if (r == 0)
            r = count_keys(&compiler->keys, rule->peers[i].pods);
        if (r == 0)
            r = count_block(&compiler->block_uses, rule->peers[i].block);
    }
    return r;
}

static void remove_rule(struct fence_compiler *compiler, const struct fence_book_rule *book)
{
    for (size_t i = 0; i < book->rule->peer_count; i++) {
        leave_atom(compiler, book->atoms[i]);
        uncount_keys(&compiler->keys, book->rule->peers[i].pods);
        uncount_block(&compiler->block_uses, book->rule->peers[i].block);
    }
}

/* The port names of egress rules: they are resolved on each destination. */
static int add_names(struct fence_compiler *compiler, const struct fence_rule *rule)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < rule->port_count; i++)
        if (rule->ports[i].name)
            r = count_name(&compiler->names, rule->ports[i].name);
    return r;
}

static void remove_names(struct fence_compiler *compiler, const struct fence_rule *rule)
{
    for (size_t i = 0; i < rule->port_count; i++)
        if (rule->ports[i].name)
            uncount_name(&compiler->names, rule->ports[i].name);
}

int fence_universe_add(struct fence_compiler *compiler, uint32_t index)
{
    const struct fence_book_policy *policy = &compiler->policies[index];
    const struct fence_policy *spec = &policy->object->policy;
    int r = count_keys(&compiler->keys, &spec->pods);

    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct fence_book_rule *rules = policy->use->rules[direction];

        for (size_t i = 0; r == 0 && rules && i < spec->rule_count[direction]; i++) {
            r = add_rule(compiler, policy->object, &rules[i]);
            if (r == 0 && direction == FENCE_EGRESS)
                r = add_names(compiler, rules[i].rule);
        }
    }
    policy->use->counted = true;
    return r;
}

void fence_universe_remove(struct fence_compiler *compiler, uint32_t index)
{
    const struct fence_book_policy *policy = &compiler->policies[index];
    const struct fence_policy *spec = &policy->object->policy;

    if (!policy->use || !policy->use->counted)
        return;
    policy->use->counted = false;
    uncount_keys(&compiler->keys, &spec->pods);
    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        const struct fence_book_rule *rules = policy->use->rules[direction];

        for (size_t i = 0; rules && i < spec->rule_count[direction]; i++) {
            remove_rule(compiler, &rules[i]);
            if (direction == FENCE_EGRESS)
                remove_names(compiler, rules[i].rule);
        }
    }
}

int fence_universe_arrange(struct fence_compiler *compiler)
{
    static const struct fence_addr any4 = {.bytes = {[10] = 0xff, [11] = 0xff}};
    static const struct fence_addr any6;
    const struct fence_prefix whole[] = {fence_whole_prefix(&any4), fence_whole_prefix(&any6)};
    const struct fence_counts *uses = &compiler->block_uses;
    FENCE_CLEANUP(fence_blocks_done) struct fence_blocks blocks = {0};
    struct fence_blocks before = compiler->blocks;
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(whole); i++)
        r = fence_blocks_add(&blocks, &whole[i]);
    for (size_t i = 0; r == 0 && i < uses->count; i++) {
        struct fence_prefix prefix;

        /* of our own making: it can be read */
        if (fence_prefix_parse(uses->items[i].name, &prefix, NULL) == 0)
            r = fence_blocks_add(&blocks, &prefix);
    }
    if (r < 0)
        return r;
    fence_blocks_arrange(&blocks);
    compiler->changed_blocks.count = 0;
    r = fence_blocks_difference(&before, &blocks, &compiler->changed_blocks);
    if (r < 0 || !compiler->changed_blocks.count)
        return r;
    compiler->blocks = blocks;
    blocks = before;
    return 1;
}

void fence_universe_done(struct fence_compiler *compiler)
{
    for (uint32_t i = 0; i < compiler->plan->atoms_list.count; i++)
        if (compiler->plan->atoms[i].item.live && i < compiler->atom_capacity) {
            fence_shared_string_unref(&compiler->atoms[i].namespace_name);
            fence_peer_spec_done(&compiler->atoms[i].spec);
        }
    free(compiler->atoms);
    fence_intern_done(&compiler->atom_texts);
    free(compiler->new_atoms.items);
    counts_done(&compiler->names);
    counts_done(&compiler->keys);
    counts_done(&compiler->block_uses);
    fence_blocks_done(&compiler->blocks);
    fence_blocks_done(&compiler->changed_blocks);
    fence_blocks_done(&compiler->unknowns);
}
