/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/blocks.h"

#include <errno.h>

#include "lib/base/memory.h"

struct fence_prefix fence_whole_prefix(const struct fence_addr *addr)
{
    static const struct fence_prefix whole4 = {
        .addr = {.bytes = {[10] = 0xff, [11] = 0xff}},
        .length = 96,
    };
    static const struct fence_prefix whole6;

    return fence_addr_is_ipv4(addr) ? whole4 : whole6;
}

void fence_blocks_done(struct fence_blocks *blocks)
{
    free(blocks->items);
    *blocks = (struct fence_blocks){0};
}

int fence_blocks_add(struct fence_blocks *blocks, const struct fence_prefix *prefix)
{
    if (FENCE_GROW(blocks->items, blocks->capacity, blocks->count) < 0)
        return -ENOMEM;
    blocks->items[blocks->count++] =
        (struct fence_block_node){.prefix = *prefix, .parent = FENCE_BLOCK_NONE};
    return 0;
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

void fence_blocks_arrange(struct fence_blocks *blocks)
{
    size_t kept = 0;

    if (!blocks->count)
        return;
    qsort(blocks->items, blocks->count, sizeof(blocks->items[0]), compare);
    for (size_t i = 0; i < blocks->count; i++) {
        uint32_t parent = kept ? (uint32_t)(kept - 1) : FENCE_BLOCK_NONE;

        if (kept && compare(&blocks->items[kept - 1], &blocks->items[i]) == 0)
            continue;
        while (parent != FENCE_BLOCK_NONE &&
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
    found = low ? (uint32_t)(low - 1) : FENCE_BLOCK_NONE;
    while (found != FENCE_BLOCK_NONE && !fence_prefix_covers(&blocks->items[found].prefix, prefix))
        found = blocks->items[found].parent;
    return found;
}

int fence_blocks_difference(const struct fence_blocks *a, const struct fence_blocks *b,
                            struct fence_blocks *ret_difference)
{
    size_t i = 0;
    size_t j = 0;
    int r = 0;

    while (r == 0 && (i < a->count || j < b->count)) {
        int order = i == a->count ? 1 : j == b->count ? -1 : compare(&a->items[i], &b->items[j]);

        if (order < 0)
            r = fence_blocks_add(ret_difference, &a->items[i].prefix);
        else if (order > 0)
            r = fence_blocks_add(ret_difference, &b->items[j].prefix);
        i += order <= 0;
        j += order >= 0;
    }
    fence_blocks_arrange(ret_difference);
    return r;
}
