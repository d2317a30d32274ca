/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf/connection.h"
#include "bpf/pair.h"
#include "bpf/table.h"
#include "lib/base/memory.h"
#include "lib/datapath/walk.h"

/* A stamp in `opened` is younger than the entry that goes with it by as much at most. */
#define OPENED_SECONDS 60

__u32 fence_connections_share(__u32 bucket_count, size_t endpoint_count)
{
    size_t entries = (size_t)bucket_count * FENCE_BUCKET_WAYS;
    size_t share = 1;

    while (share * 2 * (endpoint_count + 1) <= entries)
        share *= 2;
    return (__u32)share;
}

static int map_array(const struct fence_pins *pins, enum fence_map map, void **ret_memory,
                     size_t *ret_count)
{
    struct fence_map_shape shape;
    int r = fence_map_shape(pins->maps[map], &shape);
    void *memory;

    if (r < 0)
        return r;
    memory = mmap(NULL, (size_t)shape.max_entries * shape.value_size, PROT_READ | PROT_WRITE,
                  MAP_SHARED, pins->maps[map], 0);
    if (memory == MAP_FAILED)
        return -errno;
    *ret_memory = memory;
    *ret_count = shape.max_entries;
    return 0;
}

/* Not those that the kernel counts in. Who gets the slot does not recover from what another lacked.
 */
static int set_slot(const struct fence_pins *pins, __u32 slot, __u32 ifindex, bool given)
{
    struct fence_usage *usage = NULL;
    size_t count = 0;
    int r = map_array(pins, FENCE_MAP_USAGE, (void **)&usage, &count);

    if (r < 0)
        return r;
    if (slot < count && given) {
        __atomic_store_n(&usage[slot].full_at, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&usage[slot].ifindex, ifindex, __ATOMIC_RELAXED);
    } else if (slot < count) {
        (void)__sync_bool_compare_and_swap(&usage[slot].ifindex, ifindex, 0);
    }
    munmap(usage, count * sizeof(*usage));
    return 0;
}

int fence_slot_give(const struct fence_pins *pins, __u32 slot, __u32 ifindex)
{
    return set_slot(pins, slot, ifindex, true);
}

int fence_slot_take(const struct fence_pins *pins, __u32 slot, __u32 ifindex)
{
    return set_slot(pins, slot, ifindex, false);
}

int fence_connections_open(const struct fence_pins *pins, struct fence_connection_table *ret_table,
                           struct fence_err *err)
{
    struct fence_connection_table table = {0};
    size_t opened_count;
    int r = map_array(pins, FENCE_MAP_CONNECTIONS, (void **)&table.buckets, &table.bucket_count);

    if (r == 0)
        r = map_array(pins, FENCE_MAP_USAGE, (void **)&table.usage, &table.slot_count);
    if (r == 0)
        r = map_array(pins, FENCE_MAP_OPENED, (void **)&table.opened, &opened_count);
    if (r < 0) {
        fence_connections_close(&table);
        return fence_err_set(err, r, "mapping the connection table at %s: %s", pins->root,
                             strerror(-r));
    }
    *ret_table = table;
    return 0;
}

void fence_connections_close(struct fence_connection_table *table)
{
    if (table->buckets)
        munmap(table->buckets, table->bucket_count * sizeof(*table->buckets));
    if (table->usage)
        munmap(table->usage, table->slot_count * sizeof(*table->usage));
    if (table->opened)
        munmap(table->opened, FENCE_MAX_OPENED * sizeof(*table->opened));
    *table = (struct fence_connection_table){0};
}

static bool is_live(__u64 state)
{
    return (state & (FENCE_CONN_LIVE | FENCE_CONN_BUSY)) == FENCE_CONN_LIVE;
}

/* A copy whose parts belong together; false when there is nothing, or it is just being written. */
static bool read_entry(const struct fence_connection *entry, struct fence_connection *ret_copy)
{
    __u64 state = __atomic_load_n(&entry->state, __ATOMIC_ACQUIRE);

    if (!is_live(state))
        return false;
    *ret_copy = *(const volatile struct fence_connection *)entry;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    ret_copy->state = state;
    return FENCE_STATE_SEQUENCE(__atomic_load_n(&entry->state, __ATOMIC_RELAXED)) ==
           FENCE_STATE_SEQUENCE(state);
}

int fence_connections_each(const struct fence_connection_table *table, fence_connection_visit visit,
                           void *context)
{
    struct fence_connection copy;

    for (size_t i = 0; i < table->bucket_count; i++) {
        for (size_t way = 0; way < FENCE_BUCKET_WAYS; way++) {
            int r = read_entry(&table->buckets[i].ways[way], &copy) ? visit(context, &copy) : 0;

            if (r != 0)
                return r;
        }
    }
    return 0;
}

/* 1: written. 0: somebody else's. */
static int add_to(const struct fence_connection_table *table, struct fence_connection *place,
                  const struct fence_connection *entry)
{
    __u64 state = __atomic_load_n(&place->state, __ATOMIC_ACQUIRE);
    __u16 sequence = (__u16)(FENCE_STATE_SEQUENCE(state) + 1);
    __u32 old_slot = place->slot;

    __u64 busy = FENCE_STATE(0, sequence, FENCE_CONN_BUSY | (state & FENCE_CONN_SPILLED));
    __u64 live = FENCE_STATE(FENCE_STATE_SEEN(entry->state), sequence,
                             (FENCE_STATE_FLAGS(entry->state) & ~FENCE_CONN_SPILLED) |
                                 FENCE_CONN_LIVE | (state & FENCE_CONN_SPILLED));

    if (!__atomic_compare_exchange_n(&place->state, &state, busy, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return 0;
    if (state & FENCE_CONN_LIVE && old_slot < table->slot_count)
        __atomic_fetch_sub(&table->usage[old_slot].connections, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&table->usage[entry->slot].connections, 1, __ATOMIC_RELAXED);
    memcpy(place, entry, offsetof(struct fence_connection, state));
    /* an addition, because a packet may set FENCE_CONN_SPILLED meanwhile (table.bpf.h) */
    __atomic_fetch_add(&place->state, live - busy, __ATOMIC_SEQ_CST);
    return 1;
}

/* Where an entry may be: every way of both its buckets. */
struct ways {
    struct fence_bucket *buckets[2];
};
#define WAYS_COUNT ((size_t)2 * FENCE_BUCKET_WAYS)

static struct ways ways_of(const struct fence_connection_table *table,
                           const struct fence_settings *settings,
                           const struct fence_connection *entry, const struct fence_addr *local)
{
    __u32 ends = fence_table_ends(local, &entry->remote, settings->hash_key);
    struct fence_connection_key key;
    __u64 hash;

    memcpy(&key, entry, sizeof(key));
    hash = fence_table_hash(&key, ends, settings->hash_key);
    return (struct ways){
        {&table->buckets[fence_table_first(hash, settings->bucket_mask)],
         &table->buckets[fence_table_second(hash, settings->bucket_mask)]},
    };
}

static struct fence_connection *way_of(const struct ways *ways, size_t i)
{
    return &ways->buckets[i / FENCE_BUCKET_WAYS]->ways[i % FENCE_BUCKET_WAYS];
}

int fence_connections_add(const struct fence_connection_table *table,
                          const struct fence_settings *settings,
                          const struct fence_connection *entry, const struct fence_addr *local,
                          __u64 now)
{
    struct ways ways;

    if (entry->slot >= table->slot_count)
        return -EINVAL;
    ways = ways_of(table, settings, entry, local);
    for (size_t i = 0; i < WAYS_COUNT; i++) {
        struct fence_connection *place = way_of(&ways, i);
        __u64 state = __atomic_load_n(&place->state, __ATOMIC_RELAXED);

        if (!(state & FENCE_CONN_BUSY) &&
            (!is_live(state) ||
             fence_connection_expired(place->protocol, state, now, settings->hz)) &&
            add_to(table, place, entry)) {
            if (i >= FENCE_BUCKET_WAYS)
                __atomic_fetch_or(&way_of(&ways, 0)->state, FENCE_CONN_SPILLED, __ATOMIC_SEQ_CST);
            return 0;
        }
    }
    return -ENOSPC;
}

/* What two that saw one connection know of it: `mine` says who opened it. */
static __u64 merge_states(__u64 mine, __u64 theirs)
{
    const __u64 way = FENCE_CONN_REPLIED | FENCE_CONN_ESTABLISHED | FENCE_CONN_FIN_OPENER |
                      FENCE_CONN_FIN_OTHER | FENCE_CONN_CLOSED | FENCE_CONN_FROM_HOST |
                      FENCE_CONN_TRANSLATED;
    __u64 flags = FENCE_STATE_FLAGS(mine) | FENCE_CONN_LIVE | (theirs & FENCE_CONN_SPILLED);
    __u32 seen = FENCE_STATE_SEEN(mine);

    /* what it says of the opener is the other's, if it took that for the opener */
    if (!((mine ^ theirs) & FENCE_CONN_INGRESS))
        flags |= theirs & way;
    if ((__s32)(FENCE_STATE_SEEN(theirs) - seen) > 0)
        seen = FENCE_STATE_SEEN(theirs);
    return FENCE_STATE(seen, FENCE_STATE_SEQUENCE(theirs), flags);
}

/* 1: the place has this connection, and says now what `entry` says. */
static int merge_into(struct fence_connection *place, const struct fence_connection *entry)
{
    struct fence_connection copy;
    __u64 state;

    while (read_entry(place, &copy) &&
           memcmp(&copy, entry, offsetof(struct fence_connection, state)) == 0) {
        state = copy.state;
        if (__atomic_compare_exchange_n(&place->state, &state, merge_states(entry->state, state),
                                        false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return 1;
    }
    return 0;
}

static int merge(const struct ways *ways, const struct fence_connection *entry)
{
    int found = 0;

    for (size_t i = 0; i < WAYS_COUNT; i++)
        found |= merge_into(way_of(ways, i), entry);
    return found;
}

int fence_connections_put(const struct fence_connection_table *table,
                          const struct fence_settings *settings,
                          const struct fence_connection *entry, const struct fence_addr *local,
                          __u64 now)
{
    struct ways ways = ways_of(table, settings, entry, local);
    int r;

    if (merge(&ways, entry))
        return 0;
    r = fence_connections_add(table, settings, entry, local, now);
    /* a packet may have been here in between: both then say the same */
    if (r == 0)
        (void)merge(&ways, entry);
    return r;
}

/* The entry that `copy` was read from, unless it has changed since. */
static void free_entry(const struct fence_connection_table *table, struct fence_connection *entry,
                       const struct fence_connection *copy)
{
    __u64 state = copy->state;
    __u64 freed = FENCE_STATE(0, FENCE_STATE_SEQUENCE(state) + 1, state & FENCE_CONN_SPILLED);

    if (__atomic_compare_exchange_n(&entry->state, &state, freed, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST) &&
        copy->slot < table->slot_count)
        __atomic_fetch_sub(&table->usage[copy->slot].connections, 1, __ATOMIC_RELAXED);
}

void fence_connections_keep(const struct fence_connection_table *table, __u32 slot,
                            fence_connection_test is_kept, const void *context)
{
    struct fence_connection copy;

    for (size_t i = 0; i < table->bucket_count; i++) {
        for (size_t way = 0; way < FENCE_BUCKET_WAYS; way++) {
            struct fence_connection *entry = &table->buckets[i].ways[way];

            /* a packet in flight may change the time of one: look again */
            while (entry->slot == slot && read_entry(entry, &copy) && copy.slot == slot &&
                   !is_kept(context, &copy))
                free_entry(table, entry, &copy);
        }
    }
}

void fence_connections_keep_many(const struct fence_connection_table *table, const __u8 *marked,
                                 fence_connection_test is_kept, const void *context)
{
    struct fence_connection copy;

    for (size_t i = 0; i < table->bucket_count; i++) {
        for (size_t way = 0; way < FENCE_BUCKET_WAYS; way++) {
            struct fence_connection *entry = &table->buckets[i].ways[way];

            while (read_entry(entry, &copy) && copy.slot < table->slot_count && marked[copy.slot] &&
                   !is_kept(context, &copy))
                free_entry(table, entry, &copy);
        }
    }
}

static bool is_nothing(const void *context, const struct fence_connection *entry)
{
    (void)context;
    (void)entry;
    return false;
}

void fence_connections_forget(const struct fence_connection_table *table, __u32 slot)
{
    fence_connections_keep(table, slot, is_nothing, NULL);
    if (slot < table->slot_count)
        __atomic_store_n(&table->usage[slot].connections, 0, __ATOMIC_RELAXED);
}

void fence_connections_sweep(const struct fence_connection_table *table,
                             const struct fence_connection_clock *clock)
{
    struct fence_connection copy;

    for (size_t i = 0; i < table->bucket_count; i++) {
        for (size_t way = 0; way < FENCE_BUCKET_WAYS; way++) {
            struct fence_connection *entry = &table->buckets[i].ways[way];

            if (read_entry(entry, &copy) &&
                fence_connection_expired(copy.protocol, copy.state, clock->now, clock->hz))
                free_entry(table, entry, &copy);
        }
    }
}

bool fence_connection_local(const struct fence_endpoint *endpoint,
                            const struct fence_connection *connection, struct fence_addr *ret_local)
{
    const __u8 *mac = endpoint->mac;
    unsigned int number = connection->local % FENCE_LOCAL_NUMBERS;

    if (number < FENCE_ENDPOINT_ADDRS && number < endpoint->addr_count) {
        *ret_local = endpoint->addrs[number];
        return true;
    }
    if (number != FENCE_LOCAL_LINK)
        return false;
    *ret_local = (struct fence_addr){.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1],
                                               mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}};
    return true;
}

/* ---- which pairs have a connection ---------------------------------------------------------- */

struct survey {
    const struct fence_endpoint_record **by_slot;
    size_t slot_count;
    const struct fence_settings *settings;
    unsigned char *alive; /* by index in `opened`: bits of directions */
};

static int survey_visit(void *context, const struct fence_connection *connection)
{
    struct survey *survey = context;
    const struct fence_endpoint_record *record =
        connection->slot < survey->slot_count ? survey->by_slot[connection->slot] : NULL;
    struct fence_addr local = {0};
    __u64 hash;

    if (!record)
        return 0;
    (void)fence_connection_local(&record->endpoint, connection, &local);
    hash =
        fence_pair_hash(record->ifindex, &local, &connection->remote, survey->settings->hash_key);
    survey->alive[fence_pair_opened(hash, survey->settings->hash_key)] |=
        connection->state & FENCE_CONN_INGRESS ? 1u << FENCE_INGRESS : 1u << FENCE_EGRESS;
    return 0;
}

static int forget_pairs(const struct fence_connection_table *table, const struct survey *survey,
                        __u64 now)
{
    int forgotten = 0;

    for (size_t i = 0; i < FENCE_MAX_OPENED; i++) {
        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
            __u32 *stamp = &table->opened[i].stamps[direction];
            __u32 seen = __atomic_load_n(stamp, __ATOMIC_RELAXED);

            if (seen && !(survey->alive[i] & 1u << direction) &&
                fence_jiffies_since(now, seen, survey->settings->hz) >
                    OPENED_SECONDS * survey->settings->hz)
                forgotten |= __atomic_compare_exchange_n(stamp, &seen, 0, false, __ATOMIC_SEQ_CST,
                                                         __ATOMIC_SEQ_CST);
        }
    }
    return forgotten;
}

int fence_connections_sweep_opened(const struct fence_connection_table *table,
                                   const struct fence_endpoint_list *endpoints,
                                   const struct fence_settings *settings, __u64 now)
{
    struct survey survey = {.slot_count = table->slot_count, .settings = settings};
    FENCE_FREE unsigned char *alive = calloc(FENCE_MAX_OPENED, 1);
    FENCE_FREE const struct fence_endpoint_record **by_slot =
        calloc(table->slot_count,
               sizeof(const struct fence_endpoint_record *)); // NOLINT(bugprone-sizeof-expression)

    if (!alive || !by_slot)
        return -ENOMEM;
    for (size_t i = 0; i < endpoints->count; i++)
        if (endpoints->items[i].endpoint.slot < table->slot_count)
            by_slot[endpoints->items[i].endpoint.slot] = &endpoints->items[i];
    survey.by_slot = by_slot;
    survey.alive = alive;
    (void)fence_connections_each(table, survey_visit, &survey);
    return forget_pairs(table, &survey, now);
}
