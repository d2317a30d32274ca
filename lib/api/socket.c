/* SPDX-License-Identifier: Apache-2.0 */
/* Making the two ends of the daemon's socket. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/api/api.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"

#define BACKLOG 512

static int set_path(struct sockaddr_un *address, const char *path, struct fence_err *err)
{
    size_t size = strlen(path);

    if (size == 0)
        return fence_err_set(err, -EINVAL, "the path of the socket is empty");
    if (size >= sizeof(address->sun_path))
        return fence_err_set(err, -ENAMETOOLONG,
                             "the path of the socket is longer than %zu characters: %s",
                             sizeof(address->sun_path) - 1, path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, size + 1);
    return 0;
}

static int open_socket(struct fence_err *err)
{
    FENCE_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int room = 2 * (int)FENCE_API_MESSAGE_MAX;

    if (fd < 0)
        return fence_err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
    /* without the right to force it, the system's default usually holds one message too */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    return TAKE_FD(fd);
}

int fence_api_connect(const char *path, struct fence_err *err)
{
    struct sockaddr_un address;
    FENCE_CLOSE int fd = -1;
    int result = set_path(&address, path, err);

    if (result < 0)
        return result;
    fd = open_socket(err);
    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return TAKE_FD(fd);
    result = -errno;
    if (result == -EAGAIN)
        return fence_err_set(err, result, "podfenced does not answer on %s: it is stuck", path);
    if (result == -ENOENT || result == -ECONNREFUSED)
        return fence_err_set(err, result, "podfenced does not run (%s: %s)", path,
                             strerror(-result));
    return fence_err_set(err, result, "cannot connect to %s: %s", path, strerror(-result));
}

/* `address` holds the path, so it fits. */
static int make_folder(const struct sockaddr_un *address, struct fence_err *err)
{
    char folder[sizeof(address->sun_path)];
    char *slash;

    memcpy(folder, address->sun_path, sizeof(folder));
    slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return 0;
    *slash = '\0';
    return fence_mkdirs(folder, 0700, err);
}

/* Removes what a dead daemon left behind, and nothing else. */
static int clear_stale(const char *path, struct fence_err *err)
{
    FENCE_CLOSE int fd = -1;
    struct stat info;

    if (lstat(path, &info) < 0)
        return errno == ENOENT
                   ? 0
                   : fence_err_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
    if (!S_ISSOCK(info.st_mode))
        return fence_err_set(err, -EEXIST, "%s is there and is no socket: remove it", path);
    fd = fence_api_connect(path, NULL);
    if (fd >= 0 || fd == -EAGAIN)
        return fence_err_set(err, -EADDRINUSE, "another podfenced answers on %s", path);
    if (fd != -ECONNREFUSED)
        return fence_err_set(err, fd, "%s is there but cannot be tried: %s", path, strerror(-fd));
    if (unlink(path) < 0 && errno != ENOENT)
        return fence_err_set(err, -errno, "cannot remove the stale socket %s: %s", path,
                             strerror(errno));
    return 0;
}

int fence_api_listen(const char *path, struct fence_err *err)
{
    struct sockaddr_un address;
    FENCE_CLOSE int fd = -1;
    int result = set_path(&address, path, err);

    if (result == 0)
        result = make_folder(&address, err);
    if (result == 0)
        result = clear_stale(path, err);
    if (result < 0)
        return result;
    fd = open_socket(err);
    if (fd < 0)
        return fd;
    /* the file takes the descriptor's mode: at no moment is it open to others */
    if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, BACKLOG) < 0)
        return fence_err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
    return TAKE_FD(fd);
}

int fence_api_share(const char *path, gid_t group, struct fence_err *err)
{
    FENCE_FREE char *folder = strdup(path);
    struct stat info;
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (!folder)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (lchown(path, (uid_t)-1, group) < 0 || chmod(path, 0660) < 0)
        return fence_err_set(err, -errno, "cannot give %s to group %u: %s", path,
                             (unsigned int)group, strerror(errno));
    if (!slash || slash == folder)
        return 0;
    *slash = '\0';
    if (stat(folder, &info) == 0 && info.st_mode & (S_IRWXG | S_IRWXO))
        return 0;
    if (chown(folder, (uid_t)-1, group) < 0 || chmod(folder, 0710) < 0)
        return fence_err_set(err, -errno, "cannot give %s to group %u: %s", folder,
                             (unsigned int)group, strerror(errno));
    return 0;
}
