/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/events.h"
#include "lib/datapath/walk.h"

/* The keys of all maps that hold something of an endpoint begin with its ifindex. */
_Static_assert(offsetof(struct fence_fragment_key, ifindex) == 0, "ifindex first");
_Static_assert(offsetof(struct fence_event_key, ifindex) == 0, "ifindex first");

static bool is_of(void *context, const void *key, const void *value)
{
    (void)value;
    return memcmp(context, key, sizeof(__u32)) == 0;
}

static int remove_all(int fd, __u32 ifindex)
{
    FENCE_FREE void *keys = NULL;
    struct fence_map_shape shape;
    size_t count = 0;
    int r = fence_map_shape(fd, &shape);

    if (r == 0)
        r = fence_map_collect(fd, is_of, &ifindex, &keys, &count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        int deleted = bpf_map_delete_elem(fd, (const char *)keys + i * shape.key_size);

        if (deleted < 0 && deleted != -ENOENT)
            r = deleted;
    }
    return r;
}

static int remove_entry(const struct fence_pins *pins, enum fence_map map, __u32 ifindex)
{
    int r = bpf_map_delete_elem(pins->maps[map], &ifindex);

    return r == -ENOENT ? 0 : r;
}

/* Goes on after an error and returns the first. */
static int remove_from(const struct fence_pins *pins, const enum fence_map *maps, size_t count,
                       __u32 ifindex, struct fence_err *err)
{
    int first = 0;

    for (size_t i = 0; i < count; i++) {
        int r = remove_all(pins->maps[maps[i]], ifindex);

        if (r < 0 && first == 0)
            first = fence_err_set(err, r, "%s map: entries of interface %u: %s",
                                  fence_map_name(maps[i]), ifindex, strerror(-r));
    }
    return first;
}

int fence_endpoint_forget(const struct fence_pins *pins, __u32 slot, struct fence_err *err)
{
    struct fence_connection_table table;
    int r = fence_connections_open(pins, &table, err);

    if (r < 0)
        return r;
    fence_connections_forget(&table, slot);
    fence_connections_close(&table);
    return 0;
}

/* Nobody is handed packets for it any more, and no mark is taken for its. The address and the slot
 * may be another endpoint's by now. */
static void withdraw(const struct fence_pins *pins, __u32 ifindex,
                     const struct fence_endpoint *endpoint)
{
    int fd = pins->maps[FENCE_MAP_LOCALS];

    for (unsigned int i = 0; i < endpoint->addr_count && i < FENCE_ENDPOINT_ADDRS; i++) {
        __u32 owner;

        if (bpf_map_lookup_elem(fd, &endpoint->addrs[i], &owner) == 0 && owner == ifindex)
            (void)bpf_map_delete_elem(fd, &endpoint->addrs[i]);
    }
    (void)fence_slot_take(pins, endpoint->slot, ifindex);
}

/* What packets that were on their way have made after the slot was cleared. Not when it is the next
 * endpoint's already: whoever takes a slot clears it himself. */
static int forget_rest(const struct fence_pins *pins, __u32 slot, struct fence_err *err)
{
    struct fence_usage usage;

    if (!slot || bpf_map_lookup_elem(pins->maps[FENCE_MAP_USAGE], &slot, &usage) < 0 ||
        usage.ifindex || !usage.connections)
        return 0;
    return fence_endpoint_forget(pins, slot, err);
}

/*
 * The connections go first, while the slot is the endpoint's own: when that is gone, another may
 * get it. Then the endpoint: with the filter on and no endpoint everything is dropped, so nothing
 * passes unjudged in between. The info goes last, and only when all else has gone: until then
 * the endpoint can be found and removed again. No lock: detaching waits for the kernel (tens of
 * ms with TCX), each map operation is atomic, and nobody revives an entry that has gone
 * (fence_endpoint_update asks for an existing one).
 */
int fence_endpoint_remove(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err)
{
    static const enum fence_map kernel_maps[] = {
        FENCE_MAP_FRAGMENTS,
        FENCE_MAP_EVENT_LIMITS,
    };
    struct fence_endpoint endpoint = {0};
    int first = 0, r;

    /* what is left of one that was removed by halves is cleared with its slot (endpoints.c) */
    if (bpf_map_lookup_elem(pins->maps[FENCE_MAP_ENDPOINTS], &ifindex, &endpoint) == 0) {
        withdraw(pins, ifindex, &endpoint);
        /* while the slot is nobody else's for sure */
        first = endpoint.slot ? fence_endpoint_forget(pins, endpoint.slot, err) : 0;
    }
    FENCE_FAILPOINT("remove.withdrawn");
    r = remove_entry(pins, FENCE_MAP_ENDPOINTS, ifindex);
    FENCE_FAILPOINT("remove.endpoint-gone");
    fence_epoch_raise(pins);
    if (r < 0 && first == 0)
        first = fence_err_set(err, r, "endpoints map: interface %u: %s", ifindex, strerror(-r));
    r = fence_detach(pins, ifindex, first < 0 ? NULL : err);
    if (first == 0)
        first = r;
    FENCE_FAILPOINT("remove.detached");
    r = forget_rest(pins, endpoint.slot, first < 0 ? NULL : err);
    if (first == 0)
        first = r;
    (void)fence_events_flush(pins,
                             ifindex); /* or what was left out is known by the counters only */
    r = remove_from(pins, kernel_maps, FENCE_ARRAY_SIZE(kernel_maps), ifindex,
                    first < 0 ? NULL : err);
    if (first == 0)
        first = r;
    FENCE_FAILPOINT("remove.connections-gone");
    if (first < 0)
        return first;
    r = remove_entry(pins, FENCE_MAP_ENDPOINT_INFO, ifindex);
    if (r < 0)
        first = fence_err_set(err, r, "endpoint_info map: interface %u: %s", ifindex, strerror(-r));
    return first;
}
