/* SPDX-License-Identifier: Apache-2.0 */
/* Step 4: prefixes, changed in place, then removed, then added. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/walk.h"

static struct apply_prefix *find_prefix(const struct fence_apply *apply,
                                        const struct fence_prefix_key *key)
{
    return fence_index_find(&apply->prefixes, key);
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

static int load_prefix(void *context, const void *key, const void *value)
{
    struct fence_prefix_key prefix;
    __u32 peer;

    memcpy(&prefix, key, sizeof(prefix));
    memcpy(&peer, value, sizeof(peer));
    return find_prefix(context, &prefix) ? 0 : remember_prefix(context, &prefix, peer);
}

int apply_prefixes_load(struct fence_apply *apply)
{
    return fence_map_walk(apply->pins->maps[FENCE_MAP_PREFIXES], load_prefix, apply);
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

void apply_prefixes_done(struct fence_apply *apply)
{
    free_items(&apply->prefixes);
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
        __u32 peer = apply_peer_number(run, plan->peer);
        int r;

        if (prefix)
            prefix->plan = apply->serial;
        if (!prefix || prefix->peer == peer)
            continue;
        r = apply_put(apply, FENCE_MAP_PREFIXES, &key, &peer);
        if (r < 0)
            return r;
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
        r = apply_delete(apply, FENCE_MAP_PREFIXES, &prefix->key);
        if (r < 0)
            return r;
        fence_index_remove(&apply->prefixes, node);
        free(prefix);
    }
    return 0;
}

static int add_prefix(struct fence_apply *apply, const struct fence_prefix_key *key, __u32 peer)
{
    int r = apply_put(apply, FENCE_MAP_PREFIXES, key, &peer);

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
        r = add_prefix(run->apply, &key, apply_peer_number(run, plan->peer));
        if (r < 0)
            return r;
    }
    return 0;
}

static bool lacks_peer(const struct apply_run *run)
{
    for (size_t i = 0; i < run->plan->prefixes_count; i++)
        if (!run->apply->peers_by_index[run->plan->prefixes[i].peer])
            return true;
    return false;
}

static int write_prefixes(struct apply_run *run)
{
    int r = lacks_peer(run) ? -E2BIG : move_prefixes(run);
    bool full;

    if (r < 0)
        return r;
    /* those that come first: an address goes from its old block to its new one at once */
    r = add_prefixes(run);
    full = r == -ENOSPC || r == -E2BIG;
    if (r == 0 || full)
        r = remove_prefixes(run->apply);
    return r == 0 && full ? add_prefixes(run) : r;
}

int apply_prefixes(struct apply_run *run)
{
    /* a block without a peer is the peers map's failure, which has been reported */
    enum fence_map map = lacks_peer(run) ? FENCE_MAP_PEERS : FENCE_MAP_PREFIXES;
    int failure;

    if (!run->plan->prefixes_touched && !run->apply->prefixes_failed)
        return 0;
    failure = write_prefixes(run);
    FENCE_FAILPOINT("apply.prefixes-done");
    run->apply->prefixes_failed = failure < 0;
    run->closed = failure < 0 ? "not every address block could be written" : NULL;
    if (failure == 0)
        return 0;
    return apply_report_map(
        run, map, failure,
        "a Denylist might miss a block, so every endpoint with a policy is closed");
}
