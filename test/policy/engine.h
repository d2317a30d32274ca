/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler as a daemon uses it: one that follows a changing world for one node. All calls of
 * the compiler's incremental side are here.
 */
#pragma once

#include "lib/policy/compile.h"

/* Zeroed = new. */
struct engine {
    struct fence_compiler *compiler;
    struct fence_world world; /* the one it has followed to */
    char node_name[256];      /* outlives the world that it came with */
};

/* Has the operator chosen the same for both? Else a daemon starts again with the new choices. */
bool engine_can_follow(const struct fence_world *before, const struct fence_world *after);
/* Tell the compiler of this world. The world before must live until the engine has settled, this
 * one until the next has. When the node or the operator's choices are others it is a new one. */
int engine_feed(struct engine *engine, const struct fence_world *world, struct fence_err *err);
/* The same, and run and settle as if somebody had applied the plan. */
int engine_update(struct engine *engine, const struct fence_world *world, struct fence_err *err);
void engine_done(struct engine *engine);
/* The plan in force; the engine's. */
const struct fence_plan *engine_plan(const struct engine *engine);
