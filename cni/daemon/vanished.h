/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of endpoints' host interfaces without a word from the runtime. */
#pragma once

#include <stdint.h>

#include "lib/base/err.h"

struct fence_daemon;

/* Since the start. */
struct fence_vanished {
    uint64_t removed; /* endpoints whose interface had gone */
    uint64_t renamed; /* interfaces that have another name now */
};

/*
 * Remove the endpoints whose interface has gone, and take over the new names of those that were
 * renamed: the kernel knows an interface by its index, and so do its filters. Removes nothing
 * unless another or the same endpoint's interface has been seen by this process under its recorded
 * name: a daemon in the wrong network namespace sees no interface of a pod, and must not take that
 * for pods that have gone.
 */
void fence_vanished_check(struct fence_daemon *daemon);

/* A step of the daemon's start: what happened while it was down. */
int fence_vanished_init(struct fence_daemon *daemon, struct fence_err *err);
