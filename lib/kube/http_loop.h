/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl tells which sockets to wait for and when to call it at the latest. The sockets are in an
 * epoll set of our own; a timer in it rings at libcurl's time or the owner's. The set is polled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "lib/base/err.h"

#define FENCE_HTTP_NEVER UINT64_MAX

struct fence_http_socket {
    int fd;
    uint64_t opened_ns;
};

struct fence_http_loop {
    CURLM *multi;
    int epoll_fd;
    int timer_fd;
    uint64_t call_at_ns; /* libcurl wants to be called; FENCE_HTTP_NEVER */
    bool is_inside;      /* of a call of libcurl: exchanges can neither be added nor removed */
    bool shares;         /* connections: the server has HTTP/2 */
    struct fence_http_socket *sockets;
    size_t count;
    size_t capacity;
};

/* Stays where it is: libcurl has its address. */
int fence_http_loop_init(struct fence_http_loop *loop, struct fence_err *err);
void fence_http_loop_done(struct fence_http_loop *loop);
/* The sockets of this handle are the loop's. */
bool fence_http_loop_adopt(struct fence_http_loop *loop, CURL *easy);

/* Whatever is due, by libcurl. */
void fence_http_loop_run(struct fence_http_loop *loop);
/* Ring at this boot time at the latest. */
void fence_http_loop_set_timer(struct fence_http_loop *loop, uint64_t at_ns);
/*
 * Does the server have HTTP/2? Then one connection is enough for all exchanges, and another while
 * the first is said goodbye to (GOAWAY): libcurl would open one for each exchange that begins then.
 */
void fence_http_loop_share(struct fence_http_loop *loop, bool shares);
/* Shut the connections that were opened before: what is on them ends. */
void fence_http_loop_shut(struct fence_http_loop *loop, uint64_t opened_before_ns);
