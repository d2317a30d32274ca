/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's log: standard error, which runtimes put into their own. */
#pragma once

#include "lib/cni/netconf.h"

/* What is above the level is left out; FENCE_LOG_INFO until it is set. */
void fence_log_level_set(enum fence_log_level level);

/* One line. Never blocks, and a closed or full standard error does no harm. */
__attribute__((format(printf, 2, 3))) void fence_log(enum fence_log_level level, const char *format,
                                                     ...);
