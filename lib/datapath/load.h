/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and pinning the data path: the daemon, and `podfencectl load`. */
#pragma once

#include <stddef.h>

#include <linux/types.h>

#include "lib/datapath/pins.h"

/* Entries of a map other than the default; NULL-terminated list may be NULL. */
struct fence_map_size {
    enum fence_map map;
    __u32 entries;
};

struct fence_load_options {
    const char *bpffs;
    const struct fence_map_size *sizes; /* only used when the map does not exist yet */
    size_t size_count;
};

/*
 * Reuse what is pinned, create what is missing. Programs of another build replace the pinned ones:
 * TCX links are updated, clsact filters replaced in place, nothing is ever detached. Afterwards
 * settings hold the hash key and hz. -EMEDIUMTYPE: `bpffs` is not on a BPF file system (the
 * text gives the mount command).
 */
int fence_load(const struct fence_load_options *options, struct fence_pins *ret_pins,
               struct fence_err *err);
