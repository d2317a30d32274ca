/* SPDX-License-Identifier: Apache-2.0 */
/* A world that changes: a plan that followed it must answer as one made from scratch does. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/policy/engine.h"
#include "test/policy/property.h"

#define STEPS      12
#define MOST_NODES 32

/* The engine of one node; nodes come and go. */
struct follower {
    char name[32];
    struct engine engine;
    bool seen; /* in this step */
};

struct sequence {
    struct property *property;
    struct follower followers[MOST_NODES];
    size_t follower_count;
    struct leg_stage before; /* the engines may still look at it */
    struct leg_stage now;
    const struct fence_plan *plans[MOST_NODES];
    struct leg_stage fresh;
    struct leg_stage fresh_before;
    struct fence_err err;
};

static struct follower *follower_of(struct sequence *sequence, const char *name)
{
    struct follower *follower;

    for (size_t i = 0; i < sequence->follower_count; i++)
        if (strcmp(sequence->followers[i].name, name) == 0)
            return &sequence->followers[i];
    if (sequence->follower_count == MOST_NODES)
        return NULL;
    follower = &sequence->followers[sequence->follower_count++];
    *follower = (struct follower){0};
    snprintf(follower->name, sizeof(follower->name), "%s", name);
    return follower;
}

static int follow(struct sequence *sequence)
{
    struct case_file *file = &sequence->now.file;
    int r = 0;

    for (size_t i = 0; r == 0 && i < file->node_count; i++) {
        struct follower *follower = follower_of(sequence, file->nodes[i].name);
        const char *wrong;

        if (!follower)
            return fence_err_set(&sequence->err, -E2BIG, "too many nodes");
        r = engine_update(&follower->engine, &file->nodes[i].world, &sequence->err);
        if (r < 0)
            return r;
        follower->seen = true;
        sequence->plans[i] = engine_plan(&follower->engine);
        wrong = plan_check(sequence->plans[i]);
        if (wrong)
            r = fence_err_set(&sequence->err, -EBADMSG, "the plan of node '%s' that followed: %s",
                              file->nodes[i].name, wrong);
    }
    return r;
}

/* A node that is gone takes its daemon with it. */
static void forget(struct sequence *sequence)
{
    for (size_t i = 0; i < sequence->follower_count; i++) {
        struct follower *follower = &sequence->followers[i];

        if (!follower->seen)
            engine_done(&follower->engine);
        follower->seen = false;
    }
}

/* Plans from scratch, and so also what they call equal. */
static int load_fresh(struct sequence *sequence, const cJSON *world)
{
    int r = leg_stage_load(&sequence->fresh, world, &sequence->err);
    const struct case_file *before = &sequence->fresh_before.file;
    const struct case_file *after = &sequence->fresh.file;

    for (size_t i = 0; i < before->node_count; i++)
        for (size_t j = 0; r == 0 && j < after->node_count; j++) {
            struct property_plans plans = {before->nodes[i].plan, after->nodes[j].plan};

            if (strcmp(before->nodes[i].name, after->nodes[j].name) == 0)
                r = property_contents_agree(&plans, &sequence->err);
        }
    return r;
}

static int load(struct sequence *sequence, const cJSON *world, const struct questions *questions,
                struct rng *rng)
{
    FENCE_FREE char *text = cJSON_PrintUnformatted(world);
    int r;

    /* what did not change stays the same object, of which nobody is told */
    sequence->now.file.before = &sequence->before.file.lab;
    sequence->fresh.file.before = &sequence->fresh_before.file.lab;
    r = text ? case_read(&sequence->now.file, text, &sequence->err) : -ENOMEM;
    sequence->now.plans = sequence->plans;
    if (r == 0)
        r = follow(sequence);
    forget(sequence);
    leg_stage_done(&sequence->before);
    if (r == 0)
        r = load_fresh(sequence, world);
    if (r == 0 && sequence->property->live) {
        struct property_step step = {.live = sequence->property->live,
                                     .before = &sequence->fresh_before.file,
                                     .after = &sequence->fresh.file,
                                     .questions = questions};

        r = property_follow(sequence->property, &step, rng, &sequence->err);
    }
    return r;
}

static int ask(void *context, const struct fence_query *query)
{
    struct sequence *sequence = context;
    struct fence_err err = {0};
    char port[32];

    if (legs_compare_plans(&sequence->fresh, &sequence->now, query, &err) > 0)
        return 0;
    snprintf(port, sizeof(port), "%u/%u IPv%d", query->protocol, query->port, query->family);
    fence_err_set(&sequence->err, 0, "%s to %s, %s:%.700s", query->from, query->to, port, err.text);
    return 1;
}

static int run_step(struct sequence *sequence, struct rng *rng, const cJSON *world)
{
    struct questions questions = {0};
    struct property_visitor visitor = {ask, sequence};
    int r = questions_make(&questions, rng, world, sequence->property->edges);

    if (r == 0)
        r = load(sequence, world, &questions, rng);
    if (r == 0)
        r = property_for_each(sequence->property, &questions, rng, &visitor);
    questions_done(&questions);
    leg_stage_done(&sequence->fresh_before);
    sequence->fresh_before = sequence->fresh;
    sequence->fresh = (struct leg_stage){0};
    sequence->before = sequence->now;
    sequence->now = (struct leg_stage){0};
    return r;
}

static void print_world(const char *what, const cJSON *world)
{
    FENCE_FREE char *text = cJSON_PrintUnformatted(world);

    printf("  %s: %s\n", what, text ? text : "");
}

int property_run_sequence(struct property *property, uint64_t seed)
{
    struct sequence sequence = {.property = property};
    struct rng rng = {~seed};
    cJSON *world = random_world(&rng);
    cJSON *before = NULL;
    const char *change = "nothing";
    int r = run_step(&sequence, &rng, world);

    for (int i = 0; r == 0 && i < STEPS; i++) {
        cJSON_Delete(before);
        before = cJSON_Duplicate(world, true);
        for (unsigned int more = 1 + rng_below(&rng, 2); more; more--)
            change = random_change(&rng, world);
        r = run_step(&sequence, &rng, world);
    }
    if (r != 0) {
        property->tally.failures++;
        printf("FAIL --worlds 0 --sequences 1 --seed %" PRIu64 ": after %s: %s\n", seed, change,
               sequence.err.text);
        print_world("before", before);
        print_world("after", world);
    }
    for (size_t i = 0; i < sequence.follower_count; i++)
        engine_done(&sequence.followers[i].engine);
    if (property->live && live_leave(property->live, &sequence.err) < 0)
        property->tally.failures++;
    leg_stage_done(&sequence.before);
    leg_stage_done(&sequence.fresh_before);
    cJSON_Delete(before);
    cJSON_Delete(world);
    return r;
}
