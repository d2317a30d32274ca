/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single changes to a world in force, each with other objects every time, all kinds in turns, so
 * that no kind profits from what the one before it left in the caches.
 */
#pragma once

#include "lib/objects/store.h"
#include "test/bench/engine.h"
#include "test/bench/node.h"
#include "test/bench/samples.h"
#include "test/bench/world.h"

/* X(symbol, name, target of the median in ms or 0) */
#define BENCH_CHANGES(X)                                                                           \
    X(POD_ADDED, "remote pod added, known labels", 1)                                              \
    X(POD_ADDED_NEW, "remote pod added, new labels", 1)                                            \
    X(POD_RELABELLED, "remote pod relabelled, known labels", 1)                                    \
    X(POD_RELABELLED_NEW, "remote pod relabelled, new labels", 1)                                  \
    X(POD_DELETED, "remote pod deleted", 0)                                                        \
    X(LOCAL_ADDED, "local pod added", 1)                                                           \
    X(LOCAL_DELETED, "local pod deleted", 0)                                                       \
    X(POLICY_PORT, "policy of local pods: port", 10)                                               \
    X(POLICY_PEER, "policy of local pods: peer", 10)                                               \
    X(POLICY_ELSEWHERE, "policy of no local pod", 10)                                              \
    X(BLOCK_ADDED, "policy with new ipBlock added", 0)                                             \
    X(BLOCK_REMOVED, "policy with that ipBlock removed", 0)                                        \
    X(NAMESPACE, "namespace relabelled", 0)                                                        \
    X(NOTHING, "nothing at all", 0)

enum bench_change {
#define BENCH_CHANGE_ENUM(symbol, name, target) BENCH_##symbol,
    BENCH_CHANGES(BENCH_CHANGE_ENUM)
#undef BENCH_CHANGE_ENUM
        BENCH_CHANGE_COUNT,
};

struct bench_cost {
    struct bench_samples store; /* decode and put */
    struct bench_samples compile;
    struct bench_samples apply;
    struct bench_samples total; /* compile and apply */
    size_t writes;
};

struct bench_changes {
    struct bench_world *world;
    struct fence_store *store;
    const struct fence_pins *pins;
    struct bench_locals *locals;
    unsigned int rounds; /* that there are objects for */
    struct bench_policy *here;
    size_t here_count, here_capacity;
    struct bench_policy *elsewhere;
    size_t elsewhere_count, elsewhere_capacity;
    bool *loose;
    uint64_t store_ns; /* of the change that is being made */
    struct bench_cost costs[BENCH_CHANGE_COUNT];
    struct bench_samples sweep;
    size_t failures; /* of all applies, and the first one */
    char failure[256];
};

const char *bench_change_name(enum bench_change change);
/* In ms; 0 = none. */
double bench_change_target(enum bench_change change);

/* Choose the objects to change and make them loose in changes->world. */
int bench_changes_prepare(struct bench_changes *changes, struct fence_err *err);
void bench_changes_done(struct bench_changes *changes);
/* Put what is loose into the store as it is at the beginning. */
int bench_changes_load(struct bench_changes *changes, struct fence_err *err);
/* Make them, for at most `seconds` but at least three rounds. */
int bench_changes_run(struct bench_changes *changes, struct engine *engine, double seconds,
                      struct fence_err *err);
