/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A class is what the rules in use can tell of a peer: which of their peers (atoms) mean it, its
 * named ports, whether it is this node or pending, and the classes that its ports lead to where it
 * is an address of services. Sets have a table for each class, so peers that nobody tells apart
 * cost no entry, and a relabelled pod mostly moves between classes that are there already. Services
 * whose ports lead to the same classes are one class, so one that gets one more backend of a kind
 * that it has changes nothing here.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

const struct fence_plan_class *fence_class_at(const struct fence_compiler *compiler, uint32_t class)
{
    static const struct fence_plan_class nobody;

    return class == FENCE_PLAN_NONE ? &nobody : &compiler->plan->classes[class];
}

bool fence_class_has(const struct fence_plan_class *class, uint32_t atom)
{
    size_t low = 0;
    size_t high = class->atom_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (class->atoms[middle] < atom)
            low = middle + 1;
        else
            high = middle;
    }
    return low < class->atom_count && class->atoms[low] == atom;
}

static void make_key(struct fence_text *key, const struct fence_plan_class *class)
{
    char kind = (char)(class->host | class->pending << 1);
    const void *ports = class->ports; /* shared: the same ones have the same place */

    fence_text_clear(key);
    fence_text_raw(key, &kind, 1);
    fence_text_raw(key, (const char *)&ports, sizeof(ports));
    fence_text_raw(key, (const char *)&class->atom_count, sizeof(class->atom_count));
    fence_text_raw(key, (const char *)class->atoms, class->atom_count * sizeof(*class->atoms));
    fence_text_raw(key, (const char *)class->targets,
                   class->target_count * sizeof(*class->targets));
}

static int note_new(struct fence_compiler *compiler, uint32_t class, uint32_t like)
{
    if (FENCE_GROW(compiler->new_classes, compiler->new_class_capacity, compiler->new_class_count) <
        0)
        return -ENOMEM;
    compiler->new_classes[compiler->new_class_count++] = (struct fence_new_class){class, like};
    return 0;
}

static int fill(struct fence_compiler *compiler, const struct fence_plan_class *wanted,
                struct fence_plan_class *class)
{
    struct fence_plan *plan = compiler->plan;

    class->host = wanted->host;
    class->pending = wanted->pending;
    class->base = wanted->base;
    if (wanted->base != FENCE_PLAN_NONE)
        FENCE_PLAN_REF(plan, classes, wanted->base);
    class->ports = fence_ports_ref(wanted->ports);
    class->atoms = calloc(wanted->atom_count + 1, sizeof(*class->atoms));
    class->targets = calloc(wanted->target_count + 1, sizeof(*class->targets));
    if (!class->atoms || !class->targets)
        return -ENOMEM;
    for (size_t i = 0; i < wanted->atom_count; i++) {
        class->atoms[class->atom_count++] = wanted->atoms[i];
        FENCE_PLAN_REF(plan, atoms, wanted->atoms[i]);
    }
    for (size_t i = 0; i < wanted->target_count; i++) {
        class->targets[class->target_count++] = wanted->targets[i];
        FENCE_PLAN_REF(plan, classes, wanted->targets[i].index);
    }
    return 0;
}

static int find_or_make(struct fence_compiler *compiler, const struct fence_plan_class *wanted,
                        uint32_t like, uint32_t *ret_class)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_text *key = &compiler->key;
    int r;

    make_key(key, wanted);
    if (key->failed)
        return -ENOMEM;
    if (fence_intern_find(&compiler->class_keys, key->data, key->size, ret_class))
        return 0;
    r = FENCE_PLAN_ADD(plan, classes, ret_class);
    if (r == 0)
        r = fill(compiler, wanted, &plan->classes[*ret_class]);
    if (r == 0)
        r = note_new(compiler, *ret_class, like);
    if (r == 0)
        r = fence_intern_put(&compiler->class_keys, key->data, key->size, *ret_class, ret_class);
    return r < 0 ? r : 0;
}

/* The class that `wanted` describes but for its base, made when there is none. `like`: see struct
 * fence_new_class. */
static int intern(struct fence_compiler *compiler, const struct fence_plan_class *wanted,
                  uint32_t like, uint32_t *ret_class)
{
    struct fence_plan_class whole = *wanted, bare = *wanted;
    uint32_t base_like = FENCE_PLAN_NONE;
    int r = 0;

    whole.base = bare.base = FENCE_PLAN_NONE;
    if (wanted->target_count) {
        bare.target_count = 0;
        if (like != FENCE_PLAN_NONE)
            base_like = compiler->plan->classes[like].base;
        r = find_or_make(compiler, &bare, base_like, &whole.base);
    }
    return r < 0 ? r : find_or_make(compiler, &whole, like, ret_class);
}

void fence_class_free(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_class *class = &plan->classes[index];

    make_key(&compiler->key, class);
    if (!compiler->key.failed)
        fence_intern_remove(&compiler->class_keys, compiler->key.data, compiler->key.size);
    for (size_t i = 0; i < class->atom_count; i++)
        FENCE_PLAN_UNREF(plan, atoms, class->atoms[i]);
    for (size_t i = 0; i < class->target_count; i++)
        FENCE_PLAN_UNREF(plan, classes, class->targets[i].index);
    if (class->base != FENCE_PLAN_NONE)
        FENCE_PLAN_UNREF(plan, classes, class->base);
    fence_plan_class_done(class);
    FENCE_PLAN_DROP(plan, classes, index);
}

static bool means(const struct fence_compiler *compiler, uint32_t atom,
                  const struct fence_peer_view *view)
{
    const struct fence_atom *spec = &compiler->atoms[atom];

    if (compiler->settling && !spec->users)
        return false;
    /* most atoms are of one namespace: both names are shared, so this is quick */
    if (view->kind == FENCE_VIEW_POD && *spec->namespace_name &&
        spec->namespace_name != view->namespace_name)
        return false;
    return fence_peer_matches(&spec->spec, spec->namespace_name, spec->action, view) ||
           (spec->cuts && fence_peer_cuts(&spec->spec, view));
}

/* ---- where ports lead ----------------------------------------------------------------------- */

/* Backends of a port that are one class and one port are judged once. */
static bool is_there(const struct fence_targets *rows, const struct fence_plan_target *target)
{
    for (size_t i = rows->count; i > 0 && rows->items[i - 1].position == target->position; i--)
        if (rows->items[i - 1].index == target->index && rows->items[i - 1].port == target->port)
            return true;
    return false;
}

int fence_targets_add(struct fence_targets *rows, const struct fence_plan_target *target)
{
    if (is_there(rows, target))
        return 0;
    if (FENCE_GROW(rows->items, rows->capacity, rows->count) < 0)
        return -ENOMEM;
    rows->items[rows->count++] = *target;
    return 0;
}

/* The classes that the route leads to now, in compiler->rows. */
static int look_along(struct fence_compiler *compiler, uint32_t route)
{
    const struct fence_plan *plan = compiler->plan;
    int r = 0;

    compiler->rows.count = 0;
    for (size_t i = 0; r == 0 && route != FENCE_PLAN_NONE && i < plan->routes[route].count; i++) {
        struct fence_plan_target target = plan->routes[route].targets[i];

        target.index = plan->peers[target.index].class;
        r = fence_targets_add(&compiler->rows, &target);
    }
    return r;
}

int fence_class_get(struct fence_compiler *compiler, const struct fence_peer_view *view,
                    uint32_t route, uint32_t *ret_class)
{
    const struct fence_plan *plan = compiler->plan;
    struct fence_indices *found = &compiler->found;
    struct fence_plan_class wanted = {
        .host = view->kind == FENCE_VIEW_HOST && !view->service,
        .pending = view->kind == FENCE_VIEW_PENDING,
        .ports = view->ports,
    };

    if (look_along(compiler, route) < 0)
        return -ENOMEM;
    wanted.targets = compiler->rows.items;
    wanted.target_count = compiler->rows.count;
    found->count = 0;
    for (uint32_t i = 0; i < plan->atoms_list.count; i++)
        if (plan->atoms[i].item.live && means(compiler, i, view) && fence_indices_add(found, i) < 0)
            return -ENOMEM;
    wanted.atoms = found->items;
    wanted.atom_count = found->count;
    return intern(compiler, &wanted, FENCE_PLAN_NONE, ret_class);
}

static int reclass(struct fence_compiler *compiler, uint32_t index, uint32_t class)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_peer *peer = &plan->peers[index];

    if (class == peer->class)
        return 0;
    FENCE_PLAN_REF(plan, classes, class);
    FENCE_PLAN_UNREF(plan, classes, peer->class);
    peer->class = class;
    FENCE_PLAN_TOUCH(plan, peers, index);
    return fence_indices_add(&compiler->reclassed, index);
}

static bool same_rows(const struct fence_targets *rows, const struct fence_plan_class *class)
{
    return rows->count == class->target_count &&
           (!rows->count ||
            memcmp(rows->items, class->targets, rows->count * sizeof(*rows->items)) == 0);
}

/* Its backends may be of other classes now. Where these are other classes for no other reason than
 * what rules can tell apart, so is its own: see refine and coarsen. */
static int follow(struct fence_compiler *compiler, uint32_t index)
{
    const struct fence_plan_peer *peer = &compiler->plan->peers[index];
    const struct fence_plan_class *class = &compiler->plan->classes[peer->class];
    struct fence_plan_class wanted = *class;
    uint32_t now;
    int r = look_along(compiler, peer->route);

    if (r < 0 || same_rows(&compiler->rows, class))
        return r;
    wanted.targets = compiler->rows.items;
    wanted.target_count = compiler->rows.count;
    r = intern(compiler, &wanted, peer->class, &now);
    return r < 0 ? r : reclass(compiler, index, now);
}

static const struct fence_plan_route *route_of(const struct fence_plan *plan, uint32_t peer)
{
    const struct fence_plan_peer *one = &plan->peers[peer];

    return one->item.live && one->route != FENCE_PLAN_NONE ? &plan->routes[one->route] : NULL;
}

/* Peers with routes, by where these lead: counted first, then put in their places. */
static int list_leading(struct fence_compiler *compiler)
{
    const struct fence_plan *plan = compiler->plan;
    size_t count = plan->peers_list.count, total = 0;
    FENCE_FREE uint32_t *ends = calloc(count + 1, sizeof(*ends));
    FENCE_FREE uint32_t *leading = NULL;

    for (uint32_t i = 0; ends && i < count; i++) {
        const struct fence_plan_route *route = route_of(plan, i);

        for (size_t j = 0; route && j < route->count; j++)
            ends[route->targets[j].index + 1]++;
    }
    for (size_t i = 0; ends && i < count; i++)
        total = ends[i + 1] += ends[i];
    leading = calloc(total + 1, sizeof(*leading));
    if (!ends || !leading)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const struct fence_plan_route *route = route_of(plan, i);

        for (size_t j = 0; route && j < route->count; j++)
            leading[ends[route->targets[j].index]++] = i;
    }
    free(compiler->leading);
    free(compiler->leading_ends);
    compiler->leading = TAKE_PTR(leading);
    compiler->leading_ends = TAKE_PTR(ends);
    compiler->leading_ends_count = count;
    compiler->leading_old = false;
    return 0;
}

/* Those with ports that lead to the peer. */
static int follow_target(struct fence_compiler *compiler, uint32_t target)
{
    const uint32_t *ends = compiler->leading_ends;
    int r = 0;

    if (target >= compiler->leading_ends_count)
        return 0;
    for (uint32_t i = target ? ends[target - 1] : 0; r >= 0 && i < ends[target]; i++)
        r = follow(compiler, compiler->leading[i]);
    return r;
}

static int follow_all(struct fence_compiler *compiler)
{
    struct fence_plan *plan = compiler->plan;
    int r = 0;

    for (uint32_t i = 0; r >= 0 && i < plan->peers_list.count; i++) {
        if (!plan->peers[i].item.live || plan->peers[i].route == FENCE_PLAN_NONE)
            continue;
        r = follow(compiler, i);
        /* its content says where its backends are */
        FENCE_PLAN_TOUCH(plan, peers, i);
    }
    return r;
}

int fence_classes_follow(struct fence_compiler *compiler)
{
    /* to those that follow no port leads */
    size_t count = compiler->relocated ? 0 : compiler->reclassed.count;
    int r = compiler->relocated ? follow_all(compiler) : 0;

    if (count && compiler->leading_old)
        r = list_leading(compiler);
    for (size_t i = 0; r >= 0 && i < count; i++)
        r = follow_target(compiler, compiler->reclassed.items[i]);
    compiler->reclassed.count = 0;
    compiler->relocated = false;
    return r < 0 ? r : 0;
}

/* ---- atoms that come ------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a;
    uint32_t other = *(const uint32_t *)b;

    return one < other ? -1 : one > other;
}

/* The peer's class with those new atoms that mean it. */
static int refine(struct fence_compiler *compiler, uint32_t index)
{
    const struct fence_plan_peer *peer = &compiler->plan->peers[index];
    const struct fence_plan_class *class = &compiler->plan->classes[peer->class];
    struct fence_indices *found = &compiler->found;
    struct fence_plan_class wanted;
    uint32_t finer;
    int r = 0;

    found->count = 0;
    for (size_t i = 0; i < compiler->new_atoms.count; i++) {
        uint32_t atom = compiler->new_atoms.items[i];

        if (means(compiler, atom, &peer->view) && !fence_class_has(class, atom) &&
            fence_indices_add(found, atom) < 0)
            return -ENOMEM;
    }
    if (!found->count)
        return 0;
    for (size_t i = 0; r == 0 && i < class->atom_count; i++)
        r = fence_indices_add(found, class->atoms[i]);
    if (r < 0)
        return r;
    qsort(found->items, found->count, sizeof(*found->items), compare);
    wanted = *class;
    wanted.atoms = found->items;
    wanted.atom_count = found->count;
    /* what is new to the classes is in no rule of the sets that know them */
    r = intern(compiler, &wanted, peer->class, &finer);
    return r < 0 ? r : reclass(compiler, index, finer);
}

int fence_classes_refine(struct fence_compiler *compiler)
{
    int r = 0;

    for (uint32_t i = 0;
         r >= 0 && compiler->new_atoms.count && i < compiler->plan->peers_list.count; i++)
        if (compiler->plan->peers[i].item.live)
            r = refine(compiler, i);
    compiler->new_atoms.count = 0;
    return r < 0 ? r : 0;
}

/* ---- atoms that go -------------------------------------------------------------------------- */

/* What each class of a moment ago is now. */
struct coarser {
    uint32_t *classes;
    size_t count;
};

/* What the class is without atoms that nobody uses, and leading to what others are without them. */
static int coarsen(struct fence_compiler *compiler, uint32_t index, const struct coarser *coarser,
                   uint32_t *ret_class)
{
    const struct fence_plan_class *class = &compiler->plan->classes[index];
    struct fence_plan_class wanted = *class;
    struct fence_indices *found = &compiler->found;

    found->count = 0;
    compiler->rows.count = 0;
    for (size_t i = 0; i < class->target_count; i++) {
        struct fence_plan_target target = class->targets[i];

        if (target.index < coarser->count)
            target.index = coarser->classes[target.index];
        if (fence_targets_add(&compiler->rows, &target) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; i < class->atom_count; i++)
        if (compiler->atoms[class->atoms[i]].users && fence_indices_add(found, class->atoms[i]) < 0)
            return -ENOMEM;
    *ret_class = index;
    if (found->count == class->atom_count && same_rows(&compiler->rows, class))
        return 0;
    wanted.atoms = found->items;
    wanted.atom_count = found->count;
    wanted.targets = compiler->rows.items;
    wanted.target_count = compiler->rows.count;
    return intern(compiler, &wanted, index, ret_class);
}

/* Those that lead to others after these. */
static int coarsen_all(struct fence_compiler *compiler, const struct coarser *coarser)
{
    int r = 0;

    for (uint32_t i = 0; i < coarser->count; i++)
        coarser->classes[i] = i;
    for (int leading = 0; leading < 2; leading++)
        for (uint32_t i = 0; r == 0 && i < coarser->count; i++) {
            const struct fence_plan_class *class = &compiler->plan->classes[i];

            if (class->item.live && (class->target_count > 0) == leading)
                r = coarsen(compiler, i, coarser, &coarser->classes[i]);
        }
    return r;
}

int fence_classes_coarsen(struct fence_compiler *compiler)
{
    struct fence_plan *plan = compiler->plan;
    size_t count = plan->classes_list.count;
    FENCE_FREE uint32_t *classes = calloc(count + 1, sizeof(*classes));
    const struct coarser coarser = {classes, count};
    int r = classes ? coarsen_all(compiler, &coarser) : -ENOMEM;

    for (uint32_t i = 0; r >= 0 && i < plan->peers_list.count; i++)
        if (plan->peers[i].item.live && plan->peers[i].class < count)
            r = reclass(compiler, i, classes[plan->peers[i].class]);
    compiler->dead_atoms = false;
    return r < 0 ? r : 0;
}
