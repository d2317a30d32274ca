/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is what the changes left in the maps what a fresh start makes of the same objects? So that the
 * bench cannot be fast by doing nothing.
 */
#pragma once

#include "test/bench/changes.h"
#include "test/bench/engine.h"
#include "test/bench/node.h"
#include "test/bench/world.h"

struct bench_verdict {
    struct bench_maps changed;
    struct bench_maps fresh;
    size_t addresses; /* compared: those of either */
    size_t strangers; /* that are in one only, or lead to another identity */
    size_t probes;
    size_t allowed;
    size_t different; /* probes that the two answer differently */
    size_t asked;     /* probes that the evaluator was asked too */
    size_t refuted;   /* and saw differently */
};

/* `parts` as the engine that was measured has them. 0 or -errno; differences are no error. */
int bench_verify(const struct engine_parts *parts, const struct bench_changes *changes,
                 struct bench_verdict *ret_verdict, struct fence_err *err);
bool bench_verdict_is_good(const struct bench_verdict *verdict);
