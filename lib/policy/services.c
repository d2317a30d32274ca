/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services, the slices that say where they lead, and the host ports of pods. A service is put
 * together anew when one of its objects changes, and only then; what happens to its backends is
 * told by fence_backend_moved. All backends are judged (DESIGN section 5), also those that a
 * traffic policy keeps a node from using: what holds for all of them holds for any.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/policy/claims.h"

/* ---- lists of backends ---------------------------------------------------------------------- */

int fence_reaches_add(struct fence_reaches *reaches, const struct fence_reach *reach)
{
    if (FENCE_GROW(reaches->items, reaches->capacity, reaches->count) < 0)
        return -ENOMEM;
    reaches->items[reaches->count++] = *reach;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct fence_reach *left = a;
    const struct fence_reach *right = b;
    int order = memcmp(&left->addr, &right->addr, sizeof(left->addr));

    if (left->position != right->position)
        return left->position < right->position ? -1 : 1;
    return order ? order : (left->port > right->port) - (left->port < right->port);
}

void fence_reaches_sort(struct fence_reaches *reaches)
{
    size_t kept = 0;

    if (reaches->count)
        qsort(reaches->items, reaches->count, sizeof(*reaches->items), compare);
    for (size_t i = 0; i < reaches->count; i++)
        if (!kept || compare(&reaches->items[kept - 1], &reaches->items[i]) != 0)
            reaches->items[kept++] = reaches->items[i];
    reaches->count = kept;
}

/* ---- the book ------------------------------------------------------------------------------- */

static int make_key(struct fence_text *key, const char *namespace_name, const char *name)
{
    fence_text_clear(key);
    fence_text_string(key, namespace_name);
    fence_text_string(key, name);
    return key->failed ? -ENOMEM : 0;
}

static int add_service(struct fence_compiler *compiler, const char *namespace_name,
                       const char *name, uint32_t *ret_index)
{
    uint32_t index = (uint32_t)compiler->service_count;
    struct fence_book_service service = {.namespace_name = fence_shared_string(namespace_name),
                                         .name = fence_shared_string(name)};

    if (!service.namespace_name || !service.name) {
        fence_shared_string_unref(&service.namespace_name);
        return -ENOMEM;
    }
    if (compiler->free_services.count)
        index = compiler->free_services.items[--compiler->free_services.count];
    else if (FENCE_GROW(compiler->services, compiler->service_capacity, compiler->service_count) <
             0)
        return -ENOMEM;
    else
        compiler->service_count++;
    compiler->services[index] = service;
    *ret_index = index;
    return 0;
}

/* The service of that name, made when it is new, to be put together anew. */
static int change_service(struct fence_compiler *compiler, const char *namespace_name,
                          const char *name, struct fence_book_service **ret_service)
{
    struct fence_text *key = &compiler->key;
    uint32_t index;
    int r = make_key(key, namespace_name, name);

    if (r == 0 && !fence_intern_find(&compiler->service_names, key->data, key->size, &index)) {
        r = add_service(compiler, namespace_name, name, &index);
        if (r == 0)
            r = fence_intern_put(&compiler->service_names, key->data, key->size, index, &index);
    }
    if (r < 0)
        return r;
    *ret_service = &compiler->services[index];
    if ((*ret_service)->changed)
        return 0;
    (*ret_service)->changed = true;
    return fence_indices_add(&compiler->changed_services, index);
}

uint32_t fence_service_of(const struct fence_compiler *compiler, const struct fence_object *object)
{
    struct fence_text key = {0};
    uint32_t index = 0;

    /* it is known, unless memory ended: then nothing comes of this run */
    if (make_key(&key, object->namespace_name, object->name) == 0)
        fence_intern_find(&compiler->service_names, key.data, key.size, &index);
    fence_text_done(&key);
    return index;
}

static void forget(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_book_service *service = &compiler->services[index];
    struct fence_text *key = &compiler->key;

    if (make_key(key, service->namespace_name, service->name) == 0)
        fence_intern_remove(&compiler->service_names, key->data, key->size);
    fence_shared_string_unref(&service->namespace_name);
    fence_shared_string_unref(&service->name);
    free(service->slices);
    free(service->reaches.items);
    free(service->node_reaches.items);
    *service = (struct fence_book_service){0};
    /* without memory for the list the slot is merely lost */
    (void)fence_indices_add(&compiler->free_services, index);
}

/* ---- what is fed ---------------------------------------------------------------------------- */

static int claim_all(struct fence_compiler *compiler, const struct fence_object *object,
                     bool claims)
{
    const struct fence_addr_list *addrs = &object->service.addrs;
    uintptr_t owner = fence_owner_of_object(object);
    int r = 0;

    for (size_t i = 0; r == 0 && i < addrs->count; i++)
        r = claims ? fence_claim(compiler, &addrs->items[i], owner)
                   : fence_unclaim(compiler, &addrs->items[i], owner);
    return r;
}

static int change_object(struct fence_compiler *compiler, const struct fence_object *object,
                         bool came)
{
    struct fence_book_service *service;
    int r = change_service(compiler, object->namespace_name, object->name, &service);

    if (r < 0)
        return r;
    service->object = came ? object : NULL;
    return claim_all(compiler, object, came);
}

static int change_slice(struct fence_compiler *compiler, const struct fence_object *object,
                        bool came)
{
    struct fence_book_service *service;
    size_t i = 0;
    int r;

    if (!*object->slice.service)
        return 0;
    r = change_service(compiler, object->namespace_name, object->slice.service, &service);
    if (r < 0)
        return r;
    if (came) {
        r = fence_array_grow((void **)&service->slices, &service->slice_capacity,
                             service->slice_count, sizeof(void *));
        if (r == 0)
            service->slices[service->slice_count++] = object;
        return r;
    }
    while (i < service->slice_count && service->slices[i] != object)
        i++;
    if (i < service->slice_count)
        service->slices[i] = service->slices[--service->slice_count];
    return 0;
}

int fence_services_change(struct fence_compiler *compiler, const struct fence_change *change)
{
    const struct fence_object *any = change->after ? change->after : change->before;
    int (*const feed)(struct fence_compiler *, const struct fence_object *, bool) =
        any->kind == FENCE_OBJECT_SERVICE ? change_object : change_slice;
    int r = change->before ? feed(compiler, change->before, false) : 0;

    return r == 0 && change->after ? feed(compiler, change->after, true) : r;
}

/* ---- host ports ----------------------------------------------------------------------------- */

static bool is_hosted(const struct fence_object *pod)
{
    return pod && pod->pod.host_port_count && *pod->pod.node && !pod->pod.host_network &&
           !pod->pod.finished;
}

static int host(struct fence_compiler *compiler, const struct fence_object *pod)
{
    int r = fence_array_grow((void **)&compiler->hosted, &compiler->hosted_capacity,
                             compiler->hosted_count, sizeof(void *));

    if (r < 0)
        return r;
    compiler->hosted[compiler->hosted_count++] = pod;
    for (size_t i = 0; r == 0 && i < pod->pod.addr_count; i++)
        r = fence_backend_add(compiler, &pod->pod.addrs[i], FENCE_SERVICE_OF_NODES);
    return r;
}

/* An address of another such pod has its place again when that one is gone. */
static int unhost(struct fence_compiler *compiler, const struct fence_object *pod)
{
    int r = 0;

    for (size_t i = 0; i < compiler->hosted_count; i++)
        if (compiler->hosted[i] == pod) {
            compiler->hosted[i] = compiler->hosted[--compiler->hosted_count];
            break;
        }
    for (size_t i = 0; r == 0 && i < pod->pod.addr_count; i++)
        r = fence_backend_remove(compiler, &pod->pod.addrs[i], FENCE_SERVICE_OF_NODES);
    for (size_t i = 0; r == 0 && i < compiler->hosted_count; i++)
        for (size_t j = 0; r == 0 && j < compiler->hosted[i]->pod.addr_count; j++)
            r = fence_backend_add(compiler, &compiler->hosted[i]->pod.addrs[j],
                                  FENCE_SERVICE_OF_NODES);
    return r;
}

int fence_services_pod(struct fence_compiler *compiler, const struct fence_change *change)
{
    int r = 0;

    if (!is_hosted(change->before) && !is_hosted(change->after))
        return 0;
    compiler->node_ports_old = true;
    if (is_hosted(change->before))
        r = unhost(compiler, change->before);
    return r == 0 && is_hosted(change->after) ? host(compiler, change->after) : r;
}

bool fence_nodes_have_ports(const struct fence_compiler *compiler)
{
    return compiler->node_reaches.count || compiler->hosted_count;
}

/* ---- what follows --------------------------------------------------------------------------- */

static int mark(struct fence_compiler *compiler, const struct fence_addr *addrs, size_t count)
{
    struct fence_addresses *addresses = &compiler->plan->addresses;
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        struct fence_address *entry = fence_addresses_find(addresses, &addrs[i]);

        if (entry)
            r = fence_addresses_mark(addresses, entry);
    }
    compiler->routed = true;
    return r;
}

static int mark_node(struct fence_compiler *compiler, const struct fence_node *node)
{
    int r = mark(compiler, node->addrs, node->addr_count);

    for (size_t i = 0; r == 0 && i < node->pod_prefix_count; i++)
        r = mark(compiler, &node->pod_prefixes[i].addr, 1);
    return r;
}

static int mark_nodes(struct fence_compiler *compiler)
{
    int r = 0;

    if (compiler->nodes_marked)
        return 0;
    compiler->nodes_marked = true;
    for (size_t i = 0; r == 0 && i < compiler->node_count; i++)
        r = mark_node(compiler, &compiler->nodes[i]->node);
    return r < 0 ? r : mark(compiler, compiler->host_addrs, compiler->host_addr_count);
}

static int mark_service(struct fence_compiler *compiler, const struct fence_book_service *service)
{
    int r = 0;

    if (service->object)
        r = mark(compiler, service->object->service.addrs.items,
                 service->object->service.addrs.count);
    return r == 0 && service->node_reaches.count ? mark_nodes(compiler) : r;
}

int fence_backend_moved(struct fence_compiler *compiler, const struct fence_addr *addr)
{
    const uint32_t *services = NULL;
    size_t count = fence_backend_services(compiler, addr, &services);
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = services[i] == FENCE_SERVICE_OF_NODES
                ? mark_nodes(compiler)
                : mark_service(compiler, &compiler->services[services[i]]);
    return r;
}

int fence_services_float(struct fence_compiler *compiler)
{
    int r = compiler->nodes_floating ? mark_nodes(compiler) : 0;

    for (size_t i = 0; r == 0 && i < compiler->service_count; i++)
        if (compiler->services[i].floating)
            r = mark_service(compiler, &compiler->services[i]);
    return r;
}

/* ---- where a service leads ------------------------------------------------------------------ */

/* The backends of one port in one slice, under the position that leads there. */
static int reach(const struct fence_endpoint_slice *slice,
                 const struct fence_endpoint_slice_port *port, uint32_t position,
                 struct fence_reaches *reaches)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < slice->addrs.count; i++) {
        const struct fence_reach one = {
            .position = position, .port = port->port, .addr = slice->addrs.items[i]};

        r = fence_reaches_add(reaches, &one);
    }
    return r;
}

static int reach_all(const struct fence_book_service *service,
                     const struct fence_service_port *port, uint32_t position,
                     struct fence_reaches *reaches)
{
    int r = 0;

    for (size_t i = 0; i < service->slice_count; i++) {
        const struct fence_endpoint_slice *slice = &service->slices[i]->slice;

        for (size_t j = 0; r == 0 && j < slice->port_count; j++)
            if (slice->ports[j].protocol == port->protocol &&
                strcmp(slice->ports[j].name, port->name) == 0)
                r = reach(slice, &slice->ports[j], position, reaches);
    }
    return r;
}

static bool has_family(const struct fence_service *service, bool ipv4)
{
    for (size_t i = 0; i < service->addrs.count; i++)
        if (fence_addr_is_ipv4(&service->addrs.items[i]) == ipv4)
            return true;
    return false;
}

/* A node's port is the service's also when nobody is behind it. */
static int reach_from_nodes(struct fence_book_service *service,
                            const struct fence_service_port *port)
{
    static const struct fence_addr nobody[] = {{.bytes = {[10] = 0xff, [11] = 0xff}}, {{{0}}}};
    uint32_t position = FENCE_POSITION(port->protocol, port->node_port);
    struct fence_reaches *reaches = &service->node_reaches;
    const struct fence_service *spec = &service->object->service;
    size_t first = reaches->count, kept = reaches->count;
    int r = reach_all(service, port, position, reaches);

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(nobody); i++) {
        const struct fence_reach one = {
            .position = position, .port = port->node_port, .addr = nobody[i]};

        r = fence_reaches_add(reaches, &one);
    }
    for (size_t i = first; i < reaches->count; i++)
        if (has_family(spec, fence_addr_is_ipv4(&reaches->items[i].addr)))
            reaches->items[kept++] = reaches->items[i];
    reaches->count = kept;
    return r;
}

/* There are thousands of them: without the room to grow. */
static void fit(struct fence_reaches *reaches)
{
    void *items = NULL;

    if (reaches->count)
        items = reallocarray(reaches->items, reaches->count, sizeof(*reaches->items));
    else
        free(TAKE_PTR(reaches->items));
    if (items || !reaches->count) {
        reaches->items = items;
        reaches->capacity = reaches->count;
    }
}

static int put_together(struct fence_book_service *service)
{
    const struct fence_service *spec = service->object ? &service->object->service : NULL;
    int r = 0;

    service->reaches.count = service->node_reaches.count = 0;
    for (size_t i = 0; spec && r == 0 && i < spec->port_count; i++) {
        const struct fence_service_port *port = &spec->ports[i];

        r = reach_all(service, port, FENCE_POSITION(port->protocol, port->port), &service->reaches);
        if (r == 0 && port->node_port)
            r = reach_from_nodes(service, port);
    }
    fence_reaches_sort(&service->reaches);
    fence_reaches_sort(&service->node_reaches);
    fit(&service->reaches);
    fit(&service->node_reaches);
    return r;
}

static int gather(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_book_service *service = &compiler->services[index];
    struct fence_reaches *reaches = &service->reaches;
    int r = 0;

    service->changed = false;
    if (service->node_reaches.count)
        compiler->node_ports_old = true;
    for (size_t i = 0; r == 0 && i < reaches->count; i++)
        r = fence_backend_remove(compiler, &reaches->items[i].addr, index);
    if (r == 0)
        r = put_together(service);
    for (size_t i = 0; r == 0 && i < reaches->count; i++)
        r = fence_backend_add(compiler, &reaches->items[i].addr, index);
    if (service->node_reaches.count)
        compiler->node_ports_old = true;
    if (r == 0)
        r = mark_service(compiler, service);
    if (r == 0 && !service->object && !service->slice_count)
        forget(compiler, index);
    return r;
}

static int gather_nodes(struct fence_compiler *compiler)
{
    struct fence_reaches *all = &compiler->node_reaches;
    int r = 0;

    compiler->node_ports_old = false;
    all->count = 0;
    for (size_t i = 0; r == 0 && i < compiler->service_count; i++) {
        const struct fence_reaches *reaches = &compiler->services[i].node_reaches;

        for (size_t j = 0; r == 0 && j < reaches->count; j++)
            r = fence_reaches_add(all, &reaches->items[j]);
    }
    fence_reaches_sort(all);
    return r == 0 ? mark_nodes(compiler) : r;
}

int fence_services_gather(struct fence_compiler *compiler)
{
    int r = 0;

    compiler->nodes_marked = false;
    for (size_t i = 0; r == 0 && i < compiler->changed_services.count; i++)
        r = gather(compiler, compiler->changed_services.items[i]);
    compiler->changed_services.count = 0;
    return r == 0 && compiler->node_ports_old ? gather_nodes(compiler) : r;
}

void fence_services_done(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->service_count; i++) {
        struct fence_book_service *service = &compiler->services[i];

        fence_shared_string_unref(&service->namespace_name);
        fence_shared_string_unref(&service->name);
        free(service->slices);
        free(service->reaches.items);
        free(service->node_reaches.items);
    }
    fence_backends_done(compiler);
    fence_intern_done(&compiler->service_names);
    free(compiler->services);
    free(compiler->free_services.items);
    free(compiler->changed_services.items);
    free(compiler->node_reaches.items);
    free(compiler->hosted);
}
