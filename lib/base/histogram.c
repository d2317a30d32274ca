/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/histogram.h"

const double fence_histogram_bounds[FENCE_HISTOGRAM_BOUNDS] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

void fence_histogram_add(struct fence_histogram *histogram, double seconds)
{
    size_t index = 0;

    while (index < FENCE_HISTOGRAM_BOUNDS && seconds > fence_histogram_bounds[index])
        index++;
    histogram->buckets[index]++;
    histogram->count++;
    histogram->sum += seconds;
}

uint64_t fence_histogram_up_to(const struct fence_histogram *histogram, size_t index)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= index && i <= FENCE_HISTOGRAM_BOUNDS; i++)
        sum += histogram->buckets[i];
    return sum;
}

double fence_histogram_quantile(const struct fence_histogram *histogram, double q)
{
    const double wanted = q * (double)histogram->count;
    double below = 0, low = 0;

    if (!histogram->count)
        return -1;
    for (size_t i = 0; i < FENCE_HISTOGRAM_BOUNDS; i++) {
        const double here = (double)histogram->buckets[i];
        const double high = fence_histogram_bounds[i];

        if (here > 0 && below + here >= wanted)
            return low + (high - low) * (wanted - below) / here;
        below += here;
        low = high;
    }
    return fence_histogram_bounds[FENCE_HISTOGRAM_BOUNDS - 1];
}
