/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/unpin.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/datapath/attach.h"

#define OPEN_FOLDERS 8

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* v<N> */
static bool is_layout(const char *name)
{
    return name[0] == 'v' && name[1] && strspn(name + 1, "0123456789") == strlen(name + 1);
}

/* Calls `act` for each layout at `bpffs`; the first error. */
static int each_layout(const char *bpffs, int (*act)(void *context, const char *root),
                       void *context, struct fence_err *err)
{
    FENCE_CLEANUP(close_dir) DIR *dir = opendir(bpffs);
    const struct dirent *entry;
    int first = 0;

    if (!dir)
        return errno == ENOENT ? 0 : fence_err_set(err, -errno, "%s: %s", bpffs, strerror(errno));
    while ((entry = readdir(dir))) {
        char root[512];
        int r;

        if (!is_layout(entry->d_name))
            continue;
        snprintf(root, sizeof(root), "%s/%s", bpffs, entry->d_name);
        r = act(context, root);
        if (first == 0)
            first = r;
    }
    return first;
}

/* ---- filters -------------------------------------------------------------------------------- */

struct detaching {
    const __u32 *devices;
    size_t count;
    int first;
    struct fence_err *err;
};

static void remember(struct detaching *detaching, int r, const char *what)
{
    if (r < 0 && detaching->first == 0)
        detaching->first = fence_err_set(detaching->err, r, "%s: %s", what, strerror(-r));
}

/* Detached and not only unpinned: somebody may hold the link open. */
static int detach_links(void *context, const char *root)
{
    struct detaching *detaching = context;
    FENCE_CLEANUP(close_dir) DIR *dir = NULL;
    const struct dirent *entry;
    char path[1024];

    snprintf(path, sizeof(path), "%s/links", root);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        FENCE_CLOSE int fd = -1;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/links/%s", root, entry->d_name);
        fd = bpf_obj_get(path);
        remember(detaching, fd < 0 ? fd : bpf_link_detach(fd), path);
    }
    return 0;
}

static void detach_devices(struct detaching *detaching)
{
    struct fence_pins none;

    fence_pins_init(&none);
    none.root[0] = '\0'; /* no links: these are detached already */
    for (size_t i = 0; i < detaching->count; i++) {
        char name[32];
        int r = fence_detach(&none, detaching->devices[i], NULL);

        snprintf(name, sizeof(name), "interface %u", detaching->devices[i]);
        remember(detaching, r < 0 ? r : fence_detach_device(&none, detaching->devices[i], NULL),
                 name);
    }
}

int fence_unpin_filters(const char *bpffs, const __u32 *devices, size_t count,
                        struct fence_err *err)
{
    struct detaching detaching = {.devices = devices, .count = count, .err = err};
    int r = each_layout(bpffs, detach_links, &detaching, err);

    if (r < 0)
        return r;
    detach_devices(&detaching);
    return detaching.first;
}

/* ---- pins ----------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path) < 0 && errno != ENOENT ? errno : 0;
}

static int remove_layout(void *context, const char *root)
{
    int r = nftw(root, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

    if (r < 0)
        r = errno;
    return r ? fence_err_set(context, -r, "cannot remove %s: %s", root, strerror(r)) : 0;
}

int fence_unpin(const char *bpffs, struct fence_err *err)
{
    int r = each_layout(bpffs, remove_layout, err, err);

    if (r == 0)
        (void)rmdir(bpffs); /* stays where it is a mount point, or has something of others */
    return r;
}
