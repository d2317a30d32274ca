/* SPDX-License-Identifier: Apache-2.0 */
/* The chain entry: settings, labels and attachments as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "lib/cni/attachments.h"
#include "lib/cni/netconf.h"

#define ENTRY(members)                                                                             \
    "{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"type\":\"podfence\"," members "}"

/* Entries are whole conflist entries; load and settings together. */
static int read_entry(const char *text, struct fence_netconf *conf, struct fence_cni_error *error)
{
    int r = fence_netconf_load(text, strlen(text), conf, error);

    if (r < 0)
        return r;
    r = fence_netconf_settings(conf, error);
    if (r < 0)
        fence_netconf_done(conf);
    return r;
}

static void has_defaults(void **state)
{
    struct fence_cni_error error = {0};
    struct fence_netconf conf;

    (void)state;
    assert_int_equal(read_entry("{\"name\":\"net\"}", &conf, &error), 0);
    assert_null(conf.version);
    assert_string_equal(conf.name, "net");
    assert_int_equal(conf.start_mode, FENCE_START_HOLD);
    assert_int_equal(conf.hold_timeout_ms, 2000);
    assert_int_equal(conf.log_level, FENCE_LOG_INFO);
    assert_false(conf.fail_open);
    assert_null(conf.bpffs);
    assert_null(conf.socket);
    assert_null(conf.prev_result);
    assert_false(fence_netconf_is_exempt(&conf, "shop"));
    fence_netconf_done(&conf);
}

static void takes_every_key(void **state)
{
    struct fence_cni_error error = {0};
    struct fence_netconf conf;

    (void)state;
    assert_int_equal(
        read_entry(ENTRY("\"startMode\":\"open\",\"holdTimeoutMs\":0,\"failurePolicy\":\"open\","
                         "\"startModes\":{\"shop\":\"closed\",\"web\":\"hold\"},"
                         "\"exemptNamespaces\":[\"kube-system\",\"b\"],\"bpffs\":\"/b\","
                         "\"socket\":\"/s/d.sock\",\"logLevel\":\"debug\",\"prevResult\":{}"),
                   &conf, &error),
        0);
    assert_string_equal(conf.version, "1.1.0");
    assert_int_equal(fence_netconf_start_mode(&conf, "other"), FENCE_START_OPEN);
    assert_int_equal(fence_netconf_start_mode(&conf, "shop"), FENCE_START_CLOSED);
    assert_int_equal(fence_netconf_start_mode(&conf, "web"), FENCE_START_HOLD);
    assert_int_equal(fence_netconf_start_mode(&conf, "Shop"), FENCE_START_OPEN);
    assert_true(fence_netconf_is_exempt(&conf, "kube-system"));
    assert_true(fence_netconf_is_exempt(&conf, "b"));
    assert_false(fence_netconf_is_exempt(&conf, "kube"));
    assert_false(fence_netconf_is_exempt(&conf, ""));
    assert_int_equal(conf.hold_timeout_ms, 0);
    assert_true(conf.fail_open);
    assert_string_equal(conf.bpffs, "/b");
    assert_string_equal(conf.socket, "/s/d.sock");
    assert_int_equal(conf.log_level, FENCE_LOG_DEBUG);
    assert_non_null(conf.prev_result);
    fence_netconf_done(&conf);
}

static const struct {
    const char *text;
    enum fence_cni_code code;
    const char *message;
} refused[] = {
    {"", FENCE_CNI_DECODING_FAILURE, "not one valid JSON object"},
    {"[]", FENCE_CNI_DECODING_FAILURE, "not one valid JSON object"},
    {"null", FENCE_CNI_DECODING_FAILURE, "not one valid JSON object"},
    {"{\"name\":\"net\"", FENCE_CNI_DECODING_FAILURE, "not one valid JSON object"},
    {"{\"name\":\"net\"} x", FENCE_CNI_DECODING_FAILURE, "not one valid JSON object"},
    {"{\"name\":\"net\"}{}", FENCE_CNI_DECODING_FAILURE, "not one valid JSON object"},
    {"{}", FENCE_CNI_INVALID_CONFIG, "missing network name"},
    {"{\"name\":\"\"}", FENCE_CNI_INVALID_CONFIG, "missing network name"},
    {"{\"name\":null}", FENCE_CNI_INVALID_CONFIG, "missing network name"},
    {"{\"name\":5}", FENCE_CNI_INVALID_CONFIG, "\"name\": 5"},
    {"{\"name\":\"-a\"}", FENCE_CNI_INVALID_CONFIG, "invalid characters found in network name"},
    {"{\"name\":\"a/b\"}", FENCE_CNI_INVALID_CONFIG, "invalid characters found in network name"},
    {"{\"name\":\"a\\u0000b\"}", FENCE_CNI_INVALID_CONFIG, "\"name\" holds a NUL"},
    {"{\"name\":\"a\",\"name\":\"b\"}", FENCE_CNI_INVALID_CONFIG, "\"name\" is given twice"},
    {"{\"name\":\"a\",\"cniVersion\":1}", FENCE_CNI_INVALID_CONFIG, "\"cniVersion\": 1"},
    {ENTRY("\"startMode\":\"fast\""), FENCE_CNI_INVALID_CONFIG,
     "\"startMode\": \"fast\" is not allowed, use \"hold\", \"closed\" or \"open\""},
    {ENTRY("\"startMode\":null"), FENCE_CNI_INVALID_CONFIG, "\"startMode\": null"},
    {ENTRY("\"startMode\":\"open\",\"startMode\":\"hold\""), FENCE_CNI_INVALID_CONFIG,
     "\"startMode\" is given twice"},
    {ENTRY("\"startMode\":\"open\\u0000\""), FENCE_CNI_INVALID_CONFIG, "\"startMode\" holds a NUL"},
    {ENTRY("\"startModes\":[]"), FENCE_CNI_INVALID_CONFIG, "\"startModes\": []"},
    {ENTRY("\"startModes\":{\"shop\":\"shut\"}"), FENCE_CNI_INVALID_CONFIG,
     "\"startModes\": \"shop\": \"shut\" is not allowed, use \"hold\", \"closed\" or \"open\""},
    {ENTRY("\"holdTimeoutMs\":\"2\""), FENCE_CNI_INVALID_CONFIG, "\"holdTimeoutMs\": \"2\""},
    {ENTRY("\"holdTimeoutMs\":-1"), FENCE_CNI_INVALID_CONFIG, "from 0 to 60000"},
    {ENTRY("\"holdTimeoutMs\":1.5"), FENCE_CNI_INVALID_CONFIG, "\"holdTimeoutMs\": 1.5"},
    {ENTRY("\"holdTimeoutMs\":60001"), FENCE_CNI_INVALID_CONFIG, "\"holdTimeoutMs\": 60001"},
    {ENTRY("\"holdTimeoutMs\":1e300"), FENCE_CNI_INVALID_CONFIG, "\"holdTimeoutMs\""},
    {ENTRY("\"exemptNamespaces\":\"a\""), FENCE_CNI_INVALID_CONFIG, "a list of namespaces"},
    {ENTRY("\"exemptNamespaces\":[1]"), FENCE_CNI_INVALID_CONFIG, "\"exemptNamespaces\": 1"},
    {ENTRY("\"exemptNamespaces\":[\"\"]"), FENCE_CNI_INVALID_CONFIG, "\"exemptNamespaces\": \"\""},
    {ENTRY("\"failurePolicy\":\"maybe\""), FENCE_CNI_INVALID_CONFIG,
     "\"failurePolicy\": \"maybe\" is not allowed, use \"closed\" or \"open\""},
    {ENTRY("\"failurePolicy\":true"), FENCE_CNI_INVALID_CONFIG, "\"failurePolicy\": true"},
    {ENTRY("\"logLevel\":\"loud\""), FENCE_CNI_INVALID_CONFIG, "\"logLevel\": \"loud\""},
    {ENTRY("\"bpffs\":\"relative\""), FENCE_CNI_INVALID_CONFIG, "\"bpffs\": \"relative\""},
    {ENTRY("\"bpffs\":7"), FENCE_CNI_INVALID_CONFIG, "\"bpffs\": 7"},
    {ENTRY("\"socket\":\"\""), FENCE_CNI_INVALID_CONFIG, "\"socket\": \"\""},
    {"{\"name\":\"net\",\"type\":7}", FENCE_CNI_INVALID_CONFIG, "\"type\": 7"},
    {ENTRY("\"args\":[]"), FENCE_CNI_INVALID_CONFIG, "\"args\": a list"},
    {ENTRY("\"capabilities\":1"), FENCE_CNI_INVALID_CONFIG, "\"capabilities\": a number"},
    {ENTRY("\"runtimeConfig\":\"x\""), FENCE_CNI_INVALID_CONFIG,
     "\"runtimeConfig\": a string is not"},
    {ENTRY("\"prevResult\":\"x\""), FENCE_CNI_INVALID_CONFIG, "\"prevResult\": a string"},
    {ENTRY("\"prevResult\":{},\"prevResult\":{}"), FENCE_CNI_INVALID_CONFIG, "given twice"},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refused); i++) {
        struct fence_cni_error error = {0};
        struct fence_netconf conf;

        if (read_entry(refused[i].text, &conf, &error) == 0)
            fail_msg("accepted: %s", refused[i].text);
        if (error.code != refused[i].code || !strstr(error.msg.text, refused[i].message))
            fail_msg("%s: code %u, %s", refused[i].text, error.code, error.msg.text);
    }
}

static void refuses_a_raw_nul(void **state)
{
    static const char text[] = "{\"name\":\"a\0b\"}";
    struct fence_cni_error error = {0};
    struct fence_netconf conf;

    (void)state;
    assert_true(fence_netconf_load(text, sizeof(text) - 1, &conf, &error) < 0);
    assert_int_equal(error.code, FENCE_CNI_DECODING_FAILURE);
}

/* What comes from pods and other plugins is not refused for its content. */
static void bears_foreign_content(void **state)
{
    struct fence_cni_error error = {0};
    struct fence_netconf conf;

    (void)state;
    assert_int_equal(read_entry(ENTRY("\"runtimeConfig\":{\"a\":\"\\u0000\",\"a\":1},"
                                      "\"prevResult\":{\"x\":\"\\u0000\"},\"capabilities\":null"),
                                &conf, &error),
                     0);
    fence_netconf_done(&conf);
}

static void bears_deep_nesting(void **state)
{
    const size_t depth = 200000;
    FENCE_FREE char *text = malloc(depth + 64);
    struct fence_cni_error error = {0};
    struct fence_netconf conf;
    int head;

    (void)state;
    assert_non_null(text);
    head = snprintf(text, 64, "{\"name\":\"net\",\"x\":");
    memset(text + head, '[', depth);
    text[(size_t)head + depth] = '\0';
    assert_true(fence_netconf_load(text, (size_t)head + depth, &conf, &error) < 0);
    assert_int_equal(error.code, FENCE_CNI_DECODING_FAILURE);
}

static void count_key(void *context, const char *key)
{
    (void)key;
    ++*(int *)context;
}

static void reports_unknown_keys(void **state)
{
    struct fence_cni_error error = {0};
    struct fence_netconf conf;
    int unknown = 0;

    (void)state;
    assert_int_equal(read_entry(ENTRY("\"capabilities\":{},\"runtimeConfig\":{},\"args\":{},"
                                      "\"ipam\":{},\"dns\":{},\"disableCheck\":true,"
                                      "\"cni.dev/valid-attachments\":[],\"cni.dev/x\":1"),
                                &conf, &error),
                     0);
    fence_netconf_unknown_keys(conf.json, count_key, &unknown);
    assert_int_equal(unknown, 0);
    fence_netconf_done(&conf);
    assert_int_equal(read_entry(ENTRY("\"startmode\":1,\"x\":2"), &conf, &error), 0);
    fence_netconf_unknown_keys(conf.json, count_key, &unknown);
    assert_int_equal(unknown, 2);
    fence_netconf_done(&conf);
}

#define ARGS(labels) ENTRY("\"args\":{\"cni\":{\"labels\":" labels "}}")
#define ANNOTATED(labels)                                                                          \
    ENTRY("\"runtimeConfig\":{\"io.kubernetes.cri.pod-annotations\":{\"podfence.io/labels\":"      \
          "" labels "}}")
#define LONG_VALUE "a123456789b123456789c123456789d123456789e123456789f123456789g123"

static const struct {
    const char *text;
    const char *labels; /* NULL: refused */
    const char *message;
    enum fence_label_source source;
} labelled[] = {
    {ENTRY("\"x\":1"), "", NULL, FENCE_LABELS_NONE},
    {ENTRY("\"args\":{\"cni\":{}}"), "", NULL, FENCE_LABELS_NONE},
    {ENTRY("\"args\":{\"cni\":[\"labels\"]}"), "", NULL, FENCE_LABELS_NONE},
    {ARGS("[]"), "", NULL, FENCE_LABELS_ARGS},
    {ARGS("[{\"key\":\"tier\",\"value\":\"db\"},{\"key\":\"app\",\"value\":\"x\"}]"),
     "app=x,tier=db", NULL, FENCE_LABELS_ARGS},
    {ARGS("{\"example.org/app\":\"x\",\"empty\":\"\"}"), "empty=,example.org/app=x", NULL,
     FENCE_LABELS_ARGS},
    {ANNOTATED("\"app=web,tier=front\""), "app=web,tier=front", NULL, FENCE_LABELS_ANNOTATION},
    {ANNOTATED("\"\""), "", NULL, FENCE_LABELS_ANNOTATION},
    {ENTRY("\"args\":{\"cni\":{\"labels\":{\"app\":\"a\"}}},\"runtimeConfig\":{\"io.kubernetes.cri."
           "pod-annotations\":{\"podfence.io/labels\":\"app=b\"}}"),
     "app=a", NULL, FENCE_LABELS_ARGS},
    {ARGS("\"app=x\""), NULL, "args.cni.labels: args.cni.labels is a list", 0},
    {ARGS("[{\"key\":\"app\"}]"), NULL, "args.cni.labels is a list", 0},
    {ARGS("[\"app\"]"), NULL, "args.cni.labels is a list", 0},
    {ARGS("{\"app\":1}"), NULL, "args.cni.labels is a list", 0},
    {ARGS("{\"app\":\"" LONG_VALUE "\"}"), NULL,
     "args.cni.labels: label app: a label value has at most 63 characters, this has 64", 0},
    {ARGS("{\"-app\":\"a\"}"), NULL, "args.cni.labels: label -app: ", 0},
    {ARGS("{\"a=b\":\"a\"}"), NULL, "args.cni.labels: label a=b: ", 0},
    {ARGS("{\"app\":\"a,role=admin\"}"), NULL, "args.cni.labels: label app: ", 0},
    {ARGS("[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"a\",\"value\":\"2\"}]"), NULL,
     "label a is given twice", 0},
    {ANNOTATED("1"), NULL, "annotation podfence.io/labels: is not a string", 0},
    {ANNOTATED("\"app\""), NULL, "annotation podfence.io/labels: 'app' is not of the form", 0},
    {ANNOTATED("\"app=" LONG_VALUE "\""), NULL, "annotation podfence.io/labels: label app: ", 0},
};

static void reads_labels(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(labelled); i++) {
        enum fence_label_source source = FENCE_LABELS_NONE;
        struct fence_cni_error error = {0};
        char text[FENCE_LABELS_MAX] = "untouched";
        struct fence_netconf conf;
        int r;

        assert_int_equal(read_entry(labelled[i].text, &conf, &error), 0);
        r = fence_netconf_labels(&conf, text, &source, &error);
        fence_netconf_done(&conf);
        if (labelled[i].labels && (r < 0 || strcmp(text, labelled[i].labels) != 0))
            fail_msg("%s: '%s' %s", labelled[i].text, text, error.msg.text);
        if (!labelled[i].labels && (r == 0 || error.code != FENCE_CNI_INVALID_CONFIG ||
                                    !strstr(error.msg.text, labelled[i].message)))
            fail_msg("%s: %d %s", labelled[i].text, r, error.msg.text);
        assert_int_equal(source, labelled[i].source);
    }
}

/* 60 labels of 70 characters do not fit into the map's 4095. */
static void limits_all_labels_together(void **state)
{
    enum fence_label_source source = FENCE_LABELS_NONE;
    struct fence_cni_error error = {0};
    char labels[FENCE_LABELS_MAX];
    FENCE_FREE char *text = NULL;
    struct fence_netconf conf;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    fprintf(out, "{\"name\":\"net\",\"args\":{\"cni\":{\"labels\":{");
    for (int i = 0; i < 60; i++)
        fprintf(out, "%s\"k%06d\":\"%.62s\"", i ? "," : "", i, LONG_VALUE);
    fprintf(out, "}}}}");
    fclose(out);
    assert_int_equal(read_entry(text, &conf, &error), 0);
    assert_true(fence_netconf_labels(&conf, labels, &source, &error) < 0);
    assert_int_equal(error.code, FENCE_CNI_INVALID_CONFIG);
    assert_string_equal(error.msg.text,
                        "args.cni.labels: the labels have 4259 characters together, "
                        "at most 4095 are allowed");
    fence_netconf_done(&conf);
}

#define VALID "\"cni.dev/valid-attachments\":"
#define TAG   "\"cni.dev/attachments\":"

static const struct {
    const char *text;
    bool refused;
    bool listed; /* whether there is a list */
    bool held;   /* whether it holds (c1, eth0) */
} attachments[] = {
    {ENTRY("\"x\":1"), false, false, false},
    {ENTRY(VALID "null"), false, true, false},
    {ENTRY(TAG "null"), false, true, false},
    {ENTRY(VALID "null," TAG "[{\"containerID\":\"c1\",\"ifname\":\"eth0\"}]"), false, true, true},
    {ENTRY(VALID "[]"), false, true, false},
    {ENTRY(TAG "[]"), false, true, false},
    {ENTRY(VALID "[{\"containerID\":\"c1\",\"ifname\":\"eth0\"}]"), false, true, true},
    {ENTRY(TAG "[{\"containerID\":\"c1\",\"ifname\":\"eth0\"}]"), false, true, true},
    {ENTRY(VALID "[{\"containerID\":\"c1\",\"ifname\":\"eth1\"}]"), false, true, false},
    {ENTRY(VALID "[{\"containerID\":\"c11\",\"ifname\":\"eth0\"}]"), false, true, false},
    {ENTRY(VALID "{}"), true, false, false},
    {ENTRY(VALID "[{\"containerID\":\"c1\"}]"), true, false, false},
    {ENTRY(VALID "[{\"containerID\":1,\"ifname\":\"eth0\"}]"), true, false, false},
    {ENTRY(VALID "[\"c1\"]"), true, false, false},
    {ENTRY(VALID "[]," VALID "[]"), true, false, false},
};

static void reads_attachments(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(attachments); i++) {
        struct fence_cni_error error = {0};
        struct fence_netconf conf;
        const cJSON *list = NULL;
        int r;

        assert_int_equal(read_entry(attachments[i].text, &conf, &error), 0);
        r = fence_attachments_read(&conf, &list, &error);
        if ((r < 0) != attachments[i].refused || (list != NULL) != attachments[i].listed ||
            fence_attachments_hold(list, "c1", "eth0") != attachments[i].held)
            fail_msg("%s: %d", attachments[i].text, r);
        fence_netconf_done(&conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_defaults),
        cmocka_unit_test(takes_every_key),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_a_raw_nul),
        cmocka_unit_test(bears_foreign_content),
        cmocka_unit_test(bears_deep_nesting),
        cmocka_unit_test(reports_unknown_keys),
        cmocka_unit_test(reads_labels),
        cmocka_unit_test(reads_attachments),
        cmocka_unit_test(limits_all_labels_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
