/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/alarm/usual.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

/* Often the latest one again: then nothing moves. */
static bool find(const struct fence_usual *usual, uint64_t key, uint32_t *ret_at)
{
    for (uint32_t i = usual->count; i-- > 0;)
        if (usual->keys[i] == key) {
            *ret_at = i;
            return true;
        }
    return false;
}

static void take_out(struct fence_usual *usual, uint32_t at)
{
    memmove(&usual->keys[at], &usual->keys[at + 1], (usual->count - at - 1) * sizeof(*usual->keys));
    usual->count--;
}

bool fence_usual_see(struct fence_usual *usual, uint64_t key, bool learning)
{
    uint32_t at = 0;
    bool known = find(usual, key, &at);

    if (known && at + 1 == usual->count)
        return false;
    if (!known && usual->count == FENCE_USUAL_MAX) {
        usual->overflowed |= learning;
        at = 0;
    }
    if (known || usual->count == FENCE_USUAL_MAX)
        take_out(usual, at);
    else if (FENCE_GROW(usual->keys, usual->capacity, usual->count) < 0)
        return false;
    usual->keys[usual->count++] = key;
    return !known;
}

void fence_usual_done(struct fence_usual *usual)
{
    free(usual->keys);
    *usual = (struct fence_usual){0};
}
