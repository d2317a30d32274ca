/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/pods.h"

static void add_local(struct fence_name_index *index, const struct fence_local *local)
{
    const struct fence_name name = {.namespace_name = local->namespace_name, .pod = local->pod};

    for (size_t i = 0; *local->pod && i < local->addr_count; i++)
        fence_name_index_add(index, &local->addrs[i], &name);
}

static void add_pod(struct fence_name_index *index, const struct fence_object *object)
{
    const struct fence_name name = {.namespace_name = object->namespace_name, .pod = object->name};
    const struct fence_pod *pod = &object->pod;

    if (pod->host_network || pod->finished)
        return;
    for (size_t i = 0; i < pod->addr_count; i++)
        fence_name_index_add(index, &pod->addrs[i], &name);
}

static void add_service(struct fence_name_index *index, const struct fence_object *object)
{
    const struct fence_name name = {.namespace_name = object->namespace_name,
                                    .service = object->name};
    const struct fence_addr_list *addrs = &object->service.addrs;

    for (size_t i = 0; i < addrs->count; i++)
        fence_name_index_add(index, &addrs->items[i], &name);
}

void fence_pods_fill(struct fence_name_index *index, const struct fence_store *store,
                     const struct fence_locals *locals)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_kind(store, FENCE_OBJECT_SERVICE, &objects);

    fence_name_index_done(index);
    for (size_t i = 0; i < count; i++)
        add_service(index, objects[i]);
    for (size_t i = 0; i < locals->count; i++)
        add_local(index, &locals->items[i]);
    count = fence_store_kind(store, FENCE_OBJECT_POD, &objects);
    for (size_t i = 0; i < count; i++)
        add_pod(index, objects[i]);
}
