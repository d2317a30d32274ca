/* SPDX-License-Identifier: Apache-2.0 */
/* Durations counted in buckets whose upper bounds are fixed, as Prometheus has them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FENCE_HISTOGRAM_BOUNDS 13

/* Upper bounds in seconds, ascending: 0.001 to 10. */
extern const double fence_histogram_bounds[FENCE_HISTOGRAM_BOUNDS];

/* Zeroed = empty. */
struct fence_histogram {
    uint64_t buckets[FENCE_HISTOGRAM_BOUNDS + 1]; /* not cumulative; the last is above all bounds */
    uint64_t count;
    double sum; /* seconds */
};

void fence_histogram_add(struct fence_histogram *histogram, double seconds);

/* How many took at most bounds[index]; `index` FENCE_HISTOGRAM_BOUNDS: all. */
uint64_t fence_histogram_up_to(const struct fence_histogram *histogram, size_t index);

/*
 * The duration that the share `q` (0 to 1) stays below, within its bucket by proportion; the last
 * bound when it is above that. -1 when nothing was counted.
 */
double fence_histogram_quantile(const struct fence_histogram *histogram, double q);
