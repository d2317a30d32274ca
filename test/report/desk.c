/* SPDX-License-Identifier: Apache-2.0 */
/* What is written, when, of policies that some nodes have in force and others not. */
#include "lib/report/desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/report/digest.h"
#include "lib/report/node.h"
#include "lib/report/text.h"
#include "test/cmocka.h"

#define SECOND 1000000000ull

static const struct fence_desk_view web = {
    .id = "SegmentPolicy/shop/web", .generation = 3, .content = 7};
static const struct fence_desk_view all = {
    .id = "ClusterSegmentPolicy/all", .generation = 1, .content = 9};

/* ---- the API server -------------------------------------------------------------------------- */

static void tell(struct fence_desk *desk, enum fence_desk_kind kind, const char *text)
{
    cJSON *json = cJSON_Parse(text);

    assert_non_null(json);
    assert_int_equal(fence_desk_object(desk, kind, json), 0);
    cJSON_Delete(json);
}

static void tell_web(struct fence_desk *desk, int generation)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"generation\":%d}}",
             generation);
    tell(desk, FENCE_DESK_SEGMENT_POLICY, text);
}

/* A node that has these policies in force. */
static void tell_node(struct fence_desk *desk, const char *name,
                      const struct fence_desk_view *const *views)
{
    struct fence_node_report report = {.node = name, .node_uid = "u"};
    FENCE_FREE char *text = NULL;

    for (; *views; views++)
        fence_report_digest_add(&report.digest, (*views)->id, (*views)->generation,
                                (*views)->content);
    text = fence_node_report_format(&report);
    tell(desk, FENCE_DESK_NODE_REPORT, text);
}

static const struct fence_desk_view *const none_of_them[] = {NULL};
static const struct fence_desk_view *const web_alone[] = {&web, NULL};
static const struct fence_desk_view *const both_of_them[] = {&all, &web, NULL};

/* The next write as JSON, NULL for none. It is taken by the API server if `taken`. */
static cJSON *next(struct fence_desk *desk, uint64_t now_ns, bool taken, char path[1024])
{
    struct fence_desk_write write;
    cJSON *json;

    if (!fence_desk_next(desk, now_ns, 1800000000, &write))
        return NULL;
    json = cJSON_Parse(write.body);
    assert_non_null(json);
    free(write.body);
    if (path)
        memcpy(path, write.path, sizeof(write.path));
    if (taken) {
        cJSON *copy = cJSON_Duplicate(json, true);
        cJSON *metadata = cJSON_GetObjectItem(copy, "metadata");
        const cJSON *first = cJSON_GetArrayItem(
            cJSON_GetObjectItem(cJSON_GetObjectItem(copy, "status"), "conditions"), 0);

        cJSON_AddItemToObject(
            metadata, "generation",
            cJSON_Duplicate(cJSON_GetObjectItem(first, "observedGeneration"), true));
        assert_int_equal(fence_desk_object(desk, fence_desk_kind_of(write.id), copy), 0);
        cJSON_Delete(copy);
    }
    fence_desk_answered(desk, write.id, now_ns);
    return json;
}

static const cJSON *condition(const cJSON *json, const char *type)
{
    const cJSON *list = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "status"), "conditions");
    const cJSON *one;

    cJSON_ArrayForEach(one, list)
    {
        if (strcmp(cJSON_GetObjectItem(one, "type")->valuestring, type) == 0)
            return one;
    }
    fail_msg("no %s", type);
    return NULL;
}

static void expect(const cJSON *json, const char *type, const char *status, const char *reason,
                   const char *message)
{
    const cJSON *one = condition(json, type);

    assert_string_equal(cJSON_GetObjectItem(one, "status")->valuestring, status);
    assert_string_equal(cJSON_GetObjectItem(one, "reason")->valuestring, reason);
    assert_string_equal(cJSON_GetObjectItem(one, "message")->valuestring, message);
}

static void expect_nothing(struct fence_desk *desk, uint64_t now_ns)
{
    assert_null(next(desk, now_ns, false, NULL));
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void is_programmed_when_all_nodes_have_it(void **state)
{
    struct fence_desk *desk = fence_desk_new();
    char path[1024];
    cJSON *json;

    (void)state;
    tell_web(desk, 3);
    expect_nothing(desk, SECOND); /* the store does not have it yet */
    assert_int_equal(fence_desk_see(desk, &web, 1), 0);
    expect_nothing(desk, SECOND); /* most nodes have it in a moment */
    json = next(desk, 4 * SECOND, true, path);
    assert_string_equal(path, "/apis/podfence.io/v1alpha1/namespaces/shop/segmentpolicies/web/"
                              "status?fieldManager=podfence&force=true");
    assert_string_equal(cJSON_GetObjectItem(json, "kind")->valuestring, "SegmentPolicy");
    expect(json, "Accepted", "True", "Accepted", "the policy is valid");
    expect(json, "Programmed", "False", "Pending", "no node has reported yet");
    expect(json, "Degraded", "False", "Enforced", "no node reports a failure");
    assert_int_equal(
        cJSON_GetObjectItem(condition(json, "Programmed"), "observedGeneration")->valueint, 3);
    cJSON_Delete(json);
    expect_nothing(desk, 4 * SECOND);

    /* texts alone are put off */
    tell_node(desk, "b", none_of_them);
    tell_node(desk, "a", web_alone);
    expect_nothing(desk, 5 * SECOND);
    json = next(desk, 9 * SECOND, true, NULL);
    expect(json, "Programmed", "False", "Pending", "in force on 1 of 2 nodes; not yet on b");
    cJSON_Delete(json);

    /* what is true at last is not */
    tell_node(desk, "b", web_alone);
    json = next(desk, 9 * SECOND + 1, true, NULL);
    expect(json, "Programmed", "True", "Programmed", "in force on 2 of 2 nodes");
    assert_string_equal(
        cJSON_GetObjectItem(condition(json, "Programmed"), "lastTransitionTime")->valuestring,
        "2027-01-15T08:00:00Z");
    cJSON_Delete(json);
    expect_nothing(desk, 100 * SECOND);
    fence_desk_free(&desk);
}

/* Another policy comes: the first stays in force where it was. */
static void others_do_not_matter(void **state)
{
    const struct fence_desk_view views[] = {all, web};
    struct fence_desk *desk = fence_desk_new();
    char path[1024];
    cJSON *json;

    (void)state;
    tell_web(desk, 3);
    assert_int_equal(fence_desk_see(desk, &web, 1), 0);
    tell_node(desk, "a", web_alone);
    json = next(desk, SECOND, true, NULL);
    expect(json, "Programmed", "True", "Programmed", "in force on 1 of 1 nodes");
    cJSON_Delete(json);
    tell(desk, FENCE_DESK_CLUSTER_SEGMENT_POLICY,
         "{\"metadata\":{\"name\":\"all\",\"generation\":1}}");
    assert_int_equal(fence_desk_see(desk, views, 2), 0);
    expect_nothing(desk, 2 * SECOND);
    json = next(desk, 5 * SECOND, true, path);
    assert_string_equal(path, "/apis/podfence.io/v1alpha1/clustersegmentpolicies/all/"
                              "status?fieldManager=podfence&force=true");
    expect(json, "Programmed", "False", "Pending", "in force on 0 of 1 nodes; not yet on a");
    cJSON_Delete(json);
    expect_nothing(desk, 5 * SECOND);
    tell_node(desk, "a", both_of_them);
    json = next(desk, 6 * SECOND, true, NULL);
    expect(json, "Programmed", "True", "Programmed", "in force on 1 of 1 nodes");
    cJSON_Delete(json);
    expect_nothing(desk, 20 * SECOND);

    /* a change of the first, and the second is gone */
    tell_web(desk, 4);
    expect_nothing(desk, 21 * SECOND);
    {
        struct fence_desk_view changed = web;

        changed.generation = 4;
        assert_int_equal(fence_desk_see(desk, &changed, 1), 0);
    }
    expect_nothing(desk, 22 * SECOND);
    json = next(desk, 25 * SECOND, true, NULL);
    expect(json, "Programmed", "False", "Pending", "in force on 0 of 1 nodes; not yet on a");
    assert_int_equal(
        cJSON_GetObjectItem(condition(json, "Accepted"), "observedGeneration")->valueint, 4);
    cJSON_Delete(json);
    fence_desk_free(&desk);
}

static void refused_ones_say_why(void **state)
{
    struct fence_desk_view refused = {.id = "SegmentPolicy/shop/web",
                                      .refused = "spec.mode: \"x\" is none of Allowlist, Denylist"};
    struct fence_desk *desk = fence_desk_new();
    cJSON *json;

    (void)state;
    tell_web(desk, 5);
    assert_int_equal(fence_desk_see(desk, &refused, 1), 0);
    json = next(desk, SECOND, true, NULL);
    expect(json, "Accepted", "False", "Invalid", refused.refused);
    expect(json, "Programmed", "False", "Invalid", "it is not valid");
    cJSON_Delete(json);
    refused.kept = true;
    assert_int_equal(fence_desk_see(desk, &refused, 1), 0);
    expect_nothing(desk, 2 * SECOND);
    json = next(desk, 7 * SECOND, true, NULL);
    expect(json, "Programmed", "False", "Invalid", "its last valid version stays in force");
    cJSON_Delete(json);
    /* it does not count in the digest: a node without any policy has all */
    tell_node(desk, "a", none_of_them);
    {
        size_t nodes, current;

        fence_desk_count(desk, &nodes, &current);
        assert_int_equal(nodes, 1);
        assert_int_equal(current, 1);
    }
    fence_desk_free(&desk);
}

static void expired_and_failing(void **state)
{
    struct fence_desk_view over = web;
    struct fence_desk *desk = fence_desk_new();
    cJSON *json;

    (void)state;
    over.over = true;
    tell_web(desk, 3);
    assert_int_equal(fence_desk_see(desk, &over, 1), 0);
    tell(desk, FENCE_DESK_NODE_REPORT,
         "{\"metadata\":{\"name\":\"a\"},\"policies\":{\"digest\":\"no\",\"count\":1},\"failing\":"
         "[{\"policy\":\"SegmentPolicy/shop/web\",\"text\":\"endpoint shop/w: the map is full\"},"
         "{\"policy\":\"SegmentPolicy/shop/nobody\",\"text\":\"x\"},7]}");
    json = next(desk, SECOND, true, NULL);
    expect(json, "Programmed", "False", "Expired", "expiresAt has passed");
    expect(json, "Degraded", "True", "NotEnforced", "on a: endpoint shop/w: the map is full");
    cJSON_Delete(json);
    tell(desk, FENCE_DESK_NODE_REPORT,
         "{\"metadata\":{\"name\":\"b\"},\"failing\":[{\"policy\":\"SegmentPolicy/shop/web\","
         "\"text\":\"y\"}]}");
    json = next(desk, 20 * SECOND, true, NULL);
    expect(json, "Degraded", "True", "NotEnforced",
           "on 2 nodes; on a: endpoint shop/w: the map is full");
    cJSON_Delete(json);
    fence_desk_begin(desk, FENCE_DESK_NODE_REPORT);
    tell_node(desk, "b", web_alone);
    fence_desk_end(desk, FENCE_DESK_NODE_REPORT); /* a is gone */
    json = next(desk, 40 * SECOND, true, NULL);
    expect(json, "Degraded", "False", "Enforced", "no node reports a failure");
    cJSON_Delete(json);
    fence_desk_free(&desk);
}

/* A write that failed is tried again, not before its time; meanwhile others are written. */
static void failures_wait(void **state)
{
    struct fence_desk *desk = fence_desk_new();
    struct fence_desk_write write;

    (void)state;
    tell_web(desk, 3);
    assert_int_equal(fence_desk_see(desk, &web, 1), 0);
    tell_node(desk, "a", web_alone);
    assert_true(fence_desk_next(desk, SECOND, 0, &write));
    free(write.body);
    assert_false(fence_desk_next(desk, SECOND, 0, &write)); /* it is on its way */
    fence_desk_answered(desk, write.id, 9 * SECOND);
    assert_false(fence_desk_next(desk, 8 * SECOND, 0, &write));
    assert_true(fence_desk_next(desk, 9 * SECOND, 0, &write));
    free(write.body);
    fence_desk_answered(desk, "SegmentPolicy/shop/nobody", 0);
    fence_desk_free(&desk);
}

/* What stays as it was keeps its time, and conditions of others are not ours to write. */
static void times_stay(void **state)
{
    struct fence_desk *desk = fence_desk_new();
    cJSON *json;

    (void)state;
    tell(desk, FENCE_DESK_SEGMENT_POLICY,
         "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"generation\":3},\"status\":{"
         "\"conditions\":[{\"type\":\"Accepted\",\"status\":\"True\",\"reason\":\"Accepted\","
         "\"message\":\"the policy is valid\",\"lastTransitionTime\":\"2020-01-01T00:00:00Z\","
         "\"observedGeneration\":2},{\"type\":\"Mine\",\"status\":\"True\"}]}}");
    assert_int_equal(fence_desk_see(desk, &web, 1), 0);
    tell_node(desk, "a", web_alone);
    json = next(desk, SECOND, false, NULL);
    assert_string_equal(
        cJSON_GetObjectItem(condition(json, "Accepted"), "lastTransitionTime")->valuestring,
        "2020-01-01T00:00:00Z");
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "status"), "conditions")),
        3);
    cJSON_Delete(json);
    fence_desk_free(&desk);
}

/* 5,000 nodes and 2,000 policies: all is written once, in a few seconds of work at most. */
static void many(void **state)
{
    enum { NODES = 5000, POLICIES = 2000 };
    struct fence_desk_view *views = calloc(POLICIES, sizeof(*views));
    const struct fence_desk_view **list = calloc(POLICIES + 1, sizeof(void *));
    struct fence_desk *desk = fence_desk_new();
    char text[256], id[POLICIES][64];
    unsigned int writes = 0;
    cJSON *json;

    (void)state;
    assert_true(views && list);
    for (unsigned int i = 0; i < POLICIES; i++) {
        snprintf(id[i], sizeof(id[i]), "SegmentPolicy/shop/p%u", i);
        views[i] = (struct fence_desk_view){.id = id[i], .generation = 1, .content = i};
        list[i] = &views[i];
        snprintf(text, sizeof(text),
                 "{\"metadata\":{\"name\":\"p%u\",\"namespace\":\"shop\",\"generation\":1}}", i);
        tell(desk, FENCE_DESK_SEGMENT_POLICY, text);
    }
    assert_int_equal(fence_desk_see(desk, views, POLICIES), 0);
    for (unsigned int i = 0; i < NODES; i++) {
        snprintf(text, sizeof(text), "node-%u", i);
        tell_node(desk, text, list);
    }
    while ((json = next(desk, SECOND, true, NULL))) {
        if (!writes++)
            expect(json, "Programmed", "True", "Programmed", "in force on 5000 of 5000 nodes");
        cJSON_Delete(json);
    }
    assert_int_equal(writes, POLICIES);
    expect_nothing(desk, 1000 * SECOND);
    fence_desk_free(&desk);
    free(views);
    free(list);
}

static void hostile_objects_are_passed_over(void **state)
{
    static const char *const texts[] = {
        "7",
        "{}",
        "{\"metadata\":7}",
        "{\"metadata\":{\"name\":\"\"}}",
        "{\"metadata\":{\"name\":\"a/b\",\"namespace\":\"x\"}}",
        "{\"metadata\":{\"name\":\"a\",\"namespace\":\"x\"},\"status\":{\"conditions\":7}}",
        "{\"metadata\":{\"name\":\"a\",\"namespace\":\"x\"},\"status\":{\"conditions\":[7,{}]}}",
        "{\"metadata\":{\"name\":\"a\",\"namespace\":\"x\"},\"policies\":[],\"failing\":{\"a\":1}}",
    };
    struct fence_desk *desk = fence_desk_new();
    char text[8];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        for (unsigned int kind = 0; kind < FENCE_DESK_KINDS; kind++) {
            cJSON *json = cJSON_Parse(texts[i]);

            assert_int_equal(fence_desk_object(desk, (enum fence_desk_kind)kind, json), 0);
            assert_int_equal(fence_desk_deleted(desk, (enum fence_desk_kind)kind, json), 0);
            assert_int_equal(fence_desk_object(desk, (enum fence_desk_kind)kind, json), 0);
            cJSON_Delete(json);
        }
    }
    expect_nothing(desk, SECOND);
    fence_desk_free(&desk);
    fence_report_copy(text, sizeof(text),
                      "\xff"
                      "a\xc3\xa9\xe2\x82\xac\xe2\x82\xac");
    assert_string_equal(text, "?a\xc3\xa9\xe2\x82\xac");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_programmed_when_all_nodes_have_it),
        cmocka_unit_test(others_do_not_matter),
        cmocka_unit_test(refused_ones_say_why),
        cmocka_unit_test(expired_and_failing),
        cmocka_unit_test(failures_wait),
        cmocka_unit_test(times_stay),
        cmocka_unit_test(many),
        cmocka_unit_test(hostile_objects_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
