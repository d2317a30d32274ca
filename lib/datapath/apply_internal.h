/* SPDX-License-Identifier: Apache-2.0 */
/* What the apply_*.c files share. The theory is at the head of apply.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/hash.h"
#include "lib/datapath/apply.h"
#include "lib/datapath/index.h"

/* An entry of `identities`, `classes` or `rules`. */
struct apply_number {
    struct fence_hash content; /* what it stands for */
    struct fence_hash value;   /* what is written */
    __u32 number;
    __u32 references; /* things of the plan that have it */
    struct fence_index_node node;
};

struct apply_numbers {
    enum fence_map map;
    struct fence_index by_content;
    struct apply_number **by_index; /* of the plan; NULL = none */
    size_t index_count;
    unsigned char *used; /* by number */
    __u32 first;
    __u32 limit;
    __u32 cursor; /* numbers go round: a number is not used again soon */
};

struct apply_peer {
    struct fence_peer now; /* as in the map */
    __u32 references;      /* things of the plan that have it: one, or none */
    bool referenced;       /* sweep: in use, or addresses lead to it */
    struct fence_index_node node;
};

/* A run of intervals, shared by all entries of equal content. */
struct apply_table {
    struct fence_hash content;
    struct fence_interval *intervals;
    __u32 offset;
    __u32 count;
    size_t planned;    /* tables of the plan that it is */
    size_t references; /* entries of sets */
    struct fence_index_node by_offset;
    struct fence_index_node by_content; /* not in it: a second one of equal content */
};

struct apply_extent {
    __u32 offset;
    __u32 count;
};

/* One entry of `policies`; ordered by `where`. */
struct apply_entry {
    __u32 where; /* class << 1 | direction */
    struct apply_table *table;
};

struct apply_set {
    __u32 number;
    __u32 planned; /* sets of the plan that it is */
    struct fence_hash content;
    bool complete; /* has its entry in `sets`; the content is only then known */
    bool referenced;
    struct apply_entry *entries;
    size_t count;
    size_t capacity;
    struct fence_index_node by_number;
    struct fence_index_node by_content;
};

struct apply_prefix {
    struct fence_prefix_key key;
    __u32 peer;
    __u32 plan; /* serial of the last plan that had it */
    struct fence_index_node node;
};

struct fence_apply {
    const struct fence_pins *pins;
    struct fence_settings settings; /* as in the map */
    __u32 serial;                   /* of the last call; 0 = there was none */
    size_t writes;
    enum fence_map failed_map; /* that could not be written last */
    bool prefixes_failed;      /* everything is closed until all prefixes are written */
    struct apply_numbers identities;
    struct apply_numbers classes;
    struct apply_numbers rules;
    struct apply_peer *peers; /* by number */
    struct fence_index peers_by_content;
    __u32 peer_limit;
    __u32 peer_cursor;                    /* no number below it is free */
    __u32 *peers_by_index;                /* of the plan; 0 = none */
    size_t peer_index_count;              /* room in peers_by_index */
    struct apply_table **tables_by_index; /* of the plan; NULL = not asked for yet */
    size_t table_index_count;
    struct apply_set **sets_by_index; /* of the plan; NULL = could not be written: closed */
    size_t set_index_count;
    unsigned char *class_planned; /* by number: the plan has a class with it */
    struct fence_index tables;    /* by offset */
    struct fence_index tables_by_content;
    struct apply_extent *free_extents; /* of `intervals`, ordered */
    size_t extent_count;
    size_t extent_capacity;
    struct fence_index sets; /* by number */
    struct fence_index sets_by_content;
    struct fence_index prefixes;
};

/* One plan on its way into the maps. */
struct apply_run {
    struct fence_apply *apply;
    struct fence_plan *plan;
    struct fence_apply_report *report;
    bool fresh;           /* nothing of this plan has been applied yet */
    const char *closed;   /* why every endpoint with a policy is closed, NULL = is not */
    bool lacks_addresses; /* some could not be written */
    bool lacks_sets;      /* the same: every endpoint is to be looked at */
    bool swept;
    unsigned char *known_classes; /* fresh: that were there before, by number */
    __u64 failed_maps;            /* bits: reported once each */
};

static inline __u32 apply_number_of(const struct apply_numbers *numbers, __u32 index)
{
    return numbers->by_index[index] ? numbers->by_index[index]->number : 0;
}

/* ---- apply.c: writing and reporting ---- */

/* Kernel errors come back as they are; successful writes are counted. */
int apply_put(struct fence_apply *apply, enum fence_map map, const void *key, const void *value);
/* Many at once. `*count` of them, on failure how many of the first are in the map. */
int apply_put_all(struct fence_apply *apply, enum fence_map map, const void *keys,
                  const void *values, __u32 *count);
/* What is not there is fine. */
int apply_delete(struct fence_apply *apply, enum fence_map map, const void *key);
int apply_settings(struct fence_apply *apply, const struct fence_settings *settings);
struct fence_hash apply_hash(const struct fence_apply *apply, const void *data, size_t size);
struct fence_hash apply_hash_text(const struct fence_apply *apply, const char *text);

/* Only fail with -ENOMEM. */
__attribute__((format(printf, 3, 4))) int apply_report(struct apply_run *run, const char *subject,
                                                       const char *format, ...);
/* A write to `map` that failed with `code`, once a run; `consequence` ends the sentence. */
int apply_report_map(struct apply_run *run, enum fence_map map, int code, const char *consequence);

/* Room for `count` of them, new ones zeroed. -ENOMEM. */
int apply_grow(void **items, size_t *count, size_t wanted, size_t size);

/* ---- apply_numbers.c ---- */
int apply_numbers_load(struct fence_apply *apply);
void apply_numbers_done(struct apply_numbers *numbers);
int apply_identities(struct apply_run *run);
int apply_classes(struct apply_run *run);
int apply_rules(struct apply_run *run);
/* Nothing of a plan has a number any more. */
void apply_numbers_forget(struct apply_numbers *numbers);
/* Remove what is neither in the plan nor kept: `keep` is by number. */
int apply_numbers_sweep(struct fence_apply *apply, struct apply_numbers *numbers,
                        const unsigned char *keep);

/* ---- apply_peers.c ---- */
int apply_peers_load(struct fence_apply *apply);
int apply_peers(struct apply_run *run);
void apply_peers_forget(struct fence_apply *apply);
void apply_peers_done(struct fence_apply *apply);
int apply_peer_free(struct fence_apply *apply, __u32 peer);
/* The number that the map has for the content of the plan's peer: 1, 0 none, -ENOMEM. */
int apply_peer_of_content(const struct apply_run *run, __u32 index, __u32 *ret_number);
bool apply_peer_is_used(const struct fence_apply *apply, __u32 peer);

/* ---- apply_tables.c ---- */
/* All intervals of the map into a new array. */
int apply_intervals_read(struct fence_apply *apply, struct fence_interval **ret_intervals,
                         __u32 *ret_count);
/* A table that the map holds at this place. */
int apply_table_at(struct fence_apply *apply, const struct fence_policy_table *where,
                   const struct fence_interval *intervals, struct apply_table **ret_table);
/* What the known tables leave free. */
int apply_extents_load(struct fence_apply *apply, __u32 limit);
/* Forget those that the plan has no more. */
int apply_tables(struct apply_run *run);
/* The plan's table as it is in the map, written when new. -E2BIG: no room. */
int apply_table(struct apply_run *run, __u32 index, struct apply_table **ret_table);
void apply_tables_forget(struct fence_apply *apply);
/* Free tables that neither an entry nor the plan has. Waits for packets in flight. */
int apply_tables_sweep(struct fence_apply *apply);
void apply_tables_done(struct fence_apply *apply);
/* Until every packet that was under way has passed. */
void apply_grace(void);

/* ---- apply_sets.c ---- */
int apply_sets_load(struct fence_apply *apply);
int apply_sets(struct apply_run *run);
void apply_sets_forget(struct fence_apply *apply);
int apply_set_remove(struct fence_apply *apply, struct apply_set *set);
void apply_sets_done(struct fence_apply *apply);
struct apply_set *apply_set_by_number(struct fence_apply *apply, __u32 number);
struct apply_set *apply_set_by_content(const struct fence_apply *apply, struct fence_hash content);

/* ---- apply_entries.c ---- */
static inline __u32 apply_where(__u32 class, __u32 direction)
{
    return class << 1 | direction;
}
void apply_entries_sort(struct apply_entry *entries, size_t count);
/* What the set says of the class, its fallback when it does not list it; NULL: nothing at all. */
struct apply_table *apply_table_of(const struct apply_set *set, __u32 class, __u32 direction);
/* Those of `wanted` (sorted) that the set has not. On failure it has some of them more. */
int apply_entries_add(struct fence_apply *apply, struct apply_set *set,
                      const struct apply_entry *wanted, size_t count);
int apply_entries_remove(struct fence_apply *apply, struct apply_set *set);
/* Drop the set's entries for classes that are not kept: `keep` is by number. */
int apply_entries_forget_classes(struct fence_apply *apply, struct apply_set *set,
                                 const unsigned char *keep);

/* ---- apply_takeover.c ---- */
/* Before anything is written. */
int apply_takeover_begin(struct apply_run *run);
/* When the plan's sets are there, before anybody moves. */
int apply_takeover(struct apply_run *run);

/* ---- apply_endpoints.c ---- */
int apply_endpoints(struct apply_run *run);

/* ---- apply_addresses.c ---- */
int apply_addresses(struct apply_run *run);
/* A peer that got no number is pending: no rule allows it. */
__u32 apply_peer_number(const struct apply_run *run, __u32 index);

/* ---- apply_prefixes.c ---- */
int apply_prefixes_load(struct fence_apply *apply);
int apply_prefixes(struct apply_run *run);
void apply_prefixes_done(struct fence_apply *apply);

/* ---- apply_sweep.c ---- */
/* `err` may be NULL. Keeps all that the last plan, or the one on its way, has. */
int apply_sweep_policies(struct fence_apply *apply, struct fence_err *err);
