/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"

/*
 * Two writes within one tick of the kernel's clock leave the same time behind, so a file that was
 * touched less than this before it was read is read again next time.
 */
#define SETTLE_NS 200000000u

bool fence_scan_is_wanted(const char *name)
{
    static const char *const endings[] = {".yaml", ".yml", ".json"};
    const char *dot = strrchr(name, '.');

    if (name[0] == '.' || !dot)
        return false;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(endings); i++)
        if (strcmp(dot, endings[i]) == 0)
            return true;
    return false;
}

static void scanned_done(struct fence_scanned *item)
{
    fence_decoded_list_done(&item->list);
    free(item->name);
    free(item->problem);
}

void fence_scan_done(struct fence_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        scanned_done(&scan->items[i]);
    free(scan->items);
    *scan = (struct fence_scan){0};
}

static struct fence_signature signature_of(const struct stat *info)
{
    return (struct fence_signature){.device = info->st_dev,
                                    .inode = info->st_ino,
                                    .size = info->st_size,
                                    .modified = info->st_mtim,
                                    .changed = info->st_ctim};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_signature(const struct fence_signature *a, const struct fence_signature *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

static bool is_settled(const struct fence_signature *signature)
{
    int64_t now = (int64_t)fence_clock_wall_ns();
    int64_t changed = (int64_t)signature->changed.tv_sec * 1000000000 + signature->changed.tv_nsec;

    return now - changed > SETTLE_NS;
}

static int fail(struct fence_scanned *item, enum fence_outcome outcome, const char *problem)
{
    item->outcome = outcome;
    item->problem = strdup(problem);
    return item->problem ? 0 : -ENOMEM;
}

static int decode(struct fence_scanned *item, const char *data, size_t size)
{
    struct fence_err err;
    int r = fence_decode_stream(data, size, &item->list, &err);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return fail(item, FENCE_FILE_UNPARSED, err.text);
    item->outcome = FENCE_FILE_DECODED;
    return 0;
}

static int read_item(int fd, const struct fence_known *known, struct fence_scanned *item)
{
    static const __u64 key[2];
    FENCE_FREE char *data = NULL;
    struct fence_err err;
    size_t size;
    int r = fence_file_read(fd, item->name, FENCE_DOC_MAX_BYTES, &data, &size, &err);

    if (r == -ENOMEM)
        return r;
    if (r == -EINVAL)
        fence_err_set(&err, r, "%s is not a regular file: remove it or name it otherwise",
                      item->name);
    if (r < 0)
        return fail(item, FENCE_FILE_UNREAD, err.text);
    item->content = fence_hash_bytes(key, data, size);
    if (known && known->read &&
        memcmp(&known->content, &item->content, sizeof(item->content)) == 0) {
        item->outcome = FENCE_FILE_UNCHANGED;
        return 0;
    }
    return decode(item, data, size);
}

/* A name that is gone again is -ENOENT; a link that leads nowhere is a file that cannot be read. */
static int scan_item(int fd, const struct fence_known *known, struct fence_scanned *item)
{
    struct stat info;

    if (fstatat(fd, item->name, &info, 0) < 0) {
        if (fstatat(fd, item->name, &info, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
            return -ENOENT;
        return fail(item, FENCE_FILE_UNREAD,
                    "cannot be opened: it is a link to nothing, or its "
                    "target may not be read: mend or remove the link");
    }
    item->signature = signature_of(&info);
    item->settled = is_settled(&item->signature);
    if (known && known->read && known->settled &&
        same_signature(&known->signature, &item->signature)) {
        item->outcome = FENCE_FILE_UNCHANGED;
        item->content = known->content;
        return 0;
    }
    return read_item(fd, known, item);
}

static int add_item(int fd, const struct fence_known *known, const char *name,
                    struct fence_scan *scan)
{
    struct fence_scanned item = {.name = strdup(name)};
    int r;

    if (!item.name || FENCE_GROW(scan->items, scan->capacity, scan->count) < 0) {
        scanned_done(&item);
        return -ENOMEM;
    }
    r = scan_item(fd, known, &item);
    if (r < 0) {
        scanned_done(&item);
        return r == -ENOENT ? 0 : r;
    }
    scan->items[scan->count++] = item;
    return 0;
}

static int scan_entries(DIR *dir, struct fence_known *known, struct fence_scan *scan,
                        struct fence_err *err)
{
    const struct dirent *entry;

    for (;;) {
        int r = 0;

        errno = 0;
        entry = readdir(dir);
        if (!entry && errno)
            return fence_err_set(err, -errno, "cannot read the folder: %s", strerror(errno));
        if (!entry)
            return 0;
        if (fence_scan_is_wanted(entry->d_name))
            r = add_item(dirfd(dir), fence_known_find(known, entry->d_name), entry->d_name, scan);
        if (r < 0)
            return fence_err_set(err, r, "%s: %s", entry->d_name, strerror(-r));
    }
}

/* Where ..data leads, "" when there is none. */
static void read_data_link(int fd, char target[PATH_MAX])
{
    ssize_t length = readlinkat(fd, "..data", target, PATH_MAX - 1);

    target[length < 0 ? 0 : length] = '\0';
}

int fence_scan_folder(int fd, struct fence_known *known, struct fence_scan *ret_scan,
                      struct fence_err *err)
{
    char before[PATH_MAX], after[PATH_MAX];
    struct fence_scan scan = {0};
    FENCE_CLOSE int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    int r;

    if (!dir)
        return fence_err_set(err, -errno, "cannot read the folder: %s", strerror(errno));
    (void)TAKE_FD(own);
    read_data_link(fd, before);
    r = scan_entries(dir, known, &scan, err);
    read_data_link(fd, after);
    closedir(dir);
    if (r == 0 && strcmp(before, after) != 0)
        r = fence_err_set(err, -EAGAIN, "the files were swapped while they were read");
    if (r < 0) {
        fence_scan_done(&scan);
        return r;
    }
    *ret_scan = scan;
    return 0;
}
