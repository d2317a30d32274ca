/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/lab.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/lookup.h"

static int compare_objects(const void *a, const void *b)
{
    const struct fence_object *left = *(const struct fence_object *const *)a;
    const struct fence_object *right = *(const struct fence_object *const *)b;
    int order = left->kind < right->kind ? -1 : left->kind > right->kind;

    if (order == 0)
        order = strcmp(left->namespace_name, right->namespace_name);
    return order ? order : strcmp(left->name, right->name);
}

int lab_load(struct lab *lab, const char *text, struct fence_err *err)
{
    int r = fence_decode_stream(text, strlen(text), &lab->list, err);

    if (r < 0)
        return r;
    lab->objects = calloc(lab->list.count + 1, sizeof(void *));
    if (!lab->objects)
        return fence_err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < lab->list.count; i++) {
        if (!lab->list.items[i].object)
            return fence_err_set(err, -EINVAL, "%s: %s", lab->list.items[i].id,
                                 lab->list.items[i].error);
        lab->objects[i] = lab->list.items[i].object;
    }
    if (lab->list.count)
        qsort(lab->objects, lab->list.count, sizeof(void *), compare_objects);
    lab->world.objects = lab->objects;
    lab->world.object_count = lab->list.count;
    return 0;
}

static bool same_text(const struct fence_decoded *a, const struct fence_decoded *b)
{
    return a->text == b->text;
}

static struct fence_decoded *like(struct lab *lab, const struct fence_decoded *wanted)
{
    for (size_t i = 0; i < lab->list.count; i++)
        if (same_text(&lab->list.items[i], wanted))
            return &lab->list.items[i];
    return NULL;
}

void lab_keep(struct lab *lab, struct lab *before)
{
    for (size_t i = 0; i < lab->list.count; i++) {
        struct fence_decoded *item = &lab->list.items[i];
        struct fence_decoded *kept = like(before, item);
        struct fence_object *copy = item->object;

        if (!kept)
            continue;
        item->object = kept->object;
        kept->object = copy;
        for (size_t j = 0; j < lab->world.object_count; j++)
            if (lab->objects[j] == copy)
                lab->objects[j] = item->object;
    }
}

void lab_done(struct lab *lab)
{
    free(lab->objects);
    free(lab->locals);
    fence_labels_done(&lab->labels);
    fence_decoded_list_done(&lab->list);
    *lab = (struct lab){0};
}

const struct fence_object *lab_pod(const struct lab *lab, const char *namespace_name,
                                   const char *name)
{
    return fence_world_find(&lab->world, FENCE_OBJECT_POD, namespace_name, name);
}

int lab_add_local(struct lab *lab, unsigned int ifindex, const char *namespace_name,
                  const char *pod)
{
    const struct fence_object *object = lab_pod(lab, namespace_name, pod);
    struct fence_local local = {
        .ifindex = ifindex,
        .namespace_name = namespace_name,
        .pod = pod,
        .uid = "",
        .container_id = "c0ffee",
        .ifname = "eth0",
    };

    if (object) {
        local.addrs = object->pod.addrs;
        local.addr_count = object->pod.addr_count;
    }
    if (FENCE_GROW(lab->locals, lab->local_capacity, lab->local_count) < 0)
        return -ENOMEM;
    lab->locals[lab->local_count++] = local;
    lab->world.locals = lab->locals;
    lab->world.local_count = lab->local_count;
    return 0;
}

const struct fence_plan_endpoint *plan_endpoint(const struct fence_plan *plan, uint32_t ifindex)
{
    for (size_t i = 0; i < plan->endpoints_list.count; i++)
        if (plan->endpoints[i].item.live && plan->endpoints[i].ifindex == ifindex)
            return &plan->endpoints[i];
    return NULL;
}

uint32_t plan_peer_of(const struct fence_plan *plan, const struct fence_addr *addr)
{
    const struct fence_plan_prefix *best = NULL;

    const struct fence_address *entry = fence_addresses_find(&plan->addresses, addr);

    if (entry && entry->peer != FENCE_ADDRESS_NONE)
        return entry->peer;
    for (size_t i = 0; i < plan->prefixes_count; i++) {
        const struct fence_plan_prefix *prefix = &plan->prefixes[i];

        if (fence_prefix_contains(&prefix->prefix, addr) &&
            (!best || prefix->prefix.length > best->prefix.length))
            best = prefix;
    }
    return best ? best->peer : FENCE_PLAN_NONE;
}

uint32_t plan_peer_reserved(const struct fence_plan *plan, enum fence_peer_number number)
{
    for (uint32_t i = 0; i < plan->peers_list.count; i++)
        if (plan->peers[i].item.live && plan->peers[i].reserved == number)
            return i;
    return FENCE_PLAN_NONE;
}

static const struct fence_plan_table *table_of(const struct fence_plan *plan,
                                               const struct fence_plan_set *set, uint32_t peer,
                                               uint32_t direction)
{
    uint32_t number = set->fallback[direction];

    if (peer != FENCE_PLAN_NONE)
        number = fence_plan_table_of(set, direction, plan->peers[peer].class);
    return &plan->tables[number];
}

static const struct fence_interval *interval_at(const struct fence_plan_table *table,
                                                uint32_t position)
{
    const struct fence_interval *found = table->intervals;

    for (size_t i = 1; i < table->count; i++)
        if (table->intervals[i].low <= position)
            found = &table->intervals[i];
    return found;
}

const struct fence_interval *plan_interval(const struct fence_plan *plan,
                                           const struct plan_query *query, uint32_t peer)
{
    const struct fence_plan_endpoint *endpoint = plan_endpoint(plan, query->ifindex);

    if (!endpoint || endpoint->set == FENCE_PLAN_NONE)
        return NULL;
    return interval_at(table_of(plan, &plan->sets[endpoint->set], peer, query->direction),
                       FENCE_POSITION(query->protocol, query->port));
}

static bool is_rule(const struct fence_plan *plan, uint32_t number)
{
    return !number || (number <= plan->rules_list.count && plan->rules[number - 1].item.live);
}

static const char *check_tables(const struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->tables_list.count; i++) {
        const struct fence_plan_table *table = &plan->tables[i];

        if (!table->item.live)
            continue;
        if (!table->count || table->intervals[0].low != 0)
            return "a table does not begin at 0";
        for (size_t j = 0; j < table->count; j++) {
            const struct fence_interval *at = &table->intervals[j];

            if (j && at->low <= at[-1].low)
                return "intervals are not in order";
            if (at->low >= FENCE_POSITION_END)
                return "an interval lies behind the end";
            if (!is_rule(plan, at->rule) || !is_rule(plan, at->shadow_rule))
                return "an interval names a rule that is not there";
        }
        for (size_t j = 0; j < i; j++)
            if (plan->tables[j].item.live && plan->tables[j].count == table->count &&
                memcmp(plan->tables[j].intervals, table->intervals,
                       table->count * sizeof(table->intervals[0])) == 0)
                return "two tables are equal";
    }
    return NULL;
}

/* A peer that a set has never heard of must get nothing that "pending" does not get. */
static bool fallback_is_closed(const struct fence_plan *plan, const struct fence_plan_set *set,
                               uint32_t direction)
{
    const struct fence_plan_table *fallback = &plan->tables[set->fallback[direction]];
    const struct fence_plan_table *pending =
        table_of(plan, set, plan_peer_reserved(plan, FENCE_PEER_PENDING), direction);

    for (size_t i = 0; i < fallback->count; i++)
        if (fallback->intervals[i].verdict >
            interval_at(pending, fallback->intervals[i].low)->verdict)
            return false;
    for (size_t i = 0; i < pending->count; i++)
        if (interval_at(fallback, pending->intervals[i].low)->verdict >
            pending->intervals[i].verdict)
            return false;
    return true;
}

static bool is_table(const struct fence_plan *plan, uint32_t table)
{
    return table < plan->tables_list.count && plan->tables[table].item.live;
}

static const char *check_sets(const struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->sets_list.count; i++) {
        const struct fence_plan_set *set = &plan->sets[i];

        if (!set->item.live)
            continue;
        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
            if (!is_table(plan, set->fallback[direction]))
                return "a fallback table is not there";
            for (uint32_t j = 0; j < plan->classes_list.count; j++)
                if (plan->classes[j].item.live &&
                    !is_table(plan, fence_plan_table_of(set, direction, j)))
                    return "a class's table is not there";
        }
        if (!fallback_is_closed(plan, set, FENCE_EGRESS) ||
            !fallback_is_closed(plan, set, FENCE_INGRESS))
            return "a fallback table is more open than that of a pending peer";
    }
    return NULL;
}

static bool same_content(const struct fence_plan *plan, uint32_t a, uint32_t b)
{
    struct fence_text one = {0}, other = {0};
    bool same = false;

    /* what is not even alike without its route is not asked for it */
    if (plan->peers[a].identity == plan->peers[b].identity &&
        strcmp(plan->peers[a].content, plan->peers[b].content) == 0)
        same = fence_plan_peer_content(plan, a, &one) == 0 &&
               fence_plan_peer_content(plan, b, &other) == 0 && strcmp(one.data, other.data) == 0;
    fence_text_done(&one);
    fence_text_done(&other);
    return same;
}

/* Where a peer's ports lead, and that its class says the same. */
static const char *check_route(const struct fence_plan *plan, const struct fence_plan_peer *peer)
{
    const struct fence_plan_class *class = &plan->classes[peer->class];
    const struct fence_plan_route *route;
    size_t found = 0;

    if (peer->route == FENCE_PLAN_NONE)
        return class->target_count ? "a class leads where its peer does not" : NULL;
    if (peer->route >= plan->routes_list.count || !plan->routes[peer->route].item.live)
        return "a peer's route is not there";
    route = &plan->routes[peer->route];
    for (size_t i = 0; i < route->count; i++) {
        const struct fence_plan_target *leg = &route->targets[i];
        const struct fence_plan_peer *to = &plan->peers[leg->index];
        size_t j = 0;

        if (!to->item.live || to->route != FENCE_PLAN_NONE)
            return "a route leads to no peer, or on from there";
        while (j < class->target_count &&
               (class->targets[j].position != leg->position ||
                class->targets[j].index != to->class || class->targets[j].port != leg->port))
            j++;
        if (j == class->target_count)
            return "a class does not lead where its peer does";
        found += j >= found;
    }
    return found == class->target_count ? NULL : "a class leads where its peer does not";
}

static const char *check_peers(const struct fence_plan *plan)
{
    static const struct fence_addr v4 = {.bytes = {[10] = 0xff, 0xff, 192, 0, 2, 1}};
    static const struct fence_addr v6 = {.bytes = {0x20, 1, 0xd, 0xb8}};
    const struct fence_address *entry;
    size_t position = 0;

    for (uint32_t i = FENCE_PEER_PENDING; i <= FENCE_PEER_MASQUERADED6; i++)
        if (plan_peer_reserved(plan, i) == FENCE_PLAN_NONE)
            return "a reserved peer is missing";
    if (plan_peer_of(plan, &v4) == FENCE_PLAN_NONE || plan_peer_of(plan, &v6) == FENCE_PLAN_NONE)
        return "an address leads to no peer";
    for (size_t i = 0; i < plan->peers_list.count; i++) {
        const struct fence_plan_peer *peer = &plan->peers[i];

        if (!peer->item.live)
            continue;
        if (peer->identity >= plan->identities_list.count ||
            !plan->identities[peer->identity].item.live)
            return "a peer's identity is not there";
        if (peer->class >= plan->classes_list.count || !plan->classes[peer->class].item.live)
            return "a peer's class is not there";
        if (check_route(plan, peer))
            return check_route(plan, peer);
        for (uint32_t j = 0; j < i; j++)
            if (plan->peers[j].item.live && same_content(plan, (uint32_t)i, j))
                return "two peers are equal";
    }
    while ((entry = fence_addresses_next(&plan->addresses, &position)))
        if (entry->peer != FENCE_ADDRESS_NONE &&
            (entry->peer >= plan->peers_list.count || !plan->peers[entry->peer].item.live))
            return "an address leads to a peer that is not there";
    return NULL;
}

const char *plan_check(const struct fence_plan *plan)
{
    const char *wrong = check_tables(plan);

    if (!wrong)
        wrong = check_sets(plan);
    return wrong ? wrong : check_peers(plan);
}
