/* SPDX-License-Identifier: Apache-2.0 */
/* What fence_store_changes tells: replayed, it gives what is in force. */
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/store.h"
#include "test/cmocka.h"

#define NAMES    6u
#define VARIANTS 3u
#define UNITS    5u
#define STEPS    4000u

#define PORT(name, port)                                                                           \
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"                                      \
    "metadata: { name: " name ", namespace: x }\n"                                                 \
    "spec: { podSelector: {}, ingress: [ { ports: [ { port: " port " } ] } ] }\n"
#define BAD(name) PORT(name, "x_y")

/* Somebody who listens: holds what was told last. */
struct lab {
    struct fence_store *store;
    const struct fence_object *told[NAMES];
    unsigned int seed;
};

static int put_in(struct lab *lab, unsigned int order, const char *unit, const char *text)
{
    struct fence_decoded_list list = {0};
    struct fence_err err = {0};
    int r;

    assert_int_equal(fence_decode_stream(text, strlen(text), &list, &err), 0);
    r = fence_store_put(lab->store, order, unit, &list, &err);
    fence_decoded_list_done(&list);
    assert_true(r >= 0);
    return r;
}

static int put(struct lab *lab, const char *unit, const char *text)
{
    return put_in(lab, 0, unit, text);
}

static int set_up(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));

    if (!lab || fence_store_new(&lab->store) < 0)
        return -1;
    lab->seed = 1;
    *state = lab;
    return 0;
}

static int tear_down(void **state)
{
    struct lab *lab = *state;

    fence_store_free(&lab->store);
    free(lab);
    return 0;
}

static unsigned int port_of(const struct fence_object *object)
{
    return object ? object->policy.rules[FENCE_INGRESS][0].ports[0].first : 0;
}

/* "name:before>after" of each change, 0 for none; then they are done with unless `ask` is set. */
static void assert_changes(struct lab *lab, const char *wanted, bool ask)
{
    const struct fence_change *changes;
    char text[512] = "";
    size_t count;

    assert_int_equal(fence_store_changes(lab->store, &changes, &count), 0);
    for (size_t i = 0; i < count; i++) {
        const struct fence_change *change = &changes[i];
        const struct fence_object *object = change->after ? change->after : change->before;
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%s%s:%u>%u", used ? " " : "",
                 object ? object->name : "nobody", port_of(change->before), port_of(change->after));
    }
    assert_string_equal(text, wanted);
    if (!ask)
        fence_store_changes_done(lab->store);
}

static void test_come_change_go(void **state)
{
    struct lab *lab = *state;

    assert_changes(lab, "", false);
    put(lab, "a", PORT("p", "1"));
    assert_changes(lab, "p:0>1", true);
    assert_changes(lab, "p:0>1", false);
    assert_changes(lab, "", false);
    put(lab, "a", "# moved\n" PORT("p", "1") "---\n" PORT("q", "1"));
    assert_changes(lab, "q:0>1", false);
    put(lab, "a", PORT("p", "2") "---\n" PORT("q", "1"));
    assert_changes(lab, "p:1>2", false);
    put(lab, "a", PORT("p", "2"));
    assert_changes(lab, "q:1>0", false);
    fence_store_remove(lab->store, "a");
    assert_changes(lab, "p:2>0", false);
}

static void test_fold(void **state)
{
    struct lab *lab = *state;

    put(lab, "a", PORT("p", "1"));
    put(lab, "a", PORT("p", "2"));
    put(lab, "a", PORT("p", "3"));
    assert_changes(lab, "p:0>3", false);
    put(lab, "a", PORT("p", "4"));
    put(lab, "a", "");
    put(lab, "a", PORT("p", "5"));
    assert_changes(lab, "p:3>5", false);
    put(lab, "b", PORT("q", "1"));
    fence_store_remove(lab->store, "b");
    assert_changes(lab, "", false);
    /* asked between, and not done with */
    put(lab, "a", PORT("p", "6"));
    assert_changes(lab, "p:5>6", true);
    fence_store_remove(lab->store, "a");
    assert_changes(lab, "p:5>0", false);
}

static void test_last_good(void **state)
{
    struct lab *lab = *state;

    put(lab, "a", BAD("p"));
    assert_changes(lab, "", false);
    put(lab, "a", PORT("p", "1"));
    assert_changes(lab, "p:0>1", false);
    put(lab, "a", BAD("p"));
    assert_changes(lab, "", false);
    assert_int_equal(fence_store_broken(lab->store, 0, "a", "line 1: no"), 0);
    assert_changes(lab, "", false);
    put(lab, "a", PORT("p", "2"));
    assert_changes(lab, "p:1>2", false);
}

/* A winner that goes makes the next one count; what does not count is not told. */
static void test_conflicts(void **state)
{
    struct lab *lab = *state;

    put_in(lab, 1, "b", PORT("p", "1"));
    assert_changes(lab, "p:0>1", false);
    put_in(lab, 1, "c", PORT("p", "2"));
    assert_changes(lab, "", false);
    put_in(lab, 0, "z", PORT("p", "3"));
    assert_changes(lab, "p:1>3", false);
    fence_store_remove(lab->store, "z");
    assert_changes(lab, "p:3>1", false);
    fence_store_remove(lab->store, "b");
    put_in(lab, 1, "b", PORT("p", "4"));
    fence_store_remove(lab->store, "b");
    assert_changes(lab, "p:1>2", false);
    put_in(lab, 1, "c", PORT("p", "5"));
    fence_store_remove(lab->store, "c");
    assert_changes(lab, "p:2>0", false);
}

/* ---- at random ------------------------------------------------------------------------------ */

static unsigned int pick(struct lab *lab, unsigned int count)
{
    lab->seed = lab->seed * 1103515245u + 12345u;
    return (lab->seed >> 16) % count;
}

static size_t slot(const struct fence_object *object)
{
    return (size_t)(object->name[1] - '0');
}

/* A file of some of the objects, some of them refused. */
static void random_put(struct lab *lab)
{
    char text[NAMES * 200] = "", unit[8];

    for (unsigned int i = 0; i < NAMES; i++) {
        unsigned int variant = pick(lab, VARIANTS + 3);
        size_t used = strlen(text);

        if (variant == VARIANTS)
            snprintf(text + used, sizeof(text) - used, BAD("p%u") "---\n", i);
        else if (variant < VARIANTS)
            snprintf(text + used, sizeof(text) - used, PORT("p%u", "%u") "---\n", i, variant + 1);
    }
    snprintf(unit, sizeof(unit), "%u", pick(lab, UNITS));
    put_in(lab, (unsigned int)(unit[0] - '0') % 2, unit, text);
}

static void random_step(struct lab *lab)
{
    char unit[8];

    snprintf(unit, sizeof(unit), "%u", pick(lab, UNITS));
    if (pick(lab, 4))
        random_put(lab);
    else
        assert_true(fence_store_remove(lab->store, unit) >= 0);
}

/* What is in force, by name. */
static void look(const struct lab *lab, const struct fence_object *found[NAMES])
{
    const struct fence_object *const *objects;
    size_t count = fence_store_objects(lab->store, &objects);

    memset(found, 0, NAMES * sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        found[slot(objects[i])] = objects[i];
        assert_ptr_equal(
            fence_store_find(lab->store, FENCE_OBJECT_NETWORK_POLICY, "x", objects[i]->name),
            objects[i]);
    }
    assert_int_equal(count, fence_store_count(lab->store, FENCE_OBJECT_NETWORK_POLICY));
}

/* Exactly those that are another object than the listener has, each once. */
static void check_changes(struct lab *lab, const struct fence_object *in_force[NAMES])
{
    const struct fence_object *replayed[NAMES];
    const struct fence_change *changes;
    size_t count;

    memcpy(replayed, lab->told, sizeof(replayed));
    assert_int_equal(fence_store_changes(lab->store, &changes, &count), 0);
    for (size_t i = 0; i < count; i++) {
        const struct fence_change *change = &changes[i];
        size_t at = slot(change->before ? change->before : change->after);

        assert_ptr_not_equal(change->before, change->after);
        assert_ptr_equal(replayed[at], change->before);
        assert_ptr_equal(in_force[at], change->after);
        replayed[at] = change->after;
    }
    assert_memory_equal(replayed, in_force, sizeof(replayed));
}

static void test_random(void **state)
{
    struct lab *lab = *state;
    const struct fence_object *in_force[NAMES];

    for (unsigned int step = 0; step < STEPS; step++) {
        random_step(lab);
        look(lab, in_force);
        if (pick(lab, 2))
            check_changes(lab, in_force);
        if (pick(lab, 3) == 0) {
            check_changes(lab, in_force);
            memcpy(lab->told, in_force, sizeof(in_force));
            fence_store_changes_done(lab->store);
        }
        /* those told last can be looked at until they are done with */
        for (unsigned int i = 0; i < NAMES; i++)
            assert_true(!lab->told[i] || (port_of(lab->told[i]) && slot(lab->told[i]) == i));
    }
}

#define CHANGES_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANGES_TEST(test_come_change_go), CHANGES_TEST(test_fold),   CHANGES_TEST(test_last_good),
        CHANGES_TEST(test_conflicts),      CHANGES_TEST(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
