/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the live source: live.c has its objects, live_config_map.c its ConfigMaps. */
#pragma once

#include "lib/objects/live.h"
#include "lib/objects/live_list.h"

struct fence_live_kind {
    struct fence_live_list list;
    bool begun;
    bool incomplete; /* something in it could not be read: nothing counts as gone */
};

struct fence_live_config_map; /* opaque: a uthash of them */

struct fence_live {
    struct fence_store *store;
    unsigned int order;
    char *name;
    struct fence_live_kind kinds[FENCE_OBJECT_KINDS];
    struct fence_live_config_map *config_maps;
    bool config_maps_begun;
    bool config_maps_incomplete;
    char *trusted; /* namespace; NULL: none */
};

/* Tell that one of a kind cannot be read, until the next list of them is whole. -ENOMEM. */
int fence_live_unreadable(struct fence_live *live, const char *kind, const struct fence_err *reason,
                          struct fence_err *err);
int fence_live_readable(struct fence_live *live, const char *kind, struct fence_err *err);

void fence_live_config_maps_free(struct fence_live *live);
