/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/live_units.h"

#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* running out of memory is an error to report, not the end */
#include <uthash.h>

#include "lib/base/memory.h"

/* One that is in the store. */
struct fence_live_unit {
    bool told; /* by the list that has begun */
    UT_hash_handle hh;
    char path[];
};

/* NOLINTBEGIN(readability-function-size,bugprone-*): uthash's macros */
void fence_live_units_done(struct fence_live_units *units)
{
    struct fence_live_unit *unit, *next;

    HASH_ITER (hh, units->items, unit, next) {
        HASH_DELETE(hh, units->items, unit);
        free(unit);
    }
}

static struct fence_live_unit *find(const struct fence_live_units *units, const char *path)
{
    struct fence_live_unit *unit;

    HASH_FIND_STR(units->items, path, unit);
    return unit;
}

static int link_unit(struct fence_live_units *units, struct fence_live_unit *unit)
{
    HASH_ADD_KEYPTR(hh, units->items, unit->path, strlen(unit->path), unit);
    return unit->hh.tbl ? 0 : -ENOMEM;
}

static void unlink_unit(struct fence_live_units *units, struct fence_live_unit *unit)
{
    HASH_DELETE(hh, units->items, unit);
    free(unit);
}
/* NOLINTEND(readability-function-size,bugprone-*) */

bool fence_live_units_have(const struct fence_live_units *units, const char *path)
{
    return find(units, path) != NULL;
}

int fence_live_units_tell(struct fence_live_units *units, const char *path)
{
    struct fence_live_unit *unit = find(units, path);

    if (unit) {
        unit->told = true;
        return 0;
    }
    unit = calloc(1, sizeof(*unit) + strlen(path) + 1);
    if (!unit)
        return -ENOMEM;
    unit->told = true;
    memcpy(unit->path, path, strlen(path) + 1);
    if (link_unit(units, unit) < 0) {
        free(unit);
        return -ENOMEM;
    }
    return 0;
}

int fence_live_units_remove(struct fence_live_units *units, struct fence_store *store,
                            const char *path)
{
    struct fence_live_unit *unit = find(units, path);
    int r;

    if (!unit)
        return 0;
    r = fence_store_remove(store, path);
    if (r >= 0)
        unlink_unit(units, unit);
    return r;
}

void fence_live_units_begin(struct fence_live_units *units)
{
    struct fence_live_unit *unit, *next;

    HASH_ITER (hh, units->items, unit, next) {
        unit->told = false;
    }
    units->begun = true;
    units->incomplete = false;
}

int fence_live_units_end(struct fence_live_units *units, struct fence_store *store)
{
    struct fence_live_unit *unit, *next;
    bool changed = false;

    units->begun = false;
    if (units->incomplete)
        return 0;
    HASH_ITER (hh, units->items, unit, next) {
        int r = unit->told ? 0 : fence_store_remove(store, unit->path);

        if (r < 0)
            return r;
        changed = changed || r > 0;
        if (!unit->told)
            unlink_unit(units, unit);
    }
    return changed;
}
