/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/repin.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/datapath/load_pins.h"

struct restoring {
    const struct fence_pins *pins;
    const char *bpffs;
    char *first; /* of 64 */
    int count;
};

static bool is_missing(const struct restoring *restoring, const char *folder, const char *name)
{
    char path[512];
    struct stat info;

    snprintf(path, sizeof(path), "%s/%s/%s", restoring->pins->root, folder, name);
    return lstat(path, &info) < 0 && errno == ENOENT;
}

static int restore(struct restoring *restoring, const char *folder, const char *name, int fd,
                   struct fence_err *err)
{
    char root[sizeof(restoring->pins->root)];
    int r = 0;

    if (!is_missing(restoring, folder, name))
        return 0;
    if (restoring->count == 0) {
        snprintf(restoring->first, 64, "%s/%s", folder, name);
        r = fence_load_folders(restoring->bpffs, root, sizeof(root), err);
    }
    if (r == 0)
        r = fence_load_replace_pin(fd, restoring->pins->root, folder, name, err);
    if (r == 0)
        restoring->count++;
    return r;
}

int fence_pins_restore(const struct fence_pins *pins, const char *bpffs, char ret_first[64],
                       struct fence_err *err)
{
    struct restoring restoring = {.pins = pins, .bpffs = bpffs, .first = ret_first};
    int r = 0;

    /* maps first, as at loading: programs say that all is there */
    for (unsigned int i = 0; i < FENCE_MAP_COUNT && r == 0; i++)
        r = restore(&restoring, "maps", fence_map_name((enum fence_map)i), pins->maps[i], err);
    for (unsigned int i = 0; i < FENCE_PROG_COUNT && r == 0; i++)
        r = restore(&restoring, "progs", fence_prog_name((enum fence_prog)i), pins->progs[i], err);
    return r < 0 ? r : restoring.count;
}
