/* SPDX-License-Identifier: Apache-2.0 */
/* The ring buffer: always read, so that nothing is lost for want of a reader; sent to observers. */
#pragma once

#include <stdint.h>

#include "cni/daemon/loop.h"
#include "cni/daemon/pods.h"
#include "lib/datapath/events.h"

struct fence_daemon;

struct fence_observe {
    struct fence_events *events;
    struct fence_fd_watch watch;
    struct fence_timer timer;   /* to go on listening */
    struct fence_timer consume; /* see lib/datapath/events.h */
    struct fence_timer flush;
    struct fence_pod_index pods;
    uint64_t pods_of; /* number of the apply that `pods` was made after */
    uint64_t seen;
};

int fence_observe_init(struct fence_daemon *daemon, struct fence_err *err);
/* Go on hearing of allowed connections as long as somebody observes: at least every
 * FENCE_LISTEN_SECONDS, and at once for a new observer. */
void fence_observe_listen(struct fence_daemon *daemon);
void fence_observe_done(struct fence_daemon *daemon);
