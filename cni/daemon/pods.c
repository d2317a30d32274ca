/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

/* The first to claim an address keeps it. */
static void add(struct fence_pod_index *index, const struct fence_addr *addr,
                const char *namespace_name, const char *pod)
{
    struct fence_pod_entry entry = {.namespace_name = strdup(namespace_name), .pod = strdup(pod)};
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
    for (size_t i = 0; *local->pod && i < local->addr_count; i++)
        add(index, &local->addrs[i], local->namespace_name, local->pod);
}

static void add_object(struct fence_pod_index *index, const struct fence_object *object)
{
    const struct fence_pod *pod = &object->pod;

    if (pod->host_network || pod->finished)
        return;
    for (size_t i = 0; i < pod->addr_count; i++)
        add(index, &pod->addrs[i], object->namespace_name, object->name);
}

void fence_pod_index_fill(struct fence_pod_index *index, const struct fence_store *store,
                          const struct fence_locals *locals)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_kind(store, FENCE_OBJECT_POD, &objects);

    fence_pod_index_done(index);
    for (size_t i = 0; i < locals->count; i++)
        add_local(index, &locals->items[i]);
    for (size_t i = 0; i < count; i++)
        add_object(index, objects[i]);
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
