/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/index.h"

#include <errno.h>
#include <string.h>

/* The size of these functions is that of uthash's macros. */
/* NOLINTBEGIN(readability-function-size,bugprone-*) */

void *fence_index_find(const struct fence_index *index, const void *key)
{
    struct fence_index_node *node;

    HASH_FIND(hh, index->head, key, index->key_size, node);
    return node ? node->item : NULL;
}

int fence_index_add(struct fence_index *index, struct fence_index_node *node, const void *key,
                    void *item)
{
    node->item = item;
    HASH_ADD_KEYPTR(hh, index->head, key, index->key_size, node);
    return node->hh.tbl ? 0 : -ENOMEM;
}

void fence_index_remove(struct fence_index *index, struct fence_index_node *node)
{
    if (node->hh.tbl)
        HASH_DELETE(hh, index->head, node);
    memset(node, 0, sizeof(*node));
}

size_t fence_index_count(const struct fence_index *index)
{
    return HASH_COUNT(index->head);
}

/* NOLINTEND(readability-function-size,bugprone-*) */
