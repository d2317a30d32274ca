/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everybody who can say what becomes of a connection. A leg is a function from a question about a
 * stage to an answer; adding one (the kernel) takes that function and a row in legs.c.
 */
#pragma once

#include "test/policy/cases.h"
#include "test/policy/naive.h"

struct leg_side {
    uint8_t verdict; /* enum fence_verdict */
    uint8_t shadow;
    /* of legs that explain themselves */
    uint8_t reason;
    uint32_t rule;
    char policy[FENCE_EXPLAIN_MAX];
};

struct leg_answer {
    struct leg_side sides[FENCE_DIRECTIONS];
    char note[FENCE_EXPLAIN_MAX]; /* for people */
};

/* A world, ready to be asked. */
struct leg_stage {
    struct case_file file;
    struct naive *naive;
    /* One for each of file.nodes; the plans of these when NULL. */
    const struct fence_plan *const *plans;
};

struct leg {
    const char *name;
    bool explains; /* gives reason, policy and rule */
    bool live;     /* only asked where the stage's nodes have a data path */
    int (*ask)(const struct leg_stage *stage, const struct fence_query *query,
               struct leg_answer *ret_answer, struct fence_err *err);
};

#define LEGS 4
extern const struct leg leg_table[LEGS];

/* What two hooks, or two families, come to. */
uint8_t leg_verdict_of_both(uint8_t one, uint8_t other);
/* Live legs need a data path at the stage's nodes. */
bool leg_can_answer(const struct leg *leg, const struct leg_stage *stage);
/* Verdict and shadow verdict of each side; reason, rule and policy too when both `explain`. */
bool leg_answers_agree(const struct leg_answer *a, const struct leg_answer *b, bool explain);
/* "\n  plan      egress allow/allow (reason, policy rule 0) ingress ...": verdict/shadow. */
void leg_describe(const struct leg *leg, const struct leg_answer *answer, char *text, size_t size);

/* Zeroed `stage` in, but for `file.before`; leg_stage_done afterwards, whatever the result. */
int leg_stage_load(struct leg_stage *stage, const cJSON *world, struct fence_err *err);
void leg_stage_done(struct leg_stage *stage);

struct leg_result {
    struct leg_answer answer; /* of the first leg that explains itself, when all agree */
    const struct leg *left;   /* the two that do not */
    const struct leg *right;
};

/*
 * Ask every leg and compare: 1 all agree, 0 they do not, with the answers in `err`; negative when
 * one cannot answer.
 */
int legs_compare(const struct leg_stage *stage, const struct fence_query *query,
                 struct leg_result *ret_result, struct fence_err *err);
/* The same of the plans of two stages with the same world. */
int legs_compare_plans(const struct leg_stage *left, const struct leg_stage *right,
                       const struct fence_query *query, struct fence_err *err);
