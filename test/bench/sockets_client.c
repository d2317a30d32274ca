/* SPDX-License-Identifier: Apache-2.0 */
/* The load: bounded by the slice's time, and by a number of events that no machine reaches. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "test/bench/shop.h"
#include "test/bench/sockets.h"

#define REQUEST    64
#define WARM_SHARE 0.1 /* of the slice, before it counts */
#define MOST       10000000u
#define WAIT_MS    1000
#define PROBE_MS   200
#define BULK_PORT  8100
#define BULK_BYTES "400M"
/* Datagrams between two looks at the clock, and how long the last ones may take to arrive. */
#define BURST      32u
#define ARRIVE_NS  1000000
#define ARRIVE_MAX 100u

static int dial(const struct sockets_config *config, int type, unsigned int port, unsigned int ms)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const struct timeval wait = {.tv_usec = 1000 * ms % 1000000, .tv_sec = ms / 1000};
    const int on = 1;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || inet_pton(AF_INET, config->address, &to.sin_addr) != 1)
        return -EINVAL;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -errno;
}

static int ask(int fd)
{
    const struct timespec let = {.tv_nsec = 1};
    char text[REQUEST] = {SOCKETS_PLEASE};
    uint64_t end = 0;
    ssize_t got;

    if (send(fd, text, sizeof(text), MSG_NOSIGNAL) != (ssize_t)sizeof(text))
        return -errno;
    for (unsigned int looks = 1;; looks++) {
        got = recv(fd, text, sizeof(text), MSG_DONTWAIT);
        if (got >= 0 || errno != EAGAIN)
            return got == (ssize_t)sizeof(text) ? 0 : -EIO;
        if (looks % SOCKETS_LOOKS != 0)
            continue;
        nanosleep(&let, NULL);
        if (end == 0)
            end = fence_clock_boot_ns() + WAIT_MS * 1000000ull;
        else if (fence_clock_boot_ns() > end)
            return -ETIMEDOUT;
    }
}

/* ---- events --------------------------------------------------------------------------------- */

/* What happens again and again in a slice. */
struct work {
    const struct sockets_config *config;
    int fd;
    unsigned int events; /* of one call */
    int (*once)(struct work *work);
};

static int connect_once(struct work *work)
{
    FENCE_CLOSE int fd = dial(work->config, SOCK_STREAM, SHOP_PORT, WAIT_MS);

    return fd < 0 ? fd : ask(fd);
}

static int ask_once(struct work *work)
{
    return ask(work->fd);
}

static int send_once(struct work *work)
{
    static const char text[REQUEST];

    for (unsigned int i = 0; i < work->events; i++)
        if (send(work->fd, text, sizeof(text), 0) < 0)
            return -errno;
    return 0;
}

static int repeat(struct work *work, double seconds, uint64_t *ret_events, double *ret_seconds)
{
    uint64_t begin = fence_clock_boot_ns(), now = begin, events = 0;
    uint64_t end = begin + (uint64_t)(seconds * 1e9);

    while (now < end && events < MOST) {
        int r = work->once(work);

        if (r < 0)
            return r;
        events += work->events;
        now = fence_clock_boot_ns();
    }
    *ret_events = events;
    *ret_seconds = (double)(now - begin) / 1e9;
    return 0;
}

static int work_slice(struct work *work, double seconds, double *ret_rate)
{
    uint64_t events = 0;
    double took = 1;
    int r = repeat(work, seconds * WARM_SHARE, &events, &took);

    if (r == 0)
        r = repeat(work, seconds * (1 - WARM_SHARE), &events, &took);
    *ret_rate = (double)events / took;
    return r;
}

/* Datagrams received: what was sent and lost does not count. */
static int datagram_slice(const struct sockets_run *run, struct work *work, double *ret_rate)
{
    _Atomic uint64_t *received = &run->shared->received[work->config->index];
    const struct timespec pause = {.tv_nsec = ARRIVE_NS};
    uint64_t before, last, sent = 0;
    double took = 1;
    int r = ask(work->fd);

    if (r == 0)
        r = repeat(work, run->seconds * WARM_SHARE, &sent, &took);

    for (unsigned int i = 0; i < 3; i++)
        nanosleep(&pause, NULL);
    before = atomic_load(received);
    if (r == 0)
        r = repeat(work, run->seconds * (1 - WARM_SHARE), &sent, &took);
    last = before;
    for (unsigned int i = 0; i < ARRIVE_MAX && last - before < sent; i++) {
        nanosleep(&pause, NULL);
        last = atomic_load(received);
    }
    *ret_rate = (double)(last - before) / took;
    return r;
}

static int bulk(const struct sockets_config *config, double *ret_rate)
{
    char command[256], line[512];
    bool summary = false;
    FILE *output;

    snprintf(command, sizeof(command), "timeout 20 iperf3 -c %s -p %d -n " BULK_BYTES " -J",
             config->address, BULK_PORT);
    output = popen(command, "r");
    *ret_rate = 0;
    while (output && fgets(line, sizeof(line), output)) {
        const char *rate = strstr(line, "\"bits_per_second\":");

        summary |= strstr(line, "\"sum_received\"") != NULL;
        if (rate && summary && *ret_rate == 0)
            *ret_rate = strtod(strchr(rate, ':') + 1, NULL);
    }
    return output && pclose(output) == 0 && *ret_rate > 0 ? 0 : -EIO;
}

static int run_test(const struct sockets_run *run, const struct sockets_config *config,
                    enum sockets_test test, double *ret_rate)
{
    struct work work = {.config = config, .fd = -1, .events = 1, .once = connect_once};
    FENCE_CLOSE int fd = -1;

    switch (test) {
    case SOCKETS_CRR:
        return work_slice(&work, run->seconds, ret_rate);
    case SOCKETS_RR:
        work.fd = fd = dial(config, SOCK_STREAM, SHOP_PORT, WAIT_MS);
        work.once = ask_once;
        return fd < 0 ? fd : work_slice(&work, run->seconds, ret_rate);
    case SOCKETS_UDP:
        work.fd = fd = dial(config, SOCK_DGRAM, SHOP_PORT, WAIT_MS);
        work.once = send_once;
        work.events = BURST;
        return fd < 0 ? fd : datagram_slice(run, &work, ret_rate);
    default:
        return bulk(config, ret_rate);
    }
}

int sockets_slice(const struct sockets_run *run, const struct sockets_config *config,
                  enum sockets_test test, double *ret_rate, struct fence_err *err)
{
    int r;

    if (setns(config->client, CLONE_NEWNET) < 0)
        return fence_err_set(err, -errno, "%s: %s", config->kind->key, strerror(errno));
    atomic_store(&run->shared->changing, config->changes[0] ? (int)config->index : -1);
    atomic_store(&run->shared->busy, test != SOCKETS_BULK);
    r = run_test(run, config, test, ret_rate);
    atomic_store(&run->shared->busy, false);
    atomic_store(&run->shared->changing, -1);
    if (r == 0 && *ret_rate <= 0)
        r = -ENODATA;
    return r < 0 ? fence_err_set(err, r, "%s, %s: %s", config->kind->title, sockets_test_name(test),
                                 strerror(-r))
                 : 0;
}

/* ---- is it enforced ------------------------------------------------------------------------- */

static bool reaches(const struct sockets_config *config, unsigned int port)
{
    FENCE_CLOSE int fd = dial(config, SOCK_STREAM, port, PROBE_MS);

    return fd >= 0;
}

int sockets_probe(const struct sockets_config *config, struct fence_err *err)
{
    bool open = config->kind->group == SOCKETS_NONE || config->kind->group == SOCKETS_EMPTY ||
                config->kind->group == SOCKETS_PEER;

    if (setns(config->client, CLONE_NEWNET) < 0)
        return fence_err_set(err, -errno, "%s: %s", config->kind->key, strerror(errno));
    if (!reaches(config, SHOP_PORT))
        return fence_err_set(err, -EIO, "%s: what is allowed does not pass", config->kind->title);
    if (reaches(config, SHOP_PORT_DENIED) != open)
        return fence_err_set(err, -EIO, "%s: what is not allowed %s", config->kind->title,
                             open ? "does not pass" : "passes");
    return 0;
}
