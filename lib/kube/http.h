/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTPS exchanges with the API server, any number at once, over as few connections as the server
 * allows (one with HTTP/2). libcurl does the work; this file is the only one that knows it. One
 * thread; nothing blocks (names are looked up by libcurl's own thread).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/kube/config.h"

struct fence_http;          /* opaque */
struct fence_http_exchange; /* opaque, the client's as long as it lasts */

/* What came before the body. */
struct fence_http_head {
    long status;              /* 200 ... */
    const char *content_type; /* "" when there is none */
    long retry_after_ms;      /* -1 when the server did not say; a date counts from now */
};

/* How it ended. Exactly one for each exchange that was started and not cancelled. */
struct fence_http_end {
    int code;    /* 0: the whole answer came, whatever its status was; else -errno: -ETIMEDOUT,
                    -ECONNREFUSED, -ECONNRESET (ended in the middle), -EACCES (certificates),
                    -ECANCELED (a handler refused to go on), -EIO */
    long status; /* 0 when there was no answer */
    const char *message; /* for people; "" with code 0 */
    uint64_t bytes;      /* received, as on the wire before decompression */
};

/* Called by fence_http_handle alone. After `end` the exchange is gone. */
struct fence_http_ops {
    /* Below 0: go no further, end with -ECANCELED. */
    int (*head)(void *context, const struct fence_http_head *head);
    /* In pieces as they come, decompressed. Below 0 as above. */
    int (*body)(void *context, const char *data, size_t size);
    void (*end)(void *context, const struct fence_http_end *end);
};

struct fence_http_request {
    const char *method;       /* "GET", "PATCH", "POST" */
    const char *path;         /* "/api/v1/pods?limit=500", encoded */
    const char *accept;       /* "application/json" */
    const char *content_type; /* of `body`; NULL: none */
    const char *body;         /* copied; NULL: none */
    size_t body_size;
    unsigned int idle_ms;  /* so long without a byte ends it with -ETIMEDOUT; 0 = never */
    unsigned int total_ms; /* so long in all; 0 = never */
};

/* Copies what it needs of the configuration. */
int fence_http_new(const struct fence_kube_config *config, const char *user_agent,
                   struct fence_http **ret_http, struct fence_err *err);
/* Cancels all exchanges. */
void fence_http_free(struct fence_http **http);

/* Poll this for reading, then call fence_http_handle. */
int fence_http_fd(const struct fence_http *http);
void fence_http_handle(struct fence_http *http);

/* The strings of `request` are copied. `ops` and `context` stay the caller's until the end. */
int fence_http_start(struct fence_http *http, const struct fence_http_request *request,
                     const struct fence_http_ops *ops, void *context,
                     struct fence_http_exchange **ret_exchange, struct fence_err *err);
/* Its `end` is not called. Also from inside its own handlers. */
void fence_http_cancel(struct fence_http *http, struct fence_http_exchange **exchange);

/* The server has refused the token (401): the file is read again for the next exchange. Without
 * this it is read again when it has changed, looked at once a minute at most. */
void fence_http_renew_token(struct fence_http *http);

/* Connections that are open, for metrics. */
unsigned int fence_http_connections(const struct fence_http *http);
