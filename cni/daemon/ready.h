/* SPDX-License-Identifier: Apache-2.0 */
/* Is everything that the user asked for in force? */
#pragma once

#include "cni/daemon/log.h"

struct fence_daemon;

typedef void (*fence_reason_visit)(void *context, enum fence_log_level level, const char *text);

/* Each reason why not; none = ready. */
void fence_ready_each(const struct fence_daemon *daemon, fence_reason_visit visit, void *context);

/* Log what is wrong now and was not, and what was and is not. */
void fence_ready_log(struct fence_daemon *daemon);
