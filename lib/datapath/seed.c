/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of conntrack's tuples the endpoint's filters see. What a pod sends is seen before it is
 * translated: the original tuple, whose destination may be a ClusterIP. What it gets is seen after
 * that: the reply tuple turned round, whose source may be an address of this node. So a connection
 * belongs to a pod that is the source of either tuple, and which one says who opened it.
 */
#include "lib/datapath/seed.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/connection.h"
#include "bpf/pair.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/datapath/epochs.h"

struct fence_seed_place {
    struct fence_addr addr;
    struct fence_seed_owner *owner;
    __u8 local; /* enum fence_local_number */
};

static int compare_addrs(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct fence_addr));
}

int fence_seed_view_index(struct fence_seed_view *view)
{
    struct fence_seed_place *places =
        calloc(view->owner_count + 1, FENCE_ENDPOINT_ADDRS * sizeof(*places));
    size_t count = 0;

    if (!places)
        return -ENOMEM;
    for (size_t i = 0; i < view->owner_count; i++)
        for (__u8 n = 0; n < view->owners[i].addr_count && n < FENCE_ENDPOINT_ADDRS; n++)
            places[count++] = (struct fence_seed_place){
                .addr = view->owners[i].addrs[n], .owner = &view->owners[i], .local = n};
    /* an address comes first in its place */
    qsort(places, count, sizeof(*places), compare_addrs);
    view->places = places;
    view->place_count = count;
    return 0;
}

/* ---- what an entry is ----------------------------------------------------------------------- */

/* 127/8 and ::1 too, which are in no list: a node's process may come from there by a NodePort. */
static bool is_host(const struct fence_seed_view *view, const struct fence_addr *addr)
{
    static const struct fence_addr loopback6 = {.bytes = {[15] = 1}};

    if ((fence_addr_is_ipv4(addr) && addr->bytes[12] == 127) || fence_addr_equal(addr, &loopback6))
        return true;
    return view->host_count &&
           bsearch(addr, view->hosts, view->host_count, sizeof(*addr), compare_addrs);
}

/* Not in a zone of its own, where it may be another connection than the one that pods see; not on
 * its way out. */
static bool is_seed(const struct fence_conntrack_entry *entry)
{
    if (entry->zone || entry->status & (IPS_DYING | IPS_TEMPLATE))
        return false;
    return entry->protocol != IPPROTO_TCP ||
           (entry->tcp_state != TCP_CONNTRACK_TIME_WAIT && entry->tcp_state != TCP_CONNTRACK_CLOSE);
}

static __u16 tcp_flags_of(const struct fence_conntrack_entry *entry)
{
    __u16 flags = 0;

    if (entry->tcp_state >= TCP_CONNTRACK_ESTABLISHED && entry->tcp_state <= TCP_CONNTRACK_LAST_ACK)
        flags |= FENCE_CONN_ESTABLISHED;
    /* the side that ended it first; LAST_ACK: the other has, too */
    if (entry->tcp_flags[FENCE_CONNTRACK_ORIGINAL] & IP_CT_TCP_FLAG_CLOSE_INIT)
        flags |= FENCE_CONN_FIN_OPENER;
    if (entry->tcp_flags[FENCE_CONNTRACK_REPLY] & IP_CT_TCP_FLAG_CLOSE_INIT)
        flags |= FENCE_CONN_FIN_OTHER;
    if (entry->tcp_state == TCP_CONNTRACK_LAST_ACK)
        flags |= FENCE_CONN_FIN_OPENER | FENCE_CONN_FIN_OTHER | FENCE_CONN_CLOSED;
    return flags;
}

static __u16 flags_of(const struct fence_conntrack_entry *entry)
{
    if (!(entry->status & IPS_SEEN_REPLY))
        return FENCE_CONN_LIVE;
    return FENCE_CONN_LIVE | FENCE_CONN_REPLIED |
           (entry->protocol == IPPROTO_TCP ? tcp_flags_of(entry) : FENCE_CONN_ESTABLISHED);
}

/*
 * When the last packet came. It matters where there is no handshake: a flow that is over must not
 * live on, and after a cut it is told from a new one by its time. TCP stays as long as it can:
 * conntrack keeps it for days, and a seed that is too old would be none.
 */
static __u32 seen_of(const struct fence_seed_view *view, const struct fence_conntrack_entry *entry)
{
    __u32 full = entry->status & IPS_ASSURED ? view->udp_established : view->udp_seconds;

    if (entry->protocol != IPPROTO_UDP || entry->timeout >= full)
        return (__u32)view->now;
    return (__u32)view->now - (full - entry->timeout) * view->hz;
}

/* Half of its share at most for what nobody has answered: a flood is no reason to lose the rest. */
static bool has_room(const struct fence_seed_view *view, const struct fence_seed_owner *owner,
                     __u16 flags)
{
    return owner->count < (flags & FENCE_CONN_REPLIED ? view->share : view->share / 2);
}

static int add_seed(struct fence_seed_list *list, const struct fence_seed *seed,
                    struct fence_seed_owner *owner)
{
    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return -ENOMEM;
    list->items[list->count++] = *seed;
    owner->count++;
    return 0;
}

/* Who opened it, where the pod sees an address of this node. */
static __u16 true_source(const struct fence_seed_view *view,
                         const struct fence_conntrack_entry *entry, struct fence_seed *seed)
{
    const struct fence_addr *opener = &entry->tuples[FENCE_CONNTRACK_ORIGINAL].source;

    if (is_host(view, opener))
        return FENCE_CONN_FROM_HOST;
    if (fence_addr_equal(opener, &seed->connection.remote) ||
        !is_host(view, &seed->connection.remote))
        return 0;
    seed->origin = *opener;
    return FENCE_CONN_TRANSLATED;
}

/* The ports as connection_key of bpf/connection.bpf.h has them. */
static void take_ports(const struct fence_conntrack_entry *entry, enum fence_conntrack_way way,
                       struct fence_connection *connection)
{
    const struct fence_conntrack_tuple *tuple = &entry->tuples[way];

    switch (entry->protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
        connection->local_port = tuple->source_port;
        connection->remote_port = tuple->destination_port;
        break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        connection->local_port = tuple->source_port;
        /* the request's type in both ways */
        connection->remote_port = entry->tuples[FENCE_CONNTRACK_ORIGINAL].destination_port;
        if (way == FENCE_CONNTRACK_REPLY)
            connection->local |= FENCE_LOCAL_ASKED;
        break;
    default:
        break;
    }
}

/* The entry as it is at the pod that this tuple comes from, if it is one of the owners. */
static int take_way(struct fence_seed_list *list, const struct fence_seed_view *view,
                    const struct fence_conntrack_entry *entry, enum fence_conntrack_way way)
{
    const struct fence_conntrack_tuple *tuple = &entry->tuples[way];
    const struct fence_seed_place *place =
        bsearch(&tuple->source, view->places, view->place_count, sizeof(*place), compare_addrs);
    __u16 flags = flags_of(entry);
    struct fence_seed seed;

    if (!place || !has_room(view, place->owner, flags))
        return 0;
    seed = (struct fence_seed){
        .connection = {.remote = tuple->destination,
                       .slot = place->owner->slot,
                       .protocol = entry->protocol,
                       .local = place->local},
        .local = place->addr,
        .ifindex = place->owner->ifindex,
    };
    take_ports(entry, way, &seed.connection);
    if (way == FENCE_CONNTRACK_REPLY)
        flags |= FENCE_CONN_INGRESS | true_source(view, entry, &seed);
    seed.connection.state = FENCE_STATE(seen_of(view, entry), 0, flags);
    return add_seed(list, &seed, place->owner);
}

int fence_seeds_take(struct fence_seed_list *list, struct fence_seed_view *view,
                     const struct fence_conntrack_entry *entry)
{
    int r;

    if (!view->place_count || !is_seed(entry))
        return 0;
    r = take_way(list, view, entry, FENCE_CONNTRACK_ORIGINAL);
    return r < 0 ? r : take_way(list, view, entry, FENCE_CONNTRACK_REPLY);
}

/* ---- into the table ------------------------------------------------------------------------- */

/* By the key, which an entry begins with. */
static int compare_seeds(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct fence_connection_key));
}

void fence_seeds_sort(struct fence_seed_list *list)
{
    if (list->count)
        qsort(list->items, list->count, sizeof(*list->items), compare_seeds);
}

void fence_seeds_done(struct fence_seed_list *list)
{
    free(list->items);
    *list = (struct fence_seed_list){0};
}

/* As connection_note of bpf/connection.bpf.h: with the pair that policy is asked about. */
static void note_pair(const struct fence_seed *seed, const struct fence_connection_table *table,
                      const struct fence_settings *settings, __u64 now)
{
    const __u64 state = seed->connection.state;
    const struct fence_addr *remote =
        state & FENCE_CONN_TRANSLATED ? &seed->origin : &seed->connection.remote;
    __u64 hash = fence_pair_hash(seed->ifindex, &seed->local, remote, settings->hash_key);
    struct fence_opened *pair = &table->opened[fence_pair_opened(hash, settings->hash_key)];

    __atomic_store_n(&pair->stamps[state & FENCE_CONN_INGRESS ? FENCE_INGRESS : FENCE_EGRESS],
                     (__u32)now | 1, __ATOMIC_SEQ_CST);
}

/* What a packet finds by an entry is there before the entry. */
static int write_seed(const struct fence_seed *seed, const struct fence_pins *pins,
                      const struct fence_connection_table *table,
                      const struct fence_settings *settings, __u64 now)
{
    note_pair(seed, table, settings, now);
    if (seed->connection.state & FENCE_CONN_TRANSLATED &&
        bpf_map_update_elem(pins->maps[FENCE_MAP_ORIGINS], &seed->connection, &seed->origin,
                            BPF_ANY) < 0)
        return -ENOSPC;
    return fence_connections_put(table, settings, &seed->connection, &seed->local, now);
}

size_t fence_seeds_write(const struct fence_seed_list *list, const struct fence_pins *pins,
                         const struct fence_connection_table *table,
                         const struct fence_settings *settings, __u64 now)
{
    size_t left = 0;

    for (size_t i = 0; i < list->count; i++)
        left += write_seed(&list->items[i], pins, table, settings, now) < 0;
    /* CPUs keep what `opened` says */
    fence_epoch_raise(pins);
    return left;
}

static bool is_in_list(const void *context, const struct fence_connection *entry)
{
    const struct fence_seed_list *list = context;

    return list->count &&
           bsearch(entry, list->items, list->count, sizeof(*list->items), compare_seeds);
}

struct settlement {
    const struct fence_seed_list *list;
    const __u8 *fates;
};

static bool is_settled(const void *context, const struct fence_connection *entry)
{
    const struct settlement *settlement = context;

    return settlement->fates[entry->slot] == FENCE_SEED_KEEP && is_in_list(settlement->list, entry);
}

void fence_seeds_settle(const struct fence_seed_list *list,
                        const struct fence_connection_table *table, const __u8 *fates)
{
    const struct settlement settlement = {list, fates};

    fence_connections_keep_many(table, fates, is_settled, &settlement);
    for (size_t slot = 0; slot < table->slot_count; slot++)
        if (fates[slot] == FENCE_SEED_FORGET)
            __atomic_store_n(&table->usage[slot].connections, 0, __ATOMIC_RELAXED);
}

void fence_seeds_keep(const struct fence_seed_list *list,
                      const struct fence_connection_table *table, __u32 slot)
{
    fence_connections_keep(table, slot, is_in_list, list);
}
