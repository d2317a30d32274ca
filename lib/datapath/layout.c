/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/layout.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"

#define HIDDEN "removed-v"

int fence_layout_path(const char *bpffs, unsigned int number, char *path, size_t size,
                      struct fence_err *err)
{
    int length = snprintf(path, size, "%s/v%u", bpffs, number);

    if (length < 0 || (size_t)length >= size)
        return fence_err_set(err, -ENAMETOOLONG, "bpffs path is too long: %s", bpffs);
    return 0;
}

/* Whatever somebody else wrote is shown to people. */
static void make_printable(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (; *text; text++)
        if (!isgraph((unsigned char)*text))
            *text = '?';
}

/* Its descriptor, or a negative errno. */
static int open_map(const char *bpffs, unsigned int number, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/v%u/maps/%s", bpffs, number, name);
    return bpf_obj_get(path);
}

static bool is_missing(int code)
{
    return code == -ENOENT || code == -ENOTDIR;
}

/* Without knowing what an endpoint looks like there. */
static int read_used(const char *bpffs, unsigned int number, bool *ret_used)
{
    FENCE_CLOSE int fd = open_map(bpffs, number, "endpoints");
    __u32 first;
    int r;

    if (fd < 0)
        return is_missing(fd) ? 0 : fd;
    r = bpf_map_get_next_key(fd, NULL, &first);
    *ret_used = r == 0;
    return r == -ENOENT ? 0 : r;
}

static int read_about(const char *bpffs, unsigned int number, struct fence_about *ret_about)
{
    FENCE_CLOSE int fd = open_map(bpffs, number, "about");
    const __u32 zero = 0;

    if (fd < 0)
        return is_missing(fd) ? 0 : fd;
    return bpf_map_lookup_elem(fd, &zero, ret_about);
}

int fence_layout_read(const char *bpffs, unsigned int number, struct fence_layout *ret_layout,
                      struct fence_err *err)
{
    struct fence_layout layout = {.number = number};
    struct fence_about about = {0};
    int r = read_about(bpffs, number, &about);

    if (r == 0)
        r = read_used(bpffs, number, &layout.used);
    if (r < 0)
        return fence_err_set(err, r, "%s/v%u: %s", bpffs, number, strerror(-r));
    layout.whole = about.whole != 0;
    memcpy(layout.version, about.version, sizeof(layout.version));
    make_printable(layout.version, sizeof(layout.version));
    *ret_layout = layout;
    return 0;
}

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}
#define FOLDER FENCE_CLEANUP(close_folder) DIR

/* 0: the name is none of a layout. */
static unsigned int number_of(const char *name)
{
    unsigned long number;
    char *end;

    if (name[0] != 'v' || !isdigit((unsigned char)name[1]))
        return 0;
    number = strtoul(name + 1, &end, 10);
    return *end == '\0' && number < 1000000 ? (unsigned int)number : 0;
}

static int compare(const void *a, const void *b)
{
    const struct fence_layout *one = a, *other = b;

    return one->number < other->number ? -1 : one->number > other->number;
}

void fence_layout_list_done(struct fence_layout_list *list)
{
    free(list->items);
    *list = (struct fence_layout_list){0};
}

static int add(const char *bpffs, unsigned int number, struct fence_layout_list *list,
               struct fence_err *err)
{
    struct fence_layout layout;
    int r = fence_layout_read(bpffs, number, &layout, err);

    if (r < 0)
        return r;
    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    list->items[list->count++] = layout;
    return 0;
}

int fence_layouts_list(const char *bpffs, struct fence_layout_list *ret_list, struct fence_err *err)
{
    FENCE_CLEANUP(fence_layout_list_done) struct fence_layout_list list = {0};
    FOLDER *folder = opendir(bpffs);
    const struct dirent *entry;
    int r = 0;

    if (!folder && errno != ENOENT)
        return fence_err_set(err, -errno, "%s: %s", bpffs, strerror(errno));
    while (r == 0 && folder && (entry = readdir(folder)) != NULL) {
        unsigned int number = number_of(entry->d_name);

        if (number && number != FENCE_ABI_VERSION)
            r = add(bpffs, number, &list, err);
    }
    if (r < 0)
        return r;
    if (list.count)
        qsort(list.items, list.count, sizeof(*list.items), compare);
    *ret_list = list;
    list = (struct fence_layout_list){0};
    return 0;
}

void fence_layouts_explain(const char *bpffs, struct fence_err *err)
{
    FENCE_CLEANUP(fence_layout_list_done) struct fence_layout_list list = {0};

    if (!err || fence_layouts_list(bpffs, &list, NULL) < 0)
        return;
    for (size_t i = 0; i < list.count; i++) {
        const struct fence_layout *layout = &list.items[i];
        size_t used = strlen(err->text);

        if (layout->whole || layout->used)
            snprintf(err->text + used, sizeof(err->text) - used,
                     "; layout %u of podfence %s is pinned here, and this is podfence %s with "
                     "layout %d: plugin, podfenced and podfencectl must be of one version",
                     layout->number, layout->version[0] ? layout->version : "(unknown version)",
                     FENCE_VERSION, FENCE_ABI_VERSION);
    }
}

/* ---- removal -------------------------------------------------------------------------------- */

int fence_layout_hide(const char *bpffs, unsigned int number, struct fence_err *err)
{
    char from[512], to[512];

    snprintf(from, sizeof(from), "%s/v%u", bpffs, number);
    snprintf(to, sizeof(to), "%s/" HIDDEN "%u", bpffs, number);
    if (rename(from, to) < 0 && errno != ENOENT)
        return fence_err_set(err, -errno, "removing %s: %s", from, strerror(errno));
    return 0;
}

/* The pins of one folder, and the folder. */
static int remove_pins(int parent, const char *name)
{
    FENCE_CLOSE int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *entry;
    FOLDER *folder = NULL;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    folder = fdopendir(fd);
    if (!folder)
        return -errno;
    (void)TAKE_FD(fd);
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) < 0 && errno != ENOENT)
            return -errno;
        FENCE_FAILPOINT("layout.pin-removed");
    }
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_hidden(int bpffs, const char *name)
{
    static const char *const folders[] = {"links", "progs", "maps"};
    FENCE_CLOSE int fd = openat(bpffs, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(folders) && r == 0; i++)
        r = remove_pins(fd, folders[i]);
    if (r == 0 && unlinkat(bpffs, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

static int remove_all_hidden(const char *bpffs)
{
    FOLDER *folder = opendir(bpffs);
    const struct dirent *entry;
    int r = 0;

    if (!folder)
        return errno == ENOENT ? 0 : -errno;
    while (r == 0 && (entry = readdir(folder)) != NULL)
        if (strncmp(entry->d_name, HIDDEN, sizeof(HIDDEN) - 1) == 0)
            r = remove_hidden(dirfd(folder), entry->d_name);
    return r;
}

int fence_layouts_remove(const char *bpffs, struct fence_err *err)
{
    FENCE_CLEANUP(fence_layout_list_done) struct fence_layout_list list = {0};
    int r = fence_layouts_list(bpffs, &list, err);

    if (r < 0)
        return r;
    /* one that somebody was killed over while he removed it stands in the way of the next */
    r = remove_all_hidden(bpffs);
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = fence_layout_hide(bpffs, list.items[i].number, NULL);
    if (r == 0)
        r = remove_all_hidden(bpffs);
    return r < 0 ? fence_err_set(err, r, "removing another layout's pins from %s: %s", bpffs,
                                 strerror(-r))
                 : 0;
}
