/* SPDX-License-Identifier: Apache-2.0 */
/* Where a port leads, straight from the objects: services, node ports, host ports. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/evaluator.h"
#include "lib/policy/lookup.h"

static bool owns(const struct fence_object *service, const struct fence_addr *addr)
{
    const struct fence_addr_list *addrs = &service->service.addrs;

    for (size_t i = 0; i < addrs->count; i++)
        if (fence_addr_equal(&addrs->items[i], addr))
            return true;
    return false;
}

const struct fence_object *fence_service_at(const struct fence_world *world,
                                            const struct fence_addr *addr)
{
    struct fence_object_range services = fence_world_kind(world, FENCE_OBJECT_SERVICE);

    for (size_t i = 0; i < services.count; i++)
        if (owns(services.items[i], addr))
            return services.items[i];
    return NULL;
}

bool fence_service_has_cluster_ip_at(const struct fence_world *world, const struct fence_addr *addr)
{
    struct fence_object_range services = fence_world_kind(world, FENCE_OBJECT_SERVICE);

    for (size_t i = 0; i < services.count; i++)
        if (fence_service_has_cluster_ip(services.items[i], addr))
            return true;
    return false;
}

static bool same_family(const struct fence_addr *a, const struct fence_addr *b)
{
    return fence_addr_is_ipv4(a) == fence_addr_is_ipv4(b);
}

static bool has_family(const struct fence_object *service, const struct fence_addr *addr)
{
    const struct fence_addr_list *addrs = &service->service.addrs;

    for (size_t i = 0; i < addrs->count; i++)
        if (same_family(&addrs->items[i], addr))
            return true;
    return false;
}

static int add(struct fence_backend_list *list, const struct fence_addr *addr, uint16_t port)
{
    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return -ENOMEM;
    list->items[list->count++] = (struct fence_backend){*addr, port};
    return 0;
}

/* Backends of a port of the slice's service, of the asked address's family. */
static int add_slice(const struct fence_ask *ask, const struct fence_endpoint_slice *slice,
                     const struct fence_service_port *port, struct fence_backend_list *list)
{
    int r = 0;

    for (size_t i = 0; i < slice->port_count; i++) {
        if (slice->ports[i].protocol != port->protocol ||
            strcmp(slice->ports[i].name, port->name) != 0)
            continue;
        for (size_t j = 0; r == 0 && j < slice->addrs.count; j++)
            if (same_family(&slice->addrs.items[j], &ask->other->addr))
                r = add(list, &slice->addrs.items[j], slice->ports[i].port);
    }
    return r;
}

static int add_service(const struct fence_ask *ask, const struct fence_object *service,
                       const struct fence_service_port *port, struct fence_backend_list *list)
{
    struct fence_object_range slices = fence_world_kind(ask->world, FENCE_OBJECT_ENDPOINT_SLICE);
    int r = 0;

    if (!list->service)
        list->service = service;
    for (size_t i = 0; r == 0 && i < slices.count; i++) {
        const struct fence_object *slice = slices.items[i];

        if (strcmp(slice->namespace_name, service->namespace_name) == 0 &&
            strcmp(slice->slice.service, service->name) == 0)
            r = add_slice(ask, &slice->slice, port, list);
    }
    return r;
}

static bool is_node(const struct fence_ask *ask)
{
    return !ask->view.service &&
           (ask->view.kind == FENCE_VIEW_HOST || ask->view.kind == FENCE_VIEW_NODE);
}

/* Is it this port that the question asks for, at an address of the service? */
static bool is_own_port(const struct fence_ask *ask, const struct fence_object *service,
                        const struct fence_service_port *port)
{
    return port->port == ask->query->port && owns(service, &ask->other->addr);
}

/* The same at an address of a node. */
static bool is_node_port(const struct fence_ask *ask, const struct fence_object *service,
                         const struct fence_service_port *port)
{
    return is_node(ask) && port->node_port && port->node_port == ask->query->port &&
           has_family(service, &ask->other->addr);
}

static int add_services(const struct fence_ask *ask, struct fence_backend_list *list)
{
    struct fence_object_range services = fence_world_kind(ask->world, FENCE_OBJECT_SERVICE);
    int r = 0;

    for (size_t i = 0; i < services.count; i++) {
        const struct fence_service *spec = &services.items[i]->service;

        for (size_t j = 0; r == 0 && j < spec->port_count; j++) {
            const struct fence_service_port *port = &spec->ports[j];
            bool node = is_node_port(ask, services.items[i], port);

            if (port->protocol != ask->query->protocol ||
                (!node && !is_own_port(ask, services.items[i], port)))
                continue;
            r = add_service(ask, services.items[i], port, list);
            /* nobody behind a service's own port: as any other port of the address */
            list->leads |= list->count || node;
        }
    }
    return r;
}

/* ---- host ports ----------------------------------------------------------------------------- */

static bool is_on(const struct fence_host_port *port, const struct fence_addr *addr)
{
    static const struct fence_addr all4 = {.bytes = {[10] = 0xff, [11] = 0xff}};
    bool all = fence_addr_is_none(&port->addr) || fence_addr_equal(&port->addr, &all4);

    return port->any || fence_addr_equal(&port->addr, addr) ||
           (all && same_family(&port->addr, addr));
}

static int add_pod(const struct fence_ask *ask, const struct fence_pod *pod,
                   struct fence_backend_list *list)
{
    const struct fence_addr *addr = &ask->other->addr;
    int r = 0;

    for (size_t i = 0; i < pod->host_port_count; i++) {
        const struct fence_host_port *port = &pod->host_ports[i];

        if (port->protocol != ask->query->protocol || port->port != ask->query->port ||
            !is_on(port, addr))
            continue;
        for (size_t j = 0; r == 0 && j < pod->addr_count; j++)
            if (same_family(&pod->addrs[j], addr))
                r = add(list, &pod->addrs[j], port->target);
    }
    list->leads = list->leads || list->count;
    return r;
}

static const char *node_of(const struct fence_ask *ask)
{
    if (ask->view.kind == FENCE_VIEW_HOST)
        return ask->subject->node;
    return ask->other->node_object ? ask->other->node_object->name : ask->other->node;
}

static int add_hosted(const struct fence_ask *ask, struct fence_backend_list *list)
{
    struct fence_object_range pods = fence_world_kind(ask->world, FENCE_OBJECT_POD);
    const char *node = node_of(ask);
    int r = 0;

    for (size_t i = 0; r == 0 && *node && i < pods.count; i++) {
        const struct fence_pod *pod = &pods.items[i]->pod;

        if (!pod->host_network && !pod->finished && strcmp(pod->node, node) == 0)
            r = add_pod(ask, pod, list);
    }
    return r;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct fence_backend *left = a;
    const struct fence_backend *right = b;
    int order = memcmp(&left->addr, &right->addr, sizeof(left->addr));

    return order ? order : (left->port > right->port) - (left->port < right->port);
}

static void sort(struct fence_backend_list *list)
{
    size_t kept = 0;

    if (list->count)
        qsort(list->items, list->count, sizeof(*list->items), compare);
    for (size_t i = 0; i < list->count; i++)
        if (!kept || compare(&list->items[kept - 1], &list->items[i]) != 0)
            list->items[kept++] = list->items[i];
    list->count = kept;
}

int fence_backends_find(const struct fence_ask *ask, struct fence_backend_list *list)
{
    int r = 0;

    if (ask->direction != FENCE_EGRESS || (!is_node(ask) && !ask->other->service))
        return 0;
    r = add_services(ask, list);
    if (r == 0 && is_node(ask))
        r = add_hosted(ask, list);
    sort(list);
    return r;
}

void fence_backends_free(struct fence_backend_list *list)
{
    free(list->items);
    *list = (struct fence_backend_list){0};
}
