/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer is an identity at a class of addresses, with those named ports that some rule asks for,
 * and the peers that its ports lead to where it is an address of services (routes.c). Its content
 * says all of it, so the same peer is found again after a restart, whatever order the objects came
 * in.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/base/shared.h"
#include "lib/policy/compiler.h"

/* ---- identities ----------------------------------------------------------------------------- */

static int fill_identity(struct fence_plan_identity *identity,
                         const struct fence_identity_draft *draft)
{
    identity->reserved = draft->reserved;
    identity->kind = draft->kind;
    identity->content = strdup(draft->content);
    identity->namespace_name = fence_shared_string(draft->namespace_name);
    identity->app = fence_shared_string(draft->app);
    identity->labels =
        draft->labels ? fence_shared_labels(draft->labels) : fence_shared_labels_none();
    return identity->content && identity->namespace_name && identity->app && identity->labels
               ? 0
               : -ENOMEM;
}

int fence_identity_get(struct fence_compiler *compiler, const struct fence_identity_draft *draft,
                       uint32_t *ret_identity)
{
    struct fence_plan *plan = compiler->plan;
    size_t size = strlen(draft->content);
    int r;

    if (fence_intern_find(&compiler->identity_texts, draft->content, size, ret_identity))
        return 0;
    r = FENCE_PLAN_ADD(plan, identities, ret_identity);
    if (r == 0)
        r = fill_identity(&plan->identities[*ret_identity], draft);
    if (r == 0)
        r = fence_intern_put(&compiler->identity_texts, draft->content, size, *ret_identity,
                             ret_identity);
    return r < 0 ? r : 0;
}

void fence_identity_free(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan_identity *identity = &compiler->plan->identities[index];

    fence_intern_remove(&compiler->identity_texts, identity->content, strlen(identity->content));
    fence_plan_identity_done(identity);
    FENCE_PLAN_DROP(compiler->plan, identities, index);
}

int fence_peer_draft_reserved(struct fence_compiler *compiler, enum fence_identity_number number,
                              struct fence_peer_draft *ret_draft)
{
    struct fence_identity_draft identity = {
        .reserved = number,
        .kind = FENCE_KIND_RESERVED,
        .content = fence_identity_reserved_name(number),
        .namespace_name = "",
        .app = "",
    };
    bool world = number == FENCE_IDENTITY_WORLD;

    *ret_draft = (struct fence_peer_draft){
        .under = FENCE_PLAN_NONE,
        .reserved = number,
        .view = {.kind = world ? FENCE_VIEW_WORLD : FENCE_VIEW_PENDING},
        .flags = world ? FENCE_PEER_IS_WORLD : 0,
        .route = FENCE_PLAN_NONE,
    };
    return fence_identity_get(compiler, &identity, &ret_draft->identity);
}

/* ---- peers ---------------------------------------------------------------------------------- */

/* Shared things are equal when their pointers are. Only the host's labels are not its identity's.
 */
struct packed_key {
    const struct fence_ports *ports;
    const struct fence_labels *host_labels;
    uint32_t identity;
    uint32_t under;
    uint32_t kind;
    uint32_t length;
    struct fence_addr addr;
    uint32_t route;
    uint32_t padding; /* it is compared as bytes */
};

static struct packed_key pack(const struct fence_peer_draft *draft)
{
    const struct fence_peer_view *view = &draft->view;
    bool host = view->kind == FENCE_VIEW_HOST;

    return (struct packed_key){
        .ports = view->ports,
        .host_labels = host ? view->labels : NULL,
        .identity = draft->identity,
        .under = draft->under,
        .kind = view->kind,
        .length = view->where.length,
        .addr = view->where.addr,
        .route = draft->route,
    };
}

static struct packed_key pack_peer(const struct fence_plan_peer *peer)
{
    const struct fence_peer_draft draft = {
        .identity = peer->identity, .under = peer->under, .view = peer->view, .route = peer->route};

    return pack(&draft);
}

struct fence_prefix fence_where_of(const struct fence_compiler *compiler,
                                   const struct fence_prefix *where)
{
    uint32_t block;

    if (where->length == FENCE_WHERE_NONE)
        return *where;
    block = fence_blocks_find(&compiler->blocks, where);
    return block == FENCE_BLOCK_NONE ? fence_whole_prefix(&where->addr)
                                     : compiler->blocks.items[block].prefix;
}

/* A new string, or NULL. */
static char *make_content(const struct fence_peer_view *view)
{
    struct fence_text text = {0};

    fence_text_prefix(&text, &view->where);
    fence_text_ports(&text, view->ports->items, view->ports->count);
    if (view->kind == FENCE_VIEW_HOST)
        fence_text_labels(&text, view->labels);
    return fence_text_take(&text);
}

static void share_view(const struct fence_peer_view *from, struct fence_peer_view *to)
{
    *to = *from;
    to->namespace_name = fence_shared_string(from->namespace_name ? from->namespace_name : "");
    to->namespace_labels = fence_shared_labels_ref(
        from->namespace_labels ? from->namespace_labels : fence_shared_labels_none());
    to->labels = fence_shared_labels_ref(from->labels ? from->labels : fence_shared_labels_none());
    to->ports = fence_ports_ref(from->ports);
}

static int add_peer(struct fence_compiler *compiler, const struct fence_peer_draft *draft,
                    uint32_t *ret_peer)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_peer *peer;
    int r = FENCE_PLAN_ADD(plan, peers, ret_peer);

    if (r < 0)
        return r;
    peer = &plan->peers[*ret_peer];
    peer->identity = draft->identity;
    peer->under = draft->under;
    peer->class = FENCE_PLAN_NONE;
    peer->flags = draft->flags;
    peer->route = draft->route;
    share_view(&draft->view, &peer->view);
    FENCE_PLAN_REF(plan, identities, peer->identity);
    if (peer->under != FENCE_PLAN_NONE)
        FENCE_PLAN_REF(plan, identities, peer->under);
    if (peer->route != FENCE_PLAN_NONE) {
        FENCE_PLAN_REF(plan, routes, peer->route);
        compiler->leading_old = true;
    }
    if (!peer->view.namespace_name)
        return -ENOMEM;
    r = fence_class_get(compiler, &peer->view, peer->route, &peer->class);
    if (r == 0)
        FENCE_PLAN_REF(plan, classes, peer->class);
    return r;
}

int fence_peer_get(struct fence_compiler *compiler, const struct fence_peer_draft *draft,
                   const struct fence_prefix *where, uint32_t *ret_peer)
{
    struct fence_peer_draft placed = *draft;
    struct packed_key key;
    int r;

    placed.view.where = fence_where_of(compiler, where);
    if (!placed.view.ports)
        placed.view.ports = fence_ports_none();
    key = pack(&placed);
    if (fence_intern_find(&compiler->peer_keys, &key, sizeof(key), ret_peer))
        return 0;
    r = add_peer(compiler, &placed, ret_peer);
    if (r < 0)
        return r;
    compiler->plan->peers[*ret_peer].content = make_content(&placed.view);
    if (!compiler->plan->peers[*ret_peer].content)
        return -ENOMEM;
    r = fence_intern_put(&compiler->peer_keys, &key, sizeof(key), *ret_peer, ret_peer);
    return r < 0 ? r : 0;
}

void fence_peer_free(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_peer *peer = &plan->peers[index];
    struct packed_key key = pack_peer(peer);

    fence_intern_remove(&compiler->peer_keys, &key, sizeof(key));
    FENCE_PLAN_UNREF(plan, identities, peer->identity);
    if (peer->under != FENCE_PLAN_NONE)
        FENCE_PLAN_UNREF(plan, identities, peer->under);
    FENCE_PLAN_UNREF(plan, classes, peer->class);
    if (peer->route != FENCE_PLAN_NONE) {
        FENCE_PLAN_UNREF(plan, routes, peer->route);
        compiler->leading_old = true;
    }
    fence_plan_peer_done(peer);
    FENCE_PLAN_DROP(plan, peers, index);
}

/* The peers whose number is fixed. */
static const struct {
    enum fence_peer_number number;
    enum fence_identity_number identity;
    const char *content;
    enum fence_peer_view_kind view;
    struct fence_prefix where;
} reserved_peers[] = {
    {FENCE_PEER_PENDING,
     FENCE_IDENTITY_PENDING,
     "reserved pending",
     FENCE_VIEW_PENDING,
     {.length = FENCE_WHERE_NONE}},
    {FENCE_PEER_MASQUERADED4,
     FENCE_IDENTITY_MASQUERADED,
     "reserved masqueraded4",
     FENCE_VIEW_MASQUERADED,
     {.addr = {.bytes = {[10] = 0xff, [11] = 0xff}}, .length = 96}},
    {FENCE_PEER_MASQUERADED6,
     FENCE_IDENTITY_MASQUERADED,
     "reserved masqueraded6",
     FENCE_VIEW_MASQUERADED,
     {.length = 0}},
};

int fence_peers_reserve(struct fence_compiler *compiler)
{
    struct fence_plan *plan = compiler->plan;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(reserved_peers); i++) {
        struct fence_peer_draft draft;
        uint32_t index;
        int r = fence_peer_draft_reserved(compiler, reserved_peers[i].identity, &draft);

        draft.view.kind = reserved_peers[i].view;
        draft.view.where = reserved_peers[i].where;
        draft.view.ports = fence_ports_none();
        if (r == 0)
            r = add_peer(compiler, &draft, &index);
        if (r < 0)
            return r;
        plan->peers[index].reserved = reserved_peers[i].number;
        plan->peers[index].content = strdup(reserved_peers[i].content);
        if (!plan->peers[index].content)
            return -ENOMEM;
        FENCE_PLAN_REF(plan, peers, index);
    }
    return 0;
}

/* ---- blocks --------------------------------------------------------------------------------- */

/*
 * Where the blocks of this moment put the addresses of one peer. When all of them go the same way
 * the peer goes with them, one write, whatever the number of its addresses.
 */
struct move {
    struct fence_prefix where;
    bool seen;
    bool mixed;
};

static bool same_prefix(const struct fence_prefix *a, const struct fence_prefix *b)
{
    return a->length == b->length && fence_addr_equal(&a->addr, &b->addr);
}

/* May its most specific block be another one now? Asked of every address in the cluster. */
static bool lies_elsewhere(const struct fence_compiler *compiler, const struct fence_prefix *where)
{
    return fence_blocks_find(&compiler->changed_blocks, where) != FENCE_BLOCK_NONE;
}

static void look_at_addresses(const struct fence_compiler *compiler, struct move *moves)
{
    const struct fence_plan *plan = compiler->plan;
    const struct fence_address *entry;
    size_t position = 0;

    while ((entry = fence_addresses_next(&plan->addresses, &position))) {
        struct fence_prefix where = {.addr = entry->addr, .length = 128};
        struct move *move;

        if (entry->peer == FENCE_ADDRESS_NONE)
            continue;
        move = &moves[entry->peer];
        where = lies_elsewhere(compiler, &where) ? fence_where_of(compiler, &where)
                                                 : plan->peers[entry->peer].view.where;
        move->mixed |= move->seen && !same_prefix(&move->where, &where);
        move->where = where;
        move->seen = true;
    }
    /* prefixes are made anew, so what they lead to stays where it is */
    for (size_t i = 0; i < plan->prefixes_count; i++)
        moves[plan->prefixes[i].peer].mixed = true;
}

/* Put the peer elsewhere; 1 when there is one there already. */
static int relocate(struct fence_compiler *compiler, uint32_t index,
                    const struct fence_prefix *where)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_peer *peer = &plan->peers[index];
    struct packed_key old = pack_peer(peer), new = old;
    struct fence_peer_view view = peer->view;
    uint32_t ignored, class;
    char *content;
    int r;

    view.where = *where;
    new.length = where->length;
    new.addr = where->addr;
    if (fence_intern_find(&compiler->peer_keys, &new, sizeof(new), &ignored))
        return 1;
    content = make_content(&view);
    if (!content)
        return -ENOMEM;
    free(peer->content);
    peer->content = content;
    peer->view.where = *where;
    fence_intern_remove(&compiler->peer_keys, &old, sizeof(old));
    r = fence_intern_put(&compiler->peer_keys, &new, sizeof(new), index, &ignored);
    if (r >= 0)
        r = fence_class_get(compiler, &peer->view, peer->route, &class);
    if (r < 0)
        return r;
    FENCE_PLAN_REF(plan, classes, class);
    FENCE_PLAN_UNREF(plan, classes, peer->class);
    peer->class = class;
    compiler->relocated = true;
    FENCE_PLAN_TOUCH(plan, peers, index);
    return 0;
}

static int relocate_peers(struct fence_compiler *compiler, struct move *moves, size_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct fence_plan_peer *peer = &compiler->plan->peers[i];
        int r;

        if (!moves[i].seen || moves[i].mixed || peer->reserved ||
            same_prefix(&peer->view.where, &moves[i].where))
            continue;
        r = relocate(compiler, i, &moves[i].where);
        if (r < 0)
            return r;
        moves[i].mixed = r > 0;
    }
    return 0;
}

static int relocate_addresses(struct fence_compiler *compiler, const struct move *moves)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_address *entry;
    size_t position = 0;

    while ((entry = fence_addresses_next(&plan->addresses, &position))) {
        struct fence_prefix where = {.addr = entry->addr, .length = 128};

        if (entry->peer == FENCE_ADDRESS_NONE || !moves[entry->peer].mixed ||
            !lies_elsewhere(compiler, &where))
            continue;
        where = fence_where_of(compiler, &where);
        if (same_prefix(&where, &plan->peers[entry->peer].view.where))
            continue;
        if (fence_addresses_mark(&plan->addresses, entry) < 0)
            return -ENOMEM;
    }
    return 0;
}

int fence_peers_rearrange(struct fence_compiler *compiler)
{
    size_t count = compiler->plan->peers_list.count;
    FENCE_FREE struct move *moves = calloc(count + 1, sizeof(*moves));
    int r = moves ? 0 : -ENOMEM;

    if (r == 0) {
        look_at_addresses(compiler, moves);
        r = relocate_peers(compiler, moves, count);
    }
    return r == 0 ? relocate_addresses(compiler, moves) : r;
}

/* ---- prefixes ------------------------------------------------------------------------------- */

static int arrange_unknowns(struct fence_compiler *compiler)
{
    struct fence_blocks *unknowns = &compiler->unknowns;
    int r = 0;

    if (!compiler->unknowns_old)
        return 0;
    unknowns->count = 0;
    for (size_t i = 0; i < compiler->node_count; i++) {
        const struct fence_node *node = &compiler->nodes[i]->node;

        for (size_t j = 0; r == 0 && j < node->pod_prefix_count; j++)
            r = fence_blocks_add(unknowns, &node->pod_prefixes[j]);
    }
    fence_blocks_arrange(unknowns);
    compiler->unknowns_old = false;
    compiler->prefixes_old = true;
    return r;
}

struct prefixes {
    struct fence_plan_prefix *items;
    size_t count;
    size_t capacity;
};

static void prefixes_done(struct prefixes *prefixes)
{
    free(prefixes->items);
}

static int add_prefix(struct fence_compiler *compiler, const struct fence_prefix *prefix,
                      struct prefixes *prefixes)
{
    bool unknown = fence_blocks_find(&compiler->unknowns, prefix) != FENCE_BLOCK_NONE;
    struct fence_plan_prefix entry = {.prefix = *prefix};
    struct fence_peer_draft draft;
    int r = fence_peer_draft_reserved(
        compiler, unknown ? FENCE_IDENTITY_PENDING : FENCE_IDENTITY_WORLD, &draft);

    if (r == 0)
        r = fence_peer_get(compiler, &draft, prefix, &entry.peer);
    if (r == 0)
        r = FENCE_GROW(prefixes->items, prefixes->capacity, prefixes->count);
    if (r != 0)
        return r;
    FENCE_PLAN_REF(compiler->plan, peers, entry.peer);
    prefixes->items[prefixes->count++] = entry;
    return 0;
}

static int add_prefixes(struct fence_compiler *compiler, struct prefixes *prefixes)
{
    const struct fence_blocks *blocks = &compiler->blocks;
    const struct fence_blocks *unknowns = &compiler->unknowns;
    int r = 0;

    for (size_t i = 0; r == 0 && i < blocks->count; i++)
        r = add_prefix(compiler, &blocks->items[i].prefix, prefixes);
    for (size_t i = 0; r == 0 && i < unknowns->count; i++) {
        const struct fence_prefix *prefix = &unknowns->items[i].prefix;
        uint32_t block = fence_blocks_find(blocks, prefix);
        bool is_block =
            block != FENCE_BLOCK_NONE && same_prefix(&blocks->items[block].prefix, prefix);

        if (!is_block)
            r = add_prefix(compiler, prefix, prefixes);
    }
    return r;
}

int fence_prefixes_refresh(struct fence_compiler *compiler)
{
    FENCE_CLEANUP(prefixes_done) struct prefixes prefixes = {0};
    struct fence_plan *plan = compiler->plan;
    int r = arrange_unknowns(compiler);

    if (r < 0 || !compiler->prefixes_old)
        return r;
    r = fence_services_float(compiler);
    if (r == 0)
        r = add_prefixes(compiler, &prefixes);
    if (r < 0)
        return r;
    for (size_t i = 0; i < plan->prefixes_count; i++)
        FENCE_PLAN_UNREF(plan, peers, plan->prefixes[i].peer);
    free(plan->prefixes);
    plan->prefixes = TAKE_PTR(prefixes.items);
    plan->prefixes_count = prefixes.count;
    plan->prefixes_capacity = prefixes.capacity;
    plan->prefixes_touched = true;
    compiler->prefixes_old = false;
    return 0;
}
