/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

struct name {
    const char *namespace_name;
    const char *name;
    bool service;
};

/* The first to claim an address keeps it. */
static void add(struct fence_pod_index *index, const struct fence_addr *addr,
                const struct name *name)
{
    struct fence_pod_entry entry = {.namespace_name = strdup(name->namespace_name),
                                    .pod = strdup(name->name),
                                    .service = name->service};
    uint32_t known;

    if (entry.namespace_name && entry.pod &&
        FENCE_GROW(index->items, index->capacity, index->count) == 0 &&
        fence_intern_put(&index->addresses, addr, sizeof(*addr), (uint32_t)index->count, &known) ==
            1) {
        index->items[index->count++] = entry;
        return;
    }
    free(entry.namespace_name);
    free(entry.pod);
}

static void add_local(struct fence_pod_index *index, const struct fence_local *local)
{
    const struct name name = {local->namespace_name, local->pod, false};

    for (size_t i = 0; *local->pod && i < local->addr_count; i++)
        add(index, &local->addrs[i], &name);
}

static void add_pod(struct fence_pod_index *index, const struct fence_object *object)
{
    const struct name name = {object->namespace_name, object->name, false};
    const struct fence_pod *pod = &object->pod;

    if (pod->host_network || pod->finished)
        return;
    for (size_t i = 0; i < pod->addr_count; i++)
        add(index, &pod->addrs[i], &name);
}

static void add_service(struct fence_pod_index *index, const struct fence_object *object)
{
    const struct name name = {object->namespace_name, object->name, true};
    const struct fence_addr_list *addrs = &object->service.addrs;

    for (size_t i = 0; i < addrs->count; i++)
        add(index, &addrs->items[i], &name);
}

void fence_pod_index_fill(struct fence_pod_index *index, const struct fence_store *store,
                          const struct fence_locals *locals)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_kind(store, FENCE_OBJECT_SERVICE, &objects);

    fence_pod_index_done(index);
    for (size_t i = 0; i < count; i++)
        add_service(index, objects[i]);
    for (size_t i = 0; i < locals->count; i++)
        add_local(index, &locals->items[i]);
    count = fence_store_kind(store, FENCE_OBJECT_POD, &objects);
    for (size_t i = 0; i < count; i++)
        add_pod(index, objects[i]);
}

int fence_pod_index_find(const struct fence_pod_index *index, const struct fence_addr *addr,
                         struct fence_pod_name *ret_name)
{
    const struct fence_pod_entry *entry;
    uint32_t found;

    if (!fence_intern_find(&index->addresses, addr, sizeof(*addr), &found))
        return -ENOENT;
    entry = &index->items[found];
    snprintf(ret_name->namespace_name, sizeof(ret_name->namespace_name), "%s",
             entry->namespace_name);
    snprintf(ret_name->pod, sizeof(ret_name->pod), "%s", entry->pod);
    ret_name->service = entry->service;
    return 0;
}

void fence_pod_index_done(struct fence_pod_index *index)
{
    for (size_t i = 0; i < index->count; i++) {
        free(index->items[i].namespace_name);
        free(index->items[i].pod);
    }
    free(index->items);
    fence_intern_done(&index->addresses);
    *index = (struct fence_pod_index){0};
}
