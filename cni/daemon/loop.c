/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Events handled in one turn: what they change is compiled once. */
#define TURN_MAX 64

/* In the year 2200; a timer that is not armed would not tell that the clock was set. */
#define FAR_FUTURE 7258118400

int fence_loop_init(struct fence_loop *loop, struct fence_err *err)
{
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        return fence_err_set(err, -errno, "cannot make an epoll descriptor: %s", strerror(errno));
    return 0;
}

void fence_loop_done(struct fence_loop *loop)
{
    if (loop->epoll >= 0)
        close(loop->epoll);
    loop->epoll = -1;
}

int fence_loop_watch(struct fence_loop *loop, struct fence_fd_watch *watch, uint32_t events,
                     struct fence_err *err)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0)
        return fence_err_set(err, -errno, "cannot watch a descriptor: %s", strerror(errno));
    return 0;
}

int fence_loop_change(struct fence_loop *loop, struct fence_fd_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno : 0;
}

void fence_loop_forget(struct fence_loop *loop, struct fence_fd_watch *watch)
{
    if (watch->fd >= 0)
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
}

int fence_loop_turn(struct fence_loop *loop, int timeout_ms, struct fence_err *err)
{
    struct epoll_event events[TURN_MAX];
    int count = epoll_wait(loop->epoll, events, TURN_MAX, timeout_ms);

    if (count < 0)
        return errno == EINTR
                   ? 0
                   : fence_err_set(err, -errno, "cannot wait for events: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct fence_fd_watch *watch = events[i].data.ptr;

        if (watch->fd >= 0)
            watch->ready(watch->context, events[i].events);
    }
    return 0;
}

static void timer_ready(void *context, uint32_t events)
{
    struct fence_timer *timer = context;
    uint64_t expirations;
    ssize_t got = read(timer->fd, &expirations, sizeof(expirations));

    (void)events;
    /* ECANCELED: the clock was set, so the time that was waited for may be now */
    if (got == (ssize_t)sizeof(expirations) || errno == ECANCELED)
        timer->fire(timer->context);
}

int fence_timer_open(struct fence_loop *loop, struct fence_timer *timer, int clock,
                     struct fence_err *err)
{
    int fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);

    if (fd < 0)
        return fence_err_set(err, -errno, "cannot make a timer: %s", strerror(errno));
    timer->fd = fd;
    timer->watch = (struct fence_fd_watch){.fd = fd, .ready = timer_ready, .context = timer};
    return fence_loop_watch(loop, &timer->watch, EPOLLIN, err);
}

void fence_timer_close(struct fence_loop *loop, struct fence_timer *timer)
{
    fence_loop_forget(loop, &timer->watch);
    if (timer->fd >= 0)
        close(timer->fd);
    timer->fd = -1;
}

int fence_timer_after(struct fence_timer *timer, int ms, int period_ms)
{
    const struct itimerspec when = {
        /* all zero would switch it off */
        .it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L + !ms},
        .it_interval = {.tv_sec = period_ms / 1000, .tv_nsec = period_ms % 1000 * 1000000L},
    };

    return timerfd_settime(timer->fd, 0, &when, NULL) < 0 ? -errno : 0;
}

int fence_timer_at(struct fence_timer *timer, int64_t seconds)
{
    const struct itimerspec when = {.it_value = {.tv_sec = seconds}};

    return timerfd_settime(timer->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL) < 0
               ? -errno
               : 0;
}
