/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one that writes for all nodes, while this daemon holds the Lease: conditions of policies
 * (from lib/report/desk.h) and Events for those that are refused. It watches policies with their
 * status and the nodes' reports over a connection of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "cni/daemon/loop.h"
#include "lib/base/err.h"
#include "lib/kube/call.h"
#include "lib/kube/kube.h"
#include "lib/report/desk.h"
#include "lib/report/event.h"

struct fence_daemon;

/* Statuses that are on their way at the same time. */
#define FENCE_REPORT_CALLS 5u

struct fence_report_writing {
    struct fence_daemon *daemon;
    struct fence_kube_call *call; /* NULL: free */
    char id[640];
};

/* The Event that is being told. */
struct fence_report_telling {
    struct fence_kube_call *call;
    bool told; /* the object is there, and its Event is to be posted */
    bool busy;
    struct fence_event_refusal refusal;
    struct fence_event_texts texts;
    uint64_t written, refused; /* Events, since the start */
    struct fence_err problem;
};

struct fence_report_writer {
    struct fence_kube *kube; /* NULL: another node writes */
    struct fence_fd_watch watch;
    struct fence_timer timer;
    struct fence_desk *desk;
    struct fence_event_book *book;
    struct fence_report_writing writings[FENCE_REPORT_CALLS];
    struct fence_report_telling telling;
    bool listed;               /* all kinds have been, since this daemon leads */
    uint64_t not_before;       /* boot time of the next write */
    unsigned int failures;     /* in a row */
    uint64_t written, refused; /* statuses, since the start */
    struct fence_err problem;  /* of statuses */
};

int fence_report_writer_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_report_writer_done(struct fence_daemon *daemon);

/* The Lease is ours now, or is not any more. */
void fence_report_writer_lead(struct fence_daemon *daemon, bool held);
/* Policies have changed. Nodes tell of every state that they were in: each is to be known here. */
void fence_report_writer_see(struct fence_daemon *daemon);
/* How many nodes have told anything, and how many of them have all that this one has; 0 while
 * another node writes. */
void fence_report_writer_nodes(const struct fence_daemon *daemon, size_t *ret_nodes,
                               size_t *ret_current);
void fence_report_writer_add_status(const struct fence_daemon *daemon, cJSON *json);
