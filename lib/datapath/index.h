/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of things that hold their own key and node (uthash behind functions: its macros
 * would swell every caller). Inside lib/datapath. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* uthash ends the process when memory does, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Embedded in the thing; zeroed = in no index. */
struct fence_index_node {
    void *item;
    UT_hash_handle hh;
};

/* Zeroed = empty. Owns no items. */
struct fence_index {
    struct fence_index_node *head;
    size_t key_size;
};

/* `key` lies in the item and does not change while it is in the index. -ENOMEM. */
int fence_index_add(struct fence_index *index, struct fence_index_node *node, const void *key,
                    void *item);
/* The item, or NULL. */
void *fence_index_find(const struct fence_index *index, const void *key);
/* What is in no index is fine. */
void fence_index_remove(struct fence_index *index, struct fence_index_node *node);
size_t fence_index_count(const struct fence_index *index);

static inline bool fence_index_has(const struct fence_index_node *node)
{
    return node->hh.tbl != NULL;
}

/* In the order of adding. Take the next one before removing. */
static inline struct fence_index_node *fence_index_next(const struct fence_index_node *node)
{
    return node ? (struct fence_index_node *)node->hh.next : NULL;
}
