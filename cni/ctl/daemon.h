/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the daemon, which may not be there. */
#pragma once

#include <cjson/cJSON.h>

#include "cni/ctl/ctl.h"

#define CTL_DAEMON_MS 3000

/*
 * {"op": op}. 0 and the answer (the caller deletes it); -ENOENT when no daemon runs; else what is
 * wrong with it, an answer with "ok": false among them.
 */
int ctl_daemon_ask(const struct ctl *ctl, const char *op, cJSON **ret_answer,
                   struct fence_err *err);

/* The same for a whole message, which stays the caller's, and an answer that may take so long. */
int ctl_daemon_request_within(const struct ctl *ctl, const cJSON *message, int timeout_ms,
                              cJSON **ret_answer, struct fence_err *err);
/* CTL_DAEMON_MS of it. */
int ctl_daemon_request(const struct ctl *ctl, const cJSON *message, cJSON **ret_answer,
                       struct fence_err *err);

/* The same, and a descriptor to receive more from. */
int ctl_daemon_open(const struct ctl *ctl, const cJSON *message, cJSON **ret_answer,
                    struct fence_err *err);
