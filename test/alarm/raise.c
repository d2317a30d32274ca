/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to an alarm, and alarms about the node. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/alarm/lab.h"
#include "test/cmocka.h"

static struct lab lab;

static const struct lab_packet denied = {.from = "shop/web", .to = "shop/db", .deny = true};
static const struct lab_packet allowed = {.from = "shop/web", .to = "shop/db"};

static void test_map_pressure(void **state)
{
    static const struct {
        unsigned int percent;
        enum fence_alarm_change change; /* CHANGES: nothing happens */
    } rows[] = {
        {79, FENCE_ALARM_CHANGES}, {80, FENCE_ALARM_RAISED},  {94, FENCE_ALARM_CHANGES},
        {95, FENCE_ALARM_WORSE},   {90, FENCE_ALARM_CHANGES}, {95, FENCE_ALARM_WORSE},
        {75, FENCE_ALARM_CHANGES}, {74, FENCE_ALARM_CLEARED}, {79, FENCE_ALARM_CHANGES},
        {99, FENCE_ALARM_RAISED},
    };

    (void)state;
    lab_init(&lab, NULL);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_alarm_time now = lab_now(&lab);
        size_t before = lab.count;

        fence_alarm_map(lab.engine, "connections", rows[i].percent, &now);
        assert_int_equal(lab.count - before, rows[i].change != FENCE_ALARM_CHANGES);
        if (lab.count > before)
            assert_int_equal(lab.changes[before].change, rows[i].change);
        lab_pass(&lab, 700);
    }
    lab_done(&lab);
}

static void test_of_the_node(void **state)
{
    struct fence_alarm_time now;

    (void)state;
    lab_init(&lab, NULL);
    now = lab_now(&lab);
    fence_alarm_lost(lab.engine, 0, &now);
    assert_int_equal(lab.count, 0);
    fence_alarm_lost(lab.engine, 7, &now);
    fence_alarm_lost(lab.engine, 5, &now);
    fence_alarm_filter(lab.engine, "shop/web-0", "the filter is missing", &now);
    assert_int_equal(lab.count, 2);
    assert_int_equal(lab_alarm(&lab, FENCE_ALARM_EVENTS_LOST, "this node")->count, 12);
    assert_string_equal(lab_alarm(&lab, FENCE_ALARM_FILTER_REMOVED, "this node")->peer,
                        "shop/web-0");
    lab_pass(&lab, 62);
    assert_null(lab_alarm(&lab, FENCE_ALARM_EVENTS_LOST, "this node"));
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_FILTER_REMOVED, "this node"));
    lab_pass(&lab, 600);
    assert_int_equal(fence_alarm_raised(lab.engine), 0);
    lab_done(&lab);
}

static void test_exempt_and_disabled(void **state)
{
    (void)state;
    lab_init(&lab, "rules: { port-scan: { exempt: [ shop/web ] }, fan-out: { enabled: false },\n"
                   "         refused-burst: { exempt: [ shop/* ] } }");
    lab_scan(&lab, &denied, 64, 1);
    lab_fan(&lab, "shop/api", 64, 1);
    assert_int_equal(lab.count, 0);
    lab_scan(&lab, &(struct lab_packet){.from = "shop/web2", .to = "shop/db", .deny = true}, 64, 1);
    assert_int_equal(lab.count, 1);
    lab_done(&lab);
}

static void test_clear_by_hand(void **state)
{
    struct fence_alarm_time now;
    uint64_t id;

    (void)state;
    lab_init(&lab, NULL);
    lab_scan(&lab, &allowed, 20, 1);
    now = lab_now(&lab);
    id = lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/web")->id;
    assert_int_equal(fence_alarm_clear(lab.engine, id + 1, &now), -ENOENT);
    assert_int_equal(fence_alarm_clear(lab.engine, id, &now), 0);
    assert_int_equal(fence_alarm_clear(lab.engine, id, &now), -ENOENT);
    assert_int_equal(fence_alarm_raised(lab.engine), 0);
    lab_scan(&lab, &allowed, 20, 1);
    assert_true(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/web")->id > id);
    lab_done(&lab);
}

static void answer_later(void *context, struct fence_alarm *alarm, enum fence_alarm_change change)
{
    struct lab *kept = context;

    kept->count++;
    kept->changes[kept->count].change = change;
    alarm->answer_boot_ns = alarm->last_boot_ns + 10000000000ull;
}

/* A raised alarm whose answer has ended asks for it again, while it goes on and only then. */
static void test_goes_on(void **state)
{
    struct fence_alarm_engine *usual;

    (void)state;
    lab_init(&lab, "rules: { port-scan: { respond: cut } }");
    usual = lab.engine;
    assert_int_equal(fence_alarm_new(&lab.config, answer_later, &lab, &lab.engine), 0);
    fence_alarm_free(&usual);
    lab_scan(&lab, &allowed, 60, 100);
    assert_int_equal(lab.count, 1);
    lab_scan(&lab, &allowed, 64, 100);
    assert_int_equal(lab.count, 2);
    assert_int_equal(lab.changes[2].change, FENCE_ALARM_GOES_ON);
    lab_pass(&lab, 30);
    assert_int_equal(lab.count, 2);
    lab_done(&lab);
}

static void test_json(void **state)
{
    cJSON *json;
    char *text;

    (void)state;
    lab_init(&lab, NULL);
    lab_scan(&lab, &denied, 20, 1);
    json = fence_alarm_json(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/web"));
    text = cJSON_PrintUnformatted(json);
    assert_string_equal(
        text, "{\"id\":1,\"rule\":\"port-scan\",\"severity\":\"critical\",\"state\":\"raised\","
              "\"subject\":{\"kind\":\"workload\",\"name\":\"shop/web\",\"namespace\":\"shop\","
              "\"app\":\"web\",\"pod\":\"web-0\"},\"peer\":\"shop/db\",\"count\":20,\"others\":0,"
              "\"evidence\":\"20 ports of shop/db tried within 10 s, the last one 1019/TCP, "
              "refused\",\"response\":null,\"firstSeen\":\"1970-01-01T00:16:40.019Z\","
              "\"lastSeen\":\"1970-01-01T00:16:40.019Z\",\"clearedAt\":null}");
    free(text);
    cJSON_Delete(json);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_pressure),
        cmocka_unit_test(test_of_the_node),
        cmocka_unit_test(test_exempt_and_disabled),
        cmocka_unit_test(test_clear_by_hand),
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
