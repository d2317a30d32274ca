/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify says nothing of a volume that is mounted over the folder, of files behind a symbolic link
 * that leads elsewhere, of changes on a network file system, or of anything at all when its limits
 * are reached: hence the tick.
 */
#include "lib/objects/watch.h"

#include <errno.h>
#include <libgen.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>

#include "lib/base/memory.h"
#include "lib/objects/scan.h"

#define TICK_SECONDS 5
#define FOLDER_EVENTS                                                                              \
    (IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |            \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR)
#define PARENT_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR)

struct fence_watch {
    char *path;
    char *name; /* last part of the path */
    int inotify;
    int timer;
    int epoll;
    int folder;   /* watch descriptor, -1 = the folder is not there */
    int parent;   /* the same for the next folder above that is there */
    bool climbed; /* `parent` is further up: whatever happens in it matters */
};

static int add_to_epoll(struct fence_watch *watch, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int open_all(struct fence_watch *watch, struct fence_err *err)
{
    struct itimerspec tick = {.it_interval = {.tv_sec = TICK_SECONDS},
                              .it_value = {.tv_sec = TICK_SECONDS}};

    watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->inotify < 0)
        return fence_err_set(err, -errno,
                             "%s: cannot watch the folder: %s (the limit is "
                             "fs.inotify.max_user_instances)",
                             watch->path, strerror(errno));
    watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (watch->timer < 0 || watch->epoll < 0 || timerfd_settime(watch->timer, 0, &tick, NULL) < 0 ||
        add_to_epoll(watch, watch->inotify) < 0 || add_to_epoll(watch, watch->timer) < 0)
        return fence_err_set(err, -errno, "%s: cannot watch the folder: %s", watch->path,
                             strerror(errno));
    return 0;
}

int fence_watch_new(const char *path, struct fence_watch **ret_watch, struct fence_err *err)
{
    FENCE_FREE char *copy = strdup(path);
    struct fence_watch *watch = calloc(1, sizeof(*watch));
    int r;

    if (!watch || !copy) {
        free(watch);
        return fence_err_set(err, -ENOMEM, "out of memory");
    }
    watch->inotify = watch->timer = watch->epoll = watch->folder = watch->parent = -1;
    watch->path = strdup(path);
    watch->name = strdup(basename(copy));
    if (!watch->path || !watch->name) {
        fence_watch_free(&watch);
        return fence_err_set(err, -ENOMEM, "out of memory");
    }
    r = open_all(watch, err);
    if (r < 0) {
        fence_watch_free(&watch);
        return r;
    }
    fence_watch_refresh(watch);
    *ret_watch = watch;
    return 0;
}

void fence_watch_free(struct fence_watch **watch)
{
    struct fence_watch *gone = *watch;

    if (!gone)
        return;
    fence_close_p(&gone->epoll);
    fence_close_p(&gone->timer);
    fence_close_p(&gone->inotify);
    free(gone->path);
    free(gone->name);
    free(gone);
    *watch = NULL;
}

int fence_watch_fd(const struct fence_watch *watch)
{
    return watch->epoll;
}

/* Watch `path` in place of what *descriptor watches. */
static void move_watch(struct fence_watch *watch, int *descriptor, const char *path,
                       uint32_t events)
{
    int now = inotify_add_watch(watch->inotify, path, events);

    if (*descriptor >= 0 && now != *descriptor)
        inotify_rm_watch(watch->inotify, *descriptor);
    *descriptor = now;
}

/* The next folder above that is there; `path` is cut. */
static void watch_above(struct fence_watch *watch, char *path)
{
    bool top;

    watch->climbed = false;
    for (;;) {
        top = strcmp(path, "/") == 0 || strcmp(path, ".") == 0;
        path = dirname(path);
        move_watch(watch, &watch->parent, path, PARENT_EVENTS);
        if (watch->parent >= 0 || top)
            return;
        watch->climbed = true;
    }
}

void fence_watch_refresh(struct fence_watch *watch)
{
    FENCE_FREE char *copy = strdup(watch->path);

    /* the parent first: a folder that appears in between is then an event of the parent */
    if (copy)
        watch_above(watch, copy);
    move_watch(watch, &watch->folder, watch->path, FOLDER_EVENTS);
}

static bool matters(const struct fence_watch *watch, const struct inotify_event *event)
{
    const char *name = event->len ? event->name : "";

    if (event->mask & IN_Q_OVERFLOW)
        return true;
    if (event->wd == watch->parent && event->wd != watch->folder)
        return watch->climbed || strcmp(name, watch->name) == 0;
    /* editors' and our neighbours' other files are not our concern */
    return !*name || strncmp(name, "..", 2) == 0 || fence_scan_is_wanted(name);
}

static bool drain_inotify(struct fence_watch *watch)
{
    _Alignas(struct inotify_event) char buffer[4096];
    bool news = false;

    for (;;) {
        ssize_t got = read(watch->inotify, buffer, sizeof(buffer));
        const char *at = buffer;

        if (got <= 0)
            return news;
        while (at < buffer + got) {
            const struct inotify_event *event = (const void *)at;

            news = news || matters(watch, event);
            at += sizeof(*event) + event->len;
        }
    }
}

enum fence_watch_news fence_watch_drain(struct fence_watch *watch)
{
    bool event = drain_inotify(watch);
    uint64_t ticks;

    if (read(watch->timer, &ticks, sizeof(ticks)) > 0)
        return FENCE_WATCH_TICK;
    return event ? FENCE_WATCH_EVENT : FENCE_WATCH_NOTHING;
}
