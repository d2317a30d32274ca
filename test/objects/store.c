/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/store.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

static struct fence_decoded_list decode(const char *text)
{
    struct fence_decoded_list list = {0};
    struct fence_err err = {0};

    if (fence_decode_stream(text, strlen(text), &list, &err) < 0)
        fail_msg("%s", err.text);
    return list;
}

static int put_in(struct fence_store *store, unsigned int order, const char *unit, const char *text)
{
    struct fence_decoded_list list = decode(text);
    struct fence_err err = {0};
    int r = fence_store_put(store, order, unit, &list, &err);

    fence_decoded_list_done(&list);
    assert_true(r >= 0);
    return r;
}

static int put(struct fence_store *store, const char *unit, const char *text)
{
    return put_in(store, 0, unit, text);
}

/* Kind by kind, before and after they are asked for together, it is the same list. */
static void assert_kinds(const struct fence_store *store)
{
    const struct fence_object *const *objects, *const *of_kind;
    size_t count, at = 0;

    fence_store_kind(store, FENCE_OBJECT_NETWORK_POLICY, &of_kind);
    count = fence_store_objects(store, &objects);
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++) {
        size_t some = fence_store_kind(store, (enum fence_kind)kind, &of_kind);

        assert_int_equal(some, fence_store_count(store, (enum fence_kind)kind));
        for (size_t i = 0; i < some; i++)
            assert_ptr_equal(of_kind[i], objects[at + i]);
        at += some;
    }
    assert_int_equal(at, count);
}

/* "Service/x/s line unit" of each object in force, spaces between. */
static void assert_objects(const struct fence_store *store, const char *wanted)
{
    const struct fence_object *const *objects;
    char text[4096] = "";
    size_t count;

    assert_kinds(store);
    count = fence_store_objects(store, &objects);
    for (size_t i = 0; i < count; i++) {
        FENCE_FREE char *id = fence_object_id(objects[i]);
        size_t used = strlen(text);

        assert_ptr_equal(
            fence_store_find(store, objects[i]->kind, objects[i]->namespace_name, objects[i]->name),
            objects[i]);
        snprintf(text + used, sizeof(text) - used, "%s%s:%u@%s", used ? " " : "", id,
                 objects[i]->line, fence_store_unit_of(store, objects[i]));
    }
    assert_string_equal(text, wanted);
}

/* "unit:line id text" and marks of each problem, newlines behind. */
static void assert_problems(const struct fence_store *store, const char *wanted)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(store, &problems);
    char text[4096] = "";

    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%s:%u %s: %s%s%s\n", problems[i].unit,
                 problems[i].line, problems[i].id, problems[i].text,
                 problems[i].kept ? " [kept]" : "", problems[i].warning ? " [warning]" : "");
    }
    assert_string_equal(text, wanted);
}

#define SERVICE(name) "apiVersion: v1\nkind: Service\nmetadata: { name: " name ", namespace: x }\n"
#define POLICY(name, spec)                                                                         \
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"                                      \
    "metadata: { name: " name ", namespace: x }\nspec: { podSelector: {}, " spec " }\n"
#define BAD(name) POLICY(name, "ingress: 1")
#define BAD_TEXT  "spec.ingress: must be a list, not a number"

static int set_up(void **state)
{
    struct fence_store *store;

    if (fence_store_new(&store) < 0)
        return -1;
    *state = store;
    return 0;
}

static int tear_down(void **state)
{
    struct fence_store *store = *state;

    fence_store_free(&store);
    return 0;
}

static void test_store_sorted(void **state)
{
    struct fence_store *store = *state;

    assert_int_equal(put(store, "b", SERVICE("b") "---\n" SERVICE("a")), 1);
    assert_int_equal(put(store, "a", POLICY("p", "") "---\n" SERVICE("aa")), 1);
    assert_objects(store, "Service/x/a:5@b Service/x/aa:6@a Service/x/b:1@b NetworkPolicy/x/p:1@a");
    assert_problems(store, "");
    assert_null(fence_store_find(store, FENCE_OBJECT_SERVICE, "y", "a"));
    assert_null(fence_store_find(store, FENCE_OBJECT_POD, "x", "a"));
}

static void test_store_unchanged(void **state)
{
    struct fence_store *store = *state;
    const struct fence_object *const *before, *const *after;
    const struct fence_object *first;

    assert_int_equal(put(store, "a", SERVICE("a") "---\n" SERVICE("b")), 1);
    fence_store_objects(store, &before);
    first = before[0];
    /* other lines, other order, other text, the same objects */
    assert_int_equal(put(store, "a", "\n" SERVICE("b") "---\n# x\n" SERVICE("a") "unread: {}\n"),
                     0);
    assert_int_equal(fence_store_objects(store, &after), 2);
    assert_ptr_equal(before, after);
    assert_ptr_equal(first, after[0]);
    assert_objects(store, "Service/x/a:7@a Service/x/b:2@a");
}

static void test_store_change_and_removal(void **state)
{
    struct fence_store *store = *state;

    assert_int_equal(put(store, "a", POLICY("p", "") "---\n" SERVICE("s")), 1);
    assert_int_equal(put(store, "a", POLICY("p", "ingress: [ {} ]") "---\n" SERVICE("s")), 1);
    assert_int_equal(put(store, "a", POLICY("p", "ingress: [ {} ]")), 1);
    assert_objects(store, "NetworkPolicy/x/p:1@a");
    assert_int_equal(put(store, "a", ""), 1);
    assert_objects(store, "");
    assert_int_equal(fence_store_remove(store, "a"), 0);
    assert_int_equal(put(store, "a", SERVICE("s")), 1);
    assert_int_equal(fence_store_remove(store, "a"), 1);
    assert_int_equal(fence_store_remove(store, "a"), 0);
    assert_objects(store, "");
}

static void test_store_last_good(void **state)
{
    struct fence_store *store = *state;

    assert_int_equal(put(store, "a", BAD("p") "---\n" SERVICE("s")), 1);
    assert_objects(store, "Service/x/s:6@a");
    assert_problems(store, "a:1 NetworkPolicy/x/p: line 4: " BAD_TEXT "\n");
    assert_int_equal(put(store, "a", POLICY("p", "ingress: [ {} ]") "---\n" SERVICE("s")), 1);
    assert_problems(store, "");
    /* refused: the last good one stays, the other is removed */
    assert_int_equal(put(store, "a", "\n" BAD("p")), 1);
    assert_objects(store, "NetworkPolicy/x/p:1@a");
    assert_int_equal(fence_store_find(store, FENCE_OBJECT_NETWORK_POLICY, "x", "p")
                         ->policy.rule_count[FENCE_INGRESS],
                     1);
    assert_problems(store, "a:2 NetworkPolicy/x/p: line 5: " BAD_TEXT " [kept]\n");
    /* and leaves with its text */
    assert_int_equal(put(store, "a", SERVICE("s")), 1);
    assert_objects(store, "Service/x/s:1@a");
}

/* Only where the source asks for it, and only into units of its order. */
static void test_store_keep_moved(void **state)
{
    struct fence_store *store = *state;
    struct fence_err err = {0};

    assert_int_equal(put(store, "a", POLICY("p", "")), 1);
    assert_int_equal(put(store, "c", BAD("p") "---\n" SERVICE("s")), 1);
    assert_int_equal(put_in(store, 1, "b", BAD("p")), 0);
    assert_int_equal(fence_store_remove(store, "a"), 1);
    assert_int_equal(fence_store_keep_moved(store, 0, &err), 0);
    assert_objects(store, "Service/x/s:6@c");
    assert_int_equal(put(store, "a", POLICY("p", "")), 1);
    fence_store_begin_moves(store, false);
    assert_int_equal(put(store, "c", BAD("q") "---\n" SERVICE("s")), 0);
    assert_int_equal(fence_store_remove(store, "a"), 1);
    assert_int_equal(fence_store_keep_moved(store, 0, &err), 0);
    assert_objects(store, "Service/x/s:6@c");
    assert_int_equal(put(store, "a", POLICY("p", "")), 1);
    fence_store_begin_moves(store, true);
    assert_int_equal(fence_store_remove(store, "a"), 1);
    assert_int_equal(put(store, "c", BAD("q") "---\n" SERVICE("s") "---\n" BAD("p")), 0);
    assert_int_equal(fence_store_keep_moved(store, 0, &err), 1);
    assert_objects(store, "Service/x/s:6@c NetworkPolicy/x/p:1@c");
    assert_problems(store, "b:1 NetworkPolicy/x/p: line 4: " BAD_TEXT "\n"
                           "c:1 NetworkPolicy/x/q: line 4: " BAD_TEXT "\n"
                           "c:10 NetworkPolicy/x/p: line 13: " BAD_TEXT " [kept]\n");
}

/* While it cannot be said which object was refused, none that is gone is taken for deleted. */
static void test_store_nameless(void **state)
{
    struct fence_store *store = *state;
    static const char both[] = POLICY("p", "") "---\n" POLICY("q", "");

    assert_int_equal(put(store, "a", both), 1);
    assert_int_equal(put(store, "a",
                         "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyy\n"
                         "metadata: { name: p, namespace: x }\n---\n" POLICY("q", "")),
                     0);
    assert_objects(store, "NetworkPolicy/x/p:1@a NetworkPolicy/x/q:5@a");
    /* of another name: p is deleted */
    assert_int_equal(put(store, "a",
                         "apiVersion: apps/v1\nkind: Deployment\n"
                         "metadata: { name: d, namespace: x }\n---\n" POLICY("q", "")),
                     1);
    assert_objects(store, "NetworkPolicy/x/q:5@a");
    assert_int_equal(put(store, "a", both), 1);
    assert_int_equal(put(store, "a",
                         "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
                         "metadata: { name: P, namespace: x }\n"),
                     0);
    assert_objects(store, "NetworkPolicy/x/p:1@a NetworkPolicy/x/q:6@a");
    assert_problems(store, "a:1 NetworkPolicy/x/P: line 3: metadata.name: \"P\" is not a DNS "
                           "subdomain: lower case letters, digits, '-' and '.', at most 253 "
                           "[kept]\n");
    assert_int_equal(put(store, "a", "just a text\n"), 0);
    assert_int_equal(put(store, "a", POLICY("q", "")), 1);
    assert_objects(store, "NetworkPolicy/x/q:1@a");
}

static void test_store_nameless_default(void **state)
{
    struct fence_store *store = *state;

    assert_int_equal(put(store, "a", "{ apiVersion: v1, kind: Service, metadata: { name: s } }"),
                     1);
    assert_int_equal(put(store, "a", "{ apiVersion: v1, kind: Servise, metadata: { name: s } }"),
                     0);
    assert_objects(store, "Service/default/s:1@a");
}

/* What a ConfigMap held is not gone because the ConfigMap cannot be read. */
static void test_store_config_map(void **state)
{
    struct fence_store *store = *state;

    assert_int_equal(put(store, "a",
                         "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c }\ndata:\n  a: |\n"
                         "    { apiVersion: v1, kind: Namespace, metadata: { name: m } }\n"),
                     1);
    assert_objects(store, "Namespace/m:5@a");
    assert_int_equal(
        put(store, "a", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c }\ndata: [ ]\n"), 0);
    assert_objects(store, "Namespace/m:5@a");
    assert_problems(store, "a:1 ConfigMap/c: line 4: data: must be an object, not a list [kept]\n");
}

#define CONFIG_MAP(a, b)                                                                           \
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c, namespace: x }\ndata:\n"                \
    "  a.yaml: |\n    " a "\n  b.yaml: |\n    " b "\n"
#define SPACE(name) "{ apiVersion: v1, kind: Namespace, metadata: { name: " name " } }"

/* A value that does not parse is as a file that does not: those beside it apply. */
static void test_store_config_map_value(void **state)
{
    struct fence_store *store = *state;
    const struct fence_problem *problems;

    assert_int_equal(put(store, "a", CONFIG_MAP(SPACE("m"), "{ a: [")), 1);
    assert_objects(store, "Namespace/m:5@a");
    assert_int_equal(fence_store_problems(store, &problems), 1);
    assert_string_equal(problems[0].id, "ConfigMap/x/c");
    assert_int_equal(problems[0].line, 7);
    assert_non_null(strstr(problems[0].text, "data[\"b.yaml\"]: line 2: "));
    assert_false(problems[0].kept);
    /* the value before it breaks: what it held stays, the mended one applies */
    assert_int_equal(put(store, "a", CONFIG_MAP("{ a: [", SPACE("o"))), 1);
    assert_objects(store, "Namespace/m:5@a Namespace/o:7@a");
    assert_int_equal(fence_store_problems(store, &problems), 1);
    assert_int_equal(problems[0].line, 5);
    assert_true(problems[0].kept);
    /* both broken, each told by itself */
    assert_int_equal(put(store, "a", CONFIG_MAP("{ a: [", "}")), 0);
    assert_objects(store, "Namespace/m:5@a Namespace/o:7@a");
    assert_int_equal(fence_store_problems(store, &problems), 2);
    /* mended: what is gone from it is deleted */
    assert_int_equal(put(store, "a", CONFIG_MAP("", SPACE("o"))), 1);
    assert_objects(store, "Namespace/o:7@a");
    assert_problems(store, "");
}

static void test_store_broken(void **state)
{
    struct fence_store *store = *state;

    assert_int_equal(fence_store_broken(store, 0, "a", "line 1: no"), 0);
    assert_problems(store, "a:0 : line 1: no\n");
    assert_int_equal(put(store, "a", SERVICE("s")), 1);
    assert_problems(store, "");
    assert_int_equal(fence_store_broken(store, 0, "a", "line 2: no"), 0);
    assert_objects(store, "Service/x/s:1@a");
    assert_problems(store, "a:0 : line 2: no [kept]\n");
    assert_int_equal(fence_store_remove(store, "a"), 1);
    assert_problems(store, "");
}

static void test_store_conflicts(void **state)
{
    struct fence_store *store = *state;

    put_in(store, 1, "b", POLICY("p", ""));
    put_in(store, 1, "c", POLICY("p", ""));
    assert_problems(store, "");
    assert_objects(store, "NetworkPolicy/x/p:1@b");
    put_in(store, 1, "d", POLICY("p", "ingress: [ {} ]"));
    put_in(store, 0, "z", "\n" POLICY("p", "egress: [ {} ]"));
    assert_objects(store, "NetworkPolicy/x/p:2@z");
    assert_problems(
        store, "b:1 NetworkPolicy/x/p: line 1: NetworkPolicy/x/p is defined differently in z, line "
               "2, which comes first\n"
               "c:1 NetworkPolicy/x/p: line 1: NetworkPolicy/x/p is defined differently in z, line "
               "2, which comes first\n"
               "d:1 NetworkPolicy/x/p: line 1: NetworkPolicy/x/p is defined differently in z, line "
               "2, which comes first\n");
    /* the first goes: the next one counts */
    assert_int_equal(fence_store_remove(store, "z"), 1);
    assert_objects(store, "NetworkPolicy/x/p:1@b");
    assert_int_equal(fence_store_remove(store, "d"), 1);
    assert_problems(store, "");
}

static void test_store_twins(void **state)
{
    struct fence_store *store = *state;

    put(store, "a", POLICY("p", "") "---\n" POLICY("p", ""));
    assert_problems(store, "");
    put(store, "a", BAD("p") "---\n" POLICY("p", "") "---\n" POLICY("p", "egress: [ {} ]"));
    assert_objects(store, "NetworkPolicy/x/p:6@a");
    assert_problems(store, "a:1 NetworkPolicy/x/p: line 4: " BAD_TEXT "\n"
                           "a:11 NetworkPolicy/x/p: line 11: NetworkPolicy/x/p is defined "
                           "differently in line 6 of the same file, which comes first\n");
}

static void test_store_warnings(void **state)
{
    struct fence_store *store = *state;

    put(store, "a", POLICY("p", "more: 1"));
    assert_objects(store, "NetworkPolicy/x/p:1@a");
    assert_problems(store,
                    "a:1 NetworkPolicy/x/p: line 4: spec.more: unknown field, ignored [warning]\n");
}

/* What is kept on disk comes back as the same objects, and serves as last good. */
static void test_store_json(void **state)
{
    struct fence_store *store = *state;
    struct fence_store *other;
    struct fence_decoded_list list;
    FENCE_FREE char *json = NULL, *again = NULL;

    put(store, "a", POLICY("p", "ingress: [ { ports: [ { port: 80 } ] } ]") "---\n" SERVICE("s"));
    put(store, "a", BAD("p") "---\n" SERVICE("s"));
    json = fence_store_unit_json(store, "a");
    assert_null(fence_store_unit_json(store, "b"));
    assert_int_equal(fence_store_new(&other), 0);
    list = decode(json);
    assert_int_equal(fence_store_restore(other, 0, "a", &list, NULL), 1);
    fence_decoded_list_done(&list);
    assert_int_equal(put(other, "a", BAD("p") "---\n" SERVICE("s")), 0);
    again = fence_store_unit_json(other, "a");
    assert_string_equal(json, again);
    assert_int_equal(fence_store_find(other, FENCE_OBJECT_NETWORK_POLICY, "x", "p")
                         ->policy.rules[FENCE_INGRESS][0]
                         .ports[0]
                         .first,
                     80);
    fence_store_free(&other);
}

/* Many objects and many files: nothing of it is quadratic. */
static void test_store_many(void **state)
{
    struct fence_store *store = *state;
    const struct fence_object *const *objects;
    char *text = NULL, unit[32];
    size_t size;
    FILE *out = open_memstream(&text, &size);

    for (unsigned int i = 0; i < 20000; i++)
        fprintf(out,
                "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p%u\"},"
                "\"status\":{\"podIP\":\"10.%u.%u.1\"}}\n---\n",
                i, i / 250, i % 250);
    fclose(out);
    assert_int_equal(put(store, "pods", text), 1);
    assert_int_equal(put(store, "pods", text), 0);
    free(text);
    for (unsigned int i = 0; i < 3000; i++) {
        snprintf(unit, sizeof(unit), "unit-%u", i);
        put(store, unit, SERVICE("s"));
    }
    assert_int_equal(fence_store_objects(store, &objects), 20001);
    for (unsigned int i = 0; i < 3000; i++) {
        snprintf(unit, sizeof(unit), "unit-%u", i);
        assert_int_equal(fence_store_remove(store, unit), 1);
    }
    assert_int_equal(fence_store_objects(store, &objects), 20000);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_store_sorted),
        STORE_TEST(test_store_unchanged),
        STORE_TEST(test_store_change_and_removal),
        STORE_TEST(test_store_last_good),
        STORE_TEST(test_store_keep_moved),
        STORE_TEST(test_store_nameless),
        STORE_TEST(test_store_nameless_default),
        STORE_TEST(test_store_config_map),
        STORE_TEST(test_store_config_map_value),
        STORE_TEST(test_store_broken),
        STORE_TEST(test_store_conflicts),
        STORE_TEST(test_store_twins),
        STORE_TEST(test_store_warnings),
        STORE_TEST(test_store_json),
        STORE_TEST(test_store_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
