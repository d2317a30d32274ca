/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/metrics_maps.h"

#include "lib/base/clock.h"
#include "lib/datapath/read.h"

#define AGE_NS 5000000000ull

void fence_metrics_maps_count(struct fence_metrics_maps *maps, const struct fence_pins *pins)
{
    const uint64_t now = fence_clock_boot_ns();

    if (maps->counted_ns && now - maps->counted_ns < AGE_NS)
        return;
    maps->counted_ns = now;
    for (unsigned int map = 0; map < FENCE_MAP_COUNT; map++) {
        size_t used = 0, max = 0;

        if (fence_map_usage(pins, (enum fence_map)map, &used, &max) < 0)
            used = max = 0;
        maps->maps[map].used = used;
        maps->maps[map].max = max;
    }
}
