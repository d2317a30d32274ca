/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/ports.h"

#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"

static void fill(void *header, size_t size)
{
    struct fence_ports *ports = header;

    ports->count = size / sizeof(struct fence_container_port);
    for (size_t i = 0; i < ports->count; i++)
        fence_shared_ref(ports->items[i].name);
}

static void drop_names(struct fence_container_port *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fence_shared_string_unref(&items[i].name);
}

static void destroy(void *header)
{
    struct fence_ports *ports = header;

    drop_names(ports->items, ports->count);
}

/* Known by their items, in which the names are shared. */
static struct fence_shared_pool pool = {
    .header_size = sizeof(struct fence_ports), .fill = fill, .destroy = destroy};

static int compare(const void *a, const void *b)
{
    const struct fence_container_port *left = a;
    const struct fence_container_port *right = b;
    int order = strcmp(left->name, right->name);

    if (order == 0)
        order = (left->protocol > right->protocol) - (left->protocol < right->protocol);
    return order ? order : (left->port > right->port) - (left->port < right->port);
}

/* Copies without padding that differs; returns how many have their name. */
static size_t share_names(const struct fence_container_port *items, size_t count,
                          struct fence_container_port *copies)
{
    for (size_t i = 0; i < count; i++) {
        copies[i].protocol = items[i].protocol;
        copies[i].port = items[i].port;
        copies[i].name = fence_shared_string(items[i].name);
        if (!copies[i].name)
            return i;
    }
    return count;
}

const struct fence_ports *fence_ports_shared(struct fence_container_port *items, size_t count)
{
    FENCE_FREE struct fence_container_port *copies = NULL;
    const struct fence_ports *shared = NULL;
    size_t made;

    if (!count)
        return fence_ports_none();
    copies = calloc(count, sizeof(*copies));
    if (!copies)
        return NULL;
    qsort(items, count, sizeof(*items), compare);
    made = share_names(items, count, copies);
    if (made == count)
        shared = fence_shared_get(&pool, copies, count * sizeof(*copies));
    drop_names(copies, made);
    return shared;
}

const struct fence_ports *fence_ports_ref(const struct fence_ports *shared)
{
    if (shared != fence_ports_none())
        fence_shared_ref(shared);
    return shared;
}

void fence_ports_unref(const struct fence_ports **shared)
{
    const struct fence_ports *gone = TAKE_PTR(*shared);

    if (gone && gone != fence_ports_none())
        fence_shared_unref(&pool, gone);
}

const struct fence_ports *fence_ports_none(void)
{
    static const struct fence_ports none;

    return &none;
}
