/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/known.h"

#include <stdlib.h>
#include <string.h>

/* NOLINTBEGIN(readability-function-size,bugprone-*): uthash's macros */
struct fence_known *fence_known_find(struct fence_known *files, const char *name)
{
    struct fence_known *known;

    HASH_FIND_STR(files, name, known);
    return known;
}

static int link_known(struct fence_known **files, struct fence_known *known)
{
    HASH_ADD_KEYPTR(hh, *files, known->name, strlen(known->name), known);
    return known->hh.tbl ? 0 : -1;
}

static void unlink_known(struct fence_known **files, struct fence_known *known)
{
    HASH_DEL(*files, known);
}
/* NOLINTEND(readability-function-size,bugprone-*) */

struct fence_known *fence_known_obtain(struct fence_known **files, const char *name)
{
    struct fence_known *known = fence_known_find(*files, name);

    if (known)
        return known;
    known = calloc(1, sizeof(*known));
    if (!known)
        return NULL;
    known->name = strdup(name);
    if (!known->name || link_known(files, known) < 0) {
        free(known->name);
        free(known);
        return NULL;
    }
    return known;
}

void fence_known_drop(struct fence_known **files, struct fence_known *known)
{
    unlink_known(files, known);
    free(known->name);
    free(known);
}
