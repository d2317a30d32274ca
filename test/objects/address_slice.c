/* SPDX-License-Identifier: Apache-2.0 */
/* AddressSlices in the live source: what comes into force, what is refused and what stays then. */
#include <stdio.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/objects/live.h"
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

/* `members` behind the name. */
static char *slice_json(const char *name, const char *members)
{
    char *json = NULL;

    assert_true(asprintf(&json,
                         "{\"apiVersion\":\"podfence.io/v1alpha1\",\"kind\":\"AddressSlice\","
                         "\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"7\"}%s%s}",
                         name, *members ? "," : "", members) > 0);
    return json;
}

static int tell(struct live_lab *lab, const char *name, const char *members)
{
    FENCE_FREE char *json = slice_json(name, members);
    struct fence_err err = {""};
    int r = fence_live_address_slice(lab->live, json, strlen(json), &err);

    assert_true(r >= 0);
    return r;
}

static int tell_gone(struct live_lab *lab, const char *name)
{
    FENCE_FREE char *json = slice_json(name, "");
    struct fence_err err = {""};
    int r = fence_live_address_slice_deleted(lab->live, json, strlen(json), &err);

    assert_true(r >= 0);
    return r;
}

static int end(struct live_lab *lab)
{
    struct fence_err err = {""};
    int r = fence_live_address_slices_end(lab->live, &err);

    assert_true(r >= 0);
    return r;
}

/* "ns/name:address" of each pod in force, "name:address" of each node. */
static void assert_in_force(struct live_lab *lab, const char *wanted)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_objects(lab->store, &objects);
    char text[4096] = "";

    for (size_t i = 0; i < count; i++) {
        const struct fence_object *object = objects[i];
        bool pod = object->kind == FENCE_OBJECT_POD;
        size_t addresses = pod ? object->pod.addr_count : object->node.addr_count;
        char address[FENCE_ADDR_TEXT] = "-";
        size_t used = strlen(text);

        if (addresses)
            fence_addr_format(pod ? &object->pod.addrs[0] : &object->node.addrs[0], address);
        snprintf(text + used, sizeof(text) - used, "%s%s%s%s:%s", used ? " " : "",
                 object->namespace_name, pod ? "/" : "", object->name, address);
    }
    assert_string_equal(text, wanted);
}

static void assert_problems(struct live_lab *lab, const char *wanted)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(lab->store, &problems);
    char text[4096] = "";

    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%s: %s: %s%s%s\n", problems[i].unit,
                 problems[i].id, problems[i].text, problems[i].kept ? " [kept]" : "",
                 problems[i].warning ? " [warning]" : "");
    }
    assert_string_equal(text, wanted);
}

#define POD(name, ip)    "{\"name\":\"" name "\",\"node\":\"b\",\"ips\":[\"" ip "\"]}"
#define GROUP(pods)      "{\"namespace\":\"x\",\"labels\":{\"app\":\"web\"},\"pods\":[" pods "]}"
#define GROUPS(groups)   "\"groups\":[" groups "]"
#define PODS(pods)       GROUPS(GROUP(pods))
#define NODE(name, ip)   "{\"name\":\"" name "\",\"ips\":[\"" ip "\"]}"
#define NODES(nodes)     "\"nodes\":[" nodes "]"
#define IN(slice)        "kubernetes: AddressSlice/" slice ": "
#define NOT_AN_IP(place) place ": \"no\" is not an IP address"

/* ---- in force ------------------------------------------------------------------------------- */

static void test_single(void **state)
{
    struct live_lab *lab = *state;

    assert_int_equal(tell(lab, "s1", PODS(POD("p", "10.1.0.1") "," POD("q", "10.1.0.2"))), 1);
    assert_int_equal(tell(lab, "s2", NODES(NODE("b", "192.0.2.2"))), 1);
    assert_in_force(lab, "x/p:10.1.0.1 x/q:10.1.0.2 b:192.0.2.2");
    assert_int_equal(tell(lab, "s1", PODS(POD("p", "10.1.0.1") "," POD("q", "10.1.0.2"))), 0);
    assert_int_equal(tell(lab, "s1", PODS(POD("q", "10.1.0.3"))), 1);
    assert_in_force(lab, "x/q:10.1.0.3 b:192.0.2.2");
    assert_int_equal(tell_gone(lab, "s2"), 1);
    assert_int_equal(tell_gone(lab, "s2"), 0);
    assert_int_equal(tell_gone(lab, "never"), 0);
    assert_in_force(lab, "x/q:10.1.0.3");
    assert_int_equal(tell(lab, "s1", ""), 1);
    assert_in_force(lab, "");
    assert_problems(lab, "");
}

static void assert_unit(struct live_lab *lab, const char *pod, const char *unit)
{
    const struct fence_object *object = fence_store_find(lab->store, FENCE_OBJECT_POD, "x", pod);

    assert_non_null(object);
    assert_string_equal(fence_store_unit_of(lab->store, object), unit);
}

static void test_list(void **state)
{
    struct live_lab *lab = *state;

    tell(lab, "s1", PODS(POD("p", "10.1.0.1")));
    tell(lab, "s2", PODS(POD("q", "10.1.0.2")));
    fence_live_address_slices_begin(lab->live);
    assert_int_equal(tell(lab, "s2", PODS(POD("q", "10.1.0.2"))), 0);
    assert_int_equal(tell(lab, "s3", PODS(POD("r", "10.1.0.3"))), 1);
    assert_in_force(lab, "x/p:10.1.0.1 x/q:10.1.0.2 x/r:10.1.0.3");
    assert_int_equal(end(lab), 1);
    assert_in_force(lab, "x/q:10.1.0.2 x/r:10.1.0.3");
    assert_unit(lab, "q", "kubernetes: AddressSlice/s2");
    /* the end of none; a list that breaks off; Pods beside it */
    assert_int_equal(end(lab), 0);
    fence_live_address_slices_begin(lab->live);
    fence_live_address_slices_begin(lab->live);
    fence_live_begin(lab->live, FENCE_OBJECT_POD);
    assert_int_equal(fence_live_end(lab->live, FENCE_OBJECT_POD, NULL), 0);
    tell(lab, "s2", PODS(POD("q", "10.1.0.2")));
    assert_int_equal(end(lab), 1);
    assert_in_force(lab, "x/q:10.1.0.2");
}

static void test_complete(void **state)
{
    struct live_lab *lab = *state;

    assert_false(fence_live_address_slices_complete(lab->live));
    tell(lab, "podfence-complete", "\"complete\":false");
    tell(lab, "other", "\"complete\":true");
    assert_false(fence_live_address_slices_complete(lab->live));
    assert_int_equal(tell(lab, "podfence-complete", "\"complete\":true"), 0);
    assert_true(fence_live_address_slices_complete(lab->live));
    fence_live_address_slices_begin(lab->live);
    assert_true(fence_live_address_slices_complete(lab->live));
    assert_int_equal(end(lab), 0);
    assert_false(fence_live_address_slices_complete(lab->live));
    tell(lab, "podfence-complete", "\"complete\":true");
    tell(lab, "podfence-complete", "\"complete\":false");
    assert_false(fence_live_address_slices_complete(lab->live));
    tell(lab, "podfence-complete", "\"complete\":true");
    tell_gone(lab, "podfence-complete");
    assert_false(fence_live_address_slices_complete(lab->live));
    assert_problems(lab, "");
}

static void test_own_node(void **state)
{
    struct live_lab *lab = *state;

    assert_int_equal(fence_live_own_node(lab->live, "a", NULL), 0);
    tell(lab, "s1",
         PODS("{\"name\":\"own\",\"node\":\"a\",\"ips\":[\"no\"]}," POD("p", "10.1.0.1")) "," NODES(
             NODE("a", "192.0.2.1") "," NODE("b", "192.0.2.2")));
    assert_in_force(lab, "x/p:10.1.0.1 b:192.0.2.2");
    assert_problems(lab, "");
}

/* ---- the same pod twice --------------------------------------------------------------------- */

static void test_twice(void **state)
{
    struct live_lab *lab = *state;

    tell(lab, "s1", PODS(POD("p", "10.1.0.1")));
    /* in another order, in a group of its own, beside what is not known yet */
    assert_int_equal(tell(lab, "s2",
                          GROUPS(GROUP(POD("q", "10.1.0.2")) ",{\"pods\":[{\"ips\":[\"10.1.0.1\"],"
                                                             "\"node\":\"b\",\"new\":{},"
                                                             "\"name\":\"p\"}],\"labels\":{\"app\":"
                                                             "\"web\"},\"namespace\":\"x\"}")),
                     1);
    assert_problems(lab, "");
    assert_int_equal(tell(lab, "s1", ""), 1);
    assert_in_force(lab, "x/p:10.1.0.1 x/q:10.1.0.2");
    tell(lab, "s1", PODS(POD("p", "10.1.0.9")));
    assert_in_force(lab, "x/p:10.1.0.9 x/q:10.1.0.2");
    assert_problems(lab, IN("s2") "Pod/x/p: Pod/x/p is defined differently in kubernetes: "
                                  "AddressSlice/s1, which comes first\n");
    tell(lab, "s3", PODS(POD("r", "10.1.0.3") "," POD("r", "10.1.0.4")));
    tell(lab, "s1", "");
    assert_problems(lab, IN("s3") "Pod/x/r: Pod/x/r is defined twice and differently: the first "
                                  "one counts\n");
}

/* A pod that came from another node: what its new node's daemon hears of it counts, and that the
 * slice is late is no problem. A folder that says otherwise is one. */
static void test_first_hand(void **state)
{
    struct live_lab *lab = *state;
    char own[] = "{\"metadata\":{\"name\":\"db-0\",\"namespace\":\"x\"},\"spec\":{\"nodeName\":"
                 "\"a\"},\"status\":{\"podIP\":\"10.1.0.5\"}}";

    fence_live_own_node(lab->live, "a", NULL);
    tell(lab, "s1", PODS(POD("db-0", "10.1.0.1")));
    assert_int_equal(fence_live_object(lab->live, FENCE_OBJECT_POD, own, strlen(own), NULL), 1);
    assert_in_force(lab, "x/db-0:10.1.0.5");
    assert_problems(lab, "");
    assert_int_equal(fence_live_deleted(lab->live, FENCE_OBJECT_POD, own, strlen(own), NULL), 1);
    assert_in_force(lab, "x/db-0:10.1.0.1");
    live_put_file(lab, "f.yaml",
                  "{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: x}}");
    assert_in_force(lab, "x/db-0:10.1.0.1");
    assert_problems(lab, "f.yaml: Pod/x/db-0: line 1: Pod/x/db-0 is defined differently in "
                         "kubernetes: AddressSlice/s1, which comes first\n");
}

/* ---- refused -------------------------------------------------------------------------------- */

/* One pod: the others of the slice apply. */
static void test_pod_refused(void **state)
{
    struct live_lab *lab = *state;

    tell(lab, "s1", PODS(POD("p", "10.1.0.1") "," POD("q", "10.1.0.2")));
    assert_int_equal(
        tell(lab, "s1", PODS(POD("p", "no") "," POD("r", "no") "," POD("s", "10.1.0.4"))), 1);
    assert_in_force(lab, "x/p:10.1.0.1 x/s:10.1.0.4");
    assert_problems(lab, IN("s1") "Pod/x/p: " NOT_AN_IP("groups[0].pods[0].ips[0]") " [kept]\n" IN(
                             "s1") "Pod/x/r: " NOT_AN_IP("groups[0].pods[1].ips[0]") "\n");
    tell(lab, "s1", PODS(POD("p", "10.1.0.7")));
    assert_in_force(lab, "x/p:10.1.0.7");
    assert_problems(lab, "");
    /* whose name cannot be read may be anyone */
    tell(lab, "s1", PODS(POD("P", "10.1.0.1") "," POD("q", "10.1.0.2")));
    assert_in_force(lab, "x/p:10.1.0.7 x/q:10.1.0.2");
    tell(lab, "s1", PODS("7," POD("q", "10.1.0.2")));
    assert_in_force(lab, "x/p:10.1.0.7 x/q:10.1.0.2");
    assert_problems(lab, IN("s1") "Pod/x/?: groups[0].pods[0].name: is missing [kept]\n");
}

#define BAD_LABEL                                                                                  \
    "groups[0].labels.app: a label value consists of letters, digits, '-', '_' and '.' and "       \
    "begins and ends with a letter or digit"

/* What pods of a group have in common is wrong for each of them, and for no other. */
static void test_group_refused(void **state)
{
    struct live_lab *lab = *state;

    tell(lab, "s1", PODS(POD("p", "10.1.0.1") "," POD("q", "10.1.0.2")));
    tell(lab, "s1",
         GROUPS("{\"namespace\":\"x\",\"labels\":{\"app\":\"b a d\"},\"pods\":[" POD(
             "p", "10.1.0.5") "," POD("r", "10.1.0.3") "]}," GROUP(POD("s", "10.1.0.4"))));
    assert_in_force(lab, "x/p:10.1.0.1 x/s:10.1.0.4");
    assert_problems(lab,
                    IN("s1") "Pod/x/p: " BAD_LABEL " [kept]\n" IN("s1") "Pod/x/r: " BAD_LABEL "\n");
    tell(lab, "s1", GROUPS("{\"namespace\":\"X\",\"pods\":[" POD("p", "10.1.0.5") "]}"));
    assert_in_force(lab, "x/p:10.1.0.1 x/s:10.1.0.4");
}

static void test_node_refused(void **state)
{
    struct live_lab *lab = *state;

    tell(lab, "s1",
         NODES("{\"name\":\"b\",\"podCIDRs\":[\"10.0.0.0/40\"]}," NODE("c", "192.0.2.3")));
    assert_in_force(lab, "c:192.0.2.3");
    assert_problems(lab, IN("s1") "Node/b: nodes[0].podCIDRs[0]: \"10.0.0.0/40\" is not an address "
                                  "range such as 10.0.0.0/8 or fd00::/8\n");
    tell(lab, "s1", NODES(NODE("b", "b.example.com")));
    assert_in_force(lab, "b:-");
    assert_problems(lab, IN("s1") "Node/b: nodes[0].ips[0]: \"b.example.com\" is not an IP "
                                  "address, left out [warning]\n");
}

/* The whole: its last good version stays. */
static void test_slice_refused(void **state)
{
    static const struct {
        const char *members;
        const char *reason;
    } cases[] = {
        {"\"groups\":7", "groups: must be a list, not a number"},
        {"\"groups\":null", "groups: must be a list, not null"},
        {"\"groups\":[\"a\"]", "groups[0]: must be an object, not a text"},
        {"\"groups\":[{\"namespace\":\"x\",\"pods\":{}}]",
         "groups[0].pods: must be a list, not an object"},
        {"\"nodes\":{}", "nodes: must be a list, not an object"},
        {"\"complete\":\"yes\"", "complete: must be a boolean, not a text"},
        {"\"groups\":[{]", "not valid JSON: byte 112: a key is wanted"},
    };
    struct live_lab *lab = *state;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        FENCE_FREE char *wanted = NULL;

        tell(lab, "s1", PODS(POD("p", "10.1.0.1")));
        assert_problems(lab, "");
        assert_int_equal(tell(lab, "s1", cases[i].members), 0);
        assert_in_force(lab, "x/p:10.1.0.1");
        if (strncmp(cases[i].reason, "not valid", 9) == 0)
            continue;
        assert_true(asprintf(&wanted, IN("s1") "AddressSlice/s1: %s [kept]\n", cases[i].reason) >
                    0);
        assert_problems(lab, wanted);
    }
    tell(lab, "s2", "\"nodes\":{}");
    assert_int_equal(tell_gone(lab, "s2"), 0);
}

/* Nothing is gone because of a list in which something could not be read. */
static void test_unreadable(void **state)
{
    struct live_lab *lab = *state;
    char cut[] = "{\"metadata\":";
    char other[] = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s1\"}}";

    tell(lab, "s1", PODS(POD("p", "10.1.0.1")));
    fence_live_address_slices_begin(lab->live);
    assert_int_equal(fence_live_address_slice(lab->live, cut, strlen(cut), NULL), 0);
    assert_int_equal(fence_live_address_slice(lab->live, other, strlen(other), NULL), 0);
    assert_int_equal(end(lab), 0);
    assert_in_force(lab, "x/p:10.1.0.1");
    assert_problems(lab, "kubernetes/AddressSlice: : a AddressSlice cannot be read: \"Pod\" of "
                         "apiVersion \"v1\" is not a AddressSlice (podfence.io/v1alpha1)\n");
    fence_live_address_slices_begin(lab->live);
    assert_int_equal(end(lab), 1);
    assert_in_force(lab, "");
    assert_problems(lab, "");
}

/* ---- limits --------------------------------------------------------------------------------- */

/* `count` times: "%u" of `item` is its number. A new string. */
static char *repeat(const char *begin, const char *item, unsigned int count, const char *finish)
{
    const char *number = strstr(item, "%u");
    size_t before = number ? (size_t)(number - item) : strlen(item);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fputs(begin, out);
    for (unsigned int i = 0; i < count; i++) {
        fprintf(out, "%s%.*s", i ? "," : "", (int)before, item);
        if (number)
            fprintf(out, "%u%s", i, number + 2);
    }
    fputs(finish, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_limits(void **state)
{
    struct live_lab *lab = *state;
    FENCE_FREE char *most =
        repeat("\"groups\":[{\"namespace\":\"x\",\"pods\":[", "{\"name\":\"p%u\"}", 1000, "]}]");
    FENCE_FREE char *more = repeat("\"groups\":[" GROUP(POD("q", "10.1.0.1")) ",{\"namespace\":"
                                                                              "\"x\",\"pods\":[",
                                   "{\"name\":\"p%u\"}", 1000, "]}]");
    FENCE_FREE char *nodes = repeat("\"nodes\":[", "{\"name\":\"n%u\"}", 1001, "]");
    FENCE_FREE char *addresses = repeat(
        "\"groups\":[" GROUP(POD("q", "10.1.0.1")) ",{\"namespace\":"
                                                   "\"x\",\"pods\":[{\"name\":\"p\",\"ips\":[",
        "\"10.1.1.%u\"", 65, "]}]}]");
    FENCE_FREE char *large =
        repeat("\"other\":[", "\"0123456789 0123456789 0123456789\"", 40000, "]");

    tell(lab, "s1", most);
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_POD), 1000);
    assert_int_equal(tell(lab, "s1", more), 0);
    assert_problems(lab, IN("s1") "AddressSlice/s1: groups[1].pods: more than 1000 of them in one "
                                  "slice [kept]\n");
    assert_int_equal(tell(lab, "s1", nodes), 0);
    assert_problems(lab, IN("s1") "AddressSlice/s1: nodes: more than 1000 of them in one slice "
                                  "[kept]\n");
    assert_int_equal(tell(lab, "s1", large), 0);
    assert_problems(lab, IN("s1") "AddressSlice/s1: has 1400116 bytes, and 1048576 are the most "
                                  "[kept]\n");
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_POD), 1000);
    tell(lab, "s1", addresses);
    assert_in_force(lab, "x/q:10.1.0.1");
    assert_problems(lab, IN("s1") "Pod/x/p: groups[1].pods[0].ips: has more than 64 elements\n");
}

#define SLICE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SLICE_TEST(test_single),       SLICE_TEST(test_list),
        SLICE_TEST(test_complete),     SLICE_TEST(test_own_node),
        SLICE_TEST(test_twice),        SLICE_TEST(test_first_hand),
        SLICE_TEST(test_pod_refused),  SLICE_TEST(test_group_refused),
        SLICE_TEST(test_node_refused), SLICE_TEST(test_slice_refused),
        SLICE_TEST(test_unreadable),   SLICE_TEST(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
