/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Kubernetes API server for tests: a few kinds, in memory, and whatever can go wrong. A thread
 * for each connection (libmicrohttpd's); all state is under one lock; watches sleep in poll until
 * they are woken by the change itself.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "lib/base/err.h"
#include "test/kube/server/counters.h"
#include "test/kube/server/faults.h"
#include "test/kube/server/resources.h"
#include "test/kube/server/tls.h"

struct right {
    char *verb, *group, *resource; /* "*" = any; a subresource as in "pods/status" */
};

struct server {
    pthread_mutex_t lock;
    struct resource **resources;
    size_t resource_count, resources_capacity;
    uint64_t number; /* the newest resourceVersion */
    char **tokens;   /* that are accepted */
    size_t token_count;
    struct right *refused;
    size_t refused_count;
    struct faults faults;
    struct counters counters;

    /* set at the start */
    struct tls tls;
    const char *fixtures;
    long bookmark_ms; /* between bookmarks of a watch */
    size_t history;   /* changes that are kept of each kind */

    struct MHD_Daemon *https, *control;
    struct MHD_Daemon **retired; /* that do not accept any more, but go on with what is open */
    size_t retired_count;
    uint16_t https_port, control_port;
    char host[64];
    int stop_fd; /* readable: all end */
    atomic_uint connections;
};

/* One request, as long as it lasts. */
struct exchange {
    struct server *server;
    struct MHD_Connection *connection;
    char *uri; /* as sent, with its query */
    char *path;
    char *method;
    char *body;
    size_t size, capacity;
    bool begun, too_large;
    bool partial; /* metadata alone was asked for */
    const char *verb;
    struct target target;
    struct effect effect; /* of the fault that was taken for it */
    struct counter *counter;
};

enum woken { WOKEN_TIMEOUT, WOKEN_EVENT, WOKEN_GONE };
/* Sleep so long (below 0: for ever). GONE: the client has, or the server is ending. `event_fd` -1:
 * none. */
enum woken exchange_wait(const struct exchange *exchange, long ms, int event_fd);

const char *exchange_query(const struct exchange *exchange, const char *name);
const char *exchange_header(const struct exchange *exchange, const char *name);
/* A query parameter that is "1" or "true". */
bool exchange_flag(const struct exchange *exchange, const char *name);

/* Of both listeners: libmicrohttpd's handlers. */
struct MHD_Daemon *server_listen(struct server *server, bool control, uint16_t port,
                                 struct fence_err *err);
/* Refuse new connections; what is open goes on. */
void server_close_listener(struct server *server);
int server_open_listener(struct server *server, struct fence_err *err);

/* What a request of the API is answered with, by its verb. */
enum MHD_Result api_handle(struct exchange *exchange);
enum MHD_Result control_handle(struct exchange *exchange);

/* CLOCK_MONOTONIC */
int64_t now_ms(void);
