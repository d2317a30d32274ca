/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /metrics says: Prometheus' text format. Labels are words of the product alone (reasons,
 * states, names of maps), never of the cluster: the number of series is fixed.
 */
#pragma once

#include <stddef.h>

struct fence_daemon;

/* A new text; NULL when memory ended. Counts the maps (metrics_maps.h) as a side effect. */
char *fence_metrics_text(struct fence_daemon *daemon, size_t *ret_size);
