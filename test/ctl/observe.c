/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/observe.h"

#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"

#define DROP                                                                                       \
    "{\"time\":\"2026-01-02T03:04:05.000000006Z\",\"verdict\":\"DROPPED\",\"reason\":\"no-rule\"," \
    "\"IP\":{\"source\":\"10.0.0.1\",\"destination\":\"10.0.0.2\",\"ipVersion\":\"IPv4\"},"        \
    "\"l4\":{\"TCP\":{\"source_port\":4000,\"destination_port\":5432}},"                           \
    "\"source\":{\"identity\":300,\"namespace\":\"shop\",\"app\":\"web\",\"pod_name\":\"web-1\"}," \
    "\"destination\":{\"identity\":301,\"namespace\":\"shop\",\"app\":\"db\"},"                    \
    "\"traffic_direction\":\"EGRESS\",\"policy\":\"NetworkPolicy/shop/web-out\","                  \
    "\"Summary\":\"TCP Flags: SYN\",\"suppressed\":4}"
#define PASS                                                                                       \
    "{\"time\":\"t\",\"verdict\":\"FORWARDED\",\"reason\":\"rule\",\"IP\":{\"source\":\"fd00::"    \
    "1\","                                                                                         \
    "\"destination\":\"fd00::2\"},\"l4\":{\"ICMPv6\":{\"type\":128,\"code\":0}},\"source\":{"      \
    "\"identity\":2,\"labels\":[\"reserved:world\"]},\"destination\":{\"identity\":301,"           \
    "\"namespace\":\"shop\",\"pod_name\":\"db-0\\u001b[2J\"},\"traffic_direction\":\"INGRESS\","   \
    "\"Summary\":\"ICMPv6 type 128 code 0\"}"

static const struct {
    const char *event;
    struct ctl_observe_filter filter;
    bool expect;
} fits[] = {
    {DROP, {0}, true},
    {DROP, {.verdict = "DROPPED"}, true},
    {DROP, {.verdict = "FORWARDED"}, false},
    {DROP, {.from = "shop/web-1"}, true},
    {DROP, {.from = "shop/web"}, true}, /* the identity */
    {DROP, {.from = "shop/"}, true},
    {DROP, {.from = "sho/"}, false},
    {DROP, {.from = "shop/web-"}, false},
    {DROP, {.from = "10.0.0.1"}, true},
    {DROP, {.from = "::ffff:10.0.0.1"}, true},
    {DROP, {.from = "10.0.0.2"}, false},
    {DROP, {.to = "10.0.0.2"}, true},
    {DROP, {.to = "shop/db"}, true},
    {DROP, {.to = "shop/web-1"}, false},
    {DROP, {.port = "5432"}, true},
    {DROP, {.port = "4000"}, false},
    {DROP, {.verdict = "DROPPED", .from = "shop/", .to = "shop/db", .port = "5432"}, true},
    {DROP, {.verdict = "DROPPED", .from = "other/", .to = "shop/db"}, false},
    {PASS, {.from = "world"}, true},
    {PASS, {.from = "fd00:0::1"}, true},
    {PASS, {.from = "shop/"}, false},
    {PASS, {.port = "128"}, false},
    {"{}", {0}, true},
    {"{}", {.from = "shop/"}, false},
    {"{}", {.to = "/"}, false},
};

static void filters(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(fits); i++) {
        cJSON *event = cJSON_Parse(fits[i].event);

        print_message("%zu\n", i);
        assert_non_null(event);
        assert_int_equal(ctl_observe_fits(&fits[i].filter, event), fits[i].expect);
        cJSON_Delete(event);
    }
}

static const struct {
    const char *text, *verdict;
} verdicts[] = {
    {"FORWARDED", "FORWARDED"},
    {"forwarded", "FORWARDED"},
    {"allow", "FORWARDED"},
    {"Allow", "FORWARDED"},
    {"DROPPED", "DROPPED"},
    {"deny", "DROPPED"},
    {"DENY", "DROPPED"},
    {"AUDIT", "AUDIT"},
    {"audit", "AUDIT"},
    {"", NULL},
    {"den", NULL},
    {"denyy", NULL},
};

static void verdict_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(verdicts); i++) {
        const char *verdict = ctl_observe_verdict(verdicts[i].text);

        print_message("%s\n", verdicts[i].text);
        if (verdicts[i].verdict)
            assert_string_equal(verdict, verdicts[i].verdict);
        else
            assert_null(verdict);
    }
}

static const struct {
    const char *event;
    bool color;
    const char *expect;
} lines[] = {
    {DROP, false,
     "2026-01-02T03:04:05.000000006Z  shop/web-1 (10.0.0.1:4000) -> shop/db (10.0.0.2:5432)  "
     "TCP Flags: SYN  DROPPED  EGRESS  no-rule  NetworkPolicy/shop/web-out  (and 4 more like it "
     "before)\n"},
    {PASS, true,
     "t  world (fd00::1) -> shop/db-0\\x1b[2J (fd00::2)  ICMPv6 type 128 code 0  "
     "\033[32mFORWARDED\033[0m  INGRESS  rule\n"},
    {"{}", false, "  ? -> ?        \n"},
};

static void lines_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(lines); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        cJSON *event = cJSON_Parse(lines[i].event);

        ctl_observe_print(out, lines[i].color, event);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, lines[i].expect);
        cJSON_Delete(event);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters),
        cmocka_unit_test(verdict_names),
        cmocka_unit_test(lines_golden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
