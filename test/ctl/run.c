/* SPDX-License-Identifier: Apache-2.0 */
#include "test/ctl/run.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/cmocka.h"

#include "lib/base/file.h"
#include "lib/base/memory.h"

#define OUTPUT_MAX (16u << 20)

/* A file without a name: no pipe can fill up and block, whatever the order of reading. */
static int scratch(const char *text)
{
    FILE *file = tmpfile();
    int fd;

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    rewind(file);
    fd = dup(fileno(file));
    fclose(file);
    assert_true(fd >= 0);
    return fd;
}

static char *slurp(int fd)
{
    char *data = NULL;
    size_t size;

    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fence_fd_read(fd, OUTPUT_MAX, &data, &size, NULL), 0);
    return data;
}

static void child(const char *const arguments[], const int fds[3])
{
    char program[] = FENCE_BIN_DIR "/podfencectl";
    char *argv[RUN_ARGUMENTS + 2] = {program};

    for (size_t i = 0; arguments[i] && i < RUN_ARGUMENTS; i++)
        argv[i + 1] = strdup(arguments[i]);
    for (int i = 0; i < 3; i++)
        dup2(fds[i], i);
    execv(program, argv);
    _exit(126);
}

void run_ctl(const char *const arguments[], const char *input, struct run *ret_run)
{
    const int fds[3] = {scratch(input ? input : ""), scratch(""), scratch("")};
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        child(arguments, fds);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ret_run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    ret_run->out = slurp(fds[1]);
    ret_run->err = slurp(fds[2]);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

void run_done(struct run *run)
{
    free(run->out);
    free(run->err);
}

void folder_make(char ret_path[64])
{
    snprintf(ret_path, 64, "/tmp/fence-ctl-XXXXXX");
    assert_non_null(mkdtemp(ret_path));
}

void folder_write(const char *folder, const char *name, const char *text)
{
    FENCE_FREE char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    assert_int_equal(fence_file_write(path, text, strlen(text), 0600, NULL), 0);
}

void folder_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
}
