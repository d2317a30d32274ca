/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which services have an address as a backend: what has to follow when somebody else has it. Mostly
 * it is one, whose index stands in the entry (`peer`); of several there is a list (`owner`).
 */
#include <errno.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

union listed {
    uintptr_t owner;
    struct fence_indices *services;
};

static struct fence_indices *list_of(const struct fence_address *entry)
{
    union listed listed = {.owner = entry->owner};

    return listed.services;
}

static int make_list(struct fence_address *entry)
{
    union listed listed = {.services = calloc(1, sizeof(*listed.services))};

    if (!listed.services || fence_indices_add(listed.services, entry->peer) < 0) {
        free(listed.services);
        return -ENOMEM;
    }
    entry->owner = listed.owner;
    entry->peer = FENCE_ADDRESS_NONE;
    return 0;
}

int fence_backend_add(struct fence_compiler *compiler, const struct fence_addr *addr,
                      uint32_t service)
{
    struct fence_address *entry = fence_addresses_obtain(&compiler->backends, addr);
    const struct fence_indices *list;

    if (!entry)
        return -ENOMEM;
    if (!entry->owner && entry->peer == FENCE_ADDRESS_NONE)
        entry->peer = service;
    if (entry->peer == service)
        return 0;
    if (!entry->owner && make_list(entry) < 0)
        return -ENOMEM;
    list = list_of(entry);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == service)
            return 0;
    return fence_indices_add(list_of(entry), service);
}

static void free_list(struct fence_address *entry)
{
    struct fence_indices *list = list_of(entry);

    if (list)
        free(list->items);
    free(list);
    entry->owner = 0;
}

int fence_backend_remove(struct fence_compiler *compiler, const struct fence_addr *addr,
                         uint32_t service)
{
    struct fence_address *entry = fence_addresses_find(&compiler->backends, addr);
    struct fence_indices *list = entry ? list_of(entry) : NULL;

    for (size_t i = 0; list && i < list->count; i++)
        if (list->items[i] == service) {
            list->items[i] = list->items[--list->count];
            break;
        }
    if (list && !list->count)
        free_list(entry);
    if (entry && entry->peer == service)
        entry->peer = FENCE_ADDRESS_NONE;
    if (entry && !entry->owner && entry->peer == FENCE_ADDRESS_NONE)
        fence_addresses_remove(&compiler->backends, entry);
    return 0;
}

size_t fence_backend_services(const struct fence_compiler *compiler, const struct fence_addr *addr,
                              const uint32_t **ret_services)
{
    const struct fence_address *entry = fence_addresses_find(&compiler->backends, addr);
    const struct fence_indices *list = entry ? list_of(entry) : NULL;

    if (!entry)
        return 0;
    *ret_services = list ? list->items : &entry->peer;
    return list ? list->count : 1;
}

void fence_backends_done(struct fence_compiler *compiler)
{
    struct fence_address *entry;
    size_t position = 0;

    while ((entry = fence_addresses_next(&compiler->backends, &position)))
        free_list(entry);
    fence_addresses_done(&compiler->backends);
}
