/* SPDX-License-Identifier: Apache-2.0 */
/* A server that knows one Lease, and up to five who want it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/kube/lease.h"

#define WANTERS 5u

struct server;

struct wanter {
    struct server *server;
    struct fence_reflector_world world;
    struct fence_lease *lease;
    char identity[16];
    bool alive;
    /* the exchange that runs */
    bool active;
    const struct fence_http_ops *ops;
    void *handler;
    char method[8];
    char *body;
    char path[256];
};

struct server {
    uint64_t now_ns, seed;
    char *lease; /* JSON; NULL: there is none */
    unsigned int version, reads, writes, renewals_of_token;
    int start_fails; /* what the world answers */
    struct wanter wanters[WANTERS];
    unsigned int count;
};

/* So many want it. */
void lease_server_begin(struct server *server, unsigned int count, uint64_t seed);
void lease_server_end(struct server *server);
void lease_server_add_wanter(struct server *server);
uint32_t lease_server_draw(struct server *server);
/* An exchange is over, without an answer. */
void lease_server_finish(struct wanter *wanter);
/* Of the exchange that runs. */
void lease_server_respond(struct wanter *wanter, long status, const char *body);
void lease_server_break_off(struct wanter *wanter);
/* Of a Lease: a text in a part of it, a number of its spec. */
const char *lease_server_text_in(const char *json, const char *part, const char *name,
                                 char text[64]);
double lease_server_number_in(const char *json, const char *name);
/* The Lease is this now. */
void lease_server_keep(struct server *server, const char *body);
/* As an API server does. */
void lease_server_serve(struct wanter *wanter);
/* Boot time of the next thing that somebody alive does. */
uint64_t lease_server_next_due(const struct server *server);
/* `bad` of 100 requests fail. */
void lease_server_step(struct server *server, unsigned int bad);
void lease_server_run(struct server *server, uint64_t seconds, unsigned int bad);
/* How many believe that it is theirs, and one of them. */
unsigned int lease_server_holders(const struct server *server, unsigned int *ret_last);
