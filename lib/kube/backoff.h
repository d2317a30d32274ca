/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before the next try. */
#pragma once

#include <stdint.h>

/* No server may ask for a longer wait than this: it might lie. */
#define FENCE_BACKOFF_ASKED_MAX_MS 600000

struct fence_backoff_limits {
    uint64_t low_ms;
    uint64_t high_ms;
};
/* What passes by itself: 0.5 to 30 s. A right or a kind that is missing: 1 to 60 s. */
extern const struct fence_backoff_limits fence_backoff_failure, fence_backoff_missing;

/*
 * Milliseconds: at random between the lower limit and twice as much for each of the `failures`
 * before it and this one, up to the upper limit. What the server asked for (-1: nothing) is the
 * least.
 */
uint64_t fence_backoff_ms(const struct fence_backoff_limits *limits, unsigned int failures,
                          uint32_t random, long asked_ms);
