/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct fence_pod_entry {
    UT_hash_handle hh;
    struct fence_addr addr;
    char *pod; /* behind the namespace in `text` */
    char text[];
};

/* The first to claim an address keeps it. */
static void add(struct fence_pod_index *index, const struct fence_addr *addr,
                const char *namespace_name, const char *pod)
{
    size_t space_size = strlen(namespace_name) + 1, pod_size = strlen(pod) + 1;
    struct fence_pod_entry *entry = NULL;

    HASH_FIND(hh, index->table, addr, sizeof(*addr), entry);
    if (entry)
        return;
    entry = malloc(sizeof(*entry) + space_size + pod_size);
    if (!entry)
        return;
    entry->addr = *addr;
    entry->pod = entry->text + space_size;
    memcpy(entry->text, namespace_name, space_size);
    memcpy(entry->pod, pod, pod_size);
    HASH_ADD(hh, index->table, addr, sizeof(entry->addr), entry);
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
    size_t count = fence_store_objects(store, &objects);

    fence_pod_index_done(index);
    for (size_t i = 0; i < locals->count; i++)
        add_local(index, &locals->items[i]);
    for (size_t i = 0; i < count; i++)
        if (objects[i]->kind == FENCE_OBJECT_POD)
            add_object(index, objects[i]);
}

int fence_pod_index_find(const struct fence_pod_index *index, const struct fence_addr *addr,
                         struct fence_pod_name *ret_name)
{
    struct fence_pod_entry *entry = NULL;

    HASH_FIND(hh, index->table, addr, sizeof(*addr), entry);
    if (!entry)
        return -ENOENT;
    snprintf(ret_name->namespace_name, sizeof(ret_name->namespace_name), "%s", entry->text);
    snprintf(ret_name->pod, sizeof(ret_name->pod), "%s", entry->pod);
    return 0;
}

void fence_pod_index_done(struct fence_pod_index *index)
{
    struct fence_pod_entry *entry, *next;

    HASH_ITER (hh, index->table, entry, next) {
        HASH_DEL(index->table, entry);
        free(entry);
    }
}
