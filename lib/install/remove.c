/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/install/install.h"
#include "lib/install/netd_file.h"
#include "lib/install/place.h"

/* What one call works with. */
struct work {
    const struct fence_install_removal *removal;
    const char *conf_dir;
    int folder; /* open and locked */
    struct fence_err *err;
};

__attribute__((format(printf, 2, 3))) static void say(const struct work *work, const char *format,
                                                      ...)
{
    char text[1024];
    va_list list;

    if (!work->removal->say)
        return;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    work->removal->say(work->removal->context, text);
}

static bool ends_in(const char *name, const char *end)
{
    size_t size = strlen(name), length = strlen(end);

    return size > length && strcmp(name + size - length, end) == 0;
}

/* ---- lists that hold our entry -------------------------------------------------------------- */

static int write_without(const struct work *work, const struct fence_netd_file *file, bool touch)
{
    FENCE_FREE char *text = NULL;
    struct fence_place_file write = {.name = file->name, .touch = touch};
    int r = fence_chain_remove(&file->chain, &text, work->err);

    if (r < 0)
        return fence_err_prefix(work->err, r, "%s/%s", work->conf_dir, file->name);
    write.data = text;
    write.size = strlen(text);
    r = fence_place_write(work->folder, &write, work->err);
    return r < 0 ? r : 0;
}

/* 1: there was a drop-in of ours for the network, and it has gone. */
static int remove_dropin(const struct work *work, const char *network)
{
    FENCE_FREE char *name = NULL;

    if (asprintf(&name, "%s/" FENCE_NETD_DROPIN, network) < 0)
        return fence_err_set(work->err, -ENOMEM, "out of memory");
    if (faccessat(work->folder, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (fence_place_remove(work->folder, name, work->err) < 0)
        return -EIO;
    (void)unlinkat(work->folder, network, AT_REMOVEDIR); /* others may have files there */
    say(work, "removed %s/%s", work->conf_dir, name);
    return 1;
}

static int clean_file(const struct work *work, const char *name)
{
    struct fence_netd_file file;
    bool dropin;
    int r;

    if (strcmp(name, FENCE_NETD_OWNED) == 0 || fence_netd_is_single(name) ||
        fence_netd_load(work->conf_dir, name, &file, NULL) < 0)
        return 0; /* what no runtime can read holds nothing of ours */
    r = remove_dropin(work, file.chain.name);
    dropin = r > 0;
    if (r >= 0 && (dropin || file.chain.ours))
        r = write_without(work, &file, dropin);
    if (r == 0 && file.chain.ours)
        say(work, "took the entry out of %s/%s", work->conf_dir, name);
    fence_netd_file_done(&file);
    return r;
}

static int clean_files(const struct work *work)
{
    FENCE_CLEANUP(fence_netd_names_done) struct fence_netd_names names = {0};
    int r = fence_netd_names(work->conf_dir, &names, work->err);

    for (size_t i = 0; i < names.count && r == 0; i++)
        r = clean_file(work, names.items[i]);
    return r;
}

/* Of networks whose list has gone. */
static int remove_stray_dropins(const struct work *work)
{
    DIR *dir = opendir(work->conf_dir);
    const struct dirent *entry;
    int r = 0;

    if (!dir)
        return fence_err_set(work->err, -errno, "%s: %s", work->conf_dir, strerror(errno));
    while (r >= 0 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && entry->d_type == DT_DIR)
            r = remove_dropin(work, entry->d_name);
    closedir(dir);
    return r < 0 ? r : 0;
}

/* ---- single configurations that a list of ours has taken the place of ----------------------- */

/* What is there where a list had taken the place of a single configuration. */
enum list_state {
    LIST_OURS,    /* the one that was made of it */
    LIST_OTHERS,  /* somebody has changed it since, or written his own: it is in force */
    LIST_NO_LIST, /* nothing, or what no runtime can read */
};

static enum list_state list_state(const struct work *work, const char *kept, const char *list)
{
    enum list_state state = LIST_OTHERS;
    struct fence_netd_file single, now;

    if (fence_netd_load(work->conf_dir, list, &now, NULL) < 0)
        return LIST_NO_LIST;
    if (fence_netd_load_single(work->conf_dir, kept, &single, NULL) == 0) {
        if (fence_netd_is_made_of(&now, &single))
            state = LIST_OURS;
        fence_netd_file_done(&single);
    }
    fence_netd_file_done(&now);
    return state;
}

/* Its own name again first: it sorts before the list, or where it does not, the list is the same
 * network. */
static int restore(const struct work *work, const char *kept)
{
    FENCE_FREE char *single = strndup(kept, strlen(kept) - strlen(FENCE_NETD_KEPT));
    FENCE_FREE char *list = NULL;
    enum list_state state;
    int r = 0;

    if (!single || !strrchr(single, '.') ||
        asprintf(&list, "%.*s.conflist", (int)(strrchr(single, '.') - single), single) < 0)
        return fence_err_set(work->err, -ENOMEM, "out of memory");
    state = list_state(work, kept, list);
    if (state == LIST_OTHERS)
        say(work, "%s/%s is not what was made of %s: it stays, without podfence", work->conf_dir,
            list, single);
    if (state != LIST_OTHERS && faccessat(work->folder, single, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        r = fence_place_rename(work->folder, kept, single, work->err);
    else
        r = fence_place_remove(work->folder, kept, work->err); /* there is a newer one */
    if (r == 0 && state == LIST_OURS)
        r = fence_place_remove(work->folder, list, work->err);
    if (r == 0 && state != LIST_OTHERS)
        say(work, "%s/%s is back in place of %s", work->conf_dir, single, list);
    return r;
}

static int restore_all(const struct work *work)
{
    DIR *dir = opendir(work->conf_dir);
    const struct dirent *entry;
    int r = 0;

    if (!dir)
        return fence_err_set(work->err, -errno, "%s: %s", work->conf_dir, strerror(errno));
    while (r == 0 && (entry = readdir(dir)))
        if (ends_in(entry->d_name, FENCE_NETD_KEPT))
            r = restore(work, entry->d_name);
    closedir(dir);
    return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Without ours, would the node's pods still get a network? */
static int check_rest(const struct work *work)
{
    struct fence_netd_file primary;
    struct fence_err why = {""};
    int r = fence_netd_primary(work->conf_dir, &primary, &why);

    if (r == 0)
        fence_netd_file_done(&primary);
    if (r == 0 || work->removal->force)
        return 0;
    return fence_err_set(work->err, -ENOTEMPTY,
                         "%s/" FENCE_NETD_OWNED " is the only network configuration of this node; "
                         "start the main CNI so that it writes its own, or give --force",
                         work->conf_dir);
}

static int remove_all(const struct work *work)
{
    bool owned = faccessat(work->folder, FENCE_NETD_OWNED, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    int r = restore_all(work);

    if (r == 0)
        r = clean_files(work);
    if (r == 0)
        r = remove_stray_dropins(work);
    if (r == 0 && owned)
        r = check_rest(work);
    /* at last: what it was made of is whole again by now */
    if (r == 0 && owned)
        r = fence_place_remove(work->folder, FENCE_NETD_OWNED, work->err);
    if (r == 0 && owned)
        say(work, "removed %s/" FENCE_NETD_OWNED, work->conf_dir);
    return r;
}

int fence_install_remove(const struct fence_install_removal *removal, struct fence_err *err)
{
    struct work work = {
        .removal = removal, .conf_dir = removal->conf_dir, .folder = -1, .err = err};
    int r;

    work.folder = fence_place_open(removal->conf_dir, err);
    if (work.folder == -ENOENT)
        return 0;
    if (work.folder < 0)
        return work.folder;
    r = remove_all(&work);
    close(work.folder);
    return r;
}
