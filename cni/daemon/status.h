/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon about itself, as JSON; the members are in lib/api/README.md. */
#pragma once

#include <cjson/cJSON.h>

struct fence_daemon;

/* New objects, NULL when out of memory. */
cJSON *fence_status_json(const struct fence_daemon *daemon);
cJSON *fence_policies_json(const struct fence_daemon *daemon);

struct fence_query;
/* The denied sides of which some rule came close, an array; its ends are addresses. */
cJSON *fence_nearest_json(const struct fence_daemon *daemon, const struct fence_query *query);
