/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/takeover_connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/connection.h"
#include "lib/base/memory.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"

struct move {
    const struct fence_endpoint **by_slot;
    struct fence_connection_table table; /* ours */
    struct fence_settings settings;
    __u64 now; /* jiffies */
};

static int move_one(void *context, const struct fence_connection *entry)
{
    const struct move *move = context;
    const struct fence_endpoint *endpoint =
        entry->slot < move->table.slot_count ? move->by_slot[entry->slot] : NULL;
    struct fence_addr local;

    if (endpoint && fence_connection_local(endpoint, entry, &local) &&
        !fence_connection_expired(entry->protocol, entry->state, move->now, move->settings.hz))
        /* one for which there is no room is a lost entry, as in a full table */
        (void)fence_connections_put(&move->table, &move->settings, entry, &local, move->now);
    return 0;
}

static int move_all(const struct fence_pins *old, const struct fence_pins *pins, struct move *move,
                    struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list list = {0};
    FENCE_CLEANUP(fence_connections_close) struct fence_connection_table theirs = {0};
    FENCE_FREE const struct fence_endpoint **by_slot =
        calloc(move->table.slot_count,
               sizeof(const struct fence_endpoint *)); // NOLINT(bugprone-sizeof-expression)
    int r = by_slot ? fence_endpoints_list(pins, &list, err)
                    : fence_err_set(err, -ENOMEM, "out of memory");

    if (r == 0)
        r = fence_connections_open(old, &theirs, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].endpoint.slot < move->table.slot_count)
            by_slot[list.items[i].endpoint.slot] = &list.items[i].endpoint;
    move->by_slot = by_slot;
    return fence_connections_each(&theirs, move_one, move);
}

int fence_takeover_connections(const struct fence_pins *old, const struct fence_pins *pins,
                               struct fence_err *err)
{
    struct move move = {0};
    int r = fence_settings_read(pins, &move.settings);

    if (r == 0)
        r = fence_jiffies(pins, &move.now);
    if (r < 0)
        return fence_err_set(err, r, "settings of %s: %s", pins->root, strerror(-r));
    r = fence_connections_open(pins, &move.table, err);
    if (r == 0)
        r = move_all(old, pins, &move, err);
    fence_connections_close(&move.table);
    return r;
}
