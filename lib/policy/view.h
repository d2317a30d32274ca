/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/policy: making and sharing the views of a plan's peers. */
#pragma once

#include "lib/policy/plan.h"

/* A copy of `view` and all it points to, with one reference. NULL when out of memory. */
struct fence_plan_view *fence_plan_view_new(const struct fence_peer_view *view);
struct fence_plan_view *fence_plan_view_ref(struct fence_plan_view *view);
/* Drops the reference and sets *view to NULL; accepts NULL in it. */
void fence_plan_view_unref(struct fence_plan_view **view);
