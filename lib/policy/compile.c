/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World to plan, step by step with what changes.
 *
 *   objects -> who claims which address -> shape of the pod -> identity -> peer -> class
 *   services and slices -> where the ports of an address lead -> peer -> class
 *   endpoints -> policies that select them -> rules in use -> what these can tell apart (atoms,
 *   blocks, port names, label keys) -> classes -> sets: a table for each class
 *
 * What depends on what, and so what a change costs:
 * - a pod: its addresses, and its shape where that is a new one; a new shape is asked about every
 *   atom once, a new class every set.
 * - a policy that selects nobody here: a slot.
 * - a policy in use: the sets of those whom it selects; its new atoms are asked about every peer
 *   (distinct label combinations, not pods), its new blocks about every address.
 * - a service or a slice: its addresses, where their ports now lead to other peers than before; one
 *   with node ports, the addresses of nodes too. A class of services that is new asks every set,
 *   which puts its table together out of those of the backends.
 * - a namespace's labels, a port name or system label that was not asked for before: the shapes
 *   concerned, and their addresses.
 *
 * Refine, flip, coarsen. Between two plans a packet may meet any mixture of old and new parts, so
 * for a while things are told apart that either the old or the new rules can tell apart:
 * - fence_compiler_run only ever adds to what is told apart. Every set, old or new, then has a
 *   table for every class, old or new, and is exact for each: peers can move to their finer
 *   classes under the old sets without any verdict changing, and endpoints can flip to new sets,
 *   one by one, whatever class a packet finds.
 * - when that is applied, fence_compiler_settle drops what nobody uses any more: sets, then what
 *   only they told apart. Peers fall together into coarser classes, which the sets in force
 *   already know: again no verdict changes.
 * So the plan of a settled compiler depends on the world alone, not on how it came about, and a
 * daemon that starts afresh finds in the maps just what it wants.
 */
#include "lib/policy/compile.h"

#include <errno.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"
#include "lib/policy/lookup.h"

/* All but the plan, which is handed over. */
static struct fence_plan *dismantle(struct fence_compiler *compiler)
{
    struct fence_plan *plan = compiler->plan;

    fence_subjects_done(compiler);
    fence_sets_done(compiler);
    fence_rulebook_done(compiler);
    fence_universe_done(compiler);
    fence_shapes_done(compiler);
    fence_claims_done(compiler);
    fence_services_done(compiler);
    fence_namespaces_done(compiler);
    fence_text_done(&compiler->text);
    fence_text_done(&compiler->key);
    fence_canvas_done(&compiler->enforced);
    fence_canvas_done(&compiler->shadow);
    free(compiler->found.items);
    free(compiler->new_classes);
    free(compiler->reclassed.items);
    free(compiler->leading);
    free(compiler->leading_ends);
    free(compiler->rows.items);
    free(compiler->legs.items);
    free(compiler->reaches.items);
    free(compiler->tables.items);
    fence_intern_done(&compiler->route_keys);
    fence_intern_done(&compiler->identity_texts);
    fence_intern_done(&compiler->peer_keys);
    fence_intern_done(&compiler->class_keys);
    fence_intern_done(&compiler->rule_keys);
    fence_intern_done(&compiler->set_texts);
    fence_intern_done(&compiler->table_keys);
    free(compiler);
    return plan;
}

void fence_compiler_free(struct fence_compiler **compiler)
{
    struct fence_compiler *gone = TAKE_PTR(*compiler);
    struct fence_plan *plan = gone ? dismantle(gone) : NULL;

    fence_plan_free(&plan);
}

int fence_compiler_new(const struct fence_compile_options *options,
                       struct fence_compiler **ret_compiler, struct fence_err *err)
{
    FENCE_CLEANUP(fence_compiler_free) struct fence_compiler *compiler = NULL;

    compiler = calloc(1, sizeof(*compiler));
    if (!compiler)
        return fence_out_of_memory(err);
    compiler->options = *options;
    compiler->prefixes_old = true;
    compiler->plan = calloc(1, sizeof(*compiler->plan));
    if (!compiler->plan || fence_universe_arrange(compiler) < 0 ||
        fence_peers_reserve(compiler) < 0)
        return fence_out_of_memory(err);
    *ret_compiler = TAKE_PTR(compiler);
    return 0;
}

struct fence_plan *fence_compiler_plan(const struct fence_compiler *compiler)
{
    return compiler->plan;
}

/* ---- feeding -------------------------------------------------------------------------------- */

static int change_pod(struct fence_compiler *compiler, const struct fence_change *change)
{
    int r = fence_subjects_pod(compiler, change);

    if (r == 0)
        r = fence_claims_pod(compiler, change);
    return r == 0 ? fence_services_pod(compiler, change) : r;
}

int fence_compiler_change(struct fence_compiler *compiler, const struct fence_change *change,
                          struct fence_err *err)
{
    const struct fence_object *object = change->after ? change->after : change->before;
    enum fence_kind kind;
    int r = 0;

    if (!object)
        return 0;
    kind = object->kind;
    if (kind == FENCE_OBJECT_POD)
        r = change_pod(compiler, change);
    else if (kind == FENCE_OBJECT_NAMESPACE)
        r = fence_namespace_change(compiler, change);
    else if (kind == FENCE_OBJECT_NODE)
        r = fence_claims_node(compiler, change);
    else if (kind == FENCE_OBJECT_SERVICE || kind == FENCE_OBJECT_ENDPOINT_SLICE)
        r = fence_services_change(compiler, change);
    else if (fence_kind_is_policy(kind))
        r = fence_rulebook_change(compiler, change);
    return r < 0 ? fence_out_of_memory(err) : 0;
}

int fence_compiler_locals(struct fence_compiler *compiler, const struct fence_local *locals,
                          size_t count, struct fence_err *err)
{
    return fence_subjects_put(compiler, locals, count) < 0 ? fence_out_of_memory(err) : 0;
}

int fence_compiler_host(struct fence_compiler *compiler, const struct fence_addr *addrs,
                        size_t count, struct fence_err *err)
{
    return fence_claims_host(compiler, addrs, count) < 0 ? fence_out_of_memory(err) : 0;
}

/* ---- running -------------------------------------------------------------------------------- */

/* Port names, label keys or namespaces that are told apart now: shapes, then addresses follow. */
static int refresh_shapes(struct fence_compiler *compiler)
{
    int r = fence_shapes_refresh(compiler);

    if (r == 0)
        r = fence_owners_refresh(compiler);
    compiler->names.changed = false;
    compiler->keys.changed = false;
    return r;
}

static int refresh_blocks(struct fence_compiler *compiler)
{
    int r = 0;

    if (compiler->block_uses.changed)
        r = fence_universe_arrange(compiler);
    compiler->block_uses.changed = false;
    if (r <= 0)
        return r;
    compiler->prefixes_old = true;
    return fence_peers_rearrange(compiler);
}

static int run(struct fence_compiler *compiler)
{
    static int (*const steps[])(struct fence_compiler * compiler) = {
        fence_services_gather,  fence_subjects_resolve, refresh_shapes,
        fence_classes_refine,   refresh_blocks,         fence_owners_resolve,
        fence_prefixes_refresh, fence_routes_resolve,   fence_subjects_compile,
        fence_sets_refresh,     fence_owners_note,
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(steps); i++)
        r = steps[i](compiler);
    return r;
}

int fence_compiler_run(struct fence_compiler *compiler, int64_t now, struct fence_err *err)
{
    compiler->now = now;
    fence_rulebook_expire(compiler);
    if (run(compiler) < 0)
        return fence_out_of_memory(err);
    compiler->plan->next_expiry = fence_rulebook_next_expiry(compiler);
    return 0;
}

/* ---- settling ------------------------------------------------------------------------------- */

typedef void free_fn(struct fence_compiler *compiler, uint32_t index);

/* Free what nobody refers to. */
static void sweep(struct fence_compiler *compiler, struct fence_plan_list *list, char *items,
                  size_t size, free_fn *free_item)
{
    while (list->idle_count) {
        /* one may leave another of the list behind, which then is the last */
        uint32_t index = list->idle[--list->idle_count];
        struct fence_plan_item *item = (struct fence_plan_item *)(items + index * size);

        item->idle = false;
        if (item->live && !item->references)
            free_item(compiler, index);
    }
}
#define SWEEP(compiler, name, free_item)                                                           \
    sweep(compiler, &(compiler)->plan->name##_list, (char *)(compiler)->plan->name,                \
          sizeof(*(compiler)->plan->name), free_item)

/* What refers to others goes before them. */
static void sweep_all(struct fence_compiler *compiler)
{
    SWEEP(compiler, sets, fence_set_free);
    fence_rulebook_settle(compiler);
    fence_shapes_settle(compiler);
    SWEEP(compiler, tables, fence_table_free);
    SWEEP(compiler, rules, fence_rule_free);
    SWEEP(compiler, peers, fence_peer_free);
    SWEEP(compiler, routes, fence_route_free);
    SWEEP(compiler, peers, fence_peer_free); /* that only routes led to */
    SWEEP(compiler, classes, fence_class_free);
    SWEEP(compiler, identities, fence_identity_free);
    SWEEP(compiler, atoms, fence_atom_free);
}

static bool has_dead(const struct fence_compiler *compiler)
{
    return compiler->dead_atoms || compiler->names.dead || compiler->keys.dead ||
           compiler->block_uses.dead;
}

static int coarsen(struct fence_compiler *compiler)
{
    int r;

    compiler->settling = true;
    r = compiler->dead_atoms ? fence_classes_coarsen(compiler) : 0;
    fence_counts_settle(&compiler->names);
    fence_counts_settle(&compiler->keys);
    fence_counts_settle(&compiler->block_uses);
    if (r == 0)
        r = run(compiler);
    compiler->settling = false;
    return r;
}

int fence_compiler_settle(struct fence_compiler *compiler, struct fence_err *err)
{
    sweep_all(compiler);
    if (fence_sets_settle(compiler) < 0)
        return fence_out_of_memory(err);
    if (!has_dead(compiler))
        return 0;
    return coarsen(compiler) < 0 ? fence_out_of_memory(err) : 1;
}

/* ---- all at once ---------------------------------------------------------------------------- */

static const struct fence_object *find_in_world(void *context, enum fence_kind kind,
                                                const char *namespace_name, const char *name)
{
    return fence_world_find(context, kind, namespace_name, name);
}

static int feed(struct fence_compiler *compiler, const struct fence_world *world,
                struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < world->object_count; i++) {
        const struct fence_change change = {.after = world->objects[i]};

        r = fence_compiler_change(compiler, &change, err);
    }
    if (r == 0)
        r = fence_compiler_host(compiler, world->host_addrs, world->host_addr_count, err);
    if (r == 0)
        r = fence_compiler_locals(compiler, world->locals, world->local_count, err);
    return r;
}

int fence_compile(const struct fence_world *world, struct fence_plan **ret_plan,
                  struct fence_err *err)
{
    FENCE_CLEANUP(fence_compiler_free) struct fence_compiler *compiler = NULL;
    struct fence_world copy = *world;
    const struct fence_compile_options options = {
        .node_name = world->node_name,
        .required_labels = world->required_labels,
        .required_label_count = world->required_label_count,
        .own_node_egress_is_policy = world->own_node_egress_is_policy,
        .find = find_in_world,
        .find_context = &copy,
    };
    int r = fence_compiler_new(&options, &compiler, err);

    if (!compiler)
        return r;
    r = feed(compiler, world, err);
    if (r == 0)
        r = fence_compiler_run(compiler, world->now, err);
    while (r >= 0 && (r = fence_compiler_settle(compiler, err)) > 0)
        ;
    if (r < 0)
        return r;
    /* it owns all that it points to */
    *ret_plan = dismantle(TAKE_PTR(compiler));
    return 0;
}
