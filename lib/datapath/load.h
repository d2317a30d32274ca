/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and pinning the data path: the daemon, and `podfencectl load`. */
#pragma once

#include <stddef.h>

#include <linux/types.h>

#include "lib/datapath/object.h"
#include "lib/datapath/pins.h"

struct fence_takeover;

/* Entries of a map other than the default. */
struct fence_map_size {
    enum fence_map map;
    __u32 entries;
};

/* What to do about a full map, for every text that tells of one: its name, and size_t entries. A
 * pinned map keeps its size, and its endpoints, until a reboot clears the BPF file system. */
#define FENCE_MAP_SIZE_REMEDY                                                                      \
    "for a larger map start podfenced with --map-size %s=%zu and reboot the node (drain it first)"

struct fence_load_options {
    const char *bpffs;
    const struct fence_map_size *sizes; /* only used when the map does not exist yet */
    size_t size_count;
    enum fence_kernel_structs kernel_structs;
    /* What there is to take over from, the caller's to close, who holds the daemon's lock. NULL:
     * another layout that has pods is an error. */
    struct fence_takeover *takeover;
};

/*
 * Reuse what is pinned, create what is missing. Programs of another build replace the pinned ones:
 * TCX links are updated, clsact filters replaced in place, nothing is ever detached. Afterwards
 * settings hold the hash key, hz and whether the programs are the plain ones. Returns 1 when all is
 * loaded but a map is pinned with another size than `sizes` asks for: `err` then holds that
 * warning. -EMEDIUMTYPE: `bpffs` is not on a BPF file system (the text gives the mount command).
 * -ESTALE: another layout is in force and stays so, see takeover.h. Other layouts that no pod
 * depends on are removed.
 */
int fence_load(const struct fence_load_options *options, struct fence_pins *ret_pins,
               struct fence_err *err);
