/* SPDX-License-Identifier: Apache-2.0 */
/* Pods of other nodes that get new addresses, a hundred a second, while a slice asks for it. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "test/bench/shop.h"
#include "test/bench/sockets.h"

#define INTERVAL_NS 10000000
#define PODS        100u
#define FIRST_POD   1000u /* beyond those of the shop, and so are the addresses */

/* By rename, as everybody does who writes into a folder that is watched. */
static int change_one(const char *folder, unsigned int number)
{
    unsigned int pod = FIRST_POD + number % PODS;
    unsigned int turn = number / PODS % 2;
    char path[512], fresh[512];
    FILE *out;

    snprintf(path, sizeof(path), "%s/remote-%u.json", folder, pod);
    snprintf(fresh, sizeof(fresh), "%s/.remote-%u.new", folder, pod);
    out = fopen(fresh, "w");
    if (!out)
        return -1;
    shop_write_remote(out, 4, pod, pod + turn * PODS);
    return fclose(out) == 0 ? rename(fresh, path) : -1;
}

int sockets_change(const struct sockets_run *run)
{
    const struct timespec interval = {.tv_nsec = INTERVAL_NS};
    unsigned int number = 0;

    for (;;) {
        int index = atomic_load(&run->shared->changing);

        if (index >= 0 && change_one(run->configs[index].changes, number++) < 0)
            return 1;
        if (index >= 0)
            atomic_fetch_add(&run->shared->changes, 1);
        nanosleep(&interval, NULL);
    }
}
