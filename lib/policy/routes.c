/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the ports of an address lead: of one that services own, to their backends; of one of a
 * node, by node ports to those of all services and by host ports to pods of that node. One of a
 * node that services have too, as service load balancers put it there, does both. A route
 * leads to peers as they are where services do not count, so it is one step long.
 *
 * When a backend comes, goes, or is another peer than before, the address gets another route, so
 * another peer, and connections to it are judged again. When rules tell more or less apart, the
 * route stays, and its class follows those of the backends (fence_classes_follow).
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/claims.h"

static bool is_nobody(const struct fence_addr *addr)
{
    static const struct fence_addr four = {.bytes = {[10] = 0xff, [11] = 0xff}};

    return fence_addr_is_none(addr) || fence_addr_equal(addr, &four);
}

/* ---- backends as peers ---------------------------------------------------------------------- */

/* Whom an address belongs to that nobody claims. */
static int draft_unclaimed(struct fence_compiler *compiler, const struct fence_prefix *where,
                           struct fence_peer_draft *draft)
{
    bool unknown = fence_blocks_find(&compiler->unknowns, where) != FENCE_BLOCK_NONE;

    return fence_peer_draft_reserved(
        compiler, unknown ? FENCE_IDENTITY_PENDING : FENCE_IDENTITY_WORLD, draft);
}

/* Sets *floating when the peer is found by the address alone. */
static int find_peer(struct fence_compiler *compiler, const struct fence_addr *addr, bool *floating,
                     uint32_t *ret_peer)
{
    const struct fence_address *entry = fence_addresses_find(&compiler->plan->addresses, addr);
    struct fence_ownership ownership = {0};
    struct fence_prefix where = {.addr = *addr, .length = 128};
    struct fence_peer_draft draft;
    int r;

    if (entry)
        ownership = fence_ownership_of(compiler, entry);
    if (entry && fence_ownership_has_base(&ownership) &&
        !fence_ownership_is_routed(compiler, &ownership)) {
        *ret_peer = entry->peer;
        return 0;
    }
    *floating = true;
    if (fence_ownership_has_base(&ownership))
        r = fence_ownership_draft(compiler, &ownership, &draft);
    else
        r = draft_unclaimed(compiler, &where, &draft);
    return r < 0 ? r : fence_peer_get(compiler, &draft, &where, ret_peer);
}

/* Behind a node's port whose service has no backend there is one whom no selector and no block
 * means. */
static int find_nobody(struct fence_compiler *compiler, uint32_t *ret_peer)
{
    static const struct fence_prefix nowhere = {.length = FENCE_WHERE_NONE};
    struct fence_peer_draft draft;
    int r = fence_peer_draft_reserved(compiler, FENCE_IDENTITY_SERVICE, &draft);

    draft.view.kind = FENCE_VIEW_SERVICE;
    return r < 0 ? r : fence_peer_get(compiler, &draft, &nowhere, ret_peer);
}

/* ---- routes --------------------------------------------------------------------------------- */

static int intern(struct fence_compiler *compiler, uint32_t *ret_route)
{
    const struct fence_targets *legs = &compiler->legs;
    size_t size = legs->count * sizeof(*legs->items);
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_route *route;
    int r;

    *ret_route = FENCE_PLAN_NONE;
    if (!legs->count || fence_intern_find(&compiler->route_keys, legs->items, size, ret_route))
        return 0;
    r = FENCE_PLAN_ADD(plan, routes, ret_route);
    if (r < 0)
        return r;
    route = &plan->routes[*ret_route];
    route->targets = calloc(legs->count, sizeof(*route->targets));
    if (!route->targets)
        return -ENOMEM;
    memcpy(route->targets, legs->items, size);
    route->count = legs->count;
    for (size_t i = 0; i < route->count; i++)
        FENCE_PLAN_REF(plan, peers, route->targets[i].index);
    r = fence_intern_put(&compiler->route_keys, legs->items, size, *ret_route, ret_route);
    return r < 0 ? r : 0;
}

void fence_route_free(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_route *route = &plan->routes[index];

    fence_intern_remove(&compiler->route_keys, route->targets,
                        route->count * sizeof(*route->targets));
    for (size_t i = 0; i < route->count; i++)
        FENCE_PLAN_UNREF(plan, peers, route->targets[i].index);
    fence_plan_route_done(route);
    FENCE_PLAN_DROP(plan, routes, index);
}

/* Of the backends in compiler->reaches. */
static int make_route(struct fence_compiler *compiler, bool *floating, uint32_t *ret_route)
{
    const struct fence_reaches *reaches = &compiler->reaches;
    int r = 0;

    compiler->legs.count = 0;
    for (size_t i = 0; r == 0 && i < reaches->count; i++) {
        const struct fence_reach *reach = &reaches->items[i];
        struct fence_plan_target leg = {.position = reach->position, .port = reach->port};
        bool nobody = is_nobody(&reach->addr);
        bool alone = i + 1 == reaches->count || reach[1].position != reach->position;

        /* it stands before the others */
        if (nobody && !alone)
            continue;
        r = nobody ? find_nobody(compiler, &leg.index)
                   : find_peer(compiler, &reach->addr, floating, &leg.index);
        if (r == 0)
            r = fence_targets_add(&compiler->legs, &leg);
    }
    return r < 0 ? r : intern(compiler, ret_route);
}

static int collect(struct fence_compiler *compiler, const struct fence_reaches *from, bool ipv4)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < from->count; i++)
        if (fence_addr_is_ipv4(&from->items[i].addr) == ipv4)
            r = fence_reaches_add(&compiler->reaches, &from->items[i]);
    return r;
}

/* ---- addresses of services ------------------------------------------------------------------ */

/* Several may have one address: by different ports, or by the same one, and then anybody's backends
 * may be meant. */
static int collect_services(struct fence_compiler *compiler, const struct fence_address *entry)
{
    const struct fence_contest *contest = contest_of(compiler, entry->owner);
    const uintptr_t *owners = contest ? contest->owners : &entry->owner;
    size_t count = contest ? contest->count : 1;
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct fence_object *object = object_of(owners[i]);

        if (object && object->kind == FENCE_OBJECT_SERVICE)
            r = collect(compiler, &compiler->services[fence_service_of(compiler, object)].reaches,
                        fence_addr_is_ipv4(&entry->addr));
    }
    fence_reaches_sort(&compiler->reaches);
    return r;
}

static void note_floating(struct fence_compiler *compiler, const struct fence_address *entry)
{
    const struct fence_contest *contest = contest_of(compiler, entry->owner);
    const uintptr_t *owners = contest ? contest->owners : &entry->owner;

    for (size_t i = 0; i < (contest ? contest->count : 1); i++) {
        const struct fence_object *object = object_of(owners[i]);

        if (object && object->kind == FENCE_OBJECT_SERVICE)
            compiler->services[fence_service_of(compiler, object)].floating = true;
    }
}

/* Whoever has the address is still denied what he is denied, and may reach pods where that is a
 * node's right: a Service that names it is written by anybody. */
static int draft_under(struct fence_compiler *compiler, const struct fence_ownership *ownership,
                       bool *floating, struct fence_peer_draft *draft)
{
    const struct fence_prefix where = {.addr = *ownership->addr, .length = 128};
    struct fence_peer_draft under;
    int r;

    if (fence_ownership_has_base(ownership)) {
        r = fence_ownership_draft(compiler, ownership, &under);
    } else {
        *floating = true;
        r = draft_unclaimed(compiler, &where, &under);
    }
    if (r < 0)
        return r;
    draft->under = under.identity;
    draft->view = under.view;
    draft->view.service = true;
    draft->flags = under.flags & FENCE_PEER_IS_HOST;
    return 0;
}

static int draft_service(struct fence_compiler *compiler, const struct fence_address *entry,
                         const struct fence_ownership *ownership, struct fence_peer_draft *draft)
{
    bool floating = false;
    int r = fence_peer_draft_reserved(compiler, FENCE_IDENTITY_SERVICE, draft);

    draft->view.kind = FENCE_VIEW_SERVICE;
    if (r == 0 && !ownership->cluster)
        r = draft_under(compiler, ownership, &floating, draft);
    if (r == 0)
        r = collect_services(compiler, entry);
    if (r == 0)
        r = make_route(compiler, &floating, &draft->route);
    if (floating)
        note_floating(compiler, entry);
    return r;
}

/* ---- addresses of nodes --------------------------------------------------------------------- */

/* What all nodes have, by family; made when the first of them is looked at. */
struct node_routes {
    uint32_t routes[2];
    bool known[2];
};

static bool is_on(const struct fence_host_port *port, const struct fence_addr *addr)
{
    if (port->any || fence_addr_equal(&port->addr, addr))
        return true;
    return is_nobody(&port->addr) && fence_addr_is_ipv4(&port->addr) == fence_addr_is_ipv4(addr);
}

static int collect_pod(struct fence_compiler *compiler, const struct fence_pod *pod,
                       const struct fence_addr *addr)
{
    int r = 0;

    for (size_t i = 0; i < pod->host_port_count; i++) {
        const struct fence_host_port *port = &pod->host_ports[i];

        for (size_t j = 0; r == 0 && is_on(port, addr) && j < pod->addr_count; j++) {
            const struct fence_reach reach = {
                .position = FENCE_POSITION(port->protocol, port->port),
                .port = port->target,
                .addr = pod->addrs[j],
            };

            if (fence_addr_is_ipv4(&reach.addr) == fence_addr_is_ipv4(addr))
                r = fence_reaches_add(&compiler->reaches, &reach);
        }
    }
    return r;
}

static int collect_hosted(struct fence_compiler *compiler, const char *node,
                          const struct fence_addr *addr)
{
    int r = 0;

    for (size_t i = 0; r == 0 && node && i < compiler->hosted_count; i++)
        if (strcmp(compiler->hosted[i]->pod.node, node) == 0)
            r = collect_pod(compiler, &compiler->hosted[i]->pod, addr);
    return r;
}

static int draft_node(struct fence_compiler *compiler, const struct fence_address *entry,
                      const struct fence_ownership *ownership, struct node_routes *shared,
                      struct fence_peer_draft *draft)
{
    bool ipv4 = fence_addr_is_ipv4(&entry->addr), own;
    const char *node = ownership->host ? compiler->options.node_name : ownership->node->name;
    bool floating = false;
    int r = fence_ownership_draft(compiler, ownership, draft);

    if (r == 0)
        r = collect_hosted(compiler, node, &entry->addr);
    if (r == 0)
        r = collect_services(compiler, entry);
    own = compiler->reaches.count > 0;
    if (r == 0 && !own && shared->known[ipv4]) {
        draft->route = shared->routes[ipv4];
        return 0;
    }
    if (r == 0)
        r = collect(compiler, &compiler->node_reaches, ipv4);
    fence_reaches_sort(&compiler->reaches);
    if (r == 0)
        r = make_route(compiler, &floating, &draft->route);
    compiler->nodes_floating |= floating;
    if (floating)
        note_floating(compiler, entry);
    if (r < 0 || own)
        return r;
    shared->routes[ipv4] = draft->route;
    shared->known[ipv4] = true;
    return 0;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static int resolve(struct fence_compiler *compiler, struct fence_address *entry,
                   struct node_routes *shared)
{
    struct fence_ownership ownership = fence_ownership_of(compiler, entry);
    struct fence_prefix where = {.addr = entry->addr, .length = 128};
    uint32_t peer = FENCE_ADDRESS_NONE;
    struct fence_peer_draft draft;
    int r;

    if (!fence_ownership_is_routed(compiler, &ownership))
        return 0;
    compiler->reaches.count = 0;
    if (ownership.service && !fence_ownership_is_node(&ownership))
        r = draft_service(compiler, entry, &ownership, &draft);
    else
        r = draft_node(compiler, entry, &ownership, shared, &draft);
    if (r == 0)
        r = fence_peer_get(compiler, &draft, &where, &peer);
    return r < 0 ? r : fence_owner_set(compiler, entry, peer);
}

int fence_routes_resolve(struct fence_compiler *compiler)
{
    const struct fence_addresses *addresses = &compiler->plan->addresses;
    struct node_routes shared = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && compiler->routed && i < addresses->marked_count; i++) {
        struct fence_address *entry = fence_addresses_find(addresses, &addresses->marked[i]);

        if (entry)
            r = resolve(compiler, entry, &shared);
    }
    compiler->routed = false;
    return r < 0 ? r : fence_classes_follow(compiler);
}
