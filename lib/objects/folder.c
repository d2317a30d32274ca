/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read has two halves. First the files are scanned and decoded, which touches nothing; if the
 * folder is not there, is not what it was (a volume that was unmounted) or is swapped meanwhile, it
 * ends here and all stays as it is. Then the result goes into the store, file by file, and from
 * there into the state.
 */
#include "lib/objects/folder_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/objects/scan.h"
#include "lib/objects/watch.h"

#define QUIET_NS    20000000u  /* no event for so long */
#define PATIENCE_NS 100000000u /* since the first event */
#define TRIES       5u         /* when files are swapped while they are read */

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* ---- the folder as an object ---------------------------------------------------------------- */

static char *copy_path(const char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        length--;
    return strndup(path, length);
}

static int set_up(struct fence_folder *folder, const char *path, const char *state_dir,
                  struct fence_err *err)
{
    int r = 0;

    folder->path = copy_path(path);
    if (!folder->path || asprintf(&folder->state_name, "state of %s", path) < 0)
        return no_memory(err);
    if (state_dir) {
        folder->state_dir = copy_path(state_dir);
        r = folder->state_dir ? fence_mkdirs(folder->state_dir, 0700, err) : no_memory(err);
    }
    return r < 0 ? r : fence_watch_new(folder->path, &folder->watch, err);
}

int fence_folder_new(const char *path, unsigned int order, const char *state_dir,
                     struct fence_folder **ret_folder, struct fence_err *err)
{
    struct fence_folder *folder;
    int r;

    if (!*path)
        return fence_err_set(err, -EINVAL, "the name of the objects folder is empty");
    folder = calloc(1, sizeof(*folder));
    if (!folder)
        return no_memory(err);
    folder->order = order;
    r = set_up(folder, path, state_dir, err);
    if (r < 0) {
        fence_folder_free(&folder);
        return r;
    }
    *ret_folder = folder;
    return 0;
}

void fence_folder_free(struct fence_folder **folder)
{
    struct fence_folder *gone = *folder;
    struct fence_known *known, *next;

    if (!gone)
        return;
    HASH_ITER (hh, gone->known, known, next)
        fence_known_drop(&gone->known, known);
    fence_watch_free(&gone->watch);
    free(gone->path);
    free(gone->state_dir);
    free(gone->state_name);
    free(gone);
    *folder = NULL;
}

int fence_folder_fd(const struct fence_folder *folder)
{
    return fence_watch_fd(folder->watch);
}

bool fence_folder_present(const struct fence_folder *folder)
{
    return folder->present;
}

const char *fence_folder_path(const struct fence_folder *folder)
{
    return folder->path;
}

int fence_folder_handle(struct fence_folder *folder)
{
    enum fence_watch_news news = fence_watch_drain(folder->watch);
    uint64_t now = fence_clock_boot_ns();
    uint64_t due;

    if (news != FENCE_WATCH_NOTHING) {
        folder->last_event = now;
        if (!folder->first_event)
            folder->first_event = now;
    }
    if (!folder->first_event)
        return -1;
    due = folder->last_event + QUIET_NS;
    if (due > folder->first_event + PATIENCE_NS)
        due = folder->first_event + PATIENCE_NS;
    return due > now ? (int)((due - now + 999999) / 1000000) : 0;
}

char *fence_folder_unit(const struct fence_folder *folder, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", folder->path, name) < 0 ? NULL : path;
}

/* ---- into the store ------------------------------------------------------------------------- */

static bool has_refused(const struct fence_scanned *item)
{
    for (size_t i = 0; i < item->list.count; i++)
        if (item->list.items[i].refused != FENCE_REFUSED_NOT)
            return true;
    return false;
}

static bool is_whole(const struct fence_scanned *item)
{
    return item->outcome == FENCE_FILE_DECODED && !has_refused(item);
}

static void set_known(struct fence_known *known, const struct fence_scanned *item)
{
    known->met = true;
    known->read = item->outcome != FENCE_FILE_UNREAD;
    if (item->outcome != FENCE_FILE_UNCHANGED)
        known->decoded = item->outcome == FENCE_FILE_DECODED;
    known->signature = item->signature;
    known->content = item->content;
    known->settled = item->settled;
}

/* What is wrong with the file, and what that means until it is mended. */
static int put_broken(struct fence_folder_run *run, const struct fence_scanned *item,
                      const char *unit)
{
    bool parsed = item->outcome != FENCE_FILE_UNPARSED;
    bool kept = fence_store_has_objects(run->store, unit);
    FENCE_FREE char *text = NULL;

    if (asprintf(&text, "%s; %s until it %s", item->problem,
                 kept ? "the last good version of the file stays in force"
                      : "its objects are absent",
                 parsed ? "can be read" : "is mended") < 0) {
        text = NULL;
        return no_memory(run->err);
    }
    return fence_store_broken(run->store, run->folder->order, unit, text) < 0 ? no_memory(run->err)
                                                                              : 0;
}

static int put_file(struct fence_folder_run *run, struct fence_scanned *item,
                    struct fence_known *known, const char *unit)
{
    struct fence_folder *folder = run->folder;
    int r = 0;

    if (!known->met && (run->refused || !is_whole(item)))
        r = fence_folder_restore(run, unit);
    if (r < 0)
        return r;
    if (item->outcome != FENCE_FILE_DECODED)
        return put_broken(run, item, unit);
    r = fence_store_put(run->store, folder->order, unit, &item->list, run->err);
    /* not all of them until the end: there may be a cluster's pods in them */
    if (r >= 0)
        fence_decoded_list_done(&item->list);
    if (r > 0) {
        known->saved = false;
        run->changed = true;
    }
    return r < 0 ? r : 0;
}

static int take_file(struct fence_folder_run *run, struct fence_scanned *item)
{
    struct fence_known *known = fence_known_obtain(&run->folder->known, item->name);
    FENCE_FREE char *unit = fence_folder_unit(run->folder, item->name);
    int r = 0;

    if (!known || !unit)
        return no_memory(run->err);
    known->seen = true;
    if (item->outcome != FENCE_FILE_UNCHANGED)
        r = put_file(run, item, known, unit);
    if (r == 0)
        set_known(known, item);
    return r;
}

/* Its objects are gone, unless another file keeps them. */
static int drop_file(struct fence_folder_run *run, struct fence_known *known)
{
    FENCE_FREE char *unit = fence_folder_unit(run->folder, known->name);
    int r = unit ? 0 : no_memory(run->err);

    if (r == 0 && !known->met && run->refused)
        r = fence_folder_restore(run, unit);
    if (r < 0)
        return r;
    known->met = true;
    r = fence_store_remove(run->store, unit);
    run->changed = r > 0 || run->changed;
    return r < 0 ? no_memory(run->err) : 0;
}

/* Put all files of the scan, remove those that are gone, keep what moved. */
static int put_all(struct fence_folder_run *run, struct fence_scan *scan)
{
    struct fence_folder *folder = run->folder;
    struct fence_known *known, *next;
    int r = 0;

    fence_store_begin_moves(run->store, run->refused);
    for (size_t i = 0; i < scan->count && r == 0; i++)
        r = take_file(run, &scan->items[i]);
    HASH_ITER (hh, folder->known, known, next)
        if (r == 0 && !known->seen)
            r = drop_file(run, known);
    if (r == 0)
        r = fence_store_keep_moved(run->store, folder->order, run->err);
    if (r <= 0)
        return r;
    HASH_ITER (hh, folder->known, known, next)
        known->saved = false;
    return 0;
}

static int take_scan(struct fence_folder_run *run, struct fence_scan *scan)
{
    struct fence_folder *folder = run->folder;
    struct fence_known *known, *next;
    int r;

    HASH_ITER (hh, folder->known, known, next)
        known->seen = false;
    for (size_t i = 0; i < scan->count; i++)
        run->refused = run->refused || has_refused(&scan->items[i]);
    r = put_all(run, scan);
    if (r == 0)
        r = fence_folder_save(run);
    if (r < 0)
        return r;
    folder->present = true;
    fence_store_remove(run->store, folder->path);
    return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The folder cannot be read: keep everything, at start what the state has. */
static int keep_all(struct fence_folder_run *run, const char *problem)
{
    struct fence_folder *folder = run->folder;
    struct fence_known *known, *next;
    int r;

    folder->present = false;
    if (!folder->started) {
        HASH_ITER (hh, folder->known, known, next) {
            FENCE_FREE char *unit = fence_folder_unit(folder, known->name);

            r = unit ? fence_folder_restore(run, unit) : no_memory(run->err);
            if (r < 0)
                return r;
            known->met = true;
        }
    }
    r = fence_store_broken(run->store, folder->order, folder->path, problem);
    return r < 0 ? no_memory(run->err) : 0;
}

static bool is_mount_point(int fd)
{
    struct statx info;

    return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &info) == 0 &&
           (info.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* The state says it of each file, so that a restarted daemon knows. */
static void set_mounted(struct fence_folder *folder, bool mounted)
{
    struct fence_known *known, *next;

    if (folder->mounted == mounted)
        return;
    folder->mounted = mounted;
    HASH_ITER (hh, folder->known, known, next)
        known->saved = false;
}

static int read_present(struct fence_folder_run *run, int fd)
{
    struct fence_folder *folder = run->folder;
    struct fence_scan scan = {0};
    struct fence_err problem;
    bool mounted = is_mount_point(fd);
    int r = -EAGAIN;

    for (unsigned int i = 0; i < TRIES && r == -EAGAIN; i++)
        r = fence_scan_folder(fd, folder->known, &scan, &problem);
    if (r == -ENOMEM)
        return fence_err_set(run->err, r, "%s", problem.text);
    if (r < 0)
        return keep_all(run, problem.text);
    if (folder->mounted && !mounted && scan.count == 0) {
        fence_scan_done(&scan);
        return keep_all(run, "was a mounted volume and is an empty folder now; the objects read "
                             "before stay in force until it is mounted again");
    }
    set_mounted(folder, mounted);
    r = take_scan(run, &scan);
    fence_scan_done(&scan);
    return r;
}

static int read_folder(struct fence_folder_run *run)
{
    FENCE_CLOSE int fd = open(run->folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct fence_err problem;

    if (fd >= 0)
        return read_present(run, fd);
    fence_err_set(&problem, 0,
                  "cannot read the folder: %s; the objects read before stay in force until it is "
                  "there",
                  strerror(errno));
    return keep_all(run, problem.text);
}

int fence_folder_read(struct fence_folder *folder, struct fence_store *store, struct fence_err *err)
{
    struct fence_folder_run run = {.folder = folder, .store = store, .err = err};
    int r;

    /* events from here on are of what is not read yet */
    folder->first_event = 0;
    fence_watch_refresh(folder->watch);
    r = fence_folder_learn(&run);
    if (r == 0)
        r = read_folder(&run);
    if (r < 0)
        return r;
    folder->started = true;
    fence_folder_report_state(&run);
    return run.changed;
}
