/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told to the API server of the policies that came from it. Each node tells which of them
 * it has in force (a NodeReport of its own, when that changes, and the seldomer the more nodes
 * there are); the daemon that holds the Lease makes the policies' conditions of all of them
 * (report_writer.h). With --report off nothing is written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "cni/daemon/loop.h"
#include "cni/daemon/report_writer.h"
#include "lib/base/err.h"
#include "lib/kube/call.h"
#include "lib/report/desk.h"

struct fence_daemon;

struct fence_report {
    struct fence_timer timer;
    struct fence_kube_call *call; /* on its way */
    char *sent;                   /* the last report that the API server took; NULL: none yet */
    char *sending;
    char node_uid[64];     /* of the Node object; "" = unknown */
    bool asked;            /* for it */
    uint64_t not_before;   /* boot time of the next report */
    unsigned int failures; /* in a row */
    uint64_t written;      /* reports, since the start */
    uint64_t refused;      /* requests of them that were not taken */
    struct fence_err problem;
    struct fence_report_writer writer;
};

int fence_report_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_report_done(struct fence_daemon *daemon);

/* Something was applied; what waited to be in force still counts as waiting. */
void fence_report_applied(struct fence_daemon *daemon);

/* Policies of the API as the store has them. */
struct fence_report_views {
    struct fence_desk_view *items;
    char **ids; /* theirs */
    size_t count;
    size_t capacity;
    size_t id_capacity;
};
/* -ENOMEM. What it holds is valid until the store changes. */
int fence_report_views(const struct fence_daemon *daemon, struct fence_report_views *ret_views);
void fence_report_views_done(struct fence_report_views *views);

/* What is wrong with writing; "" = nothing. */
void fence_report_problem(const struct fence_daemon *daemon, char *text, size_t size);
/* For the status, as lib/api/README.md has it. */
cJSON *fence_report_json(const struct fence_daemon *daemon);
