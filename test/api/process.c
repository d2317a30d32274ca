/* SPDX-License-Identifier: Apache-2.0 */
#include "test/api/process.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/api/api.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"

static const char program[] = FENCE_BIN_DIR "/podfenced";

#define ARGS_MAX  32
#define ANSWER_MS 5000

bool daemon_lab_enter(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
        return false;
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

void sleep_ms(int ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&pause, NULL);
}

int daemon_lab_setup(void **state)
{
    struct daemon_lab *lab = calloc(1, sizeof(*lab));

    if (!lab)
        return -1;
    strcpy(lab->root, "/tmp/fence-daemon-XXXXXX");
    if (!mkdtemp(lab->root))
        return -1;
    snprintf(lab->objects, sizeof(lab->objects), "%s/objects", lab->root);
    snprintf(lab->state, sizeof(lab->state), "%s/state", lab->root);
    snprintf(lab->mount, sizeof(lab->mount), "%s/bpf", lab->root);
    snprintf(lab->bpffs, sizeof(lab->bpffs), "%s/podfence", lab->mount);
    snprintf(lab->socket, sizeof(lab->socket), "%s/run/d.sock", lab->root);
    snprintf(lab->log, sizeof(lab->log), "%s/log", lab->root);
    if (mkdir(lab->objects, 0700) < 0 || mkdir(lab->mount, 0700) < 0 ||
        mount("bpf", lab->mount, "bpf", 0, NULL) < 0)
        return -1;
    *state = lab;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

int daemon_lab_teardown(void **state)
{
    struct daemon_lab *lab = *state;

    if (lab->pid > 0)
        daemon_stop(lab, SIGKILL);
    (void)umount2(lab->mount, MNT_DETACH);
    (void)nftw(lab->root, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(lab);
    return 0;
}

/* execv() wants texts that it may write to, and does not. */
static void exec_program(const char *const *argv)
{
    char *copy[ARGS_MAX];
    size_t count = 0;

    while (argv[count] && count < ARGS_MAX - 1)
        count++;
    memcpy(copy, argv, count * sizeof(copy[0]));
    copy[count] = NULL;
    execv(program, copy);
    _exit(127);
}

static void exec_daemon(const struct daemon_lab *lab, const char *const *extra)
{
    const char *argv[ARGS_MAX] = {
        program,    "--objects", lab->objects,  "--state", lab->state,    "--bpffs", lab->bpffs,
        "--socket", lab->socket, "--node-name", "n1",      "--log-level", "debug"};
    int count = 13;
    int log = open(lab->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    while (extra && *extra && count < ARGS_MAX - 1)
        argv[count++] = *extra++;
    argv[count] = NULL;
    if (log >= 0)
        (void)dup2(log, STDERR_FILENO);
    exec_program(argv);
}

void daemon_spawn(struct daemon_lab *lab, const char *const *extra)
{
    lab->pid = fork();
    assert_true(lab->pid >= 0);
    if (lab->pid == 0)
        exec_daemon(lab, extra);
}

static void show_log(const struct daemon_lab *lab)
{
    FENCE_FREE char *text = NULL;
    size_t size;

    if (fence_file_read(AT_FDCWD, lab->log, 1 << 20, &text, &size, NULL) == 0)
        print_message("%s", text);
}

void daemon_start(struct daemon_lab *lab, const char *const *extra)
{
    daemon_spawn(lab, extra);
    for (int i = 0; i < 500; i++) {
        int fd = fence_api_connect(lab->socket, NULL);
        int status;

        if (fd >= 0) {
            close(fd);
            return;
        }
        if (waitpid(lab->pid, &status, WNOHANG) == lab->pid) {
            lab->pid = 0;
            break;
        }
        sleep_ms(20);
    }
    show_log(lab);
    fail_msg("podfenced does not answer");
}

int daemon_wait(struct daemon_lab *lab)
{
    int status = 0;
    pid_t pid = lab->pid;

    lab->pid = 0;
    for (int i = 0; i < 1000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        sleep_ms(10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

int daemon_stop(struct daemon_lab *lab, int signal)
{
    kill(lab->pid, signal);
    return daemon_wait(lab);
}

int daemon_run(const char *const *argv, char *text, size_t size)
{
    FENCE_FREE char *all = NULL;
    int ends[2], status = 0;
    size_t got = 0;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        exec_program(argv);
    }
    close(ends[1]);
    assert_int_equal(fence_fd_read(ends[0], 1 << 20, &all, &got, NULL), 0);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    snprintf(text, size, "%s", all);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void daemon_write(const struct daemon_lab *lab, const char *name, const char *text)
{
    char path[160];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", lab->objects, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

void daemon_remove(const struct daemon_lab *lab, const char *name)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", lab->objects, name);
    assert_int_equal(unlink(path), 0);
}

int daemon_connect(const struct daemon_lab *lab)
{
    struct fence_err err = {""};
    int fd = fence_api_connect(lab->socket, &err);

    if (fd < 0) {
        show_log(lab);
        fail_msg("%s", err.text);
    }
    return fd;
}

int daemon_tell(int fd, const char *text)
{
    return fence_api_send_text(fd, text, strlen(text), NULL);
}

cJSON *daemon_ask(const struct daemon_lab *lab, const char *request)
{
    FENCE_CLOSE int fd = daemon_connect(lab);
    cJSON *message = cJSON_Parse(request);
    struct fence_err err = {""};
    cJSON *answer = NULL;
    int result = fence_api_request(fd, message, ANSWER_MS, &answer, &err);

    cJSON_Delete(message);
    if (result < 0) {
        show_log(lab);
        fail_msg("%s: %s", request, err.text);
    }
    return answer;
}

cJSON *daemon_status(const struct daemon_lab *lab)
{
    cJSON *answer = daemon_ask(lab, "{\"op\":\"status\"}");
    cJSON *status = cJSON_DetachItemFromObjectCaseSensitive(answer, "status");

    cJSON_Delete(answer);
    assert_non_null(status);
    return status;
}

double json_number(const cJSON *json, const char *path)
{
    char name[64];

    while (json && *path) {
        size_t size = strcspn(path, ".");

        snprintf(name, sizeof(name), "%.*s", (int)size, path);
        path += size + (path[size] == '.');
        json = cJSON_GetObjectItemCaseSensitive(json, name);
    }
    if (!json)
        return -1;
    if (cJSON_IsBool(json))
        return cJSON_IsTrue(json);
    if (cJSON_IsArray(json))
        return cJSON_GetArraySize(json);
    return cJSON_IsNumber(json) ? json->valuedouble : -1;
}

void daemon_expect(const struct daemon_lab *lab, const char *path, double wanted)
{
    double seen = -2;

    for (int i = 0; i < 250; i++) {
        cJSON *status = daemon_status(lab);

        seen = json_number(status, path);
        cJSON_Delete(status);
        if (seen == wanted)
            return;
        sleep_ms(20);
    }
    show_log(lab);
    fail_msg("%s is %g, not %g", path, seen, wanted);
}

bool daemon_logged(const struct daemon_lab *lab, const char *text)
{
    FENCE_FREE char *log = NULL;
    size_t size;

    if (fence_file_read(AT_FDCWD, lab->log, 16 << 20, &log, &size, NULL) == 0 && strstr(log, text))
        return true;
    show_log(lab);
    return false;
}
