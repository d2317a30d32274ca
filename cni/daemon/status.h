/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon about itself, as JSON; the members are in lib/api/README.md. */
#pragma once

#include <cjson/cJSON.h>

struct fence_daemon;

/* New objects, NULL when out of memory. */
cJSON *fence_status_json(const struct fence_daemon *daemon);
cJSON *fence_policies_json(const struct fence_daemon *daemon);

/*
 * Add to `object` which endpoints of this node a policy selects, in the store or not: endpoints (at
 * most 200 names) and endpointCount; and where it is not enforced as it says: exempt (names) and
 * failures ([{"endpoint":…,"text":…}] of the last apply).
 */
struct fence_object;
void fence_policy_add_reach(const struct fence_daemon *daemon, const struct fence_object *policy,
                            cJSON *object);

struct fence_query;
/* The denied sides of which some rule came close, an array; its ends are addresses. */
cJSON *fence_nearest_json(const struct fence_daemon *daemon, const struct fence_query *query);
