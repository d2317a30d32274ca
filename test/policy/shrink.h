/* SPDX-License-Identifier: Apache-2.0 */
/* A failing world made small, and written down as a reachability file. */
#pragma once

#include "test/policy/legs.h"

struct shrink {
    const struct fence_query *query;
    const struct leg_result *result; /* who disagrees */
    struct fence_err *how;           /* gets their answers in the smallest world */
};

/*
 * Drop whatever can be dropped (policies, rules, pods, labels, ...) while the same two legs still
 * disagree about the question. Replaces *world.
 */
void shrink_world(cJSON **world, struct shrink *shrink);

/* Adds name, source and one line of `expect` with what the naive evaluator says. */
void shrink_describe(cJSON *world, const char *name, const struct fence_query *query);
