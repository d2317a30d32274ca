/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one daemon writes for all of the cluster: it holds the Lease "podfence". The nodes' names,
 * hashed, say who asks for it most often.
 */
#pragma once

#include <stdbool.h>

#include "cni/daemon/loop.h"
#include "lib/kube/lease.h"

struct fence_daemon;

struct fence_leader {
    struct fence_lease *lease; /* NULL: nothing is written */
    struct fence_timer timer;
    bool held;                   /* as last told */
    char problem[FENCE_ERR_MAX]; /* of the lease, as last looked at */
};

/* Nothing to do without the API. */
int fence_leader_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_leader_done(struct fence_daemon *daemon);

/* After exchanges with the API server. */
void fence_leader_turn(struct fence_daemon *daemon);
