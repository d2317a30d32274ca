/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks nest: of any two, one holds the other or they are disjoint. So the most specific block of
 * an address tells for every block whether it holds the address, and is all that a peer has to
 * know of where it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/addr.h"

#define FENCE_BLOCK_NONE UINT32_MAX

struct fence_block_node {
    struct fence_prefix prefix;
    uint32_t parent; /* index of the next wider block, or FENCE_BLOCK_NONE */
};

/* Zeroed = empty. */
struct fence_blocks {
    struct fence_block_node *items;
    size_t count;
    size_t capacity;
};

void fence_blocks_done(struct fence_blocks *blocks);
/* -ENOMEM. Arrange before anything is looked for. */
int fence_blocks_add(struct fence_blocks *blocks, const struct fence_prefix *prefix);
/* Sort, drop what is there twice, and link each block to the one around it. */
void fence_blocks_arrange(struct fence_blocks *blocks);
/* The blocks of one only: elsewhere nothing's most specific block has changed. -ENOMEM. */
int fence_blocks_difference(const struct fence_blocks *a, const struct fence_blocks *b,
                            struct fence_blocks *ret_difference);
/* Index of the most specific block that covers the prefix; FENCE_BLOCK_NONE when none does. */
uint32_t fence_blocks_find(const struct fence_blocks *blocks, const struct fence_prefix *prefix);
/* All addresses of the family. */
struct fence_prefix fence_whole_prefix(const struct fence_addr *addr);
