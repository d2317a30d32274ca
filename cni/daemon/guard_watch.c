/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/guard_watch.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "cni/daemon/daemon.h"
#include "lib/base/memory.h"

/* Not IN_MODIFY: what is being written is looked at when it is closed. */
#define EVENTS                                                                                     \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |            \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

static bool matches(const char *const *patterns, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

/* Our own temporary files are of no interest, nor are other plugins. */
static bool matters(struct fence_guard *guard, const struct inotify_event *event)
{
    static const char *const configurations[] = {"*.conf", "*.conflist", "*.json"};
    const char *name = event->len ? event->name : "";

    if (event->mask & IN_Q_OVERFLOW || !*name) {
        guard->look_at_all = true;
        return true;
    }
    if (event->wd == guard->bin_watch && strcmp(name, "podfence") == 0) {
        guard->look_at_all = true;
        return true;
    }
    if (event->wd == guard->conf_watch && event->mask & IN_ISDIR)
        return true;
    return event->wd != guard->bin_watch &&
           matches(configurations, FENCE_ARRAY_SIZE(configurations), name);
}

static void ready(void *context, uint32_t events)
{
    struct fence_guard *guard = context;
    _Alignas(struct inotify_event) char buffer[4096];
    bool news = false;

    (void)events;
    for (;;) {
        ssize_t got = read(guard->watch.fd, buffer, sizeof(buffer));
        const char *at = buffer;

        if (got <= 0)
            break;
        while (at < buffer + got) {
            const struct inotify_event *event = (const void *)at;

            news = matters(guard, event) || news;
            at += sizeof(*event) + event->len;
        }
    }
    if (news)
        fence_guard_soon(guard);
}

int fence_guard_watch(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_guard *guard = &daemon->guard;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd < 0)
        return fence_err_set(err, -errno,
                             "cannot watch the folders of the CNI: %s (the limit is "
                             "fs.inotify.max_user_instances)",
                             strerror(errno));
    guard->watch = (struct fence_fd_watch){.fd = fd, .ready = ready, .context = guard};
    return fence_loop_watch(&daemon->loop, &guard->watch, EPOLLIN, err);
}

/* Watch `path` in place of what *watch watches. */
static bool move_watch(const struct fence_guard *guard, int *watch, const char *path)
{
    int now = inotify_add_watch(guard->watch.fd, path, EVENTS);

    if (*watch >= 0 && now != *watch)
        (void)inotify_rm_watch(guard->watch.fd, *watch);
    *watch = now;
    return now >= 0;
}

bool fence_guard_rewatch(struct fence_guard *guard)
{
    bool conf = move_watch(guard, &guard->conf_watch, guard->install.conf_dir);
    bool bin = move_watch(guard, &guard->bin_watch, guard->install.bin_dir);
    char path[1024];

    if (*guard->effective.network) {
        snprintf(path, sizeof(path), "%s/%s", guard->install.conf_dir, guard->effective.network);
        (void)move_watch(guard, &guard->dropin_watch, path);
    }
    return conf && bin;
}
