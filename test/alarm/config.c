/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/alarm/lab.h"
#include "test/cmocka.h"

static int parse(const char *text, struct fence_alarm_config *ret_config, struct fence_err *err)
{
    return fence_alarm_config_parse(text, strlen(text), ret_config, err);
}

static void test_values(void **state)
{
    static const char text[] = "learningWindow: 7d\n"
                               "cutFor: 90s\n"
                               "maxCuts: 2\n"
                               "neverCut: [ shop/gateway, 'dns/*' ]\n"
                               "rules:\n"
                               "  port-scan: { ports: 30, within: 5s, respond: cut, quiet: 2m }\n"
                               "  rate: { connections: 7, deviations: 4, exempt: [ '*' ] }\n"
                               "  map-pressure: { percent: 70, critical: 75 }\n"
                               "  new-peer: { enabled: false }\n";
    struct fence_alarm_config config;
    struct fence_err err = {""};
    const struct fence_alarm_rule_config *scan = &config.rules[FENCE_ALARM_PORT_SCAN];

    (void)state;
    assert_int_equal(parse(text, &config, &err), 0);
    assert_int_equal(config.learning_ns, 7 * 86400ull * 1000000000);
    assert_int_equal(config.cut_seconds, 90);
    assert_int_equal(config.max_cuts, 2);
    assert_int_equal(scan->threshold, 30);
    assert_int_equal(scan->within_ms, 5000);
    assert_int_equal(scan->quiet_ms, 120000);
    assert_true(scan->cut && scan->enabled);
    assert_false(config.rules[FENCE_ALARM_NEW_PEER].enabled);
    assert_int_equal(config.rules[FENCE_ALARM_RATE].threshold, 7);
    assert_int_equal(config.rules[FENCE_ALARM_RATE].factor, 4);
    assert_int_equal(config.rules[FENCE_ALARM_MAP_PRESSURE].critical, 75);
    assert_true(fence_alarm_patterns_match(&config.never_cut, "dns/core"));
    assert_true(fence_alarm_patterns_match(&config.never_cut, "shop/gateway"));
    assert_false(fence_alarm_patterns_match(&config.never_cut, "shop/gateway2"));
    assert_false(fence_alarm_patterns_match(&config.never_cut, "dns2/core"));
    assert_false(fence_alarm_patterns_match(&config.never_cut, "kube-system/x"));
    assert_true(fence_alarm_patterns_match(&config.rules[FENCE_ALARM_RATE].exempt, "a/b"));
    fence_alarm_config_done(&config);
}

static void test_defaults(void **state)
{
    static const char *const texts[] = {"", "{}", "# nothing\n", "rules: {}\n", "{\"rules\":{}}"};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        struct fence_alarm_config config;

        assert_int_equal(parse(texts[i], &config, NULL), 0);
        assert_int_equal(config.learning_ns, 86400ull * 1000000000);
        assert_int_equal(config.cut_seconds, 600);
        assert_int_equal(config.max_cuts, 3);
        assert_int_equal(config.rules[FENCE_ALARM_PORT_SCAN].threshold, 20);
        for (unsigned int j = 0; j < FENCE_ALARM_RULES; j++)
            assert_true(config.rules[j].enabled && !config.rules[j].cut);
        assert_true(fence_alarm_patterns_match(&config.never_cut, "kube-system/coredns"));
        fence_alarm_config_done(&config);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"- a", "line 1: must be an object, not a list"},
        {"x: 1", "line 1: x: unknown field"},
        {"rules: { port-scam: {} }", "line 1: rules[\"port-scam\"]: unknown field"},
        {"rules:\n  rate:\n    ports: 3", "line 3: rules.rate.ports: unknown field"},
        {"rules:\n  port-scan:\n    ports: 65", "line 3: rules[\"port-scan\"].ports: "},
        {"rules: { port-scan: { ports: 2 } }", "line 1: rules[\"port-scan\"].ports: "},
        {"rules: { port-scan: { ports: many } }", "line 1: rules[\"port-scan\"].ports: "},
        {"rules: { port-scan: { within: 11m } }", "is no period from 1s to 600s such as"},
        {"rules: { port-scan: { within: 0s } }", "is no period from 1s to 600s such as"},
        {"rules: { port-scan: { within: 5 } }", "line 1: rules[\"port-scan\"].within: "},
        {"rules: { port-scan: { within: 5w } }", "is no period"},
        {"rules: { port-scan: { respond: kill } }", "line 1: rules[\"port-scan\"].respond: "},
        {"rules: { map-pressure: { respond: cut } }", "no workload is to blame for map-pressure"},
        {"rules: { map-pressure: { percent: 96 } }", "critical is 95, less than percent, which is"},
        {"rules: { rate: { exempt: [ web ] } }", "exempt[0]: \"web\" is none of NAMESPACE/APP"},
        {"rules: { rate: { exempt: [ 'a/b*' ] } }", "\"a/b*\" is none of"},
        {"rules: { rate: { exempt: [ '*/b' ] } }", "\"*/b\" is none of"},
        {"rules: { rate: { exempt: a/b } }", "line 1: rules.rate.exempt: "},
        {"maxCuts: 0", "line 1: maxCuts: "},
        {"maxCuts: 33", "line 1: maxCuts: "},
        {"cutFor: 99999999d", "line 1: cutFor: "},
        {"learningWindow: 31d", "line 1: learningWindow: "},
        {"learningWindow: [", "line"},
        {"a: 1\na: 2", "line 2"},
        {"{}\n---\n{}", "line 3: a second document"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_alarm_config config;
        struct fence_err err = {""};

        if (parse(rows[i].text, &config, &err) != -EINVAL || !strstr(err.text, rows[i].error))
            fail_msg("%s: \"%s\"", rows[i].text, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
