/* SPDX-License-Identifier: Apache-2.0 */
/* How often something happens: in a sliding window, and compared with what is usual. Inside
 * lib/alarm. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A sliding sum, exact to a tenth of its window. Zeroed = nothing has happened. */
#define FENCE_TALLY_PARTS 10u
struct fence_tally {
    uint64_t part; /* number of the latest part, from 0 on by the clock */
    uint32_t counts[FENCE_TALLY_PARTS];
};
/* Returns the sum, these among it; saturates. */
uint64_t fence_tally_add(struct fence_tally *tally, uint32_t count, uint64_t now_ns,
                         uint64_t window_ns);

/*
 * Counts of FENCE_RATE_PART_NS each, their mean and mean deviation, which forget in about ten
 * minutes. Zeroed = nothing is known.
 */
#define FENCE_RATE_PART_NS 10000000000ull
#define FENCE_RATE_WARM    60u /* parts to be seen before anything is judged: ten minutes */
struct fence_rate {
    double mean;
    double deviation;
    uint64_t part;
    uint32_t parts; /* seen, up to FENCE_RATE_WARM */
    uint32_t count; /* of the part that is not over */
    bool unusual;   /* while set, what is counted is learned sixteen times more slowly */
};
void fence_rate_add(struct fence_rate *rate, uint32_t count, uint64_t now_ns);
/* Let parts that are over pass into the mean. */
void fence_rate_roll(struct fence_rate *rate, uint64_t now_ns);
/* How many in a part are far from the mean: at least `least`, three times the mean, and the mean
 * with `deviations` deviations. UINT32_MAX before it is warm. */
uint32_t fence_rate_limit(const struct fence_rate *rate, uint32_t least, uint32_t deviations);
