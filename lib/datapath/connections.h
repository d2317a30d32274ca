/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection table in shared memory (bpf/table.bpf.h). The kernel writes it; user space reads
 * it, and frees entries by compare-and-swap, so never one that a packet has just brought back to
 * life.
 */
#pragma once

#include <stddef.h>

#include "lib/datapath/endpoints.h"
#include "lib/datapath/pins.h"

struct fence_connection_table {
    struct fence_bucket *buckets;
    size_t bucket_count;
    struct fence_usage *usage; /* by slot */
    size_t slot_count;
    struct fence_opened *opened;
};

/* usage[slot].ifindex, by which the slot that a packet's mark has leads to its endpoint; taken only
 * from the one that has it. */
int fence_slot_give(const struct fence_pins *pins, __u32 slot, __u32 ifindex);
int fence_slot_take(const struct fence_pins *pins, __u32 slot, __u32 ifindex);

#define FENCE_USUAL_ENDPOINTS 110

/* Entries that each of so many endpoints may have before it gives way: a power of two. */
__u32 fence_connections_share(__u32 bucket_count, size_t endpoint_count);

/* -errno. fence_connections_close gives it back. */
int fence_connections_open(const struct fence_pins *pins, struct fence_connection_table *ret_table,
                           struct fence_err *err);
void fence_connections_close(struct fence_connection_table *table);

/* Visit a copy of every live entry, expired ones too; stops when `visit` returns non-zero and
 * returns that. */
typedef int (*fence_connection_visit)(void *context, const struct fence_connection *connection);
int fence_connections_each(const struct fence_connection_table *table, fence_connection_visit visit,
                           void *context);

/*
 * An entry from outside the kernel: key and flags of `entry`, LIVE is added; `local` is the
 * address that entry->local stands for. Takes a free or expired place only: -ENOSPC when there is
 * none.
 */
int fence_connections_add(const struct fence_connection_table *table,
                          const struct fence_settings *settings,
                          const struct fence_connection *entry, const struct fence_addr *local,
                          __u64 now);

/*
 * The same where a packet may have made one of this key: that one gets the direction of `entry` and
 * all of its flags besides those that it has, and the later time.
 */
int fence_connections_put(const struct fence_connection_table *table,
                          const struct fence_settings *settings,
                          const struct fence_connection *entry, const struct fence_addr *local,
                          __u64 now);

/* Free all entries of the endpoint with this slot, which has none afterwards. */
void fence_connections_forget(const struct fence_connection_table *table, __u32 slot);
/* Those alone for which `is_kept` does not hold. */
typedef bool (*fence_connection_test)(const void *context, const struct fence_connection *entry);
void fence_connections_keep(const struct fence_connection_table *table, __u32 slot,
                            fence_connection_test is_kept, const void *context);
/* The same for many at once, in one pass: `marked`, of slot_count, says which slots. */
void fence_connections_keep_many(const struct fence_connection_table *table, const __u8 *marked,
                                 fence_connection_test is_kept, const void *context);

struct fence_connection_clock {
    __u64 now; /* jiffies */
    __u32 hz;
};
/* Free what has expired. */
void fence_connections_sweep(const struct fence_connection_table *table,
                             const struct fence_connection_clock *clock);
/* Forget pairs of addresses that have no connection any more (struct fence_opened). 1: some were
 * forgotten, which CPUs learn with the next epoch; or -ENOMEM. */
int fence_connections_sweep_opened(const struct fence_connection_table *table,
                                   const struct fence_endpoint_list *endpoints,
                                   const struct fence_settings *settings, __u64 now);

/* The pod's own address of an entry; false when it is none of the endpoint's. */
bool fence_connection_local(const struct fence_endpoint *endpoint,
                            const struct fence_connection *connection,
                            struct fence_addr *ret_local);
