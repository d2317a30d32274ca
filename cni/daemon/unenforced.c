/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/unenforced.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/late.h"
#include "cni/daemon/unenforced_record.h"
#include "lib/api/api.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/net/links.h"

#define FILES_MAX    4096 /* looked at in one pass */
#define PROBLEMS_MAX 64

/* One pass over the folder. */
struct pass {
    struct fence_daemon *daemon;
    const char *path;
    int folder;
    __u64 netns; /* inode of our own network namespace */
};

static void clear(struct fence_unenforced *unenforced)
{
    for (size_t i = 0; i < unenforced->count; i++) {
        free(unenforced->problems[i].file);
        free(unenforced->problems[i].text);
    }
    unenforced->count = 0;
}

void fence_unenforced_done(struct fence_unenforced *unenforced)
{
    clear(unenforced);
    free(unenforced->problems);
    *unenforced = (struct fence_unenforced){0};
}

/* `name` NULL: the folder itself. */
static void add_problem(const struct pass *pass, const char *name, const char *text)
{
    struct fence_unenforced *unenforced = &pass->daemon->unenforced;
    struct fence_unenforced_problem problem = {0};

    if (unenforced->count >= PROBLEMS_MAX)
        return;
    problem.text = strdup(text);
    if (asprintf(&problem.file, "%s%s%s", pass->path, name ? "/" : "", name ? name : "") < 0)
        problem.file = NULL;
    if (problem.text && problem.file &&
        FENCE_GROW(unenforced->problems, unenforced->capacity, unenforced->count) == 0) {
        unenforced->problems[unenforced->count++] = problem;
        return;
    }
    free(problem.text);
    free(problem.file);
    fence_log(FENCE_LOG_ERROR, "%s%s%s: %s", pass->path, name ? "/" : "", name ? name : "", text);
}

static int read_record(const struct pass *pass, const char *name,
                       struct fence_unenforced_record *ret_record, struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    ssize_t size = fence_file_read_ours(pass->folder, name, FENCE_UNENFORCED_MAX, &text, err);

    if (size < 0)
        return (int)size;
    return fence_unenforced_parse(name, text, (size_t)size, ret_record, err);
}

/* 1 when the recorded interface is here, 0 when it has gone. */
static int look_for_interface(const struct pass *pass, const struct fence_unenforced_record *record,
                              struct fence_err *err)
{
    const struct fence_endpoint_record *endpoint = &record->endpoint;
    char name[16];
    int r;

    if (record->node_netns != pass->netns)
        return fence_err_set(err, -EXDEV,
                             "the plugin wrote it in another network namespace than podfenced is "
                             "in: run podfenced in the node's own");
    r = fence_link_name(endpoint->ifindex, name);
    if (r == -ENODEV)
        return 0;
    if (r == 0 && strncmp(name, endpoint->info.host_ifname, sizeof(name)) != 0)
        return fence_err_set(err, -ENODEV, "interface %u is %.15s now, not %s", endpoint->ifindex,
                             name, endpoint->info.host_ifname);
    if (r == 0)
        r = fence_link_is_veth(endpoint->ifindex);
    if (r == 0)
        return fence_err_set(err, -EMEDIUMTYPE, "interface %s is no pod's: it is not a veth",
                             endpoint->info.host_ifname);
    if (r < 0 && r != -ENODEV)
        return fence_err_set(err, r, "cannot look at interface %s: %s", endpoint->info.host_ifname,
                             strerror(-r));
    return r > 0;
}

static int enrol(const struct pass *pass, struct fence_endpoint_record *endpoint,
                 struct fence_err *err)
{
    int r = fence_late_enrol(pass->daemon, endpoint, err);

    if (r < 0)
        return r;
    fence_log(FENCE_LOG_INFO, "enrolled %s/%s (container %s, interface %s), which had started %s",
              endpoint->info.namespace_name, endpoint->info.pod, endpoint->info.container_id,
              endpoint->info.host_ifname,
              endpoint->endpoint.flags & FENCE_EP_EXEMPT ? "exempt" : "unenforced");
    return 0;
}

/*
 * A DEL that comes in between has removed the file, but not the endpoint that it could not see yet:
 * that one goes with its interface, as after a DEL that never came (vanished.h). Nothing is undone
 * here, since a repeated ADD, which enforces the pod, removes the file too.
 */
static int handle(const struct pass *pass, const char *name, struct fence_err *err)
{
    struct fence_unenforced_record record = {0};
    int r = read_record(pass, name, &record, err);

    if (r == 0)
        r = look_for_interface(pass, &record, err);
    if (r == 0)
        fence_log(FENCE_LOG_INFO, "%s/%s is dropped: its interface %s has gone", pass->path, name,
                  record.endpoint.info.host_ifname);
    else if (r > 0)
        r = enrol(pass, &record.endpoint, err);
    if (r == 0 && unlinkat(pass->folder, name, 0) < 0 && errno != ENOENT)
        r = fence_err_set(err, -errno, "it cannot be removed: %s", strerror(errno));
    return r;
}

/* Gone in the meantime: a DEL. */
static bool has_gone(const struct pass *pass, const char *name)
{
    struct stat info;

    return fstatat(pass->folder, name, &info, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* What fence_file_write() has not finished: the plugin at work, or one that was killed. */
static bool is_temporary(const char *name)
{
    static const char mark[] = ".tmp.XXXXXX";
    size_t length = strlen(name), tail = sizeof(mark) - 1;

    return length > tail && strncmp(name + length - tail, mark, sizeof(".tmp.") - 1) == 0;
}

static void read_entries(const struct pass *pass, DIR *folder)
{
    const struct dirent *entry;
    size_t seen = 0;
    int r = 0;

    /* a lock that somebody holds is not waited for file after file */
    while (r != -ETIMEDOUT && (entry = readdir(folder))) {
        struct fence_err err = {""};

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (++seen > FILES_MAX) {
            add_problem(pass, NULL, "it holds more files than this node has room for pods");
            return;
        }
        r = handle(pass, entry->d_name, &err);
        if (r < 0 && !is_temporary(entry->d_name) && !has_gone(pass, entry->d_name))
            add_problem(pass, entry->d_name, err.text);
    }
}

static void read_folder(struct pass *pass)
{
    FENCE_CLOSE int fd =
        open(pass->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info, own;
    DIR *folder;

    if (fd < 0 && errno == ENOENT)
        return;
    if (fd < 0 || fstat(fd, &info) < 0 || stat("/proc/thread-self/ns/net", &own) < 0) {
        add_problem(pass, NULL, strerror(errno));
        return;
    }
    if (!fence_file_is_ours(&info)) {
        add_problem(pass, NULL, "others than root may write into it, so it is not read");
        return;
    }
    folder = fdopendir(fd);
    if (!folder) {
        add_problem(pass, NULL, strerror(errno));
        return;
    }
    pass->folder = TAKE_FD(fd);
    pass->netns = own.st_ino;
    read_entries(pass, folder);
    closedir(folder);
}

void fence_unenforced_enrol(struct fence_daemon *daemon)
{
    const char *socket = daemon->options.socket;
    const char *slash = strrchr(socket, '/');
    size_t had = daemon->unenforced.count;
    FENCE_FREE char *path = NULL;
    struct pass pass = {.daemon = daemon, .folder = -1};

    if (asprintf(&path, "%.*s%s", slash ? (int)(slash - socket) + 1 : 0, socket,
                 FENCE_UNENFORCED_FOLDER) < 0) {
        path = NULL;
        return;
    }
    pass.path = path;
    clear(&daemon->unenforced);
    read_folder(&pass);
    if (had || daemon->unenforced.count)
        daemon->reconcile.problems_changed = true;
}

int fence_unenforced_init(struct fence_daemon *daemon, struct fence_err *err)
{
    (void)err;
    fence_seeding_want(&daemon->seeding, true);
    fence_unenforced_enrol(daemon);
    return 0;
}
