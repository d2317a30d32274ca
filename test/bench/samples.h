/* SPDX-License-Identifier: Apache-2.0 */
/* What was measured again and again. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bench_samples {
    double *items;
    size_t count;
    size_t capacity;
};

int bench_samples_put(struct bench_samples *samples, double value);
/* A time: it is kept in milliseconds. */
int bench_samples_add(struct bench_samples *samples, uint64_t ns);
void bench_samples_done(struct bench_samples *samples);
/* 0.5 is the median, 1 the largest; 0 when there are none. */
double bench_samples_at(struct bench_samples *samples, double share);
