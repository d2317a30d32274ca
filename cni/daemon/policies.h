/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoints of this node policies select, and where they are not enforced as they say. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

struct fence_daemon;
struct fence_object;

/*
 * Add to `object` which endpoints a policy selects, in the store or not: endpoints (at most 200
 * names) and endpointCount; and where it is not enforced as it says: exempt (names) and failures
 * ([{"endpoint":…,"text":…}] of the last apply).
 */
void fence_policy_add_reach(const struct fence_daemon *daemon, const struct fence_object *policy,
                            cJSON *object);

/* Endpoints whose maps do not say what the plan says. */
struct fence_shortfalls;

/* NULL when there is none (or no memory for them). */
struct fence_shortfalls *fence_shortfalls_new(const struct fence_daemon *daemon);
void fence_shortfalls_free(struct fence_shortfalls **shortfalls);
/* Does the policy select one of them? Then which, and what is wrong. NULL: there are none. */
bool fence_shortfalls_find(const struct fence_shortfalls *shortfalls,
                           const struct fence_object *policy, char *text, size_t size);
