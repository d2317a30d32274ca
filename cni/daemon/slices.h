/* SPDX-License-Identifier: Apache-2.0 */
/* Address slices, while this daemon holds the Lease and has --address-slices (lib/slices). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "cni/daemon/loop.h"
#include "lib/base/err.h"
#include "lib/slices/publisher.h"

struct fence_daemon;

struct fence_slices {
    struct fence_publisher *publisher; /* NULL: another node publishes, or nobody */
    struct fence_fd_watch watch;
    struct fence_err problem; /* as last told */
};

void fence_slices_done(struct fence_daemon *daemon);

/* The Lease is ours now, or is not any more. */
void fence_slices_lead(struct fence_daemon *daemon, bool held);

/* What is wrong with publishing; "" = nothing. */
void fence_slices_problem(const struct fence_daemon *daemon, char *text, size_t size);
/* For the status, as lib/api/README.md has it; null without --address-slices. */
cJSON *fence_slices_json(const struct fence_daemon *daemon);
