/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: numbered requests to an echo server over one connection. Lines with times on the clock
 * of `netprobe now`:
 *   start T          first answer
 *   cut T            the request of that time was not answered within the gap
 *   resumed T        first answer after a cut
 *   lost T why       the connection has ended
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test/tools/netprobe.h"

struct stream {
    enum proto proto;
    int fd;
    long interval;
    long gap;
    uint64_t sent;     /* number of the latest request */
    uint64_t answered; /* highest number answered */
    double asked;      /* when the first request after the latest answer went out */
    bool started;
    bool cut;
};

static int open_stream(enum proto proto, const struct address *to)
{
    int on = 1;

    int fd =
        socket(to->sa.ss_family, (proto == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (proto == PROTO_TCP) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        retransmit_often(fd);
    }
    struct timeval wait = {.tv_sec = 3};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, (const struct sockaddr *)&to->sa, to->length) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int ask(struct stream *stream)
{
    uint64_t number = stream->sent + 1;

    if (send(stream->fd, &number, sizeof(number), MSG_DONTWAIT) < 0 && errno != ECONNREFUSED)
        return -errno;
    stream->sent = number;
    return 0;
}

static void note_answer(struct stream *stream, uint64_t number)
{
    if (number <= stream->answered || number > stream->sent)
        return;
    stream->answered = number;
    stream->asked = now_ms();
    if (stream->cut)
        printf("resumed %.1f\n", now_ms());
    else if (!stream->started)
        printf("start %.1f\n", now_ms());
    stream->cut = false;
    stream->started = true;
}

static int take_answer(struct stream *stream)
{
    uint64_t number = 0;
    /* TCP: a whole number, even when it comes in pieces */
    int flags = stream->proto == PROTO_TCP ? MSG_WAITALL : MSG_DONTWAIT;

    ssize_t size = recv(stream->fd, &number, sizeof(number), flags);
    if (size == sizeof(number))
        note_answer(stream, number);
    else if (size >= 0 && stream->proto == PROTO_TCP)
        return -ECONNRESET;
    else if (size < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
        return -errno;
    return 0;
}

static void pause_ms(long ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&wait, NULL);
}

/* One request, then its answer or the next turn. */
static int turn(struct stream *stream)
{
    struct pollfd fd = {.fd = stream->fd, .events = POLLIN};
    bool waiting = stream->answered < stream->sent;
    int r = 0;

    /* TCP sends again by itself */
    if (!waiting || stream->proto == PROTO_UDP) {
        if (!waiting)
            stream->asked = now_ms();
        r = ask(stream);
    }
    int wait = (int)stream->interval;
    for (; r == 0 && poll(&fd, 1, wait) > 0; wait = 0)
        r = take_answer(stream);
    if (r < 0)
        return r;
    if (stream->answered == stream->sent)
        pause_ms(stream->interval);
    else if (!stream->cut && now_ms() - stream->asked > (double)stream->gap) {
        stream->cut = true;
        printf("cut %.1f\n", stream->asked);
    }
    return 0;
}

int command_stream(int argc, char **argv)
{
    struct stream stream = {.interval = 2, .gap = 150};
    long life = 60;
    long port = 0;
    struct address to;
    int r = 0;

    for (int option = 0; (option = getopt(argc, argv, "i:g:l:")) != -1;) {
        long *value = option == 'i' ? &stream.interval : option == 'g' ? &stream.gap : &life;
        if (option == '?' || !number_parse(optarg, 1, 86400, value))
            return 2;
    }
    if (argc - optind != 3 || !proto_parse(argv[optind], &stream.proto) ||
        stream.proto > PROTO_UDP || !number_parse(argv[optind + 2], 1, 65535, &port) ||
        !address_parse(argv[optind + 1], (uint16_t)port, &to))
        return 2;
    alarm((unsigned int)life);
    stream.fd = open_stream(stream.proto, &to);
    if (stream.fd < 0)
        r = -errno;
    while (r == 0)
        r = turn(&stream);
    printf("lost %.1f %s\n", now_ms(), strerror(-r));
    return 1;
}
