/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/samples.h"

#include "lib/base/memory.h"

int bench_samples_put(struct bench_samples *samples, double value)
{
    int r = FENCE_GROW(samples->items, samples->capacity, samples->count);

    if (r == 0)
        samples->items[samples->count++] = value;
    return r;
}

int bench_samples_add(struct bench_samples *samples, uint64_t ns)
{
    return bench_samples_put(samples, (double)ns / 1e6);
}

void bench_samples_done(struct bench_samples *samples)
{
    free(samples->items);
    *samples = (struct bench_samples){0};
}

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a;
    double other = *(const double *)b;

    return one < other ? -1 : one > other;
}

double bench_samples_at(struct bench_samples *samples, double share)
{
    if (samples->count == 0)
        return 0;
    qsort(samples->items, samples->count, sizeof(*samples->items), compare);
    return samples->items[(size_t)(share * (double)(samples->count - 1) + 0.5)];
}
