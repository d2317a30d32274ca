/* SPDX-License-Identifier: Apache-2.0 */
/* Objects one at a time, lists of them, ConfigMaps. */
#include "lib/objects/live.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/objects/live_lab.h"

static int set_up(void **state)
{
    struct live_lab *lab = calloc(1, sizeof(*lab));

    if (!lab || live_lab_init(lab) < 0)
        return -1;
    *state = lab;
    return 0;
}

static int tear_down(void **state)
{
    struct live_lab *lab = *state;

    live_lab_done(lab);
    free(lab);
    return 0;
}

/* "name:port@unit" of each policy in force. */
static void assert_in_force(struct live_lab *lab, const char *wanted)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_kind(lab->store, LIVE_POLICY, &objects);
    char text[1024] = "";

    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%s%s:%d@%s", used ? " " : "", objects[i]->name,
                 live_version(objects[i]), fence_store_unit_of(lab->store, objects[i]));
    }
    assert_string_equal(text, wanted);
}

static void assert_problems(struct live_lab *lab, const char *wanted)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(lab->store, &problems);
    char text[2048] = "";

    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%s:%u %s: %s%s%s\n", problems[i].unit,
                 problems[i].line, problems[i].id, problems[i].text,
                 problems[i].kept ? " [kept]" : "", problems[i].warning ? " [warning]" : "");
    }
    assert_string_equal(text, wanted);
}

#define BAD_TEXT "spec.ingress[0].ports[0].port: 70005 is not a port (1 to 65535)"

/* ---- tables --------------------------------------------------------------------------------- */

static void test_single(void **state)
{
    struct live_lab *lab = *state;

    assert_int_equal(live_tell(lab, "p", 1), 1);
    assert_int_equal(live_tell(lab, "q", 1), 1);
    assert_int_equal(live_tell(lab, "p", 1), 0);
    assert_in_force(lab, "p:1@kubernetes q:1@kubernetes");
    assert_int_equal(live_tell(lab, "p", 2), 1);
    assert_in_force(lab, "p:2@kubernetes q:1@kubernetes");
    assert_int_equal(live_tell(lab, "q", LIVE_GONE), 1);
    assert_int_equal(live_tell(lab, "q", LIVE_GONE), 0);
    assert_int_equal(live_tell(lab, "never", LIVE_GONE), 0);
    assert_in_force(lab, "p:2@kubernetes");
    assert_problems(lab, "");
}

static void test_refused(void **state)
{
    struct live_lab *lab = *state;

    assert_int_equal(live_tell(lab, "p", LIVE_BAD), 0);
    assert_problems(lab, "kubernetes:0 NetworkPolicy/x/p: " BAD_TEXT "\n");
    assert_int_equal(live_tell(lab, "p", 1), 1);
    assert_problems(lab, "");
    assert_int_equal(live_tell(lab, "p", LIVE_BAD), 0);
    assert_in_force(lab, "p:1@kubernetes");
    assert_problems(lab, "kubernetes:0 NetworkPolicy/x/p: " BAD_TEXT " [kept]\n");
    assert_int_equal(live_tell(lab, "p", 1), 0);
    assert_problems(lab, "");
    live_tell(lab, "p", LIVE_BAD);
    assert_int_equal(live_tell(lab, "p", LIVE_GONE), 1);
    assert_in_force(lab, "");
    assert_problems(lab, "");
    live_tell(lab, "p", LIVE_WARNED);
    assert_problems(lab, "kubernetes:0 NetworkPolicy/x/p: spec.more: unknown field, ignored "
                         "[warning]\n");
    live_tell(lab, "p", 1);
    assert_problems(lab, "");
}

static void test_list(void **state)
{
    struct live_lab *lab = *state;

    live_tell(lab, "old", 1);
    live_tell(lab, "same", 1);
    live_tell(lab, "other", 1);
    fence_live_begin(lab->live, LIVE_POLICY);
    assert_int_equal(live_tell(lab, "same", 1), 0);
    assert_int_equal(live_tell(lab, "other", 2), 0);
    assert_int_equal(live_tell(lab, "new", 3), 0);
    assert_in_force(lab, "old:1@kubernetes other:1@kubernetes same:1@kubernetes");
    assert_int_equal(live_end(lab), 1);
    assert_in_force(lab, "new:3@kubernetes other:2@kubernetes same:1@kubernetes");
    assert_int_equal(live_end(lab), 0);
    /* an empty one, and the end of none */
    fence_live_begin(lab->live, LIVE_POLICY);
    assert_int_equal(live_end(lab), 1);
    assert_in_force(lab, "");
}

/* The first list breaks off; of the second, the later of two counts. */
static void test_list_again(void **state)
{
    struct live_lab *lab = *state;

    live_tell(lab, "p", 1);
    fence_live_begin(lab->live, LIVE_POLICY);
    live_tell(lab, "p", 2);
    live_tell(lab, "q", 2);
    fence_live_begin(lab->live, LIVE_POLICY);
    live_tell(lab, "p", 3);
    live_tell(lab, "p", 1);
    live_tell(lab, "r", 1);
    live_tell(lab, "r", 2);
    live_tell(lab, "s", 1);
    live_tell(lab, "s", LIVE_GONE);
    assert_int_equal(live_end(lab), 1);
    assert_in_force(lab, "p:1@kubernetes r:2@kubernetes");
}

static void test_unreadable(void **state)
{
    struct live_lab *lab = *state;

    live_tell(lab, "p", 1);
    live_tell(lab, "q", 1);
    fence_live_begin(lab->live, LIVE_POLICY);
    live_tell(lab, "p", 2);
    live_tell(lab, "", LIVE_UNREADABLE);
    assert_int_equal(live_end(lab), 1);
    /* it may have been q */
    assert_in_force(lab, "p:2@kubernetes q:1@kubernetes");
    assert_problems(lab, "kubernetes/NetworkPolicy:0 : a NetworkPolicy cannot be read: "
                         "metadata.name: is missing\n");
    fence_live_begin(lab->live, LIVE_POLICY);
    live_tell(lab, "p", 2);
    assert_int_equal(live_end(lab), 1);
    assert_in_force(lab, "p:2@kubernetes");
    assert_problems(lab, "");
}

/* One that is good again is so in a list that is not whole, too. */
static void test_unreadable_and_mended(void **state)
{
    struct live_lab *lab = *state;

    live_tell(lab, "p", 1);
    live_tell(lab, "p", LIVE_BAD);
    fence_live_begin(lab->live, LIVE_POLICY);
    live_tell(lab, "p", 1);
    live_tell(lab, "", LIVE_UNREADABLE);
    assert_int_equal(live_end(lab), 0);
    assert_problems(lab, "kubernetes/NetworkPolicy:0 : a NetworkPolicy cannot be read: "
                         "metadata.name: is missing\n");
}

/* The API counts, and what a folder says otherwise is told. */
static void test_conflict(void **state)
{
    struct live_lab *lab = *state;

    live_put_file(lab, "/etc/podfence/a.yaml", LIVE_FILE("p", "1") "---\n" LIVE_FILE("q", "1"));
    live_tell(lab, "p", 2);
    live_tell(lab, "q", 1);
    assert_in_force(lab, "p:2@kubernetes q:1@kubernetes");
    assert_problems(lab, "/etc/podfence/a.yaml:1 NetworkPolicy/x/p: line 1: NetworkPolicy/x/p is "
                         "defined differently in kubernetes, which comes first\n");
    live_tell(lab, "p", LIVE_GONE);
    assert_in_force(lab, "p:1@/etc/podfence/a.yaml q:1@kubernetes");
    assert_problems(lab, "");
    /* no other reader of the texts than the state, which does not keep those of the API */
    assert_null(fence_store_unit_json(lab->store, "kubernetes"));
}

/* Kinds do not touch each other, and bring no kind of their own. */
static void test_kinds(void **state)
{
    struct live_lab *lab = *state;
    char space[] = "{\"metadata\":{\"name\":\"x\",\"labels\":{\"a\":\"b\"}}}";
    char full[] = "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\","
                  "\"labels\":{\"a\":\"b\"},\"resourceVersion\":\"9\"}}";

    live_tell(lab, "p", 1);
    assert_int_equal(
        fence_live_object(lab->live, FENCE_OBJECT_NAMESPACE, space, strlen(space), NULL), 1);
    assert_int_equal(fence_live_object(lab->live, FENCE_OBJECT_NAMESPACE, full, strlen(full), NULL),
                     0);
    fence_live_begin(lab->live, FENCE_OBJECT_NAMESPACE);
    live_tell(lab, "p", 2);
    assert_in_force(lab, "p:2@kubernetes");
    assert_int_equal(fence_live_end(lab->live, FENCE_OBJECT_NAMESPACE, NULL), 1);
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_NAMESPACE), 0);
    assert_in_force(lab, "p:2@kubernetes");
}

/* A new generation is no change, and is known. */
static void test_generation(void **state)
{
    struct live_lab *lab = *state;
    char json[] = "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\",\"generation\":3},"
                  "\"spec\":{\"podSelector\":{}}}";
    char *number = strstr(json, "3}");

    fence_live_object(lab->live, LIVE_POLICY, json, strlen(json), NULL);
    *number = '4';
    assert_int_equal(fence_live_object(lab->live, LIVE_POLICY, json, strlen(json), NULL), 0);
    assert_int_equal(fence_store_find(lab->store, LIVE_POLICY, "x", "p")->policy.generation, 4);
    *number = '5';
    fence_live_begin(lab->live, LIVE_POLICY);
    fence_live_object(lab->live, LIVE_POLICY, json, strlen(json), NULL);
    assert_int_equal(live_end(lab), 0);
    assert_int_equal(fence_store_find(lab->store, LIVE_POLICY, "x", "p")->policy.generation, 5);
}

/* A field that is not kept makes no other object, but is told. */
static void test_warning_alone(void **state)
{
    struct live_lab *lab = *state;
    char plain[] =
        "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\"},\"spec\":{\"podSelector\":{}}}";
    char more[] = "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\"},\"more\":1,"
                  "\"spec\":{\"podSelector\":{}}}";

    fence_live_object(lab->live, LIVE_POLICY, plain, strlen(plain), NULL);
    fence_live_begin(lab->live, LIVE_POLICY);
    fence_live_object(lab->live, LIVE_POLICY, more, strlen(more), NULL);
    assert_int_equal(live_end(lab), 0);
    assert_problems(lab,
                    "kubernetes:0 NetworkPolicy/x/p: more: unknown field, ignored [warning]\n");
    fence_live_begin(lab->live, LIVE_POLICY);
    fence_live_object(lab->live, LIVE_POLICY, plain, strlen(plain), NULL);
    assert_int_equal(live_end(lab), 0);
    assert_problems(lab, "");
}

/* ---- ConfigMaps ----------------------------------------------------------------------------- */

static int tell_map(struct live_lab *lab, const char *name, const char *space, const char *value)
{
    FENCE_FREE char *json = NULL;
    int r;

    assert_true(asprintf(&json,
                         "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\"},\"data\":"
                         "{\"a.yaml\":\"%s\"}}",
                         name, space, value) > 0);
    r = fence_live_config_map(lab->live, json, strlen(json), NULL);
    assert_true(r >= 0);
    return r;
}

#define VALUE(name, space, port)                                                                   \
    "apiVersion: networking.k8s.io/v1\\nkind: NetworkPolicy\\n"                                    \
    "metadata: {name: " name ", namespace: " space "}\\n"                                          \
    "spec: {podSelector: {}, ingress: [{ports: [{port: " port "}]}]}\\n"

static void test_config_map(void **state)
{
    struct live_lab *lab = *state;
    char gone[] = "{\"metadata\":{\"name\":\"c\",\"namespace\":\"x\"}}";

    assert_int_equal(tell_map(lab, "c", "x", VALUE("p", "x", "1") "---\\n" VALUE("q", "x", "2")),
                     1);
    assert_in_force(lab, "p:1@kubernetes: ConfigMap/x/c q:2@kubernetes: ConfigMap/x/c");
    assert_int_equal(tell_map(lab, "c", "x", "{ a: ["), 0);
    assert_in_force(lab, "p:1@kubernetes: ConfigMap/x/c q:2@kubernetes: ConfigMap/x/c");
    assert_int_equal(tell_map(lab, "c", "x", VALUE("p", "x", "3")), 1);
    assert_in_force(lab, "p:3@kubernetes: ConfigMap/x/c");
    assert_problems(lab, "");
    tell_map(lab, "d", "x", VALUE("r", "x", "1") "---\\n" VALUE("r", "x", "2"));
    assert_problems(lab, "kubernetes: ConfigMap/x/d:0 NetworkPolicy/x/r: NetworkPolicy/x/r is "
                         "defined twice and differently: the first one counts\n");
    fence_live_config_maps_begin(lab->live);
    tell_map(lab, "c", "x", VALUE("p", "x", "3"));
    assert_int_equal(fence_live_config_maps_end(lab->live, NULL), 1);
    assert_in_force(lab, "p:3@kubernetes: ConfigMap/x/c");
    assert_problems(lab, "");
    assert_int_equal(fence_live_config_map_deleted(lab->live, gone, strlen(gone), NULL), 1);
    assert_int_equal(fence_live_config_map_deleted(lab->live, gone, strlen(gone), NULL), 0);
    assert_in_force(lab, "");
}

static void test_config_map_unreadable(void **state)
{
    struct live_lab *lab = *state;
    char broken[] = "{\"metadata\":";

    tell_map(lab, "c", "x", VALUE("p", "x", "1"));
    fence_live_config_maps_begin(lab->live);
    assert_int_equal(fence_live_config_map(lab->live, broken, strlen(broken), NULL), 0);
    assert_int_equal(fence_live_config_maps_end(lab->live, NULL), 0);
    assert_in_force(lab, "p:1@kubernetes: ConfigMap/x/c");
    assert_problems(lab, "kubernetes/ConfigMap:0 : a ConfigMap cannot be read: not valid JSON: "
                         "byte 13: a value is wanted\n");
    fence_live_config_maps_begin(lab->live);
    assert_int_equal(fence_live_config_maps_end(lab->live, NULL), 1);
    assert_problems(lab, "");
}

/* Who may write in one namespace must not rule another. */
static void test_config_map_trust(void **state)
{
    struct live_lab *lab = *state;

    tell_map(lab, "c", "x", VALUE("p", "other", "1"));
    assert_in_force(lab, "");
    assert_problems(lab,
                    "kubernetes: ConfigMap/x/c:0 NetworkPolicy/other/p: a ConfigMap of namespace "
                    "x holds policies of that namespace only\n");
    tell_map(lab, "c", "x", "{apiVersion: v1, kind: Pod, metadata: {name: w, namespace: x}}");
    assert_problems(lab, "kubernetes: ConfigMap/x/c:0 Pod/x/w: only policies are read from a "
                         "ConfigMap of the API, not a Pod\n");
    assert_int_equal(fence_live_trust(lab->live, "x", NULL), 0);
    tell_map(lab, "c", "x", VALUE("p", "other", "1"));
    assert_in_force(lab, "p:1@kubernetes: ConfigMap/x/c");
    assert_problems(lab, "");
}

/* What a team writes for its namespace does not displace what the cluster's admin wrote for it,
 * whatever the namespaces are called, and wherever he did. */
static void test_config_map_rank(void **state)
{
    struct live_lab *lab = *state;

    assert_int_equal(fence_live_trust(lab->live, "m", NULL), 0);
    tell_map(lab, "c", "m", VALUE("p", "a", "1") "---\\n" VALUE("p", "z", "1"));
    tell_map(lab, "c", "a", VALUE("p", "a", "2"));
    tell_map(lab, "c", "z", VALUE("p", "z", "2"));
    assert_in_force(lab, "p:1@kubernetes: ConfigMap/m/c p:1@kubernetes: ConfigMap/m/c");
    tell_map(lab, "c", "m", VALUE("q", "a", "1"));
    assert_in_force(lab, "p:2@kubernetes: ConfigMap/a/c q:1@kubernetes: ConfigMap/m/c "
                         "p:2@kubernetes: ConfigMap/z/c");
}

/* ---- many ----------------------------------------------------------------------------------- */

/* More than any table begins with: nothing is lost where they grow, and nothing is quadratic. */
static void test_many(void **state)
{
    struct live_lab *lab = *state;
    char name[16];

    for (unsigned int round = 1; round < 4; round++) {
        fence_live_begin(lab->live, LIVE_POLICY);
        for (unsigned int i = 0; i < 20000; i++) {
            snprintf(name, sizeof(name), "n%u", i);
            live_tell(lab, name, round == 3 && i % 2 ? 2 : 1);
            live_tell(lab, name, 1);
        }
        assert_int_equal(live_end(lab), round == 1);
        assert_int_equal(fence_store_count(lab->store, LIVE_POLICY), 20000);
        fence_store_changes_done(lab->store);
    }
    fence_live_begin(lab->live, LIVE_POLICY);
    assert_int_equal(live_end(lab), 1);
    assert_in_force(lab, "");
}

#define LIVE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_TEST(test_single),
        LIVE_TEST(test_refused),
        LIVE_TEST(test_list),
        LIVE_TEST(test_list_again),
        LIVE_TEST(test_unreadable),
        LIVE_TEST(test_unreadable_and_mended),
        LIVE_TEST(test_conflict),
        LIVE_TEST(test_kinds),
        LIVE_TEST(test_generation),
        LIVE_TEST(test_warning_alone),
        LIVE_TEST(test_config_map),
        LIVE_TEST(test_config_map_unreadable),
        LIVE_TEST(test_config_map_trust),
        LIVE_TEST(test_config_map_rank),

        LIVE_TEST(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
