/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's one thread: descriptors and timers over epoll. */
#pragma once

#include <stdint.h>

#include "lib/base/err.h"

/*
 * A descriptor that the loop watches. Embedded in whatever owns it; the owner must not free it
 * inside a handler, because the same turn may still hold an event for it.
 */
struct fence_fd_watch {
    int fd; /* -1 = not watched: events still pending in this turn are passed over */
    void (*ready)(void *context, uint32_t events);
    void *context;
};

struct fence_loop {
    int epoll;
};

int fence_loop_init(struct fence_loop *loop, struct fence_err *err);
void fence_loop_done(struct fence_loop *loop);

/* `events` as of epoll_ctl(2). The descriptor stays the caller's. */
int fence_loop_watch(struct fence_loop *loop, struct fence_fd_watch *watch, uint32_t events,
                     struct fence_err *err);
int fence_loop_change(struct fence_loop *loop, struct fence_fd_watch *watch, uint32_t events);
/* Stops watching and sets watch->fd to -1; does not close it. */
void fence_loop_forget(struct fence_loop *loop, struct fence_fd_watch *watch);

/* Wait at most timeout_ms (-1: for ever) and call the handlers of what is ready. */
int fence_loop_turn(struct fence_loop *loop, int timeout_ms, struct fence_err *err);

struct fence_timer {
    struct fence_fd_watch watch;
    int fd;
    void (*fire)(void *context);
    void *context;
};

/* `clock`: CLOCK_MONOTONIC or CLOCK_REALTIME. The latter also fires when the clock is set. */
int fence_timer_open(struct fence_loop *loop, struct fence_timer *timer, int clock,
                     struct fence_err *err);
void fence_timer_close(struct fence_loop *loop, struct fence_timer *timer);
/* Once in `ms` (0: at once); period_ms 0 = once only. */
int fence_timer_after(struct fence_timer *timer, int ms, int period_ms);
/* Once at `seconds` since 1970; 0 = only when the clock is set. */
int fence_timer_at(struct fence_timer *timer, int64_t seconds);
