/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks nest: of any two, one holds the other or they are disjoint. So the most specific block of
 * an address tells for every block whether it holds the address, and is all that a peer has to
 * know of where it is.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

struct fence_prefix fence_whole_prefix(const struct fence_addr *addr)
{
    static const struct fence_prefix whole4 = {
        .addr = {.bytes = {[10] = 0xff, [11] = 0xff}},
        .length = 96,
    };
    static const struct fence_prefix whole6;

    return fence_addr_is_ipv4(addr) ? whole4 : whole6;
}

static int add(struct fence_blocks *blocks, const struct fence_prefix *prefix)
{
    if (FENCE_GROW(blocks->items, blocks->capacity, blocks->count) < 0)
        return -ENOMEM;
    blocks->items[blocks->count++] =
        (struct fence_block_node){.prefix = *prefix, .parent = FENCE_PLAN_NONE};
    return 0;
}

static int add_peer(struct fence_blocks *blocks, const struct fence_peer_spec *peer)
{
    int r = 0;

    if (!peer->block)
        return 0;
    r = add(blocks, &peer->block->cidr);
    for (size_t i = 0; r == 0 && i < peer->block->except_count; i++)
        r = add(blocks, &peer->block->except[i]);
    return r;
}

static int add_policy(struct fence_blocks *blocks, const struct fence_policy *policy,
                      enum fence_direction direction)
{
    int r = 0;

    for (size_t i = 0; policy->applies[direction] && i < policy->rule_count[direction]; i++) {
        const struct fence_rule *rule = &policy->rules[direction][i];

        for (size_t j = 0; r == 0 && j < rule->peer_count; j++)
            r = add_peer(blocks, &rule->peers[j]);
    }
    return r;
}

/* IPv4 first: a block and those inside it then stand side by side. */
static int compare_prefixes(const struct fence_prefix *a, const struct fence_prefix *b)
{
    int family = (int)fence_prefix_is_ipv4(b) - (int)fence_prefix_is_ipv4(a);

    return family ? family : fence_prefix_compare(a, b);
}

static int compare(const void *a, const void *b)
{
    const struct fence_block_node *left = a;
    const struct fence_block_node *right = b;

    return compare_prefixes(&left->prefix, &right->prefix);
}

/* Sort, drop what is there twice, and link each block to the one around it. */
static void arrange(struct fence_blocks *blocks)
{
    size_t kept = 0;

    if (!blocks->count)
        return;
    qsort(blocks->items, blocks->count, sizeof(blocks->items[0]), compare);
    for (size_t i = 0; i < blocks->count; i++) {
        uint32_t parent = kept ? (uint32_t)(kept - 1) : FENCE_PLAN_NONE;

        if (kept && compare(&blocks->items[kept - 1], &blocks->items[i]) == 0)
            continue;
        while (parent != FENCE_PLAN_NONE &&
               !fence_prefix_covers(&blocks->items[parent].prefix, &blocks->items[i].prefix))
            parent = blocks->items[parent].parent;
        blocks->items[kept] = blocks->items[i];
        blocks->items[kept++].parent = parent;
    }
    blocks->count = kept;
}

uint32_t fence_blocks_find(const struct fence_blocks *blocks, const struct fence_prefix *prefix)
{
    size_t low = 0;
    size_t high = blocks->count;
    uint32_t found;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_prefixes(&blocks->items[middle].prefix, prefix) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    found = low ? (uint32_t)(low - 1) : FENCE_PLAN_NONE;
    while (found != FENCE_PLAN_NONE && !fence_prefix_covers(&blocks->items[found].prefix, prefix))
        found = blocks->items[found].parent;
    return found;
}

static int add_unknowns(struct fence_compile_state *state)
{
    struct fence_object_range nodes = fence_world_kind(state->world, FENCE_OBJECT_NODE);
    int r = 0;

    for (size_t i = 0; i < nodes.count; i++) {
        const struct fence_node *node = &nodes.items[i]->node;

        for (size_t j = 0; r == 0 && j < node->pod_prefix_count; j++)
            r = add(&state->unknowns, &node->pod_prefixes[j]);
    }
    return r;
}

int fence_blocks_make(struct fence_compile_state *state)
{
    static const struct fence_addr any4 = {.bytes = {[10] = 0xff, [11] = 0xff}};
    static const struct fence_addr any6;
    struct fence_prefix whole4 = fence_whole_prefix(&any4);
    struct fence_prefix whole6 = fence_whole_prefix(&any6);
    int r = add(&state->blocks, &whole4);

    if (r == 0)
        r = add(&state->blocks, &whole6);
    for (size_t i = 0; i < state->policy_count; i++) {
        const struct fence_book_policy *policy = &state->policies[i];

        for (int direction = 0; r == 0 && policy->in_use && direction < FENCE_DIRECTIONS;
             direction++)
            r = add_policy(&state->blocks, &policy->object->policy, direction);
    }
    if (r == 0)
        r = add_unknowns(state);
    if (r < 0)
        return fence_out_of_memory(state->err);
    arrange(&state->blocks);
    arrange(&state->unknowns);
    return 0;
}
