/* SPDX-License-Identifier: Apache-2.0 */
/* How full the pinned maps are, counted now and then: some of them have to be walked for it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/datapath/pins.h"

/* Zeroed = not counted yet. */
struct fence_metrics_maps {
    uint64_t counted_ns; /* boot time */
    struct {
        size_t used;
        size_t max; /* 0: it has no entries that could be counted */
    } maps[FENCE_MAP_COUNT];
};

/* Count again unless that is less than five seconds ago. */
void fence_metrics_maps_count(struct fence_metrics_maps *maps, const struct fence_pins *pins);
