/* SPDX-License-Identifier: Apache-2.0 */
/* AddressSlices: each is a unit of the store as a file is, but no texts of it are kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/live_internal.h"

#define KIND     "AddressSlice"
#define COMPLETE "podfence-complete"

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* A new string, NULL when out of memory. */
static char *unit_of(const struct fence_live *live, const char *name)
{
    char *unit = NULL;

    if (asprintf(&unit, "%s: " KIND "/%s", live->name, name) < 0)
        return NULL;
    return unit;
}

static int take_out(struct fence_live *live, const char *name)
{
    FENCE_FREE char *unit = unit_of(live, name);

    return unit ? fence_live_units_remove(&live->slices, live->store, unit) : -ENOMEM;
}

static int put(struct fence_live *live, struct fence_address_slice *slice)
{
    FENCE_FREE char *unit = unit_of(live, slice->name);
    const struct fence_store_part part = {
        .order = live->order, .unit = unit, .source = unit, .second_hand = true};

    /* one that says the opposite is as absent */
    if (strcmp(slice->name, COMPLETE) == 0 && !slice->complete)
        return take_out(live, slice->name);
    if (!unit || fence_live_units_tell(&live->slices, unit) < 0)
        return -ENOMEM;
    return fence_store_update(live->store, &part, &slice->list, NULL, NULL);
}

/* What was not told because of it is not gone. */
static int fail(struct fence_live *live, int r, const struct fence_err *reason,
                struct fence_err *err)
{
    live->slices.incomplete = true;
    return r == -ENOMEM ? no_memory(err) : fence_live_unreadable(live, KIND, reason, err);
}

int fence_live_address_slice(struct fence_live *live, char *json, size_t size,
                             struct fence_err *err)
{
    FENCE_CLEANUP(fence_address_slice_done) struct fence_address_slice slice = {0};
    const struct fence_json text = {json, size};
    struct fence_err reason = {""};
    int r =
        fence_decode_address_slice(&text, live->own_node ? live->own_node : "", &slice, &reason);

    if (r < 0)
        return fail(live, r, &reason, err);
    r = put(live, &slice);
    return r < 0 ? fail(live, r, &reason, err) : r;
}

int fence_live_address_slice_deleted(struct fence_live *live, char *json, size_t size,
                                     struct fence_err *err)
{
    FENCE_CLEANUP(fence_address_slice_done) struct fence_address_slice slice = {0};
    const struct fence_json text = {json, size};
    struct fence_err reason = {""};
    int r = fence_decode_address_slice_name(&text, &slice, &reason);

    if (r < 0)
        return fail(live, r, &reason, err);
    r = take_out(live, slice.name);
    return r < 0 ? no_memory(err) : r;
}

void fence_live_address_slices_begin(struct fence_live *live)
{
    fence_live_units_begin(&live->slices);
}

int fence_live_address_slices_end(struct fence_live *live, struct fence_err *err)
{
    int r;

    if (!live->slices.begun)
        return 0;
    r = fence_live_units_end(&live->slices, live->store);
    if (r < 0)
        return no_memory(err);
    if (live->slices.incomplete)
        return 0;
    return fence_live_readable(live, KIND, err) < 0 ? -ENOMEM : r;
}

bool fence_live_address_slices_complete(const struct fence_live *live)
{
    FENCE_FREE char *unit = unit_of(live, COMPLETE);

    return unit && fence_live_units_have(&live->slices, unit);
}

int fence_live_own_node(struct fence_live *live, const char *name, struct fence_err *err)
{
    char *copy = strdup(name);

    if (!copy)
        return no_memory(err);
    free(live->own_node);
    live->own_node = copy;
    return 0;
}
