/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/backoff.h"

const struct fence_backoff_limits fence_backoff_failure = {500, 30000};
const struct fence_backoff_limits fence_backoff_missing = {1000, 60000};

uint64_t fence_backoff_ms(const struct fence_backoff_limits *limits, unsigned int failures,
                          uint32_t random, long asked_ms)
{
    unsigned int doubled = failures < 20 ? failures + 1 : 20;
    uint64_t ceiling = limits->low_ms << doubled, delay;

    if (ceiling > limits->high_ms)
        ceiling = limits->high_ms;
    delay = limits->low_ms + random % (ceiling - limits->low_ms + 1);
    if (asked_ms > FENCE_BACKOFF_ASKED_MAX_MS)
        asked_ms = FENCE_BACKOFF_ASKED_MAX_MS;
    return asked_ms > 0 && (uint64_t)asked_ms > delay ? (uint64_t)asked_ms : delay;
}
