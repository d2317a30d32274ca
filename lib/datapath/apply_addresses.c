/* SPDX-License-Identifier: Apache-2.0 */
/* Step 5: addresses and prefixes, changed in place, then removed, then added. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/read.h"
#include "lib/datapath/walk.h"

static struct apply_address *find_address(const struct fence_apply *apply,
                                          const struct fence_addr *addr)
{
    return fence_index_find(&apply->addresses, addr);
}

static struct apply_prefix *find_prefix(const struct fence_apply *apply,
                                        const struct fence_prefix_key *key)
{
    return fence_index_find(&apply->prefixes, key);
}

static int remember_address(struct fence_apply *apply, const struct fence_addr *addr, __u32 peer)
{
    struct apply_address *address = calloc(1, sizeof(*address));

    if (!address)
        return -ENOMEM;
    address->addr = *addr;
    address->peer = peer;
    address->plan = apply->serial;
    if (fence_index_add(&apply->addresses, &address->node, &address->addr, address) == 0)
        return 0;
    free(address);
    return -ENOMEM;
}

static int remember_prefix(struct fence_apply *apply, const struct fence_prefix_key *key,
                           __u32 peer)
{
    struct apply_prefix *prefix = calloc(1, sizeof(*prefix));

    if (!prefix)
        return -ENOMEM;
    prefix->key = *key;
    prefix->peer = peer;
    prefix->plan = apply->serial;
    if (fence_index_add(&apply->prefixes, &prefix->node, &prefix->key, prefix) == 0)
        return 0;
    free(prefix);
    return -ENOMEM;
}

static int load_address(void *context, const void *key, const void *value)
{
    struct fence_addr addr;
    __u32 peer;

    memcpy(&addr, key, sizeof(addr));
    memcpy(&peer, value, sizeof(peer));
    return find_address(context, &addr) ? 0 : remember_address(context, &addr, peer);
}

static int load_prefix(void *context, const void *key, const void *value)
{
    struct fence_prefix_key prefix;
    __u32 peer;

    memcpy(&prefix, key, sizeof(prefix));
    memcpy(&peer, value, sizeof(peer));
    return find_prefix(context, &prefix) ? 0 : remember_prefix(context, &prefix, peer);
}

int apply_addresses_load(struct fence_apply *apply)
{
    int r = fence_map_walk(apply->pins->maps[FENCE_MAP_ADDRESSES], load_address, apply);

    return r < 0 ? r : fence_map_walk(apply->pins->maps[FENCE_MAP_PREFIXES], load_prefix, apply);
}

static void free_items(struct fence_index *index)
{
    struct fence_index_node *next;

    for (struct fence_index_node *node = index->head; node; node = next) {
        void *item = node->item;

        next = fence_index_next(node);
        fence_index_remove(index, node);
        free(item);
    }
}

void apply_addresses_done(struct fence_apply *apply)
{
    free_items(&apply->addresses);
    free_items(&apply->prefixes);
}

static int set_flag(struct fence_apply *apply, __u32 flag, bool on)
{
    struct fence_settings settings = apply->settings;

    settings.flags = on ? settings.flags | flag : settings.flags & ~flag;
    return apply_settings(apply, &settings);
}

/* Before anything moves: see apply.c. */
static int begin_moving(struct fence_apply *apply)
{
    return set_flag(apply, FENCE_SETTING_MOVING, true);
}

/* A peer that got no number is pending: no rule allows it. */
static __u32 peer_of(const struct apply_run *run, __u32 index)
{
    return run->peers[index] ? run->peers[index] : FENCE_PEER_PENDING;
}

static int move_address(struct fence_apply *apply, struct apply_address *address, __u32 peer)
{
    int r = begin_moving(apply);

    if (r == 0)
        r = apply_put(apply, FENCE_MAP_ADDRESSES, &address->addr, &peer);
    if (r < 0)
        return r;
    apply_peer_moved(apply, address->peer);
    address->peer = peer;
    return 0;
}

static int remove_address(struct fence_apply *apply, struct apply_address *address)
{
    int r = begin_moving(apply);

    if (r == 0)
        r = apply_delete(apply, FENCE_MAP_ADDRESSES, &address->addr);
    if (r < 0)
        return r;
    apply_peer_moved(apply, address->peer);
    fence_index_remove(&apply->addresses, &address->node);
    free(address);
    return 0;
}

static int report_incomplete(struct apply_run *run, int code)
{
    int r = set_flag(run->apply, FENCE_SETTING_ADDRESSES_INCOMPLETE, true);

    run->lacks_addresses = true;
    return r < 0 ? r
                 : apply_report_map(run, FENCE_MAP_ADDRESSES, code,
                                    "an address that is not in it counts as pending, also "
                                    "outside the cluster");
}

/* It must not go on as what it was. */
static int give_up_address(struct apply_run *run, struct apply_address *address, int code)
{
    int r = report_incomplete(run, code);

    return r < 0 ? r : remove_address(run->apply, address);
}

static int move_addresses(struct apply_run *run)
{
    struct fence_apply *apply = run->apply;

    for (size_t i = 0; i < run->plan->addresses_count; i++) {
        const struct fence_plan_address *plan = &run->plan->addresses[i];
        struct apply_address *address = find_address(apply, &plan->addr);
        __u32 peer = peer_of(run, plan->peer);
        int r = 0;

        if (!address)
            continue;
        address->plan = apply->serial;
        if (address->peer != peer)
            r = move_address(apply, address, peer);
        if (r < 0)
            r = give_up_address(run, address, r);
        if (r < 0)
            return r;
    }
    return 0;
}

static int remove_addresses(struct fence_apply *apply)
{
    struct fence_index_node *next;

    for (struct fence_index_node *node = apply->addresses.head; node; node = next) {
        struct apply_address *address = node->item;
        int r;

        next = fence_index_next(node);
        if (address->plan == apply->serial)
            continue;
        r = remove_address(apply, address);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_address(struct fence_apply *apply, const struct fence_addr *addr, __u32 peer)
{
    __u32 before;
    int r = fence_address_resolve(apply->pins, addr, &before);

    if (r == 0)
        r = begin_moving(apply);
    if (r < 0)
        return r;
    /* judged anew even when it cannot be written: by then it counts as pending */
    apply_peer_moved(apply, before);
    r = apply_put(apply, FENCE_MAP_ADDRESSES, addr, &peer);
    return r < 0 ? r : remember_address(apply, addr, peer);
}

static int add_addresses(struct apply_run *run)
{
    struct fence_apply *apply = run->apply;
    int r = 0;

    for (size_t i = 0; i < run->plan->addresses_count && r == 0; i++) {
        const struct fence_plan_address *plan = &run->plan->addresses[i];

        if (find_address(apply, &plan->addr))
            continue;
        r = add_address(apply, &plan->addr, peer_of(run, plan->peer));
        if (r < 0) {
            r = report_incomplete(run, r);
        }
    }
    if (r < 0 || run->lacks_addresses)
        return r;
    if (apply->settings.flags & FENCE_SETTING_ADDRESSES_INCOMPLETE)
        apply_peer_moved(apply, FENCE_PEER_PENDING);
    return set_flag(apply, FENCE_SETTING_ADDRESSES_INCOMPLETE, false);
}

int apply_addresses(struct apply_run *run)
{
    int r = move_addresses(run);
    int raised;

    if (r == 0)
        r = remove_addresses(run->apply);
    if (r == 0)
        r = add_addresses(run);
    raised = apply_peers_raise(run->apply);
    return r < 0 ? r : raised;
}

static struct fence_prefix_key key_of(const struct fence_prefix *prefix)
{
    return (struct fence_prefix_key){.length = prefix->length, .addr = prefix->addr};
}

static int move_prefixes(struct apply_run *run)
{
    struct fence_apply *apply = run->apply;

    for (size_t i = 0; i < run->plan->prefixes_count; i++) {
        const struct fence_plan_prefix *plan = &run->plan->prefixes[i];
        struct fence_prefix_key key = key_of(&plan->prefix);
        struct apply_prefix *prefix = find_prefix(apply, &key);
        __u32 peer = peer_of(run, plan->peer);
        int r;

        if (prefix)
            prefix->plan = apply->serial;
        if (!prefix || prefix->peer == peer)
            continue;
        r = begin_moving(apply);
        if (r == 0)
            r = apply_put(apply, FENCE_MAP_PREFIXES, &key, &peer);
        if (r < 0)
            return r;
        apply_peer_moved(apply, prefix->peer);
        prefix->peer = peer;
    }
    return 0;
}

static int remove_prefixes(struct fence_apply *apply)
{
    struct fence_index_node *next;

    for (struct fence_index_node *node = apply->prefixes.head; node; node = next) {
        struct apply_prefix *prefix = node->item;
        int r;

        next = fence_index_next(node);
        if (prefix->plan == apply->serial)
            continue;
        r = begin_moving(apply);
        if (r == 0)
            r = apply_delete(apply, FENCE_MAP_PREFIXES, &prefix->key);
        if (r < 0)
            return r;
        apply_peer_moved(apply, prefix->peer);
        fence_index_remove(&apply->prefixes, node);
        free(prefix);
    }
    return 0;
}

static int add_prefix(struct fence_apply *apply, const struct fence_prefix_key *key, __u32 peer)
{
    __u32 before = FENCE_PEER_PENDING;
    int r = bpf_map_lookup_elem(apply->pins->maps[FENCE_MAP_PREFIXES], key, &before);

    if (r == -ENOENT || r == 0)
        r = begin_moving(apply);
    if (r < 0)
        return r;
    apply_peer_moved(apply, before);
    r = apply_put(apply, FENCE_MAP_PREFIXES, key, &peer);
    return r < 0 ? r : remember_prefix(apply, key, peer);
}

static int add_prefixes(struct apply_run *run)
{
    for (size_t i = 0; i < run->plan->prefixes_count; i++) {
        const struct fence_plan_prefix *plan = &run->plan->prefixes[i];
        struct fence_prefix_key key = key_of(&plan->prefix);
        int r;

        if (find_prefix(run->apply, &key))
            continue;
        r = add_prefix(run->apply, &key, peer_of(run, plan->peer));
        if (r < 0)
            return r;
    }
    return 0;
}

static bool lacks_peer(const struct apply_run *run)
{
    for (size_t i = 0; i < run->plan->prefixes_count; i++)
        if (!run->peers[run->plan->prefixes[i].peer])
            return true;
    return false;
}

static int write_prefixes(struct apply_run *run)
{
    int r = lacks_peer(run) ? -E2BIG : move_prefixes(run);

    if (r == 0)
        r = remove_prefixes(run->apply);
    return r < 0 ? r : add_prefixes(run);
}

int apply_prefixes(struct apply_run *run)
{
    /* a block without a peer is the peers map's failure, which has been reported */
    enum fence_map map = lacks_peer(run) ? FENCE_MAP_PEERS : FENCE_MAP_PREFIXES;
    int failure = write_prefixes(run);
    int r = apply_peers_raise(run->apply);

    run->apply->prefixes_failed = failure < 0;
    run->closed = failure < 0 ? "not every address block could be written" : NULL;
    if (failure == 0 || r < 0)
        return r;
    r = apply_report_map(
        run, map, failure,
        "a Denylist might miss a block, so every endpoint with a policy is closed");
    return r < 0 || !run->has_flipped ? r : apply_endpoints(run);
}
