/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services as ends of a diff: each of their addresses is asked about by itself, since where it
 * leads is its own. What a question needs of the objects is found by address here.
 */
#include <errno.h>
#include <string.h>

#include "cni/ctl/diff.h"
#include "lib/base/memory.h"
#include "lib/policy/lookup.h"

/* ---- who is at an address ------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct diff_owner *left = a, *right = b;

    return memcmp(&left->addr, &right->addr, sizeof(left->addr));
}

static int add_owner(struct diff_owners *owners, const struct fence_addr *addr,
                     const struct fence_object *object)
{
    if (FENCE_GROW(owners->items, owners->capacity, owners->count) < 0)
        return -ENOMEM;
    owners->items[owners->count++] = (struct diff_owner){*addr, object};
    return 0;
}

static void sort(struct diff_owners *owners)
{
    if (owners->count)
        qsort(owners->items, owners->count, sizeof(*owners->items), compare);
}

/* The first of those at the address; how many there are. */
static size_t find(const struct diff_owners *owners, const struct fence_addr *addr,
                   const struct diff_owner **ret_first)
{
    size_t low = 0, high = owners->count, end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(&owners->items[middle].addr, addr, sizeof(*addr)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < owners->count && fence_addr_equal(&owners->items[end].addr, addr); end++)
        ;
    *ret_first = owners->items + low;
    return end - low;
}

static int index_pods(const struct fence_world *world, struct diff_reach *reach)
{
    struct fence_object_range pods = fence_world_kind(world, FENCE_OBJECT_POD);
    int r = 0;

    for (size_t i = 0; i < pods.count; i++) {
        const struct fence_pod *pod = &pods.items[i]->pod;

        for (size_t j = 0; r == 0 && !pod->finished && j < pod->addr_count; j++)
            r = add_owner(&reach->pods, &pod->addrs[j], pods.items[i]);
        if (r == 0 && pod->host_port_count)
            r = add_owner(&reach->of_nodes, &(struct fence_addr){0}, pods.items[i]);
    }
    sort(&reach->pods);
    return r;
}

static bool has_node_port(const struct fence_service *service)
{
    for (size_t i = 0; i < service->port_count; i++)
        if (service->ports[i].node_port)
            return true;
    return false;
}

static int index_services(const struct fence_world *world, struct diff_reach *reach)
{
    struct fence_object_range services = fence_world_kind(world, FENCE_OBJECT_SERVICE);
    int r = 0;

    for (size_t i = 0; i < services.count; i++) {
        const struct fence_service *service = &services.items[i]->service;

        for (size_t j = 0; r == 0 && j < service->addrs.count; j++)
            r = add_owner(&reach->services, &service->addrs.items[j], services.items[i]);
        if (r == 0 && has_node_port(service))
            r = add_owner(&reach->of_nodes, &(struct fence_addr){0}, services.items[i]);
    }
    sort(&reach->services);
    return r;
}

void diff_reach_done(struct diff_reach *reach)
{
    free(reach->pods.items);
    free(reach->services.items);
    free(reach->of_nodes.items);
    *reach = (struct diff_reach){0};
}

bool diff_is_service(const struct diff *diff, enum diff_side side, const struct fence_addr *addr)
{
    const struct diff_owner *unused;

    return find(&diff->reach[side].services, addr, &unused) > 0;
}

/* ---- what a question needs ------------------------------------------------------------------ */

static int visit_pod(const struct diff *diff, enum diff_side side, const struct fence_object *pod,
                     const struct diff_object_visitor *visitor)
{
    const struct fence_object *home =
        fence_world_find(diff->worlds[side], FENCE_OBJECT_NAMESPACE, "", pod->namespace_name);
    int r = visitor->visit(visitor->context, pod);

    return r == 0 && home ? visitor->visit(visitor->context, home) : r;
}

static int visit_backends(const struct diff *diff, enum diff_side side,
                          const struct fence_endpoint_slice *slice,
                          const struct diff_object_visitor *visitor)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < slice->addrs.count; i++) {
        const struct diff_owner *owner;
        size_t count = find(&diff->reach[side].pods, &slice->addrs.items[i], &owner);

        for (size_t j = 0; r == 0 && j < count; j++)
            r = visit_pod(diff, side, owner[j].object, visitor);
    }
    return r;
}

static int visit_service(const struct diff *diff, enum diff_side side,
                         const struct fence_object *service,
                         const struct diff_object_visitor *visitor)
{
    struct fence_object_range slices =
        fence_world_kind(diff->worlds[side], FENCE_OBJECT_ENDPOINT_SLICE);
    int r = visitor->visit(visitor->context, service);

    for (size_t i = 0; r == 0 && i < slices.count; i++) {
        const struct fence_object *slice = slices.items[i];

        if (strcmp(slice->namespace_name, service->namespace_name) != 0 ||
            strcmp(slice->slice.service, service->name) != 0)
            continue;
        r = visitor->visit(visitor->context, slice);
        if (r == 0)
            r = visit_backends(diff, side, &slice->slice, visitor);
    }
    return r;
}

int diff_reach_visit(const struct diff *diff, enum diff_side side,
                     const struct diff_workload *workload,
                     const struct diff_object_visitor *visitor)
{
    const struct diff_reach *reach = &diff->reach[side];
    const struct diff_owner *owner = reach->of_nodes.items;
    size_t count = workload->host_network ? reach->of_nodes.count : 0;
    struct fence_addr addr;
    int r = 0;

    if (fence_addr_parse(workload->address, &addr) == 0)
        count = find(&reach->services, &addr, &owner);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = owner[i].object->kind == FENCE_OBJECT_SERVICE
                ? visit_service(diff, side, owner[i].object, visitor)
                : visit_pod(diff, side, owner[i].object, visitor);
    return r;
}

/* ---- workloads ------------------------------------------------------------------------------ */

static int add_workload(struct diff *diff, const struct diff_owner *owner)
{
    struct diff_workload workload = {.service = true};

    fence_addr_format(&owner->addr, workload.address);
    if (asprintf(&workload.name, "service %s/%s (%s)", owner->object->namespace_name,
                 owner->object->name, workload.address) < 0)
        return -ENOMEM;
    if (FENCE_GROW(diff->workloads, diff->capacity, diff->count) < 0) {
        free(workload.name);
        return -ENOMEM;
    }
    diff->workloads[diff->count++] = workload;
    return 0;
}

int diff_services_find(struct diff *diff)
{
    int r = 0;

    for (int side = 0; r == 0 && side < DIFF_SIDES; side++) {
        r = index_pods(diff->worlds[side], &diff->reach[side]);
        if (r == 0)
            r = index_services(diff->worlds[side], &diff->reach[side]);
    }
    return r;
}

int diff_services_add(struct diff *diff)
{
    int r = 0;

    for (int side = 0; side < DIFF_SIDES; side++) {
        const struct diff_owners *owners = &diff->reach[side].services;

        for (size_t i = 0; r == 0 && i < owners->count; i++) {
            const struct diff_owner *owner = &owners->items[i];
            bool again = i && fence_addr_equal(&owner[-1].addr, &owner->addr);

            if (!again && !(side == DIFF_NEW && diff_is_service(diff, DIFF_OLD, &owner->addr)))
                r = add_workload(diff, owner);
        }
    }
    return r;
}
