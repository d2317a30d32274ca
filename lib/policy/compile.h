/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/base/err.h"
#include "lib/policy/plan.h"
#include "lib/policy/world.h"

/*
 * World to plan; pure. `previous` (may be NULL) is the plan in force: its peers are carried over,
 * so that the new sets also answer for addresses that still lead to them while the plan is being
 * applied. Fails only with -ENOMEM; what cannot be compiled is a set's `problem`.
 */
int fence_compile(const struct fence_world *world, const struct fence_plan *previous,
                  struct fence_plan **ret_plan, struct fence_err *err);
