/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin that the runtime will run, and k3s' own policy controller. */
#include "cni/ctl/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/memory.h"

#define ANSWER_MS 2000
#define SAYS      "CNI plugin podfence v"

static const char *const folders[] = {
    "/opt/cni/bin",
    "/var/lib/rancher/k3s/data/cni",
    "/var/snap/microk8s/current/opt/cni/bin",
    "/home/kubernetes/bin",
    "/var/lib/cni/bin",
    "/usr/lib/cni",
};

/* What it says first on standard error; less when it is slow. */
static size_t listen_to(int fd, char *text, size_t size)
{
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    size_t used = 0;

    while (used < size - 1 && poll(&answer, 1, ANSWER_MS) > 0) {
        ssize_t got = read(fd, text + used, size - 1 - used);

        if (got <= 0)
            break;
        used += (size_t)got;
    }
    text[used] = '\0';
    return used;
}

static int start(const char *path, int errors, pid_t *ret_pid)
{
    char *arguments[] = {(char[]){"podfence"}, NULL};
    char *environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);

    if (r == 0)
        r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, errors, 2);
    if (r == 0)
        r = posix_spawn(ret_pid, path, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* Without CNI_COMMAND a plugin only says what it is: the runtime runs the same file. */
static int ask(const char *path, char *text, size_t size)
{
    int pipes[2];
    pid_t pid = 0;
    int r;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -errno;
    r = start(path, pipes[1], &pid);
    close(pipes[1]);
    if (r == 0 && pid > 0) {
        listen_to(pipes[0], text, size);
        kill(pid, SIGKILL); /* no more than a zombie, unless it is something else that goes on */
        waitpid(pid, NULL, 0);
    }
    close(pipes[0]);
    return r;
}

static void version(struct check *check, const char *path)
{
    char text[512] = "", *said;
    int r = ask(path, text, sizeof(text));

    if (r < 0) {
        check_add(check, CHECK_FAIL, "install the plugin again", "%s cannot be run: %s", path,
                  strerror(-r));
        return;
    }
    said = strncmp(text, SAYS, strlen(SAYS)) == 0 ? text + strlen(SAYS) : NULL;
    if (said)
        said[strcspn(said, ":\n ")] = '\0';
    if (!said)
        check_add(check, CHECK_FAIL, "install the plugin again", "%s is not podfence", path);
    else if (strcmp(said, FENCE_VERSION) != 0)
        check_add(check, CHECK_FAIL, "install the plugin of this version",
                  "%s is of version %s, and this is %s", path, said, FENCE_VERSION);
    else
        check_add(check, CHECK_OK, NULL, "%s is of version %s", path, said);
}

static void binary(struct check *check, const char *folder)
{
    struct stat stat_;
    char path[4096];

    snprintf(path, sizeof(path), "%s/podfence", folder);
    if (stat(path, &stat_) < 0 && errno != ENOENT)
        check_add(check, CHECK_WARN, "run it as root", "%s: %s", path, strerror(errno));
    else if (access(path, F_OK) < 0)
        check_add(check, CHECK_FAIL, "install the plugin there",
                  "there is no %s, which the runtime would run", path);
    else if (!S_ISREG(stat_.st_mode) || !(stat_.st_mode & 0111))
        check_add(check, CHECK_FAIL, "chmod 0755", "%s is no program", path);
    else if (stat_.st_mode & (S_ISUID | S_ISGID | S_IWOTH))
        check_add(check, CHECK_FAIL, "chmod 0755", "%s may be written by anybody, or is SUID",
                  path);
    else
        version(check, path);
}

/* ---- k3s ------------------------------------------------------------------------------------ */

static bool says_disabled(const char *path)
{
    FENCE_FCLOSE FILE *file = fopen(path, "re");
    char line[512];

    while (file && fgets(line, sizeof(line), file)) {
        const char *key = strstr(line, "disable-network-policy");

        if (key && line[strspn(line, " \t")] != '#' && strstr(key, "true"))
            return true;
    }
    return false;
}

static void k3s(struct check *check)
{
    if (access("/var/lib/rancher/k3s", F_OK) < 0)
        return;
    if (says_disabled("/etc/rancher/k3s/config.yaml"))
        check_add(check, CHECK_OK, NULL, "k3s' own NetworkPolicy controller is off");
    else
        check_add(check, CHECK_WARN, "start k3s with --disable-network-policy",
                  "k3s may run a NetworkPolicy controller of its own: what either refuses is "
                  "refused");
}

void check_plugin(struct check *check)
{
    const char *folder = check_folder(check->cni_bin, folders, FENCE_ARRAY_SIZE(folders));

    if (folder)
        binary(check, folder);
    else
        check_add(check, CHECK_FAIL, "name it with --cni-bin",
                  "there is no folder of plugins (%s, ...)", folders[0]);
    k3s(check);
}
