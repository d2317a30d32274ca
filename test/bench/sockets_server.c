/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of all pods: it answers every request with itself, and counts datagrams. While a slice
 * runs neither side ever sleeps: in a virtual machine waking the other core costs more than all of
 * the packet's way, and would hide it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/memory.h"
#include "test/bench/shop.h"
#include "test/bench/sockets.h"

#define EVENTS      64
#define BATCH       64
#define DATAGRAM    256
#define QUEUE_BYTES (32 * 1024 * 1024)
#define BACKLOG     4096
#define IDLE_MS     10

enum role { ROLE_LISTENER, ROLE_CONNECTION, ROLE_DATAGRAMS };

struct server {
    const struct sockets_run *run;
    int epoll;
};

static uint64_t mark(enum role role, unsigned int index, int fd)
{
    return (uint64_t)role << 48 | (uint64_t)index << 32 | (uint32_t)fd;
}

static int watch(const struct server *server, enum role role, unsigned int index, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = mark(role, index, fd)}};

    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int open_socket(int type, unsigned int port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int on = 1, queue = QUEUE_BYTES;
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
        return -1;
    if (type == SOCK_STREAM)
        return listen(fd, BACKLOG) < 0 ? -1 : fd;
    return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof(queue)) < 0 ? -1 : fd;
}

static int open_config(const struct server *server, const struct sockets_config *config)
{
    static const struct {
        enum role role;
        int type;
        unsigned int port;
    } sockets[] = {
        {ROLE_LISTENER, SOCK_STREAM, SHOP_PORT},
        {ROLE_LISTENER, SOCK_STREAM, SHOP_PORT_DENIED},
        {ROLE_DATAGRAMS, SOCK_DGRAM, SHOP_PORT},
    };

    if (setns(config->server, CLONE_NEWNET) < 0)
        return -1;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(sockets); i++) {
        int fd = open_socket(sockets[i].type, sockets[i].port);

        if (fd < 0 || watch(server, sockets[i].role, config->index, fd) < 0)
            return -1;
    }
    return 0;
}

static void welcome(const struct server *server, unsigned int index, int listener)
{
    const int on = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (watch(server, ROLE_CONNECTION, index, fd) < 0)
        close(fd);
}

static void answer(int fd)
{
    char text[DATAGRAM];
    ssize_t size = recv(fd, text, sizeof(text), 0);

    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0 || send(fd, text, (size_t)size, MSG_NOSIGNAL) < 0)
        close(fd);
}

/* One that asks for it is answered, so that a flow has been answered once; the others count. */
static void count(const struct server *server, unsigned int index, int fd)
{
    static char texts[BATCH][DATAGRAM];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];
    static struct sockaddr_in from[BATCH];
    int got;

    for (size_t i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){texts[i], DATAGRAM};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
                                              .msg_iovlen = 1,
                                              .msg_name = &from[i],
                                              .msg_namelen = sizeof(from[i])};
    }
    got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (got > 0)
        atomic_fetch_add(&server->run->shared->received[index], (uint64_t)got);
    for (int i = 0; i < got; i++)
        if (texts[i][0] == SOCKETS_PLEASE)
            (void)sendto(fd, texts[i], messages[i].msg_len, 0, (struct sockaddr *)&from[i],
                         sizeof(from[i]));
}

static void handle(const struct server *server, uint64_t marked)
{
    unsigned int index = (unsigned int)(marked >> 32) & 0xffff;
    int fd = (int)(uint32_t)marked;

    switch ((enum role)(marked >> 48)) {
    case ROLE_LISTENER:
        welcome(server, index, fd);
        break;
    case ROLE_CONNECTION:
        answer(fd);
        break;
    case ROLE_DATAGRAMS:
        count(server, index, fd);
        break;
    }
}

int sockets_serve(const struct sockets_run *run)
{
    struct server server = {.run = run, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    const struct timespec let = {.tv_nsec = 1};
    struct epoll_event events[EVENTS];

    for (size_t i = 0; i < run->count; i++)
        if (open_config(&server, &run->configs[i]) < 0)
            return -errno;
    atomic_store(&run->shared->ready, true);
    for (unsigned int looks = 0;; looks++) {
        int count =
            epoll_wait(server.epoll, events, EVENTS, atomic_load(&run->shared->busy) ? 0 : IDLE_MS);

        for (int i = 0; i < count; i++)
            handle(&server, events[i].data.u64);
        if (count > 0)
            looks = 0;
        else if (looks % SOCKETS_LOOKS == SOCKETS_LOOKS - 1)
            nanosleep(&let, NULL);
    }
}
