/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the world to the pinned maps: what has changed of objects, endpoints and addresses -> the
 * compiler -> fence_apply. Called at the end of a turn of the loop when anything of these has.
 *
 * Until every folder has been read once since the start, or its last good objects in --state have
 * been, nothing is applied at all: what is pinned stays in force, because a missing folder must not
 * read as "no policies".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cni/daemon/locals.h"
#include "cni/daemon/loop.h"
#include "lib/base/histogram.h"
#include "lib/datapath/apply.h"
#include "lib/policy/compile.h"

struct fence_daemon;

struct fence_reconcile {
    struct fence_apply *apply;
    struct fence_compiler *compiler;  /* NULL: everything is to be fed anew */
    struct fence_plan *plan;          /* the compiler's, in force; NULL before the first */
    struct fence_locals locals;       /* what it was compiled for */
    struct fence_endpoint_list after; /* endpoints map as the apply left it */
    struct fence_apply_report report; /* of the last apply */
    struct fence_err error;           /* why the last try failed, "" = it did not */
    int64_t applied_at;               /* seconds since 1970 */
    uint64_t applied_us;              /* how long compiling and applying took */
    uint64_t applies;
    uint64_t failed;                /* applies that failed, wholly or in part */
    struct fence_histogram seconds; /* of applies that did not */
    struct fence_timer expiry;
    struct fence_timer sweep;
    struct fence_timer retry;
    bool problems_changed; /* what is wrong has to be looked at again */
};

int fence_reconcile_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_reconcile_done(struct fence_daemon *daemon);

/* Errors are kept in `error` and tried again. */
void fence_reconcile_run(struct fence_daemon *daemon);

/* The plan's word on an endpoint, NULL when it does not know it. */
const struct fence_plan_endpoint *fence_reconcile_endpoint(const struct fence_reconcile *reconcile,
                                                           uint32_t ifindex);
/* Why the endpoint is closed although it is resolved, NULL when it is not. */
const char *fence_reconcile_closed(const struct fence_reconcile *reconcile,
                                   const struct fence_plan_endpoint *endpoint);
