/* SPDX-License-Identifier: Apache-2.0 */
/* A reflector that is brought to a step of its own, and what it asks for next. */
#pragma once

#include "test/kube/world.h"

enum step {
    STEP_STREAM, /* the first: a streaming list */
    STEP_PAGE,   /* first page of a list; the server has no streaming ones */
    STEP_NEXT,   /* another page */
    STEP_WATCH,  /* from STEPS_VERSION, with nothing listed */
};

#define STEPS_VERSION "289"

/* Begins a world whose request of this step runs. Undo with world_done. */
void steps_begin(struct world *world, enum step step);
/* Of the request that runs. */
enum step steps_asked(const struct world *world);
const char *steps_name(enum step step);
