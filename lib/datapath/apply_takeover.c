/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step 2 for sets in force that the plan does not have: those of an earlier daemon, when the
 * policies changed while there was none. What they were made of is not known, but what they say
 * today is: a class that has come gets, in each of them, the table that everybody has there today
 * who is about to move to it. So 3 and 4 change no verdict, and 5 finds the new sets.
 *
 * Where those who move have different tables in a set (the rules now tell less apart), the class
 * gets none: until its endpoints flip, which is the same call, the set's fallback judges it. That
 * refuses lawful packets for a moment, and opens nothing.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/read.h"

/* Somebody of one class moves to another. */
struct move {
    __u32 to; /* has come */
    __u32 from;
};

#define RECENT 1024u /* a power of two */

struct moves {
    struct apply_run *run;
    const unsigned char *known; /* classes that were there before, by number */
    struct move *items;
    size_t count;
    size_t capacity;
    struct move recent[RECENT]; /* many addresses move alike */
};

static int add_move(struct moves *moves, __u32 plan_class, __u32 peer)
{
    const struct fence_apply *apply = moves->run->apply;
    struct move move = {.to = apply_number_of(&apply->classes, plan_class)};
    struct move *recent;

    if (!move.to || moves->known[move.to] || peer >= apply->peer_limit)
        return 0;
    move.from = apply->peers[peer].now.class;
    recent = &moves->recent[(move.to * 31 + move.from) & (RECENT - 1)];
    if (recent->to == move.to && recent->from == move.from)
        return 0;
    *recent = move;
    if (FENCE_GROW(moves->items, moves->capacity, moves->count) < 0)
        return -ENOMEM;
    moves->items[moves->count++] = move;
    return 0;
}

static __u32 class_of(const struct moves *moves, __u32 plan_peer)
{
    return moves->run->plan->peers[plan_peer].class;
}

static int add_peers(struct moves *moves)
{
    const struct fence_plan *plan = moves->run->plan;
    int r = 0;

    for (__u32 i = 0; r >= 0 && i < plan->peers_list.count; i++) {
        __u32 number = plan->peers[i].reserved;

        if (!plan->peers[i].item.live)
            continue;
        r = number ? 1 : apply_peer_of_content(moves->run, i, &number);
        if (r > 0)
            r = add_move(moves, plan->peers[i].class, number);
    }
    return r < 0 ? r : 0;
}

static int add_addresses(struct moves *moves)
{
    const struct fence_addresses *addresses = &moves->run->plan->addresses;
    const struct fence_address *entry;
    size_t position = 0;
    int r = 0;

    while (r == 0 && (entry = fence_addresses_next(addresses, &position))) {
        __u32 before = FENCE_PEER_PENDING;

        if (entry->peer == FENCE_ADDRESS_NONE)
            continue;
        r = fence_address_resolve(moves->run->apply->pins, &entry->addr, &before);
        if (r == 0)
            r = add_move(moves, class_of(moves, entry->peer), before);
    }
    return r;
}

/* An old block that goes leaves its addresses to one of those around it: count them all. */
static int add_old_prefixes(struct moves *moves)
{
    const struct fence_apply *apply = moves->run->apply;
    const struct fence_plan *plan = moves->run->plan;
    int r = 0;

    for (struct fence_index_node *node = apply->prefixes.head; node;
         node = fence_index_next(node)) {
        const struct apply_prefix *old = node->item;

        for (size_t i = 0; r == 0 && old->plan != apply->serial && i < plan->prefixes_count; i++)
            r = add_move(moves, class_of(moves, plan->prefixes[i].peer), old->peer);
    }
    return r;
}

static int add_prefixes(struct moves *moves)
{
    const struct fence_apply *apply = moves->run->apply;
    const struct fence_plan *plan = moves->run->plan;
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->prefixes_count; i++) {
        const struct fence_prefix *prefix = &plan->prefixes[i].prefix;
        const struct fence_prefix_key key = {.length = prefix->length, .addr = prefix->addr};
        struct apply_prefix *old = fence_index_find(&apply->prefixes, &key);
        __u32 before = FENCE_PEER_PENDING;

        if (old)
            old->plan = apply->serial;
        r = bpf_map_lookup_elem(apply->pins->maps[FENCE_MAP_PREFIXES], &key, &before);
        if (r == 0 || r == -ENOENT)
            r = add_move(moves, class_of(moves, plan->prefixes[i].peer), before);
    }
    return r == 0 ? add_old_prefixes(moves) : r;
}

static int compare_moves(const void *a, const void *b)
{
    const struct move *one = a, *other = b;

    if (one->to != other->to)
        return one->to < other->to ? -1 : 1;
    return one->from < other->from ? -1 : one->from > other->from;
}

static void sort_moves(struct moves *moves)
{
    size_t kept = 0;

    if (moves->count)
        qsort(moves->items, moves->count, sizeof(*moves->items), compare_moves);
    for (size_t i = 0; i < moves->count; i++)
        if (kept == 0 || compare_moves(&moves->items[i], &moves->items[kept - 1]) != 0)
            moves->items[kept++] = moves->items[i];
    moves->count = kept;
}

static int find_moves(struct moves *moves)
{
    int r = add_peers(moves);

    if (r == 0)
        r = add_addresses(moves);
    if (r == 0)
        r = add_prefixes(moves);
    sort_moves(moves);
    return r;
}

/* ---- sets ----------------------------------------------------------------------------------- */

struct wanted {
    struct apply_entry *items;
    size_t count;
    size_t capacity;
};

/* The table that all of the moves to one class have in the set; NULL: they differ. */
static struct apply_table *common_table(const struct apply_set *set, const struct move *moves,
                                        size_t count, __u32 direction)
{
    struct apply_table *table = apply_table_of(set, moves[0].from, direction);

    for (size_t i = 1; i < count; i++)
        if (apply_table_of(set, moves[i].from, direction) != table)
            return NULL;
    return table;
}

static int want(const struct apply_set *set, const struct move *moves, size_t count,
                struct wanted *wanted)
{
    for (__u32 direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct apply_table *table = common_table(set, moves, count, direction);

        if (!table || table == apply_table_of(set, FENCE_CLASS_ANY, direction))
            continue;
        if (FENCE_GROW(wanted->items, wanted->capacity, wanted->count) < 0)
            return -ENOMEM;
        wanted->items[wanted->count++] = (struct apply_entry){
            .where = apply_where(moves->to, direction),
            .table = table,
        };
    }
    return 0;
}

static int teach(const struct moves *moves, struct apply_set *set)
{
    struct wanted wanted = {0};
    size_t next;
    int r = 0;

    for (size_t i = 0; r == 0 && i < moves->count; i = next) {
        for (next = i; next < moves->count && moves->items[next].to == moves->items[i].to; next++)
            ;
        r = want(set, &moves->items[i], next - i, &wanted);
    }
    if (r == 0) {
        apply_entries_sort(wanted.items, wanted.count);
        r = apply_entries_add(moves->run->apply, set, wanted.items, wanted.count);
    }
    free(wanted.items);
    /* without room the class is judged by the fallback */
    return r == -ENOMEM ? r : 0;
}

static bool is_left_over(const struct apply_set *set)
{
    return set->complete && !set->planned;
}

static bool has_left_over(const struct fence_apply *apply)
{
    for (struct fence_index_node *node = apply->sets.head; node; node = fence_index_next(node))
        if (is_left_over(node->item))
            return true;
    return false;
}

int apply_takeover_begin(struct apply_run *run)
{
    const struct apply_numbers *classes = &run->apply->classes;

    if (!run->fresh)
        return 0;
    run->known_classes = malloc(classes->limit);
    if (!run->known_classes)
        return -ENOMEM;
    memcpy(run->known_classes, classes->used, classes->limit);
    return 0;
}

int apply_takeover(struct apply_run *run)
{
    FENCE_FREE struct moves *moves = NULL;
    int r;

    if (!run->fresh || !has_left_over(run->apply))
        return 0;
    moves = calloc(1, sizeof(*moves));
    if (!moves)
        return -ENOMEM;
    moves->run = run;
    moves->known = run->known_classes;
    r = find_moves(moves);
    for (struct fence_index_node *node = run->apply->sets.head; r == 0 && moves->count && node;
         node = fence_index_next(node))
        if (is_left_over(node->item))
            r = teach(moves, node->item);
    free(moves->items);
    return r;
}
