/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket: clients, their bounded queues, and who waits for what. What a request means is in
 * requests.c. A client is only marked as broken inside a handler and freed at the end of the turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "bpf/abi.h"
#include "cni/daemon/loop.h"
#include "lib/api/record.h"

struct fence_daemon;

#define FENCE_CLIENTS_MAX 256

/* A text that the client has not taken yet. */
struct fence_message {
    struct fence_message *next;
    size_t size;
    char text[];
};

/* An endpoint that a client asked about. */
struct fence_waiter {
    uint32_t ifindex; /* 0 = this client does not wait */
    char container_id[FENCE_CONTAINER_ID_MAX];
    char ifname[16];
};

struct fence_client {
    struct fence_daemon *daemon;
    struct fence_fd_watch watch;
    uint32_t events; /* that the loop waits for */
    int fd;
    struct fence_message *queue; /* oldest first */
    struct fence_message *last;
    size_t queued;     /* bytes */
    unsigned int idle; /* ticks without taking anything from a queue that is not empty */
    struct fence_waiter waiter;
    bool observing;
    bool closing; /* ends when its queue is empty */
    bool broken;  /* ends now */
};

struct fence_server {
    int fd;
    struct fence_fd_watch watch;
    struct fence_timer tick;
    struct fence_client *clients[FENCE_CLIENTS_MAX];
    size_t count;
    size_t observers;
};

int fence_server_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_server_done(struct fence_daemon *daemon);

/* End of a turn: let go of clients that have ended. */
void fence_server_reap(struct fence_daemon *daemon);

/* Answer the clients whose endpoint has been resolved, or cannot be. */
void fence_server_answer_waiters(struct fence_daemon *daemon);

/* Queue a message; a client that does not take his messages is dropped. Takes `message`. */
void fence_client_send(struct fence_client *client, cJSON *message);
/* The same for a message that is text already. */
void fence_client_send_text(struct fence_client *client, const char *text, size_t size);
/* {"ok":false,"error":...} */
__attribute__((format(printf, 2, 3))) void fence_client_refuse(struct fence_client *client,
                                                               const char *format, ...);

/* The observers, as a consumer of records. */
void fence_server_record(struct fence_daemon *daemon, const struct fence_record *record);
void fence_server_lost(struct fence_daemon *daemon, const struct fence_lost *lost);
bool fence_server_wants_records(const struct fence_daemon *daemon);
