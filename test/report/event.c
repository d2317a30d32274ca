/* SPDX-License-Identifier: Apache-2.0 */
/* Which refusals are told, how often, and how an Event looks. */
#include "lib/report/event.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define SECOND 1000000000ull

static void refuse(struct fence_event_book *book, const char *id, const char *text)
{
    fence_event_book_begin(book);
    assert_int_equal(fence_event_book_refused(book, id, text), 0);
    fence_event_book_end(book);
}

static void each_is_told_once(void **state)
{
    struct fence_event_book *book = fence_event_book_new();
    struct fence_event_refusal refusal;

    (void)state;
    assert_false(fence_event_book_next(book, SECOND, &refusal));
    refuse(book, "SegmentPolicy/a/b", "one");
    assert_true(fence_event_book_next(book, SECOND, &refusal));
    assert_string_equal(refusal.id, "SegmentPolicy/a/b");
    assert_string_equal(refusal.text, "one");
    refuse(book, "SegmentPolicy/a/b", "one");
    assert_false(fence_event_book_next(book, SECOND, &refusal));
    refuse(book, "SegmentPolicy/a/b", "two");
    assert_true(fence_event_book_next(book, SECOND, &refusal));
    assert_string_equal(refusal.text, "two");
    /* it fails: again, later */
    fence_event_book_failed(book, refusal.id, 5 * SECOND);
    assert_false(fence_event_book_next(book, 4 * SECOND, &refusal));
    assert_true(fence_event_book_next(book, 5 * SECOND, &refusal));
    /* it is right for a while */
    fence_event_book_begin(book);
    fence_event_book_end(book);
    refuse(book, "SegmentPolicy/a/b", "two");
    assert_true(fence_event_book_next(book, 6 * SECOND, &refusal));
    fence_event_book_free(&book);
}

static void a_flood_is_slow(void **state)
{
    struct fence_event_book *book = fence_event_book_new();
    struct fence_event_refusal refusal;
    unsigned int told = 0;
    char id[64];

    (void)state;
    fence_event_book_begin(book);
    for (unsigned int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "SegmentPolicy/a/p%u", i);
        assert_int_equal(fence_event_book_refused(book, id, "x"), 0);
    }
    fence_event_book_end(book);
    while (fence_event_book_next(book, SECOND, &refusal))
        told++;
    assert_int_equal(told, FENCE_EVENT_BURST);
    for (uint64_t second = 2; second < 62; second++)
        while (fence_event_book_next(book, second * SECOND, &refusal))
            told++;
    assert_int_equal(told, FENCE_EVENT_BURST + 60);
    fence_event_book_free(&book);
}

static void paths(void **state)
{
    static const struct {
        const char *id, *path;
    } rows[] = {
        {"SegmentPolicy/shop/web",
         "/apis/podfence.io/v1alpha1/namespaces/shop/segmentpolicies/web"},
        {"ClusterSegmentPolicy/all", "/apis/podfence.io/v1alpha1/clustersegmentpolicies/all"},
        {"NetworkPolicy/a/b.c", "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/b.c"},
        {"ClusterNetworkPolicy/x",
         "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies/x"},
        {"Pod/a/b", NULL},
        {"SegmentPolicy/web", NULL},
        {"SegmentPolicy//web", NULL},
        {"SegmentPolicy/a/", NULL},
        {"SegmentPolicy/a/..", NULL},
        {"SegmentPolicy/a/b?c", NULL},
        {"SegmentPolicy/../b", NULL},
        {"ClusterSegmentPolicy/a/b", NULL},
        {"ClusterSegmentPolicy/?", NULL},
        {"", NULL},
    };
    char path[512];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        bool is_one = fence_event_object_path(rows[i].id, path, sizeof(path));

        assert_int_equal(is_one, rows[i].path != NULL);
        if (is_one)
            assert_string_equal(path, rows[i].path);
    }
}

static cJSON *format(const char *id, const char *text, const char *object, char path[512])
{
    struct fence_event_refusal refusal;
    struct fence_event_texts texts;
    cJSON *json = cJSON_Parse(object), *event;

    snprintf(refusal.id, sizeof(refusal.id), "%s", id);
    snprintf(refusal.text, sizeof(refusal.text), "%s", text);
    assert_int_equal(fence_event_format(&refusal, json, "node-a", 1800000000000007000, &texts), 0);
    memcpy(path, texts.path, sizeof(texts.path));
    event = cJSON_Parse(texts.body);
    assert_non_null(event);
    free(texts.body);
    cJSON_Delete(json);
    return event;
}

static const char *text_at(const cJSON *json, const char *part, const char *name)
{
    return cJSON_GetStringValue(
        cJSON_GetObjectItem(part ? cJSON_GetObjectItem(json, part) : json, name));
}

static void an_event(void **state)
{
    static const char web[] =
        "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-1\",\"generation\":4,"
        "\"resourceVersion\":\"77\"}}";
    char path[512], name[300];
    cJSON *event;

    (void)state;
    event = format("SegmentPolicy/shop/web", "spec.mode: \"x\" is wrong", web, path);
    assert_string_equal(path, "/apis/events.k8s.io/v1/namespaces/shop/events");
    assert_string_equal(text_at(event, NULL, "note"), "spec.mode: \"x\" is wrong");
    assert_string_equal(text_at(event, NULL, "type"), "Warning");
    assert_string_equal(text_at(event, NULL, "reason"), "Refused");
    assert_string_equal(text_at(event, NULL, "reportingInstance"), "node-a");
    assert_string_equal(text_at(event, NULL, "eventTime"), "2027-01-15T08:00:00.000007Z");
    assert_string_equal(text_at(event, "regarding", "uid"), "u-1");
    assert_string_equal(text_at(event, "regarding", "namespace"), "shop");
    assert_string_equal(text_at(event, "metadata", "namespace"), "shop");
    snprintf(name, sizeof(name), "%s", text_at(event, "metadata", "name"));
    cJSON_Delete(event);
    assert_memory_equal(name, "web.", 4);
    assert_int_equal(strlen(name), 4 + 16);
    /* the same of another writer, another of another text */
    event = format("SegmentPolicy/shop/web", "spec.mode: \"x\" is wrong", web, path);
    assert_string_equal(text_at(event, "metadata", "name"), name);
    cJSON_Delete(event);
    event = format("SegmentPolicy/shop/web", "another", web, path);
    assert_string_not_equal(text_at(event, "metadata", "name"), name);
    cJSON_Delete(event);
    event = format("ClusterSegmentPolicy/all", "x",
                   "{\"metadata\":{\"name\":\"all\",\"uid\":\"u\"}}", path);
    assert_string_equal(path, "/apis/events.k8s.io/v1/namespaces/default/events");
    assert_string_equal(text_at(event, "metadata", "namespace"), "default");
    assert_null(text_at(event, "regarding", "namespace"));
    cJSON_Delete(event);
}

static void long_names_and_no_objects(void **state)
{
    struct fence_event_refusal refusal = {.id = "SegmentPolicy/a/b", .text = "x"};
    struct fence_event_texts texts;
    char object[512], name[254], path[512];
    cJSON *event, *nothing = cJSON_Parse("{}");

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    name[199] = '.';
    name[198] = '-';
    snprintf(object, sizeof(object),
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"a\",\"uid\":\"u\"}}", name);
    event = format("SegmentPolicy/a/b", "x", object, path);
    assert_int_equal(strlen(text_at(event, "metadata", "name")), 198 + 1 + 16);
    cJSON_Delete(event);
    assert_int_equal(fence_event_format(&refusal, nothing, "n", 0, &texts), -EINVAL);
    assert_int_equal(fence_event_format(&refusal, NULL, "n", 0, &texts), -EINVAL);
    cJSON_Delete(nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_once),
        cmocka_unit_test(a_flood_is_slow),
        cmocka_unit_test(paths),
        cmocka_unit_test(an_event),
        cmocka_unit_test(long_names_and_no_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
