/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that go to another file of their folder, and are refused there. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/objects/folder_lab.h"

#define WRONG(name) LABELLED(name, "-wrong")

/* What a file of the folder is to hold, NULL for no such file. */
struct content {
    const char *a, *b, *c;
};

static void swap_one(const struct lab *lab, const char *version, const char *name, const char *text)
{
    char path[256], target[64];

    snprintf(target, sizeof(target), "%s/%s", version, name);
    if (text)
        lab_write_file(lab, target, text);
    lab_path_of(lab, name, path);
    snprintf(target, sizeof(target), "..data/%s", name);
    unlink(path);
    if (text)
        assert_int_equal(symlink(target, path), 0);
}

/* A ConfigMap volume, swapped as one. */
static void swap_all(const struct lab *lab, const char *version, const struct content *content)
{
    char path[256], data[256];

    lab_path_of(lab, version, path);
    assert_int_equal(mkdir(path, 0755), 0);
    swap_one(lab, version, "a.yaml", content->a);
    swap_one(lab, version, "b.yaml", content->b);
    swap_one(lab, version, "c.yaml", content->c);
    lab_path_of(lab, "..data_tmp", path);
    assert_int_equal(symlink(version, path), 0);
    lab_path_of(lab, "..data", data);
    assert_int_equal(rename(path, data), 0);
}

/* There is one problem, of this file; something is kept for it or not. */
static void assert_refused(const struct lab *lab, const char *file, bool kept)
{
    const struct fence_problem *problems;

    lab_assert_problem(lab, 1, file, "metadata.labels.a");
    assert_int_equal(fence_store_problems(lab->store, &problems), 1);
    assert_int_equal(problems[0].kept, kept);
}

static void assert_unit_of(const struct lab *lab, const char *name, const char *file)
{
    const struct fence_object *object =
        fence_store_find(lab->store, FENCE_OBJECT_NAMESPACE, "", name);

    assert_non_null(object);
    assert_non_null(strstr(fence_store_unit_of(lab->store, object), file));
}

static void assert_no_changes(const struct lab *lab)
{
    const struct fence_change *changes;
    size_t count = 1;

    assert_int_equal(fence_store_changes(lab->store, &changes, &count), 0);
    assert_int_equal(count, 0);
    fence_store_changes_done(lab->store);
}

/* What a folder held and what it holds then, the object "ns" wrong in one file. */
static const struct {
    const char *what;
    struct content before, after;
    const char *file;
    const char *wanted;
    bool kept;
} moves[] = {
    {"its file is gone",
     {.a = LABELLED("ns", "one")},
     {.b = WRONG("ns")},
     "b.yaml",
     "ns=one",
     true},
    {"to a file that comes first",
     {.b = LABELLED("ns", "one")},
     {.a = WRONG("ns")},
     "a.yaml",
     "ns=one",
     true},
    {"its file stays",
     {.a = LABELLED("ns", "one") "---\n" NAMESPACE("other")},
     {.a = NAMESPACE("other"), .b = WRONG("ns")},
     "b.yaml",
     "ns=one other",
     true},
    {"to one that has others",
     {.b = NAMESPACE("m") "---\n" LABELLED("ns", "one"),
      .a = NAMESPACE("a") "---\n" NAMESPACE("z")},
     {.b = NAMESPACE("m"), .a = NAMESPACE("a") "---\n" WRONG("ns") "---\n" NAMESPACE("z")},
     "a.yaml",
     "a m ns=one z",
     true},
    {"it was refused there before",
     {.a = LABELLED("ns", "one"), .b = WRONG("ns")},
     {.b = WRONG("ns")},
     "b.yaml",
     "ns=one",
     true},
    {"it is right in a third file",
     {.a = LABELLED("ns", "one")},
     {.b = WRONG("ns"), .c = LABELLED("ns", "two")},
     "b.yaml",
     "ns=two",
     false},
    {"another one is refused",
     {.a = LABELLED("ns", "one")},
     {.b = WRONG("ns2")},
     "b.yaml",
     "",
     false},
};

#define MOVE_COUNT FENCE_ARRAY_SIZE(moves)

static void read_before(struct lab *lab, size_t i, unsigned int *version)
{
    char name[32];

    print_message("%s\n", moves[i].what);
    snprintf(name, sizeof(name), "..%u", (*version)++);
    swap_all(lab, name, &(struct content){0});
    lab_read_now(lab);
    snprintf(name, sizeof(name), "..%u", (*version)++);
    swap_all(lab, name, &moves[i].before);
    assert_int_equal(lab_read_now(lab), 1);
    fence_store_changes_done(lab->store);
}

static void move_now(struct lab *lab, size_t i, unsigned int *version)
{
    char name[32];

    snprintf(name, sizeof(name), "..%u", (*version)++);
    swap_all(lab, name, &moves[i].after);
}

static void test_moved(void **state)
{
    struct lab *lab = *state;
    unsigned int version = 0;

    for (size_t i = 0; i < MOVE_COUNT; i++) {
        read_before(lab, i, &version);
        move_now(lab, i, &version);
        lab_read_now(lab);
        lab_assert_namespaces(lab, moves[i].wanted);
        assert_refused(lab, moves[i].file, moves[i].kept);
        if (!moves[i].kept)
            continue;
        assert_unit_of(lab, "ns", moves[i].file);
        assert_no_changes(lab);
        /* and so it stays, as the state has it */
        for (unsigned int again = 0; again < 2; again++) {
            assert_int_equal(lab_read_now(lab), 0);
            lab_restart(lab);
            assert_int_equal(lab_read_now(lab), 1);
            lab_assert_namespaces(lab, moves[i].wanted);
            assert_refused(lab, moves[i].file, true);
        }
    }
}

/* The same while no daemon runs. */
static void test_moved_meanwhile(void **state)
{
    struct lab *lab = *state;
    unsigned int version = 0;

    for (size_t i = 0; i < MOVE_COUNT; i++) {
        read_before(lab, i, &version);
        lab_stop(lab);
        move_now(lab, i, &version);
        lab_start(lab);
        lab_read_now(lab);
        lab_assert_namespaces(lab, moves[i].wanted);
        assert_refused(lab, moves[i].file, moves[i].kept);
        lab_restart(lab);
        lab_read_now(lab);
        lab_assert_namespaces(lab, moves[i].wanted);
        assert_refused(lab, moves[i].file, moves[i].kept);
    }
}

/* Then all is as for one that went wrong where it was. */
static void test_moved_then(void **state)
{
    struct lab *lab = *state;

    swap_all(lab, "..1", &(struct content){.a = LABELLED("ns", "one")});
    assert_int_equal(lab_read_now(lab), 1);
    swap_all(lab, "..2", &(struct content){.b = WRONG("ns")});
    lab_read_now(lab);
    /* on to a third file */
    swap_all(lab, "..3", &(struct content){.c = NAMESPACE("c") "---\n" WRONG("ns")});
    lab_read_now(lab);
    lab_assert_namespaces(lab, "c ns=one");
    assert_refused(lab, "c.yaml", true);
    assert_int_equal(lab_state_files(lab), 1);
    swap_all(lab, "..4", &(struct content){.c = LABELLED("ns", "two")});
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "ns=two");
    lab_assert_problem(lab, 0, "", "");
    /* wrong again, and then nowhere */
    swap_all(lab, "..5", &(struct content){.a = WRONG("ns")});
    lab_read_now(lab);
    lab_assert_namespaces(lab, "ns=two");
    swap_all(lab, "..6", &(struct content){.a = NAMESPACE("c")});
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "c");
    lab_assert_problem(lab, 0, "", "");
    lab_restart(lab);
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "c");
}

/* As the kinds that matter most say it. */
static void test_moved_policy(void **state)
{
    struct lab *lab = *state;
    const struct fence_object *policy;
    const struct fence_problem *problems;

#define POLICY(port)                                                                               \
    "apiVersion: podfence.io/v1alpha1\nkind: SegmentPolicy\n"                                      \
    "metadata: { namespace: shop, name: db }\n"                                                    \
    "spec: { mode: Allowlist, appliesTo: {}, ingress: [ { ports: [ { port: " port " } ] } ] }\n"
    swap_all(lab, "..1", &(struct content){.a = POLICY("5432")});
    assert_int_equal(lab_read_now(lab), 1);
    swap_all(lab, "..2", &(struct content){.b = POLICY("70000")});
    lab_read_now(lab);
    policy = fence_store_find(lab->store, FENCE_OBJECT_SEGMENT_POLICY, "shop", "db");
    assert_non_null(policy);
    assert_int_equal(policy->policy.rules[FENCE_INGRESS][0].ports[0].first, 5432);
    lab_assert_problem(lab, 1, "b.yaml", "70000 is not a port");
    assert_int_equal(fence_store_problems(lab->store, &problems), 1);
    assert_true(problems[0].kept);
#undef POLICY
}

#define MOVED_TEST(test) cmocka_unit_test_setup_teardown(test, lab_set_up, lab_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOVED_TEST(test_moved),
        MOVED_TEST(test_moved_meanwhile),
        MOVED_TEST(test_moved_then),
        MOVED_TEST(test_moved_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
