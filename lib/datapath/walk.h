/* SPDX-License-Identifier: Apache-2.0 */
/* Visiting all entries of a map in batches. Inside lib/datapath. */
#pragma once

#include <stddef.h>

#include <linux/types.h>

#include "lib/datapath/read.h"

struct fence_map_shape {
    __u32 type;
    __u32 key_size;
    __u32 value_size; /* as user space sees it: of a per-CPU map, all CPUs */
    __u32 max_entries;
    __u32 flags;
};

int fence_map_shape(int fd, struct fence_map_shape *ret_shape);

/* Hash, array and LPM maps. As fence_map_each. Deleting the visited entry is allowed. */
int fence_map_walk(int fd, fence_map_visit visit, void *context);

/* Keys of all entries that `match` accepts, in one array; the caller frees *ret_keys. */
typedef bool (*fence_map_match)(void *context, const void *key, const void *value);
int fence_map_collect(int fd, fence_map_match match, void *context, void **ret_keys,
                      size_t *ret_count);
