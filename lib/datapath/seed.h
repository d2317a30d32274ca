/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that a pod had before its filters: what the kernel's connection tracking knows of
 * them, as entries of our own table.
 */
#pragma once

#include "lib/datapath/connections.h"
#include "lib/net/conntrack.h"

/* An endpoint to be seeded. */
struct fence_seed_owner {
    __u32 ifindex;
    __u32 count; /* of its seeds; the rest is the caller's */
    __u64 created_ns;
    __u16 slot;
    __u16 addr_count;
    struct fence_addr addrs[FENCE_ENDPOINT_ADDRS];
};

struct fence_seed {
    struct fence_connection connection; /* with time and flags */
    struct fence_addr local;            /* the pod's own address */
    struct fence_addr origin;           /* with FENCE_CONN_TRANSLATED: who opened it */
    __u32 ifindex;
};

/* Zeroed = empty. */
struct fence_seed_list {
    struct fence_seed *items;
    size_t count;
    size_t capacity;
};

struct fence_seed_place;

/* What it takes to understand an entry of the kernel's. */
struct fence_seed_view {
    struct fence_seed_owner *owners;
    size_t owner_count;
    struct fence_seed_place *places; /* by address: fence_seed_view_index makes them */
    size_t place_count;
    const struct fence_addr *hosts; /* this node's addresses, sorted */
    size_t host_count;
    __u32 hz;
    __u32 share;           /* seeds that each owner may have */
    __u32 udp_seconds;     /* what conntrack gives a UDP flow after a packet; 0 = not known */
    __u32 udp_established; /* the same when both have spoken for a while */
    __u64 now;             /* jiffies */
};

/* -ENOMEM. `places` is the caller's to free. */
int fence_seed_view_index(struct fence_seed_view *view);

/*
 * Add what the entry is at its owners: nothing, one seed, or two where both ends are owners.
 * -ENOMEM.
 */
int fence_seeds_take(struct fence_seed_list *list, struct fence_seed_view *view,
                     const struct fence_conntrack_entry *entry);

/* To be called once, after the last: what follows needs them in order. */
void fence_seeds_sort(struct fence_seed_list *list);
void fence_seeds_done(struct fence_seed_list *list);

/*
 * Write them. An entry that the kernel has made of the same connection meanwhile keeps what it
 * knows better, its time and flags, and gets the opener. Returns how many found no place.
 */
size_t fence_seeds_write(const struct fence_seed_list *list, const struct fence_pins *pins,
                         const struct fence_connection_table *table,
                         const struct fence_settings *settings, __u64 now);

/* What becomes of a slot's entries. */
enum fence_seed_fate {
    FENCE_SEED_LEAVE, /* nothing */
    FENCE_SEED_KEEP,  /* those that are no seed are freed */
    FENCE_SEED_FORGET /* all are freed */
};
/* In one pass over the table: `fates`, of slot_count, by slot. */
void fence_seeds_settle(const struct fence_seed_list *list,
                        const struct fence_connection_table *table, const __u8 *fates);

/* Free all entries of the slot that are no seed. */
void fence_seeds_keep(const struct fence_seed_list *list,
                      const struct fence_connection_table *table, __u32 slot);
