/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/read.h"
#include "lib/datapath/walk.h"

static int count_visit(void *context, const void *key, const void *value)
{
    (void)key;
    (void)value;
    ++*(size_t *)context;
    return 0;
}

static int peer_visit(void *context, const void *key, const void *value)
{
    const struct fence_peer *peer = value;

    (void)key;
    if (peer->content[0] || peer->content[1] || peer->identity)
        ++*(size_t *)context;
    return 0;
}

struct tables {
    struct fence_policy_table *items;
    size_t count;
    size_t capacity;
};

static int table_visit(void *context, const void *key, const void *value)
{
    struct tables *tables = context;
    int r = FENCE_GROW(tables->items, tables->capacity, tables->count);

    (void)key;
    if (r < 0)
        return r;
    memcpy(&tables->items[tables->count++], value, sizeof(struct fence_policy_table));
    return 0;
}

static int compare_tables(const void *a, const void *b)
{
    __u32 one = ((const struct fence_policy_table *)a)->offset;
    __u32 other = ((const struct fence_policy_table *)b)->offset;

    return one < other ? -1 : one > other;
}

/* Tables are shared: each offset counts once. */
static int intervals_used(const struct fence_pins *pins, size_t *ret_used)
{
    struct tables tables = {0};
    size_t used = 0;
    int r = fence_map_walk(pins->maps[FENCE_MAP_POLICIES], table_visit, &tables);

    if (tables.count)
        qsort(tables.items, tables.count, sizeof(*tables.items), compare_tables);
    for (size_t i = 0; i < tables.count; i++)
        if (i == 0 || tables.items[i].offset != tables.items[i - 1].offset)
            used += tables.items[i].count;
    free(tables.items);
    if (r == 0)
        *ret_used = used;
    return r;
}

static int connection_visit(void *context, const struct fence_connection *connection)
{
    (void)connection;
    ++*(size_t *)context;
    return 0;
}

static int connections_used(const struct fence_pins *pins, size_t *ret_used)
{
    struct fence_connection_table table;
    size_t used = 0;
    int r = fence_connections_open(pins, &table, NULL);

    if (r < 0)
        return r;
    (void)fence_connections_each(&table, connection_visit, &used);
    fence_connections_close(&table);
    *ret_used = used;
    return 0;
}

static int used_of(const struct fence_pins *pins, enum fence_map map, __u32 type, size_t *ret_used)
{
    size_t used = 0;
    int r;

    if (map == FENCE_MAP_INTERVALS)
        return intervals_used(pins, ret_used);
    if (map == FENCE_MAP_CONNECTIONS)
        return connections_used(pins, ret_used);
    if (map == FENCE_MAP_USAGE || map == FENCE_MAP_OPENED || map == FENCE_MAP_EPOCHS ||
        map == FENCE_MAP_PAIRS)
        return -EOPNOTSUPP; /* always whole */
    if (type == BPF_MAP_TYPE_RINGBUF || type == BPF_MAP_TYPE_PERCPU_ARRAY)
        return -EOPNOTSUPP; /* no entries that could be counted */
    r = fence_map_walk(pins->maps[map], map == FENCE_MAP_PEERS ? peer_visit : count_visit, &used);
    if (r == 0)
        *ret_used = used;
    return r;
}

int fence_map_usage(const struct fence_pins *pins, enum fence_map map, size_t *ret_used,
                    size_t *ret_max)
{
    struct fence_map_shape shape;
    int r = fence_map_shape(pins->maps[map], &shape);

    if (r == 0)
        r = used_of(pins, map, shape.type, ret_used);
    if (r == 0)
        *ret_max =
            (size_t)shape.max_entries * (map == FENCE_MAP_CONNECTIONS ? FENCE_BUCKET_WAYS : 1);
    return r;
}
