/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/install/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"

#define LOCK_STEP_NS  10000000L
#define LABEL         "security.selinux"
#define LABEL_MAX     512
#define COMPARE_MAX   (64u << 20)
/* Nobody else's: what is named so and is not being written may be removed. */
#define TEMPORARY_MID ".podfence.tmp."

/* ---- the folder ----------------------------------------------------------------------------- */

static int lock(int fd)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_NS};

    for (long waited = 0; waited < FENCE_PLACE_LOCK_MS * 1000000L; waited += LOCK_STEP_NS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        nanosleep(&step, NULL);
    }
    return -ETIMEDOUT;
}

static bool is_temporary(const char *name)
{
    return name[0] == '.' && strstr(name, TEMPORARY_MID);
}

static void remove_temporaries(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)))
        if (is_temporary(entry->d_name))
            (void)unlinkat(folder, entry->d_name, 0);
    closedir(dir);
}

int fence_place_open(const char *folder, struct fence_err *err)
{
    FENCE_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (fd < 0)
        return fence_err_set(err, -errno, "%s: %s", folder, strerror(errno));
    r = lock(fd);
    if (r == -ETIMEDOUT)
        return fence_err_set(err, r, "%s: another installer of podfence is at work in it", folder);
    if (r < 0)
        return fence_err_set(err, r, "cannot lock %s: %s", folder, strerror(-r));
    remove_temporaries(fd);
    return TAKE_FD(fd);
}

/* ---- what is handed on ---------------------------------------------------------------------- */

struct likeness {
    bool known;
    bool neighbour; /* another file's */
    struct stat info;
    char label[LABEL_MAX];
    ssize_t label_size; /* 0 = none */
};

static int look_at(int folder, const char *name, struct likeness *ret_like, struct fence_err *err)
{
    FENCE_CLOSE int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct likeness like = {.known = true};

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &like.info) < 0)
        return fence_err_set(err, -errno, "cannot open %s: %s", name, strerror(errno));
    if (!S_ISREG(like.info.st_mode))
        return fence_err_set(err, -EINVAL, "%s is not a regular file", name);
    like.label_size = fgetxattr(fd, LABEL, like.label, sizeof(like.label));
    if (like.label_size < 0)
        like.label_size = 0;
    *ret_like = like;
    return 0;
}

/* Without SELinux a label is a name that only CAP_SYS_ADMIN may write, and nobody reads. */
static int give_label(int fd, const struct likeness *like)
{
    char now[LABEL_MAX];
    ssize_t size = fgetxattr(fd, LABEL, now, sizeof(now));

    if (!like->label_size ||
        (size == like->label_size && memcmp(now, like->label, (size_t)size) == 0))
        return 0;
    if (fsetxattr(fd, LABEL, like->label, (size_t)like->label_size, 0) == 0 || errno == EPERM ||
        errno == EOPNOTSUPP)
        return 0;
    return -errno;
}

/* Without CAP_CHOWN a neighbour's owner is only a wish; that of a file we replace is not ours to
 * change. */
static int give_owner(int fd, const struct likeness *like, struct fence_err *err)
{
    struct stat now;

    if (fstat(fd, &now) < 0)
        return fence_err_set(err, -errno, "%s", strerror(errno));
    if (!like->known || (now.st_uid == like->info.st_uid && now.st_gid == like->info.st_gid) ||
        fchown(fd, like->info.st_uid, like->info.st_gid) == 0 ||
        (like->neighbour && errno == EPERM))
        return 0;
    return fence_err_set(err, -errno, "cannot keep its owner %u:%u: %s", like->info.st_uid,
                         like->info.st_gid, strerror(errno));
}

/* The owner first: chown clears bits of the mode. */
static int give(int fd, const struct likeness *like, mode_t mode, struct fence_err *err)
{
    int r = give_owner(fd, like, err);

    if (r < 0)
        return r;
    if (fchmod(fd, mode) < 0)
        return fence_err_set(err, -errno, "cannot set the mode: %s", strerror(errno));
    r = give_label(fd, like);
    return r < 0 ? fence_err_set(err, r, "cannot keep the SELinux label %.*s: %s",
                                 (int)like->label_size, like->label, strerror(-r))
                 : 0;
}

/* ---- the file ------------------------------------------------------------------------------- */

static bool is_there(int folder, const struct fence_place_file *file, const struct likeness *old)
{
    FENCE_FREE char *data = NULL;
    size_t size = 0;

    return old->known && (size_t)old->info.st_size == file->size &&
           (!file->mode_always || (old->info.st_mode & 07777) == file->mode) &&
           fence_file_read(folder, file->name, COMPARE_MAX, &data, &size, NULL) == 0 &&
           size == file->size && memcmp(data, file->data, size) == 0;
}

static mode_t mode_of(const struct fence_place_file *file, const struct likeness *like)
{
    return like->known && !file->mode_always ? like->info.st_mode & 07777 : file->mode;
}

static int fill(int fd, const struct fence_place_file *file, const struct likeness *like,
                struct fence_err *err)
{
    int r = fence_fd_write(fd, file->data, file->size);

    if (r < 0)
        return fence_err_set(err, r, "%s", strerror(-r));
    r = give(fd, like, mode_of(file, like), err);
    if (r == 0 && fsync(fd) < 0)
        r = fence_err_set(err, -errno, "fsync: %s", strerror(errno));
    return r;
}

static int sync_folder(int folder, const char *name, struct fence_err *err)
{
    return fsync(folder) < 0 ? fence_err_set(err, -errno, "cannot sync the folder of %s: %s", name,
                                             strerror(errno))
                             : 0;
}

static int replace(int folder, const struct fence_place_file *file, const struct likeness *like,
                   struct fence_err *err)
{
    FENCE_FREE char *temporary = NULL;
    FENCE_CLOSE int fd = -1;
    int r;

    if (asprintf(&temporary, ".%s" TEMPORARY_MID "%d", file->name, (int)getpid()) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fence_err_set(err, -errno, "cannot write %s: %s", file->name, strerror(errno));
    r = fill(fd, file, like, err);
    /* a program that is open for writing cannot be started */
    fence_close_p(&fd);
    if (r == 0 && renameat(folder, temporary, folder, file->name) < 0)
        r = fence_err_set(err, -errno, "%s", strerror(errno));
    if (r < 0) {
        (void)unlinkat(folder, temporary, 0);
        return fence_err_prefix(err, r, "cannot write %s", file->name);
    }
    return sync_folder(folder, file->name, err);
}

int fence_place_write(int folder, const struct fence_place_file *file, struct fence_err *err)
{
    struct likeness old = {0}, like = {0};
    int r = look_at(folder, file->name, &old, err);

    if (r < 0)
        return r;
    if (!file->touch && is_there(folder, file, &old))
        return 0;
    if (!old.known && file->like)
        r = look_at(folder, file->like, &like, err);
    like.neighbour = true;
    if (r == 0)
        r = replace(folder, file, old.known ? &old : &like, err);
    return r < 0 ? r : 1;
}

int fence_place_remove(int folder, const char *name, struct fence_err *err)
{
    if (unlinkat(folder, name, 0) < 0)
        return errno == ENOENT
                   ? 0
                   : fence_err_set(err, -errno, "cannot remove %s: %s", name, strerror(errno));
    return sync_folder(folder, name, err);
}

int fence_place_rename(int folder, const char *from, const char *to, struct fence_err *err)
{
    if (renameat(folder, from, folder, to) < 0)
        return errno == ENOENT ? 0
                               : fence_err_set(err, -errno, "cannot rename %s to %s: %s", from, to,
                                               strerror(errno));
    return sync_folder(folder, to, err);
}
