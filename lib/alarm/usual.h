/* SPDX-License-Identifier: Apache-2.0 */
/* The peers that a workload usually has: each a hash of peer, port, protocol and direction. Inside
 * lib/alarm. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FENCE_USUAL_MAX 128u

/* Zeroed = none. */
struct fence_usual {
    uint64_t *keys; /* the latest seen last */
    uint32_t count;
    uint32_t capacity;
    bool overflowed; /* while learning: there are more than could be kept, so none is told new */
};

/* Is it new? It is not any more. When full, the longest unseen makes place. */
bool fence_usual_see(struct fence_usual *usual, uint64_t key, bool learning);
void fence_usual_done(struct fence_usual *usual);
