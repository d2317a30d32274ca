/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the live source: live.c has its objects, live_config_map.c its ConfigMaps,
 * live_address_slice.c its AddressSlices. */
#pragma once

#include "lib/objects/live.h"
#include "lib/objects/live_list.h"
#include "lib/objects/live_units.h"

struct fence_live_kind {
    struct fence_live_list list;
    bool begun;
    bool incomplete; /* something in it could not be read: nothing counts as gone */
};

struct fence_live {
    struct fence_store *store;
    unsigned int order;
    char *name;
    struct fence_live_kind kinds[FENCE_OBJECT_KINDS];
    struct fence_live_units config_maps;
    char *trusted; /* namespace; NULL: none */
    struct fence_live_units slices;
    char *own_node; /* NULL: none */
};

/* Tell that one of a kind cannot be read, until the next list of them is whole. -ENOMEM. */
int fence_live_unreadable(struct fence_live *live, const char *kind, const struct fence_err *reason,
                          struct fence_err *err);
int fence_live_readable(struct fence_live *live, const char *kind, struct fence_err *err);
