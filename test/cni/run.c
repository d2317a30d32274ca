/* SPDX-License-Identifier: Apache-2.0 */
#include "test/cni/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    abort();
}

static int memory_file(const void *data, size_t size)
{
    int fd = memfd_create("stream", MFD_CLOEXEC);

    if (fd < 0)
        die("memfd_create");
    for (size_t done = 0; done < size;) {
        ssize_t put = write(fd, (const char *)data + done, size - done);

        if (put < 0)
            die("write");
        done += (size_t)put;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        die("lseek");
    return fd;
}

static char *content(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);

    if (size < 0 || !text || pread(fd, text, (size_t)size, 0) != size)
        die("reading back");
    close(fd);
    return text;
}

static unsigned int now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned int)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static void become_plugin(const char *const *environment, const int streams[3], void (*setup)(void))
{
    char name[] = "podfence";
    char *const arguments[] = {name, NULL};
    char *const *variables;

    for (int fd = 0; fd < 3; fd++)
        if (dup2(streams[fd], fd) < 0)
            _exit(126);
    if (setup)
        setup();
    memcpy(&variables, &environment, sizeof(variables)); /* execve writes nothing */
    execve(RUN_PLUGIN, arguments, variables);
    _exit(127);
}

struct run_result run_plugin(const char *const *environment, const void *input, size_t size,
                             void (*setup)(void))
{
    int streams[3] = {memory_file(input, size), memory_file("", 0), memory_file("", 0)};
    struct run_result result = {.ms = now_ms()};
    int status;
    pid_t child = fork();

    if (child < 0)
        die("fork");
    if (child == 0)
        become_plugin(environment, streams, setup);
    if (waitpid(child, &status, 0) < 0)
        die("waitpid");
    result.ms = now_ms() - result.ms;
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    close(streams[0]);
    result.out = content(streams[1]);
    result.err = content(streams[2]);
    if (result.status == 126 || result.status == 127) {
        fprintf(stderr, "%s could not be run\n", RUN_PLUGIN);
        abort();
    }
    return result;
}

void run_result_done(struct run_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct run_result){0};
}

char *run_replace(const char *text, const char *from, const char *to)
{
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    const char *found;

    if (!stream)
        die("open_memstream");
    while ((found = strstr(text, from))) {
        fprintf(stream, "%.*s%s", (int)(found - text), text, to);
        text = found + strlen(from);
    }
    fprintf(stream, "%s", text);
    fclose(stream);
    return out;
}
