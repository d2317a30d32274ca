/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --metrics: /metrics, /healthz and /readyz by HTTP, in the loop's own thread (libmicrohttpd,
 * without TLS). Whoever reaches the port may ask: what is answered has no name of a pod, a policy
 * or a file, but for the reasons of /readyz, which only processes of this node get.
 *
 * Bounds: FENCE_HTTP_CONNECTIONS connections with 4 KiB each; more wait in the listening socket.
 * When they are nearly all taken, the oldest is cut off for each new one, and none lives longer
 * than FENCE_HTTP_SECONDS: whoever sends slowly, or not at all, keeps nobody out. The text of
 * /metrics is made at most once a second, the entries of the maps are counted at most every five.
 *
 * A port that is taken is tried again every five seconds; everything else goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "cni/daemon/loop.h"
#include "cni/daemon/metrics_maps.h"

struct fence_daemon;
struct MHD_Daemon;

#define FENCE_HTTP_CONNECTIONS 64u
#define FENCE_HTTP_SECONDS     10

/* Of options_audit.c. */
struct fence_http_options {
    struct sockaddr_storage addr; /* family 0: off */
    const char *text;             /* as given */
};

struct fence_http_connection {
    int fd; /* -1: free */
    uint64_t since_ns;
};

struct fence_http {
    struct MHD_Daemon *server; /* NULL: off, or the port cannot be had yet */
    struct fence_fd_watch watch;
    struct fence_timer timer;
    struct fence_timer retry;
    struct fence_http_connection connections[FENCE_HTTP_CONNECTIONS];
    size_t count;
    uint64_t requests[3]; /* metrics, healthz, readyz */
    uint64_t refused;     /* any other path or method */
    uint64_t cut_off;     /* connections that were too slow */
    bool problem_told;
    char *text; /* of /metrics */
    size_t text_size;
    uint64_t text_ns; /* when it was made */
    struct fence_metrics_maps maps;
};

/* "127.0.0.1:9464", "[::1]:9464", ":9464" (all addresses), "off". */
int fence_http_parse(const char *text, struct fence_http_options *ret_options,
                     struct fence_err *err);

/* A step of the daemon's start. */
int fence_http_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_http_done(struct fence_daemon *daemon);
