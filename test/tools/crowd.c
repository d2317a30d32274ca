/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd SOCKET COUNT SECONDS [MESSAGE]: so many connections at once, each of which sends the
 * message if there is one and never reads; after the time it says how many were let go by the other
 * side. With 0 seconds: show what the last one is answered.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 10000

static void rest(long milliseconds)
{
    const struct timespec time = {.tv_sec = milliseconds / 1000,
                                  .tv_nsec = milliseconds % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* Waits while the other side's queue is full. */
static int join(const struct sockaddr_un *address, const char *message)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        if (errno != EAGAIN) {
            perror("connect");
            close(fd);
            return -1;
        }
        rest(1);
    }
    if (message)
        (void)send(fd, message, strlen(message), MSG_NOSIGNAL);
    return fd;
}

static void show_answer(int fd)
{
    char text[65536];
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    ssize_t size = poll(&readable, 1, 3000) > 0 ? recv(fd, text, sizeof(text), 0) : -1;

    printf("%.*s\n", (int)(size > 0 ? size : 0), text);
}

static int count_gone(const int *fds, int count)
{
    int gone = 0;

    for (int i = 0; i < count; i++) {
        struct pollfd look = {.fd = fds[i], .events = 0};

        gone += poll(&look, 1, 0) > 0 && look.revents & (POLLHUP | POLLERR);
    }
    return gone;
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct rlimit files = {COUNT_MAX + 64, COUNT_MAX + 64};
    static int fds[COUNT_MAX];
    int count, seconds;

    if (argc < 4 || argc > 5 || strlen(argv[1]) >= sizeof(address.sun_path)) {
        fprintf(stderr, "usage: crowd SOCKET COUNT SECONDS [MESSAGE]\n");
        return 2;
    }
    memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
    count = (int)strtol(argv[2], NULL, 10);
    seconds = (int)strtol(argv[3], NULL, 10);
    if (count < 1 || count > COUNT_MAX || (count > 900 && setrlimit(RLIMIT_NOFILE, &files) < 0))
        return 2;
    for (int i = 0; i < count; i++) {
        fds[i] = join(&address, argv[4]);
        if (fds[i] < 0)
            return 1;
    }
    printf("connected %d\n", count);
    fflush(stdout);
    if (seconds == 0)
        show_answer(fds[count - 1]);
    rest(seconds * 1000L);
    printf("of %d connections %d were let go\n", count, count_gone(fds, count));
    return 0;
}
