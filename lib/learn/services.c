/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is behind the addresses of services that a workload opened connections to, by the Service and
 * EndpointSlice objects: rules are judged by the backends at their own ports.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/learn/propose.h"
#include "lib/policy/lookup.h"

/* A port of one service, and what was found of it. */
struct search {
    const struct fence_learn_proposal *proposal;
    const struct fence_world *world;
    const struct fence_learn_link *link;
    const struct fence_object *service;
    const char *port_name;
    struct fence_learn_backends *backends;
    bool unknown; /* some backend is no pod that is known */
};

static bool has_address(const struct fence_addr_list *list, const struct fence_addr *addr)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (fence_addr_equal(&list->items[i], addr))
            return true;
    return false;
}

static uint32_t workload_at(const struct search *search, const struct fence_addr *addr)
{
    struct fence_object_range pods = fence_world_kind(search->world, FENCE_OBJECT_POD);

    for (size_t i = 0; i < pods.count; i++) {
        const struct fence_object *pod = pods.items[i];
        const struct fence_addr_list addrs = {.items = pod->pod.addrs,
                                              .count = pod->pod.addr_count};

        if (!pod->pod.host_network && !pod->pod.finished && has_address(&addrs, addr))
            return fence_learn_workload_find(&search->proposal->links.workloads,
                                             pod->namespace_name, pod->pod.labels);
    }
    return FENCE_LEARN_NOBODY;
}

static int add_backend(struct search *search, const struct fence_addr *addr, uint16_t port)
{
    struct fence_learn_backends *backends = search->backends;
    uint32_t workload = workload_at(search, addr);

    if (workload == FENCE_LEARN_NOBODY) {
        search->unknown = true;
        return 0;
    }
    for (size_t i = 0; i < backends->count; i++)
        if (backends->items[i].workload == workload && backends->items[i].port == port)
            return 0;
    if (FENCE_GROW(backends->items, backends->capacity, backends->count) < 0)
        return -ENOMEM;
    backends->items[backends->count++] =
        (struct fence_learn_backend){.workload = workload, .port = port};
    return 0;
}

static int add_slice(struct search *search, const struct fence_endpoint_slice *slice)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < slice->port_count; i++) {
        const struct fence_endpoint_slice_port *port = &slice->ports[i];

        if (port->protocol != search->link->protocol || strcmp(port->name, search->port_name) != 0)
            continue;
        for (uint32_t j = 0; r == 0 && j < slice->addrs.count; j++)
            r = add_backend(search, &slice->addrs.items[j], port->port);
    }
    return r;
}

static int add_slices(struct search *search)
{
    struct fence_object_range slices = fence_world_kind(search->world, FENCE_OBJECT_ENDPOINT_SLICE);
    size_t before = search->backends->count;
    int r = 0;

    for (size_t i = 0; r == 0 && i < slices.count; i++)
        if (strcmp(slices.items[i]->namespace_name, search->service->namespace_name) == 0 &&
            strcmp(slices.items[i]->slice.service, search->service->name) == 0)
            r = add_slice(search, &slices.items[i]->slice);
    search->unknown |= search->backends->count == before;
    return r;
}

static int add_service(struct search *search, const struct fence_addr *addr, bool *ret_found)
{
    const struct fence_service *service = &search->service->service;
    int r = 0;

    if (!has_address(&service->addrs, addr))
        return 0;
    for (uint32_t i = 0; r == 0 && i < service->port_count; i++) {
        const struct fence_service_port *port = &service->ports[i];

        if (port->protocol != search->link->protocol || port->port != search->link->port)
            continue;
        *ret_found = true;
        search->port_name = port->name;
        r = add_slices(search);
    }
    return r;
}

static int add_address(struct search *search, const struct fence_addr *addr)
{
    struct fence_object_range services = fence_world_kind(search->world, FENCE_OBJECT_SERVICE);
    bool found = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < services.count; i++) {
        search->service = services.items[i];
        r = add_service(search, addr, &found);
    }
    search->unknown |= !found;
    return r;
}

int fence_learn_backends_find(const struct fence_learn_proposal *proposal,
                              const struct fence_world *world, const struct fence_learn_link *link,
                              struct fence_learn_backends *backends)
{
    struct search search = {
        .proposal = proposal, .world = world, .link = link, .backends = backends};
    int r = 0;

    if (!world || !link->addr_count || link->omitted || link->unheard)
        return 0;
    for (size_t i = 0; r == 0 && i < link->addr_count; i++)
        r = add_address(&search, &link->addrs[i].addr);
    return r < 0 ? r : !search.unknown;
}
