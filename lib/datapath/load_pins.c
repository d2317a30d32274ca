/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/load_pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/failpoint.h"
#include "lib/base/file.h"
#include "lib/datapath/layout.h"

/* The file system of the path or, as far as it does not exist, of the folder above. */
static int filesystem_of(const char *path, long *ret_magic)
{
    struct statfs stat;
    char copy[512];
    char *at = copy;

    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
        return -ENAMETOOLONG;
    while (statfs(at, &stat) < 0) {
        if (errno != ENOENT)
            return -errno;
        if (strcmp(at, "/") == 0 || strcmp(at, ".") == 0)
            return -ENOENT;
        at = dirname(at);
    }
    *ret_magic = (long)stat.f_type;
    return 0;
}

/* What one would mount for it: the usual place, or the folder itself. */
static const char *mount_point_of(const char *bpffs)
{
    static const char usual[] = "/sys/fs/bpf";

    return strncmp(bpffs, usual, sizeof(usual) - 1) == 0 ? usual : bpffs;
}

int fence_load_folders(const char *bpffs, char *root, size_t root_size, struct fence_err *err)
{
    static const char *const folders[] = {"maps", "progs", "links"};
    char path[512];
    long magic = 0;
    int r = fence_layout_path(bpffs, FENCE_ABI_VERSION, root, root_size, err);

    if (r < 0)
        return r;
    r = filesystem_of(bpffs, &magic);
    if (r < 0)
        return fence_err_set(err, r, "%s: %s", bpffs, strerror(-r));
    if ((unsigned long)magic != BPF_FS_MAGIC)
        return fence_err_set(err, -EMEDIUMTYPE,
                             "%s is not on a BPF file system: run `mount -t bpf bpf %s`", bpffs,
                             mount_point_of(bpffs));
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
        r = fence_mkdirs(path, 0700, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int fence_load_replace_pin(int fd, const char *root, const char *folder, const char *name,
                           struct fence_err *err)
{
    char temporary[512];
    char path[512];
    int r;

    snprintf(path, sizeof(path), "%s/%s/%s", root, folder, name);
    snprintf(temporary, sizeof(temporary), "%s/%s/new-%s", root, folder, name);
    if (unlink(temporary) < 0 && errno != ENOENT)
        return fence_err_set(err, -errno, "%s: %s", temporary, strerror(errno));
    r = bpf_obj_pin(fd, temporary);
    FENCE_FAILPOINT("load.pinned-aside");
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        return fence_err_set(err, r, "pinning %s: %s", path, strerror(-r));
    FENCE_FAILPOINT("load.pinned");
    return 0;
}
