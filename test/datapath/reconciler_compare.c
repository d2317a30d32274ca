/* SPDX-License-Identifier: Apache-2.0 */
/* The live maps against a plan that was compiled afresh, by meaning: numbers differ, answers not.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/names.h"
#include "lib/datapath/read.h"
#include "test/datapath/reconciler.h"
#include "test/datapath/reconciler_internal.h"

struct comparison {
    struct reconciler *reconciler;
    const struct fence_plan *fresh;
    struct fence_err *err;
};

/* Where the comparison is. */
struct place {
    const struct fence_plan_endpoint *endpoint;
    struct fence_endpoint live;
    struct fence_addr addr; /* for messages */
    uint32_t class;         /* of the fresh plan */
    __u32 live_class;
};

static int differs(const struct comparison *comparison, const struct place *place, const char *what)
{
    char shown[FENCE_ADDR_TEXT];

    return fence_err_set(comparison->err, 0, "endpoint %u, peer %s: %s",
                         place->endpoint ? place->endpoint->ifindex : 0,
                         fence_addr_format(&place->addr, shown), what);
}

static bool same_rule(const struct comparison *comparison, uint32_t wanted, __u32 got)
{
    const struct fence_plan_rule *rule;
    struct fence_rule_info info;

    if (!wanted || !got)
        return !wanted == !got;
    rule = &comparison->fresh->rules[wanted - 1];
    return fence_rule_read(&comparison->reconciler->pins, got, &info) == 0 &&
           strcmp(info.policy, rule->policy) == 0 && info.index == rule->index &&
           info.direction == rule->direction;
}

static int live_table(const struct comparison *comparison, const struct place *place,
                      __u32 direction, struct fence_policy_table *ret_table)
{
    int fd = comparison->reconciler->pins.maps[FENCE_MAP_POLICIES];
    struct fence_policy_key key = {
        .set = place->live.set, .class = place->live_class, .direction = direction};
    int r = bpf_map_lookup_elem(fd, &key, ret_table);

    key.class = FENCE_CLASS_ANY;
    return r == -ENOENT ? bpf_map_lookup_elem(fd, &key, ret_table) : r;
}

static bool same_interval(const struct comparison *comparison, const struct fence_interval *wanted,
                          const struct fence_interval *got)
{
    return wanted->low == got->low && wanted->verdict == got->verdict &&
           wanted->reason == got->reason && wanted->shadow == got->shadow &&
           wanted->shadow_reason == got->shadow_reason &&
           same_rule(comparison, wanted->rule, got->rule) &&
           same_rule(comparison, wanted->shadow_rule, got->shadow_rule);
}

static int compare_table(const struct comparison *comparison, const struct place *place,
                         enum fence_direction direction)
{
    const struct fence_plan *fresh = comparison->fresh;
    const struct fence_plan_set *set = &fresh->sets[place->endpoint->set];
    const struct fence_plan_table *wanted =
        &fresh->tables[fence_plan_table_of(set, direction, place->class)];
    struct fence_policy_table got;

    if (live_table(comparison, place, direction, &got) < 0)
        return differs(comparison, place, "has no table");
    if (got.count != wanted->count)
        return differs(comparison, place, "has a table of another size");
    for (__u32 i = 0; i < got.count; i++) {
        struct fence_interval interval;

        if (fence_interval_read(&comparison->reconciler->pins, got.offset + i, &interval) < 0 ||
            !same_interval(comparison, &wanted->intervals[i], &interval))
            return differs(comparison, place, "has another table");
    }
    return 1;
}

static int compare_peer(const struct comparison *comparison, struct place *place, uint32_t peer)
{
    int r = 1;

    place->class = comparison->fresh->peers[peer].class;
    for (int i = 0; r > 0 && i < FENCE_DIRECTIONS; i++)
        r = compare_table(comparison, place, i);
    return r;
}

/* Where an address leads in the maps. */
static int find_class(const struct comparison *comparison, struct place *place)
{
    const struct fence_pins *pins = &comparison->reconciler->pins;
    struct fence_peer peer;
    __u32 number;

    if (fence_address_resolve(pins, &place->addr, &number) < 0 ||
        fence_peer_read(pins, number, &peer) < 0)
        return differs(comparison, place, "leads nowhere");
    place->live_class = peer.class;
    return 1;
}

static int compare_addresses(const struct comparison *comparison, struct place *place)
{
    const struct fence_address *entry;
    size_t position = 0;
    int r = 1;

    while (r > 0 && (entry = fence_addresses_next(&comparison->fresh->addresses, &position))) {
        if (entry->peer == FENCE_ADDRESS_NONE)
            continue;
        place->addr = entry->addr;
        r = find_class(comparison, place);
        if (r > 0)
            r = compare_peer(comparison, place, entry->peer);
    }
    return r;
}

static int compare_prefixes(const struct comparison *comparison, struct place *place)
{
    int r = 1;

    for (size_t i = 0; r > 0 && i < comparison->fresh->prefixes_count; i++) {
        const struct fence_plan_prefix *prefix = &comparison->fresh->prefixes[i];
        struct fence_prefix_key key = {.length = prefix->prefix.length,
                                       .addr = prefix->prefix.addr};
        const struct fence_pins *pins = &comparison->reconciler->pins;
        struct fence_peer peer;
        __u32 number;

        place->addr = prefix->prefix.addr;
        if (bpf_map_lookup_elem(pins->maps[FENCE_MAP_PREFIXES], &key, &number) < 0 ||
            fence_peer_read(pins, number, &peer) < 0)
            return differs(comparison, place, "is a block that is not in the map");
        place->live_class = peer.class;
        r = compare_peer(comparison, place, prefix->peer);
    }
    return r;
}

/* Pending, masqueraded: found by their numbers. */
static int compare_reserved(const struct comparison *comparison, struct place *place)
{
    const struct fence_plan *fresh = comparison->fresh;
    int r = 1;

    place->addr = (struct fence_addr){0};
    for (uint32_t i = 0; r > 0 && i < fresh->peers_list.count; i++) {
        struct fence_peer peer;

        if (!fresh->peers[i].item.live || !fresh->peers[i].reserved)
            continue;
        if (fence_peer_read(&comparison->reconciler->pins, fresh->peers[i].reserved, &peer) < 0)
            return differs(comparison, place, "is reserved and not there");
        place->live_class = peer.class;
        r = compare_peer(comparison, place, i);
    }
    return r;
}

static int compare_endpoint(const struct comparison *comparison,
                            const struct fence_plan_endpoint *endpoint)
{
    struct place place = {.endpoint = endpoint};
    __u32 ifindex = endpoint->ifindex + 1;
    int r;

    if (bpf_map_lookup_elem(comparison->reconciler->pins.maps[FENCE_MAP_ENDPOINTS], &ifindex,
                            &place.live) < 0)
        return differs(comparison, &place, "is not in the map");
    if ((place.live.flags & ~(__u32)FENCE_EP_OPEN) != endpoint->flags)
        return differs(comparison, &place, "the endpoint's flags are others");
    if ((place.live.set == 0) != (endpoint->set == FENCE_PLAN_NONE) && !endpoint->flags)
        return differs(comparison, &place, "has a set, or none");
    if (endpoint->set == FENCE_PLAN_NONE || endpoint->flags)
        return 1;
    r = compare_addresses(comparison, &place);
    if (r > 0)
        r = compare_prefixes(comparison, &place);
    return r > 0 ? compare_reserved(comparison, &place) : r;
}

static size_t count_addresses(const struct fence_plan *plan)
{
    const struct fence_address *entry;
    size_t position = 0, count = 0;

    while ((entry = fence_addresses_next(&plan->addresses, &position)))
        count += entry->peer != FENCE_ADDRESS_NONE;
    return count;
}

static int compare_counts(const struct comparison *comparison)
{
    const struct fence_pins *pins = &comparison->reconciler->pins;
    size_t addresses, prefixes, endpoints, most;

    if (fence_map_usage(pins, FENCE_MAP_ADDRESSES, &addresses, &most) < 0 ||
        fence_map_usage(pins, FENCE_MAP_PREFIXES, &prefixes, &most) < 0 ||
        fence_map_usage(pins, FENCE_MAP_ENDPOINTS, &endpoints, &most) < 0)
        return fence_err_set(comparison->err, -EIO, "the maps cannot be counted");
    if (addresses != count_addresses(comparison->fresh))
        return fence_err_set(comparison->err, 0,
                             "%zu addresses are in the map, a fresh plan has %zu", addresses,
                             count_addresses(comparison->fresh));
    if (prefixes != comparison->fresh->prefixes_count)
        return fence_err_set(comparison->err, 0,
                             "%zu prefixes are in the map, a fresh plan has %zu", prefixes,
                             comparison->fresh->prefixes_count);
    if (endpoints != comparison->reconciler->local_count)
        return fence_err_set(comparison->err, 0, "%zu endpoints are in the map, the world has %zu",
                             endpoints, comparison->reconciler->local_count);
    return 1;
}

int reconciler_compare(struct reconciler *reconciler, const struct fence_plan *fresh,
                       struct fence_err *err)
{
    const struct comparison comparison = {reconciler, fresh, err};
    int r = compare_counts(&comparison);

    for (size_t i = 0; r > 0 && i < fresh->endpoints_list.count; i++)
        if (fresh->endpoints[i].item.live)
            r = compare_endpoint(&comparison, &fresh->endpoints[i]);
    return r;
}
