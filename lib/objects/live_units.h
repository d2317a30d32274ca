/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of a live source that are units of the store themselves: which there are, so that the end
 * of a list tells those that are gone. */
#pragma once

#include <stdbool.h>

#include "lib/objects/store.h"

struct fence_live_unit; /* opaque: a uthash of them */

/* Zeroed = none. */
struct fence_live_units {
    struct fence_live_unit *items;
    bool begun;      /* a list is on its way */
    bool incomplete; /* something in it could not be read: nothing counts as gone */
};

void fence_live_units_done(struct fence_live_units *units);
bool fence_live_units_have(const struct fence_live_units *units, const char *unit);
/* It is there. -ENOMEM. */
int fence_live_units_tell(struct fence_live_units *units, const char *unit);
/* It is gone, from the store too. 1 when that changed something there, 0, -ENOMEM. */
int fence_live_units_remove(struct fence_live_units *units, struct fence_store *store,
                            const char *unit);

/* A list begins: those that are not told until its end are gone then. One without a beginning has
 * no end. As fence_live_units_remove. */
void fence_live_units_begin(struct fence_live_units *units);
int fence_live_units_end(struct fence_live_units *units, struct fence_store *store);
