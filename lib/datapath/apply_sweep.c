/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody needs any more. Everything here may be left undone at any point. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/read.h"

/* What has expired, and what is remembered of pairs that have no connection any more. */
static int sweep_connections(struct fence_apply *apply, struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list endpoints = {0};
    FENCE_CLEANUP(fence_connections_close) struct fence_connection_table table = {0};
    struct fence_connection_clock clock = {.hz = apply->settings.hz};
    int r = fence_connections_open(apply->pins, &table, err);

    if (r == 0)
        r = fence_endpoints_list(apply->pins, &endpoints, err);
    if (r < 0)
        return r;
    r = fence_jiffies(apply->pins, &clock.now);
    if (r < 0)
        return fence_err_set(err, r, "reading the clock: %s", strerror(-r));
    fence_connections_sweep(&table, &clock);
    r = fence_connections_sweep_opened(&table, &endpoints, &apply->settings, clock.now);
    if (r > 0)
        fence_epoch_raise(apply->pins);
    return r < 0 ? fence_err_set(err, r, "out of memory") : 0;
}

static void refer(struct fence_apply *apply, __u32 number)
{
    struct apply_set *set = number ? apply_set_by_number(apply, number) : NULL;

    if (set)
        set->referenced = true;
}

static void refer_sets(struct fence_apply *apply, const struct fence_endpoint_list *endpoints)
{
    for (struct fence_index_node *node = apply->sets.head; node; node = fence_index_next(node)) {
        struct apply_set *set = node->item;

        set->referenced = set->planned && set->complete;
    }
    for (size_t i = 0; i < endpoints->count; i++) {
        const struct fence_endpoint *endpoint = &endpoints->items[i].endpoint;

        refer(apply, endpoint->set);
        for (size_t j = 0; j < FENCE_NEXT_SETS; j++)
            refer(apply, endpoint->next[j].set);
    }
}

static int sweep_sets(struct fence_apply *apply, const struct fence_endpoint_list *endpoints)
{
    struct fence_index_node *next;
    int r = 0;

    refer_sets(apply, endpoints);
    for (struct fence_index_node *node = apply->sets.head; node; node = next) {
        struct apply_set *set = node->item;

        next = fence_index_next(node);
        if (!set->referenced)
            r = apply_set_remove(apply, set);
        if (r < 0)
            return r;
    }
    return 0;
}

static void refer_peer(struct fence_apply *apply, __u32 peer)
{
    if (peer < apply->peer_limit)
        apply->peers[peer].referenced = true;
}

static void refer_peers(struct fence_apply *apply)
{
    for (__u32 i = 0; i < apply->peer_limit; i++)
        apply->peers[i].referenced = i < FENCE_PEER_FIRST || apply->peers[i].references;
    for (struct fence_index_node *node = apply->prefixes.head; node; node = fence_index_next(node))
        refer_peer(apply, ((const struct apply_prefix *)node->item)->peer);
}

static int sweep_peers(struct fence_apply *apply)
{
    int r = 0;

    refer_peers(apply);
    for (__u32 i = 0; i < apply->peer_limit && r == 0; i++)
        if (!apply->peers[i].referenced && apply_peer_is_used(apply, i))
            r = apply_peer_free(apply, i);
    return r;
}

/* Entries first: a number that is free may be given to another class. */
static int sweep_classes(struct fence_apply *apply)
{
    unsigned char *keep = calloc(apply->classes.limit, 1);
    int r = 0;

    if (!keep)
        return -ENOMEM;
    keep[FENCE_CLASS_ANY] = 1;
    for (__u32 i = 0; i < apply->peer_limit; i++)
        if (apply->peers[i].now.class < apply->classes.limit)
            keep[apply->peers[i].now.class] = 1;
    for (size_t i = 0; i < apply->classes.index_count; i++)
        if (apply->classes.by_index[i])
            keep[apply->classes.by_index[i]->number] = 1;
    for (struct fence_index_node *node = apply->sets.head; node && r == 0;
         node = fence_index_next(node))
        r = apply_entries_forget_classes(apply, node->item, keep);
    if (r == 0)
        r = apply_numbers_sweep(apply, &apply->classes, keep);
    free(keep);
    return r;
}

static int sweep_identities(struct fence_apply *apply, const struct fence_endpoint_list *endpoints)
{
    unsigned char *keep = calloc(apply->identities.limit, 1);
    int r;

    if (!keep)
        return -ENOMEM;
    for (__u32 i = 0; i < apply->peer_limit; i++)
        if (apply->peers[i].now.identity < apply->identities.limit)
            keep[apply->peers[i].now.identity] = 1;
    for (size_t i = 0; i < endpoints->count; i++)
        if (endpoints->items[i].endpoint.identity < apply->identities.limit)
            keep[endpoints->items[i].endpoint.identity] = 1;
    r = apply_numbers_sweep(apply, &apply->identities, keep);
    free(keep);
    return r;
}

static void keep_rule(const struct fence_apply *apply, unsigned char *keep, __u32 rule)
{
    if (rule < apply->rules.limit)
        keep[rule] = 1;
}

static int sweep_rules(struct fence_apply *apply)
{
    unsigned char *keep = calloc(apply->rules.limit, 1);
    int r;

    if (!keep)
        return -ENOMEM;
    for (struct fence_index_node *node = apply->tables.head; node; node = fence_index_next(node)) {
        const struct apply_table *table = node->item;

        for (__u32 i = 0; i < table->count; i++) {
            keep_rule(apply, keep, table->intervals[i].rule);
            keep_rule(apply, keep, table->intervals[i].shadow_rule);
        }
    }
    r = apply_numbers_sweep(apply, &apply->rules, keep);
    free(keep);
    return r;
}

int apply_sweep_policies(struct fence_apply *apply, struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list endpoints = {0};
    int r = fence_endpoints_list(apply->pins, &endpoints, err);

    if (r < 0)
        return r;
    r = sweep_sets(apply, &endpoints);
    if (r == 0)
        r = sweep_peers(apply);
    if (r == 0)
        r = sweep_classes(apply);
    if (r == 0)
        r = apply_tables_sweep(apply);
    if (r == 0)
        r = sweep_identities(apply, &endpoints);
    if (r == 0)
        r = sweep_rules(apply);
    return r < 0 ? fence_err_set(err, r, "sweeping the policy maps: %s", strerror(-r)) : 0;
}

int fence_apply_sweep(struct fence_apply *apply, struct fence_err *err)
{
    int r = fence_settings_read(apply->pins, &apply->settings);

    if (r < 0)
        return fence_err_set(err, r, "settings map: %s", strerror(-r));
    r = sweep_connections(apply, err);
    if (r < 0)
        return fence_err_prefix(err, r, "sweeping the connections");
    /* before the first plan nobody can tell what is needed */
    return apply->serial ? apply_sweep_policies(apply, err) : 0;
}
