/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/recent.h"

#include <errno.h>
#include <stdlib.h>

int fence_recent_init(struct fence_recent *recent)
{
    recent->items = calloc(FENCE_RECENT_MAX, sizeof(*recent->items));
    return recent->items ? 0 : -ENOMEM;
}

void fence_recent_done(struct fence_recent *recent)
{
    for (size_t i = 0; recent->items && i < FENCE_RECENT_MAX; i++)
        fence_resolved_done(&recent->items[i]);
    free(recent->items);
    *recent = (struct fence_recent){0};
}

void fence_recent_add(struct fence_recent *recent, struct fence_resolved *resolved)
{
    struct fence_resolved *place;

    if (!recent->items) {
        fence_resolved_done(resolved);
        return;
    }
    recent->newest = resolved->number;
    place = &recent->items[resolved->number % FENCE_RECENT_MAX];
    fence_resolved_done(place);
    *place = *resolved;
    *resolved = (struct fence_resolved){0};
}

uint64_t fence_recent_oldest(const struct fence_recent *recent)
{
    return recent->newest > FENCE_RECENT_MAX ? recent->newest - FENCE_RECENT_MAX + 1 : 1;
}

const struct fence_resolved *fence_recent_get(const struct fence_recent *recent, uint64_t number)
{
    return &recent->items[number % FENCE_RECENT_MAX];
}
