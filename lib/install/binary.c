/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/install/install.h"
#include "lib/install/place.h"

#define BINARY_MAX    (64u << 20)
#define TRY_MS        5000
#define ANSWER_MAX    4096
#define INSTALLED_AS  "podfence"
#define LIBEXEC_BELOW "../libexec/cni/podfence"

/* ---- which one ------------------------------------------------------------------------------ */

/* NULL when there is none. */
static char *plugin_at(const char *folder, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return NULL;
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return NULL;
}

int fence_install_find_plugin(char **ret_path, struct fence_err *err)
{
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const char *folder;
    char *path;

    if (size < 0)
        return fence_err_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
    self[size] = '\0';
    folder = dirname(self);
    path = plugin_at(folder, INSTALLED_AS);
    if (!path)
        path = plugin_at(folder, LIBEXEC_BELOW);
    if (!path)
        return fence_err_set(err, -ENOENT,
                             "no plugin podfence in %s or %s/../libexec/cni: say where it is with "
                             "--plugin FILE",
                             folder, folder);
    *ret_path = path;
    return 0;
}

/* ---- does it run? --------------------------------------------------------------------------- */

static int spawn(const char *path, int output, pid_t *ret_pid)
{
    static char command[] = "CNI_COMMAND=VERSION";
    char *const environment[] = {command, NULL};
    static char name[] = INSTALLED_AS;
    char *const arguments[] = {name, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, pipe;
    int r;

    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe);
    r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawn(ret_pid, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -r;
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

/* Until it closes its output; 0 or -ETIMEDOUT. */
static int read_answer(int fd, char ret_answer[ANSWER_MAX])
{
    const long end = now_ms() + TRY_MS;
    size_t size = 0;

    for (;;) {
        struct pollfd stream = {.fd = fd, .events = POLLIN};
        long left = end - now_ms();
        ssize_t got;

        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(&stream, 1, (int)left) <= 0)
            continue;
        got = read(fd, ret_answer + size, ANSWER_MAX - 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    ret_answer[size] = '\0';
    return 0;
}

static int judge(const char *path, int status, const char *answer, struct fence_err *err)
{
    cJSON *json = cJSON_Parse(answer);
    bool good = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "supportedVersions")) > 0;

    cJSON_Delete(json);
    if (WIFSIGNALED(status))
        return fence_err_set(err, -ENOEXEC, "%s does not run here: it was ended by signal %d", path,
                             WTERMSIG(status));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !good)
        return fence_err_set(err, -ENOEXEC,
                             "%s is no CNI plugin that runs here: asked for its versions it ended "
                             "with %d and said \"%.64s\"",
                             path, WEXITSTATUS(status), answer);
    return 0;
}

int fence_install_try_plugin(const char *path, struct fence_err *err)
{
    char answer[ANSWER_MAX] = "";
    int ends[2], status = 0, r;
    pid_t pid = -1;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return fence_err_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
    r = spawn(path, ends[1], &pid);
    close(ends[1]);
    if (r < 0) {
        close(ends[0]);
        return fence_err_set(err, r, "%s cannot be started: %s", path, strerror(-r));
    }
    r = read_answer(ends[0], answer);
    close(ends[0]);
    if (r < 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return r < 0 ? fence_err_set(err, r, "%s does not answer VERSION within %d s", path,
                                 TRY_MS / 1000)
                 : judge(path, status, answer, err);
}

/* ---- into its place ------------------------------------------------------------------------- */

static int read_plugin(const struct fence_install *install, char **ret_data, size_t *ret_size,
                       struct fence_err *err)
{
    return fence_file_read(AT_FDCWD, install->plugin, BINARY_MAX, ret_data, ret_size, err);
}

int fence_install_binary_check(const struct fence_install *install, struct fence_err *err)
{
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *wanted = NULL;
    FENCE_FREE char *there = NULL;
    size_t wanted_size = 0, size = 0;
    int r = read_plugin(install, &wanted, &wanted_size, err);

    if (r < 0)
        return r == -ENOENT ? -EIO : r;
    if (asprintf(&path, "%s/%s", install->bin_dir, INSTALLED_AS) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = fence_file_read(AT_FDCWD, path, BINARY_MAX, &there, &size, err);
    if (r == -ENOENT)
        return fence_err_set(err, r, "%s is not there", path);
    if (r < 0 && r != -EFBIG)
        return r;
    if (r == 0 && size == wanted_size && memcmp(there, wanted, size) == 0 &&
        access(path, X_OK) == 0)
        return 0;
    return fence_err_set(err, -EUCLEAN, "%s is not the plugin of this version (%s)", path,
                         install->plugin);
}

int fence_install_binary(const struct fence_install *install, struct fence_err *err)
{
    FENCE_FREE char *data = NULL;
    FENCE_CLOSE int folder = -1;
    struct fence_place_file file = {.name = INSTALLED_AS, .mode = 0755, .mode_always = true};
    int r = fence_install_binary_check(install, err);

    if (r == 0)
        return 0;
    if (r != -ENOENT && r != -EUCLEAN)
        return r;
    r = fence_install_try_plugin(install->plugin, err);
    if (r == 0)
        r = fence_mkdirs(install->bin_dir, 0755, err);
    if (r == 0)
        r = read_plugin(install, &data, &file.size, err);
    if (r < 0)
        return r;
    folder = fence_place_open(install->bin_dir, err);
    if (folder < 0)
        return folder;
    file.data = data;
    r = fence_place_write(folder, &file, err);
    return r < 0 ? fence_err_prefix(err, r, "%s", install->bin_dir) : r;
}

int fence_install_remove_binary(const char *bin_dir, struct fence_err *err)
{
    FENCE_CLOSE int folder = fence_place_open(bin_dir, err);
    int r;

    if (folder == -ENOENT)
        return 0;
    if (folder < 0)
        return folder;
    if (faccessat(folder, INSTALLED_AS, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    r = fence_place_remove(folder, INSTALLED_AS, err);
    return r < 0 ? r : 1;
}
