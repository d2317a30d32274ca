/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/http_loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define EVENTS             32
#define IDLE_CONNECTIONS   8L
#define SHARED_CONNECTIONS 2L
#define SECOND_NS          1000000000ull
#define MS_NS              1000000ull

/* ---- what libcurl calls ------------------------------------------------------------------------
 */

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
    struct fence_http_loop *loop = context;
    struct epoll_event event = {.data.fd = fd};

    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -1;
}

static int set_call_time(CURLM *multi, long timeout_ms, void *context)
{
    struct fence_http_loop *loop = context;

    (void)multi;
    loop->call_at_ns =
        timeout_ms < 0 ? FENCE_HTTP_NEVER : fence_clock_boot_ns() + (uint64_t)timeout_ms * MS_NS;
    return 0;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fence_http_loop *loop = context;
    FENCE_CLOSE int fd =
        socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0 || FENCE_GROW(loop->sockets, loop->capacity, loop->count) < 0)
        return CURL_SOCKET_BAD;
    loop->sockets[loop->count++] = (struct fence_http_socket){fd, fence_clock_boot_ns()};
    return TAKE_FD(fd);
}

static int close_socket(void *context, curl_socket_t fd)
{
    struct fence_http_loop *loop = context;

    for (size_t i = 0; i < loop->count; i++) {
        if (loop->sockets[i].fd != fd)
            continue;
        loop->sockets[i] = loop->sockets[--loop->count];
        break;
    }
    return close(fd);
}

/* ---- running ----------------------------------------------------------------------------------
 */

static void call(struct fence_http_loop *loop, curl_socket_t fd, int what)
{
    int running;

    loop->is_inside = true;
    (void)curl_multi_socket_action(loop->multi, fd, what, &running);
    loop->is_inside = false;
}

static int curl_mask(uint32_t events)
{
    return (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
           (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

void fence_http_loop_run(struct fence_http_loop *loop)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(loop->epoll_fd, events, EVENTS, 0);
    uint64_t expirations;

    for (int i = 0; i < count; i++)
        if (events[i].data.fd != loop->timer_fd)
            call(loop, events[i].data.fd, curl_mask(events[i].events));
        else
            (void)!read(loop->timer_fd, &expirations, sizeof(expirations));
    if (fence_clock_boot_ns() >= loop->call_at_ns) {
        loop->call_at_ns = FENCE_HTTP_NEVER;
        call(loop, CURL_SOCKET_TIMEOUT, 0);
    }
}

void fence_http_loop_set_timer(struct fence_http_loop *loop, uint64_t at_ns)
{
    struct itimerspec timer = {0};
    uint64_t at = loop->call_at_ns < at_ns ? loop->call_at_ns : at_ns;

    if (at != FENCE_HTTP_NEVER) {
        timer.it_value.tv_sec = (time_t)(at / SECOND_NS);
        timer.it_value.tv_nsec = (long)(at % SECOND_NS);
    }
    (void)timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

void fence_http_loop_shut(struct fence_http_loop *loop, uint64_t opened_before_ns)
{
    for (size_t i = 0; i < loop->count; i++)
        if (loop->sockets[i].opened_ns <= opened_before_ns)
            (void)shutdown(loop->sockets[i].fd, SHUT_RDWR);
}

void fence_http_loop_share(struct fence_http_loop *loop, bool shares)
{
    if (loop->shares == shares)
        return;
    loop->shares = shares;
    (void)curl_multi_setopt(loop->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                            shares ? SHARED_CONNECTIONS : 0L);
}

/* ---- beginning and end ------------------------------------------------------------------------
 */

bool fence_http_loop_adopt(struct fence_http_loop *loop, CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, loop) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, loop) == CURLE_OK;
}

static bool set_multi(struct fence_http_loop *loop)
{
    CURLM *multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_multi_init() : NULL;

    loop->multi = multi;
    return multi && curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, loop) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_call_time) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, loop) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS) == CURLM_OK;
}

int fence_http_loop_init(struct fence_http_loop *loop, struct fence_err *err)
{
    struct epoll_event event = {.events = EPOLLIN};
    int r = 0;

    *loop = (struct fence_http_loop){.call_at_ns = FENCE_HTTP_NEVER, .timer_fd = -1};
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0)
        loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    event.data.fd = loop->timer_fd;
    if (loop->timer_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->timer_fd, &event) < 0)
        r = fence_err_set(err, -errno, "cannot wait for sockets: %s", strerror(errno));
    else if (!set_multi(loop))
        r = fence_err_set(err, -ENOMEM, "libcurl: no memory");
    if (r < 0)
        fence_http_loop_done(loop);
    return r;
}

void fence_http_loop_done(struct fence_http_loop *loop)
{
    curl_multi_cleanup(loop->multi);
    fence_close_p(&loop->epoll_fd);
    fence_close_p(&loop->timer_fd);
    free(loop->sockets);
    *loop = (struct fence_http_loop){.epoll_fd = -1, .timer_fd = -1};
}
