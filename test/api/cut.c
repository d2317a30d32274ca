/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/cut.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define END 1800000000 /* 2027-01-15T08:00:00Z */
#define HEAD                                                                                       \
    "{\"apiVersion\":\"podfence.io/v1alpha1\",\"kind\":\"ClusterSegmentPolicy\","                  \
    "\"metadata\":{\"name\":\"cut-x\",\"annotations\":{\"podfence.io/origin\":\"user\"}},"         \
    "\"spec\":{\"mode\":\"Denylist\",\"enforcement\":\"Enforce\","                                 \
    "\"expiresAt\":\"2027-01-15T08:00:00Z\",\"appliesTo\":"
#define SHOP "\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"shop\"}}"
#define ALL  ",\"ingress\":[{}],\"egress\":[{}]}}"

static const struct fence_cut plain = {.origin = "user", .seconds = 60};

/* ---- selectors ------------------------------------------------------------------------------ */

struct good {
    const char *pods;
    const char *namespace_name;
    const char *applies_to;
};

static const struct good good_pods[] = {
    {"app=x", "", "{\"podSelector\":{\"matchLabels\":{\"app\":\"x\"}}}"},
    {" app == x , tier=y", "all",
     "{\"podSelector\":{\"matchLabels\":{\"app\":\"x\",\"tier\":\"y\"}}}"},
    {"app=x", "shop", "{" SHOP ",\"podSelector\":{\"matchLabels\":{\"app\":\"x\"}}}"},
    {"shop/app=x", "", "{" SHOP ",\"podSelector\":{\"matchLabels\":{\"app\":\"x\"}}}"},
    {"shop/app=x", "shop", "{" SHOP ",\"podSelector\":{\"matchLabels\":{\"app\":\"x\"}}}"},
    {"shop/", "", "{" SHOP ",\"podSelector\":{}}"},
    {"", "shop", "{" SHOP ",\"podSelector\":{}}"},
    /* a dot in front of the slash: the key of a label */
    {"app.kubernetes.io/name=x", "",
     "{\"podSelector\":{\"matchLabels\":{\"app.kubernetes.io/name\":\"x\"}}}"},
    {"shop/app.kubernetes.io/name=x", "",
     "{" SHOP ",\"podSelector\":{\"matchLabels\":{\"app.kubernetes.io/name\":\"x\"}}}"},
    {"app!=x", "",
     "{\"podSelector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\","
     "\"values\":[\"x\"]}]}}"},
    {"app in (a, b),tier notin (c)", "",
     "{\"podSelector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\","
     "\"values\":[\"a\",\"b\"]},{\"key\":\"tier\",\"operator\":\"NotIn\",\"values\":[\"c\"]}]}}"},
    /* both hold: nobody is selected, and not the second alone */
    {"app=a,app=b", "",
     "{\"podSelector\":{\"matchLabels\":{\"app\":\"a\"},\"matchExpressions\":[{\"key\":\"app\","
     "\"operator\":\"In\",\"values\":[\"b\"]}]}}"},
    {"inner=x", "", "{\"podSelector\":{\"matchLabels\":{\"inner\":\"x\"}}}"},
    {"app=", "", "{\"podSelector\":{\"matchLabels\":{\"app\":\"\"}}}"},
};

static void expect_policy(const struct fence_cut *cut, const char *wanted)
{
    struct fence_err err = {""};
    cJSON *policy = NULL;
    char *text;

    if (fence_cut_policy(cut, "cut-x", END, &policy, &err) < 0)
        fail_msg("%s", err.text);
    text = cJSON_PrintUnformatted(policy);
    assert_string_equal(text, wanted);
    cJSON_free(text);
    cJSON_Delete(policy);
}

static void test_selectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(good_pods); i++) {
        struct fence_cut cut = plain;
        char wanted[1024];

        cut.pods = good_pods[i].pods;
        cut.namespace_name = good_pods[i].namespace_name;
        snprintf(wanted, sizeof(wanted), "%s%s%s", HEAD, good_pods[i].applies_to, ALL);
        expect_policy(&cut, wanted);
    }
}

/* ---- what is refused ------------------------------------------------------------------------ */

struct bad {
    const char *pods;
    const char *peer;
    const char *port;
    const char *says;
};

static const struct bad bad_cuts[] = {
    {"", "", NULL, "every pod of every namespace"},
    {"api", "", NULL, "\"api\" is no label selector"},
    /* would be a label named web, of which podfence's own names look like */
    {"shop/web", "", NULL, "\"web\" is no label selector"},
    {"app=x,", "", NULL, "is no label selector"},
    {"=x", "", NULL, "is no label selector"},
    {"app in a", "", NULL, "is no label selector"},
    {"app in (a", "", NULL, "is no label selector"},
    {"app~x", "", NULL, "is no label selector"},
    {"app=x y", "", NULL, "a label value consists of"},
    {"app=\xc3\xa4", "", NULL, "a label value consists of"},
    {"-app=x", "", NULL, "\"-app\""},
    {"app=x", "db", NULL, "peer: neither an address nor a block"},
    {"app=x", "10.0.0.0/33", NULL, "peer: neither an address nor a block"},
    {"app=x", "10.0.0", NULL, "peer: neither an address nor a block"},
    {"app=x", "", "0/TCP", "\"0/TCP\" is not a port"},
    {"app=x", "", "65536", "is not a port"},
    {"app=x", "", "90-80/TCP", "is not a port"},
    {"app=x", "", "80-/TCP", "is not a port"},
    {"app=x", "", "80/tcp", "is not a port"},
    {"app=x", "", "80/ICMP", "is not a port"},
    {"app=x", "", "tcp", "is not a port"},
    {"app=x", "", "web", "is not a port"},
    {"app=x", "", "80/", "is not a port"},
    {"app=x", "", "/TCP", "is not a port"},
    {"app=x", "", "Web/TCP", "is not a port"},
    {"app=x", "", "a-name-that-is-too-long/TCP", "is not a port"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(bad_cuts); i++) {
        struct fence_cut cut = plain;
        struct fence_err err = {""};
        cJSON *policy = NULL;

        cut.pods = bad_cuts[i].pods;
        cut.peer = bad_cuts[i].peer;
        cut.ports[0] = bad_cuts[i].port;
        cut.port_count = bad_cuts[i].port != NULL;
        assert_int_equal(fence_cut_policy(&cut, "cut-x", END, &policy, &err), -EINVAL);
        assert_null(policy);
        if (!strstr(err.text, bad_cuts[i].says))
            fail_msg("%zu: \"%s\" does not say \"%s\"", i, err.text, bad_cuts[i].says);
    }
}

static void test_limits(void **state)
{
    static char long_text[FENCE_CUT_TEXT_MAX + 2];
    struct fence_cut cut = plain;
    cJSON *policy = NULL;

    (void)state;
    memset(long_text, 'a', sizeof(long_text) - 1);
    cut.pods = long_text;
    assert_int_equal(fence_cut_policy(&cut, "cut-x", END, &policy, NULL), -EINVAL);
    cut.pods = "app=x";
    cut.reason = long_text;
    assert_int_equal(fence_cut_policy(&cut, "cut-x", END, &policy, NULL), -EINVAL);
    cut.reason = NULL;
    cut.seconds = 0;
    assert_int_equal(fence_cut_policy(&cut, "cut-x", END, &policy, NULL), -EINVAL);
    cut.seconds = FENCE_CUT_SECONDS_MAX + 1;
    assert_int_equal(fence_cut_policy(&cut, "cut-x", END, &policy, NULL), -EINVAL);
}

static void test_everything(void **state)
{
    struct fence_cut cut = plain;

    (void)state;
    cut.everything = true;
    expect_policy(&cut, HEAD "{\"podSelector\":{}}" ALL);
}

/* ---- rules ---------------------------------------------------------------------------------- */

static void test_rules(void **state)
{
    struct fence_cut cut = plain;

    (void)state;
    cut.pods = "app=x";
    cut.peer = "pay/app=z";
    cut.direction = FENCE_CUT_INGRESS;
    cut.ports[cut.port_count++] = "5432";
    cut.ports[cut.port_count++] = "8000-8010/UDP";
    cut.ports[cut.port_count++] = "web/SCTP";
    cut.ports[cut.port_count++] = "TCP";
    cut.ports[cut.port_count++] = "ICMPv6";
    expect_policy(
        &cut,
        HEAD "{\"podSelector\":{\"matchLabels\":{\"app\":\"x\"}}},\"ingress\":[{\"from\":["
             "{\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"pay\"}},"
             "\"podSelector\":{\"matchLabels\":{\"app\":\"z\"}}}],\"ports\":["
             "{\"protocol\":\"TCP\",\"port\":5432},"
             "{\"protocol\":\"UDP\",\"port\":8000,\"endPort\":8010},"
             "{\"protocol\":\"SCTP\",\"port\":\"web\"},{\"protocol\":\"TCP\"},"
             "{\"protocol\":\"ICMPv6\"}]}]}}");
    cut.port_count = 0;
    cut.direction = FENCE_CUT_EGRESS;
    cut.peer = "10.1.2.3/8";
    expect_policy(&cut, HEAD "{\"podSelector\":{\"matchLabels\":{\"app\":\"x\"}}},\"egress\":["
                             "{\"to\":[{\"ipBlock\":{\"cidr\":\"10.0.0.0/8\"}}]}]}}");
    cut.peer = "fd00::1";
    expect_policy(&cut, HEAD "{\"podSelector\":{\"matchLabels\":{\"app\":\"x\"}}},\"egress\":["
                             "{\"to\":[{\"ipBlock\":{\"cidr\":\"fd00::1/128\"}}]}]}}");
}

/* ---- durations, JSON ------------------------------------------------------------------------ */

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint32_t seconds; /* 0 = refused */
    } rows[] = {
        {"1s", 1},        {"90s", 90},
        {"10m", 600},     {"1h30m", 5400},
        {"30d", 2592000}, {"1d2h3m4s", 93784},
        {"", 0},          {"0s", 0},
        {"10", 0},        {"m", 0},
        {"10x", 0},       {"31d", 0},
        {"1m1h", 0},      {"1m1m", 0},
        {"-1m", 0},       {"1.5h", 0},
        {"30d1s", 0},     {" 1m", 0},
        {"1m ", 0},       {"99999999999999999999s", 0},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        uint32_t seconds = 0;
        int r = fence_cut_duration_parse(rows[i].text, &seconds, NULL);

        assert_int_equal(r, rows[i].seconds ? 0 : -EINVAL);
        assert_int_equal(seconds, rows[i].seconds);
    }
}

/* An end of the boot clock stays where it is, whatever the wall clock is set to. */
static void test_expiry(void **state)
{
    static const struct {
        int64_t set; /* the wall clock by so many ms, 10 s before the end */
        int64_t expiry;
    } rows[] = {
        {0, 1000010},       {1, 1000010},       {-1, 1000010},           {999, 1000010},
        {-999, 1000010},    {1000, 1000011},    {-1000, 1000009},        {1700, 1000012},
        {3600000, 1003610}, {-3600000, 996410}, {86400000000, 87400010},
    };
    const uint64_t second = 1000000000, boot = 77 * second;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const uint64_t wall = 1000000 * second + (uint64_t)(rows[i].set * 1000000);

        assert_int_equal(fence_cut_expiry(1000010, boot + 10 * second, wall, boot), rows[i].expiry);
    }
}

static void test_json_and_back(void **state)
{
    const struct fence_cut cut = {
        .pods = "app=x",
        .namespace_name = "shop",
        .peer = "10.0.0.1",
        .ports = {"80/TCP", "ICMP"},
        .port_count = 2,
        .direction = FENCE_CUT_EGRESS,
        .seconds = 90,
        .origin = "alarm",
        .reason = "\x1b[31m \"quoted\"",
    };
    struct fence_cut back;
    cJSON *json = fence_cut_to_json(&cut);

    (void)state;
    assert_int_equal(fence_cut_from_json(json, &back, NULL), 0);
    assert_string_equal(back.pods, cut.pods);
    assert_string_equal(back.namespace_name, cut.namespace_name);
    assert_string_equal(back.peer, cut.peer);
    assert_int_equal(back.port_count, 2);
    assert_string_equal(back.ports[1], "ICMP");
    assert_int_equal(back.direction, FENCE_CUT_EGRESS);
    assert_int_equal(back.seconds, 90);
    assert_false(back.everything);
    assert_string_equal(back.origin, "alarm");
    assert_string_equal(back.reason, cut.reason);
    cJSON_Delete(json);
}

static void test_json_refused(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"{\"selector\":7,\"seconds\":1}", "selector"},
        {"{\"selector\":\"app=x\"}", "seconds"},
        {"{\"selector\":\"app=x\",\"seconds\":0}", "seconds"},
        {"{\"selector\":\"app=x\",\"seconds\":2592001}", "seconds"},
        {"{\"selector\":\"app=x\",\"seconds\":\"1\"}", "seconds"},
        {"{\"selector\":\"app=x\",\"seconds\":1,\"ports\":\"80\"}", "ports"},
        {"{\"selector\":\"app=x\",\"seconds\":1,\"ports\":[80]}", "ports"},
        {"{\"selector\":\"app=x\",\"seconds\":1,\"direction\":\"in\"}", "direction"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_cut cut;
        struct fence_err err = {""};
        cJSON *json = cJSON_Parse(rows[i].text);

        assert_non_null(json);
        assert_int_equal(fence_cut_from_json(json, &cut, &err), -EINVAL);
        assert_non_null(strstr(err.text, rows[i].says));
        cJSON_Delete(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selectors),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_everything),
        cmocka_unit_test(test_rules),        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_expiry),       cmocka_unit_test(test_json_and_back),
        cmocka_unit_test(test_json_refused),
    };

    return cmocka_run_group_tests_name("api.cut", tests, NULL, NULL);
}
