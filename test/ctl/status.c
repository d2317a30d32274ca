/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/status.h"

#include <stdlib.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define WATCHED(kind, heard)                                                                       \
    "{\"kind\":\"" kind "\",\"up\":true,\"phase\":\"watching\",\"listed\":true,\"without\":false," \
    "\"problem\":\"\",\"lastHeardSeconds\":" heard ",\"retryInSeconds\":null}"
#define KUBERNETES(connections, kinds) "{\"connections\":" connections ",\"kinds\":[" kinds "]}"
#define INDENT                         "             "

static const struct {
    const char *json, *text;
} cases[] = {
    {"null", ""},
    {KUBERNETES("1", WATCHED("Pod", "41.2") "," WATCHED("Node", "3.2")),
     "kubernetes:  watching 2 kinds over 1 connection, last heard 3 s ago\n"},
    {KUBERNETES("2", WATCHED("Pod", "0.1") ",{\"kind\":\"SegmentPolicy\",\"up\":true,"
                                           "\"phase\":\"absent\",\"listed\":true,"
                                           "\"problem\":\"HTTP 404\",\"lastHeardSeconds\":0.01,"
                                           "\"retryInSeconds\":7}"),
     "kubernetes:  watching 1 kind over 2 connections, last heard 0 s ago; not installed: "
     "SegmentPolicy\n"},
    {KUBERNETES("1", WATCHED("Pod", "2") ",{\"kind\":\"Node\",\"up\":false,\"phase\":"
                                         "\"refused\",\"listed\":true,\"problem\":\"HTTP 403: a"
                                         "\\u001b[2J\",\"lastHeardSeconds\":1,"
                                         "\"retryInSeconds\":11.6}"),
     "kubernetes:  watching 1 of 2 kinds over 1 connection, last heard 2 s ago\n" INDENT
     "Node: HTTP 403: a\\x1b[2J; what is known stays in force; tried again in 12 s\n"},
    {KUBERNETES("0", "{\"kind\":\"Pod\",\"up\":false,\"phase\":\"listing\",\"listed\":false,"
                     "\"problem\":\"\",\"lastHeardSeconds\":null,\"retryInSeconds\":null}"),
     "kubernetes:  watching 0 of 1 kind over 0 connections\n" INDENT
     "Pod: its first list has not come yet\n"},
    {KUBERNETES("1", "{\"kind\":\"ConfigMap\",\"up\":true,\"phase\":\"refused\",\"listed\":false,"
                     "\"without\":true,\"problem\":\"HTTP 403\",\"retryInSeconds\":30}"),
     "kubernetes:  watching 0 of 1 kind over 1 connection\n" INDENT
     "ConfigMap: HTTP 403; done without; tried again in 30 s\n"},
    {"{\"kinds\":3}", "kubernetes:  watching 0 kinds over 0 connections\n"},
};

static void kubernetes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        cJSON *json = cJSON_Parse(cases[i].json);

        assert_non_null(out);
        assert_non_null(json);
        ctl_status_print_kubernetes(out, json);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, cases[i].text);
        cJSON_Delete(json);
    }
}

static const struct {
    const char *report, *slices, *text;
} writers[] = {
    {"null", "null", ""},
    {"{\"problem\":\"\",\"leads\":true,\"leader\":\"a\",\"nodes\":12,\"current\":11}", "null",
     "reports:     this node writes for the cluster: 11 of 12 nodes have all policies\n"},
    {"{\"problem\":\"HTTP 403: \\u001b[2J\",\"leads\":false,\"leader\":\"b\\u0007\"}",
     "{\"publishes\":false}",
     "reports:     node b\\x07 writes for the cluster; HTTP 403: \\x1b[2J\n"},
    {"{\"leads\":false,\"leader\":\"\"}",
     "{\"publishes\":true,\"slices\":4,\"pods\":30,\"nodes\":2,\"pending\":1,\"problem\":\"Pod: "
     "away\"}",
     "reports:     no node writes for the cluster yet\n"
     "addresses:   4 slices with 30 pods and 2 nodes are published, 1 are to be written; Pod: "
     "away\n"},
};

static void reports(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(writers); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        cJSON *report = cJSON_Parse(writers[i].report), *slices = cJSON_Parse(writers[i].slices);

        assert_true(out && report && slices);
        ctl_status_print_report(out, report, slices);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, writers[i].text);
        cJSON_Delete(report);
        cJSON_Delete(slices);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kubernetes),
        cmocka_unit_test(reports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
