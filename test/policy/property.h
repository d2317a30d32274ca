/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the property test share. */
#pragma once

#include "test/policy/legs.h"
#include "test/policy/live.h"
#include "test/policy/questions.h"
#include "test/policy/random_world.h"
#include "test/policy/shrink.h"

/* A run ends after so many failures. */
#define PROPERTY_MOST 5u

struct property_tally {
    uint64_t questions;
    uint64_t moments; /* questions between two writes */
    uint64_t refused; /* of these, by a daemon that started again */
    uint64_t failures;
    uint64_t counted; /* of the worlds that stand still; what follows is about them */
    uint64_t allowed;
    uint64_t mixed;
    uint64_t shadow_differs;
    uint64_t reasons[FENCE_DIRECTIONS][FENCE_REASON_COUNT];
};

struct property {
    uint64_t worlds;
    uint64_t sequences;
    uint64_t seed;
    unsigned long packets; /* for each pair of ends and family; 0 = all */
    unsigned int edges;    /* addresses at the edges of blocks */
    bool stats;
    bool shrink;
    struct live *live; /* the kernel's data paths; NULL = it is not asked */
    struct property_tally tally;
};

/* Called for each question; another result than 0 ends it and is returned. */
struct property_visitor {
    int (*visit)(void *context, const struct fence_query *query);
    void *context;
};

int property_for_each(struct property *property, const struct questions *questions, struct rng *rng,
                      const struct property_visitor *visitor);

/* property_sequence.c: a world that changes; what fails is printed and counted. */
int property_run_sequence(struct property *property, uint64_t seed);

/* From one world to the next, with data paths that follow. */
struct property_step {
    struct live *live;
    struct case_file *before; /* without nodes: there was none */
    struct case_file *after;
    const struct questions *questions; /* of the world after */
    bool restarts;                     /* the daemon; chosen by property_follow */
};
/* property_moments.c: follows, and asks the kernel between all writes; 1 = a wrong answer. */
int property_follow(struct property *property, struct property_step *step, struct rng *rng,
                    struct fence_err *err);

/* property_contents.c: of the same node before and after a change. */
struct property_plans {
    const struct fence_plan *before;
    const struct fence_plan *after;
};
int property_contents_agree(const struct property_plans *plans, struct fence_err *err);

/* property_stats.c */
void property_count(struct property_tally *tally, const struct leg_answer *answer);
void property_show(const struct property_tally *tally);
