/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/takeover_readers.h"

#include "lib/base/memory.h"
#include "lib/datapath/layout4.h"
#include "lib/datapath/read.h"

/* Layouts from 6 on differ only in maps that are made anew. */
#define LIKE_LAYOUT_6(number)                                                                      \
    {                                                                                              \
        .layout = (number), .endpoint_size = sizeof(struct fence_endpoint),                        \
        .info_size = sizeof(struct fence_endpoint_info), .endpoints = fence_endpoints_list,        \
        .leftover = fence_endpoints_leftover, .settings = fence_settings_read,                     \
        .carried = {FENCE_MAP_CONNECTIONS, FENCE_MAP_USAGE,     FENCE_MAP_OPENED,                  \
                    FENCE_MAP_ORIGINS,     FENCE_MAP_FRAGMENTS, FENCE_MAP_IDENTITIES,              \
                    FENCE_MAP_FLOWS,       FENCE_MAP_COUNTERS},                                    \
        .carried_count = 8,                                                                        \
    }

/* Those from which this program takes over, and, for the next version, its own. Identities are
 * carried because flows name them by number. Of layout 4 neither flows nor counters are: it knew
 * less of flows, and fewer reasons. Up to layout 5 an entry's place came from its endpoint too. */
static const struct fence_layout_reader readers[] = {
    LIKE_LAYOUT_6(8),
    LIKE_LAYOUT_6(7),
    LIKE_LAYOUT_6(6),
    {
        .layout = 5,
        .endpoint_size = sizeof(struct fence_endpoint),
        .info_size = sizeof(struct fence_endpoint_info),
        .endpoints = fence_endpoints_list,
        .leftover = fence_endpoints_leftover,
        .settings = fence_settings_read,
        .carried = {FENCE_MAP_OPENED, FENCE_MAP_ORIGINS, FENCE_MAP_FRAGMENTS, FENCE_MAP_IDENTITIES,
                    FENCE_MAP_FLOWS, FENCE_MAP_COUNTERS},
        .carried_count = 6,
        .moves = true,
    },
    {
        .layout = 4,
        .endpoint_size = FENCE_LAYOUT4_ENDPOINT_SIZE,
        .info_size = sizeof(struct fence_endpoint_info),
        .endpoints = fence_layout4_endpoints,
        .leftover = fence_endpoints_leftover,
        .settings = fence_settings_read,
        .carried = {FENCE_MAP_OPENED, FENCE_MAP_ORIGINS, FENCE_MAP_FRAGMENTS, FENCE_MAP_IDENTITIES},
        .carried_count = 4,
        .moves = true,
    },
};

const struct fence_layout_reader *fence_layout_reader_find(unsigned int layout)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(readers); i++)
        if (readers[i].layout == layout && layout < FENCE_ABI_VERSION)
            return &readers[i];
    return NULL;
}
