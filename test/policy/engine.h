/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler as a daemon uses it: one plan for one node that follows a changing world. All calls
 * of the compiler's incremental side are here, so that its interface can change in one place.
 */
#pragma once

#include "lib/policy/compile.h"

struct engine {
    struct fence_plan *plan; /* NULL before the first update */
};

/* Zeroed `engine` in. The world before must live until this returns, this one until the next. */
int engine_update(struct engine *engine, const struct fence_world *world, struct fence_err *err);
void engine_done(struct engine *engine);
/* The plan in force; the engine's. */
const struct fence_plan *engine_plan(const struct engine *engine);
