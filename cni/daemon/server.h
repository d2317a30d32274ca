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
#include "cni/daemon/observers.h"

struct fence_daemon;
struct fence_inforce_wait;

/*
 * Places. When all are taken, a new client gets that of the one who has wanted nothing for the
 * longest time; so thousands that only connect keep nobody from asking. Readers, who are not root,
 * have a part of them.
 */
#define FENCE_CLIENTS_MAX 256
#define FENCE_READERS_MAX 96

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
    unsigned int idle; /* ticks without taking anything from a queue, or without a request */
    uint64_t number;   /* in the order of coming */
    struct fence_waiter waiter;
    struct fence_observer observer;
    bool hears_alarms;                 /* has asked for them with "follow" */
    bool is_root;                      /* or the daemon's own user; else one who may only read */
    bool asked;                        /* has sent a request */
    struct fence_inforce_wait *policy; /* that it waits for, or NULL */
    bool closing;                      /* ends when its queue is empty */
    bool broken;                       /* ends now */
};

struct fence_server {
    int fd;
    struct fence_fd_watch watch;
    struct fence_timer tick;
    struct fence_client *clients[FENCE_CLIENTS_MAX];
    size_t count;
    size_t readers;
    size_t queued;    /* bytes of all clients */
    uint64_t numbers; /* of clients so far */
    struct fence_observers observers;
};

int fence_server_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_server_done(struct fence_daemon *daemon);

/* End of a turn: let go of clients that have ended. */
void fence_server_reap(struct fence_daemon *daemon);

/* Answer the clients whose endpoint has been resolved, or cannot be. */
void fence_server_answer_waiters(struct fence_daemon *daemon);

/* Queue a message; a client that does not take his messages is dropped. Takes `message`. */
void fence_client_send(struct fence_client *client, cJSON *message);
/* The same of a text that is copied. */
void fence_client_send_text(struct fence_client *client, const char *text, size_t size);
/* Send an observer what there is, as far as he takes it. */
void fence_client_go_on(struct fence_client *client);
/* {"ok":false,"error":...} */
__attribute__((format(printf, 2, 3))) void fence_client_refuse(struct fence_client *client,
                                                               const char *format, ...);
