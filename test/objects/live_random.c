/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects, lists of them, lists that break off, refusals and what cannot be read at random, against
 * a model that does as the contract says and nothing else.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/live_list.h"
#include "test/cmocka.h"
#include "test/objects/live_lab.h"

#define NAMES 16u
#define STEPS 20000u

struct model {
    int in_force[NAMES]; /* of the API: a version, or LIVE_GONE */
    int folder[NAMES];   /* of a file */
    int told[NAMES];     /* what is told of it now: 0, LIVE_WARNED, LIVE_BAD */
    int list[NAMES];     /* the list that is coming in: what it had, -1 for nothing */
    bool begun;
    bool incomplete;
    bool unreadable;
};

struct lab {
    struct live_lab lab;
    struct model model;
    char names[NAMES][16];
    const struct fence_object *listener[NAMES];
    unsigned int seed;
};

static unsigned int pick(struct lab *lab, unsigned int count)
{
    lab->seed = lab->seed * 1103515245u + 12345u;
    return (lab->seed >> 16) % count;
}

/* Names that fall into few units: half of them into one. */
static void choose_names(struct lab *lab)
{
    uint64_t unit = 0;
    unsigned int found = 0;

    for (unsigned int i = 0; found < NAMES; i++) {
        char id[64];
        uint64_t name;

        snprintf(id, sizeof(id), "NetworkPolicy/x/n%u", i);
        name = fence_live_name(id) >> 54;
        if (found == 0)
            unit = name;
        if (found < NAMES / 2 && name != unit)
            continue;
        snprintf(lab->names[found++], sizeof(lab->names[0]), "n%u", i);
    }
}

static void model_apply(struct model *model, unsigned int at, int version)
{
    model->told[at] = version == LIVE_BAD || version == LIVE_WARNED ? version : 0;
    if (version != LIVE_BAD)
        model->in_force[at] = version;
}

static void model_tell(struct model *model, unsigned int at, int version)
{
    if (version == LIVE_UNREADABLE) {
        model->unreadable = true;
        model->incomplete = true;
    } else if (model->begun) {
        model->list[at] = version;
    } else {
        model_apply(model, at, version);
    }
}

static void model_begin(struct model *model)
{
    model->begun = true;
    model->incomplete = false;
    for (unsigned int i = 0; i < NAMES; i++)
        model->list[i] = -1;
}

static void model_end(struct model *model)
{
    if (!model->begun)
        return;
    for (unsigned int i = 0; i < NAMES; i++) {
        if (model->list[i] >= 0)
            model_apply(model, i, model->list[i]);
        else if (!model->incomplete)
            model_apply(model, i, LIVE_GONE);
    }
    model->begun = false;
    model->unreadable = model->unreadable && model->incomplete;
}

/* A file with some of them, in other versions. */
static void put_random_file(struct lab *lab)
{
    char text[NAMES * 200] = "";

    for (unsigned int i = 0; i < NAMES; i++) {
        unsigned int version = pick(lab, 2 * LIVE_VERSIONS);
        size_t used = strlen(text);

        lab->model.folder[i] = version < LIVE_VERSIONS ? (int)version + 1 : LIVE_GONE;
        if (lab->model.folder[i])
            snprintf(text + used, sizeof(text) - used, LIVE_FILE("%s", "%d") "---\n", lab->names[i],
                     lab->model.folder[i]);
    }
    live_put_file(&lab->lab, "file", text);
}

static void random_step(struct lab *lab)
{
    struct model before = lab->model;
    unsigned int what = pick(lab, 40);
    int r = 0;

    if (what == 0) {
        put_random_file(lab);
        return;
    }
    if (what == 1) {
        fence_live_begin(lab->lab.live, LIVE_POLICY);
        model_begin(&lab->model);
    } else if (what < 4) {
        r = live_end(&lab->lab);
        model_end(&lab->model);
    } else {
        unsigned int at = pick(lab, NAMES);
        int version = (int)pick(lab, LIVE_WHATEVER);

        /* a list with one of these takes nothing away: let most have none */
        if (version == LIVE_UNREADABLE && pick(lab, 8))
            version = 1;
        r = live_tell(&lab->lab, lab->names[at], version);
        model_tell(&lab->model, at, version);
    }
    assert_int_equal(r, memcmp(before.in_force, lab->model.in_force, sizeof(before.in_force)) != 0);
}

static int wanted_of(const struct model *model, unsigned int at)
{
    return model->in_force[at] ? model->in_force[at] : model->folder[at];
}

static void check_in_force(struct lab *lab)
{
    const struct fence_object *const *objects;
    size_t wanted = 0;

    for (unsigned int i = 0; i < NAMES; i++) {
        const struct fence_object *object =
            fence_store_find(lab->lab.store, LIVE_POLICY, "x", lab->names[i]);

        assert_int_equal(live_version(object), wanted_of(&lab->model, i));
        wanted += object != NULL;
    }
    assert_int_equal(fence_store_count(lab->lab.store, LIVE_POLICY), wanted);
    assert_int_equal(fence_store_objects(lab->lab.store, &objects), wanted);
}

static const struct fence_problem *problem_of(struct lab *lab, const char *unit, const char *id)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(lab->lab.store, &problems);

    for (size_t i = 0; i < count; i++)
        if (strcmp(problems[i].unit, unit) == 0 && strcmp(problems[i].id, id) == 0)
            return &problems[i];
    return NULL;
}

static size_t check_problem(struct lab *lab, unsigned int at)
{
    const struct model *model = &lab->model;
    const struct fence_problem *of_api, *of_file;
    bool conflict =
        model->folder[at] && model->in_force[at] && model->folder[at] != model->in_force[at];
    char id[64];

    snprintf(id, sizeof(id), "NetworkPolicy/x/%s", lab->names[at]);
    of_api = problem_of(lab, "kubernetes", id);
    of_file = problem_of(lab, "file", id);
    assert_int_equal(of_api != NULL, model->told[at] != 0);
    assert_int_equal(of_file != NULL, conflict);
    if (of_api) {
        assert_int_equal(of_api->warning, model->told[at] == LIVE_WARNED);
        assert_int_equal(of_api->kept, model->told[at] == LIVE_BAD && model->in_force[at]);
        assert_int_equal(of_api->line, 0);
    }
    return (of_api != NULL) + (of_file != NULL);
}

static void check_problems(struct lab *lab)
{
    const struct fence_problem *problems;
    size_t wanted = lab->model.unreadable;

    for (unsigned int i = 0; i < NAMES; i++)
        wanted += check_problem(lab, i);
    assert_int_equal(fence_store_problems(lab->lab.store, &problems), wanted);
}

static unsigned int place_of(const struct lab *lab, const struct fence_object *object)
{
    for (unsigned int i = 0; i < NAMES; i++)
        if (strcmp(lab->names[i], object->name) == 0)
            return i;
    fail_msg("%s is nobody", object->name);
    return 0;
}

/* What was told last and the changes are what is in force. */
static void check_changes(struct lab *lab, bool done)
{
    const struct fence_object *replayed[NAMES];
    const struct fence_change *changes;
    size_t count;

    memcpy(replayed, lab->listener, sizeof(replayed));
    assert_int_equal(fence_store_changes(lab->lab.store, &changes, &count), 0);
    for (size_t i = 0; i < count; i++) {
        const struct fence_change *change = &changes[i];
        unsigned int at = place_of(lab, change->before ? change->before : change->after);

        assert_ptr_not_equal(change->before, change->after);
        assert_ptr_equal(replayed[at], change->before);
        replayed[at] = change->after;
    }
    for (unsigned int i = 0; i < NAMES; i++)
        assert_ptr_equal(replayed[i],
                         fence_store_find(lab->lab.store, LIVE_POLICY, "x", lab->names[i]));
    if (!done)
        return;
    memcpy(lab->listener, replayed, sizeof(replayed));
    fence_store_changes_done(lab->lab.store);
}

static void test_random(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));

    (void)state;
    assert_non_null(lab);
    assert_int_equal(live_lab_init(&lab->lab), 0);
    lab->seed = 1;
    choose_names(lab);
    for (unsigned int step = 0; step < STEPS; step++) {
        random_step(lab);
        check_in_force(lab);
        if (pick(lab, 8))
            check_problems(lab);
        if (pick(lab, 3) == 0)
            check_changes(lab, pick(lab, 2));
    }
    live_lab_done(&lab->lab);
    free(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
