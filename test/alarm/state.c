/* SPDX-License-Identifier: Apache-2.0 */
/* What was learned outlives the daemon. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/alarm/lab.h"
#include "test/cmocka.h"

static struct lab lab;

static const struct lab_packet usual = {.from = "shop/web", .to = "shop/db", .port = 5432};

/* Another engine goes on with what the first has learned. */
static void restart(void)
{
    FENCE_FREE char *text = fence_alarm_save(lab.engine);
    struct fence_err err = {""};
    uint64_t now_ms = lab.now_ms;

    assert_non_null(text);
    lab_done(&lab);
    lab_init(&lab, "learningWindow: 1h");
    lab.now_ms = now_ms;
    if (fence_alarm_restore(lab.engine, text, strlen(text), &err) < 0)
        fail_msg("%s", err.text);
}

static void test_learning_survives(void **state)
{
    struct lab_packet other = usual;

    (void)state;
    other.port = 5433;
    lab_init(&lab, "learningWindow: 1h");
    lab_packet(&lab, &usual);
    lab_pass(&lab, 1800);
    restart();
    lab_packet(&lab, &other); /* half an hour: still learning */
    assert_int_equal(lab.count, 0);
    lab_pass(&lab, 1802);
    restart();
    lab_packet(&lab, &usual);
    lab_packet(&lab, &other);
    assert_int_equal(lab.count, 0);
    other.port = 5434;
    lab_packet(&lab, &other);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_NEW_PEER, FENCE_ALARM_RAISED), 1);
    assert_int_equal(lab_alarm(&lab, FENCE_ALARM_NEW_PEER, "shop/web")->id, 1);
    restart();
    other.port = 5435;
    lab_packet(&lab, &other);
    assert_int_equal(lab_alarm(&lab, FENCE_ALARM_NEW_PEER, "shop/web")->id, 2);
    lab_done(&lab);
}

static void test_rates_survive(void **state)
{
    (void)state;
    lab_init(&lab, "learningWindow: 1h");
    for (unsigned int i = 0; i < 70; i++) {
        for (unsigned int j = 0; j < 40; j++)
            lab_packet(&lab, &usual);
        lab_pass(&lab, 10);
    }
    restart();
    for (unsigned int j = 0; j < 150; j++)
        lab_packet(&lab, &usual);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_RATE, FENCE_ALARM_RAISED), 1);
    lab_done(&lab);
}

/* Who was seen last is kept longest, after a restart too. */
static void test_order_survives(void **state)
{
    (void)state;
    lab_init(&lab, "learningWindow: 1h");
    for (unsigned int i = 0; i < FENCE_ALARM_WORKLOADS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "shop/w%u", i);
        lab_packet(&lab, &(struct lab_packet){.from = name, .to = "shop/db", .port = 80});
        lab.now_ms++;
    }
    lab_packet(&lab, &(struct lab_packet){.from = "shop/w0", .to = "shop/db", .port = 80});
    restart();
    lab_packet(&lab, &(struct lab_packet){.from = "shop/new", .to = "shop/db", .port = 80});
    lab_packet(&lab, &(struct lab_packet){.from = "shop/w0", .to = "shop/db", .port = 80});
    assert_int_equal(fence_alarm_counts(lab.engine)->forgotten, 1);
    lab_done(&lab);
}

/* The text of a small engine with one place changed. */
static void test_refused(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "it is no JSON object"},
        {"[]", "it is no JSON object"},
        {"{\"version\":1", "it is no JSON object"},
        {"{\"version\":2}", "it is of another version"},
        {"{\"version\":1,\"key\":\"00\",\"nextId\":1}", "key or nextId"},
        {"{\"version\":1,\"key\":\"00000000000000010000000000000002\",\"nextId\":0}", "key or"},
        {"{\"version\":1,\"key\":\"00000000000000010000000000000002\",\"nextId\":1}",
         "workloads is no list"},
        {"{\"version\":1,\"key\":\"00000000000000010000000000000002\",\"nextId\":1,\"workloads\":["
         "{}]}",
         "a workload has no name"},
        {"{\"version\":1,\"key\":\"00000000000000010000000000000002\",\"nextId\":1,\"workloads\":["
         "{\"name\":\"a/b\",\"learnedSeconds\":-1}]}",
         "workload a/b is not as"},
        {"{\"version\":1,\"key\":\"00000000000000010000000000000002\",\"nextId\":1,\"workloads\":["
         "{\"name\":\"a/b\",\"learnedSeconds\":1,\"usualPeers\":1,\"overflowed\":false,"
         "\"peers\":\"0\",\"rates\":[[0,0,0],[0,0,0]]}]}",
         "workload a/b is not as"},
        {"{\"version\":1,\"key\":\"00000000000000010000000000000002\",\"nextId\":1,\"workloads\":["
         "{\"name\":\"a/b\",\"learnedSeconds\":1,\"usualPeers\":1,\"overflowed\":false,"
         "\"peers\":\"\",\"rates\":[[0,0,0],[0,1e99,0]]}]}",
         "workload a/b is not as"},
    };

    (void)state;
    lab_init(&lab, NULL);
    lab_packet(&lab, &usual);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        FENCE_FREE char *before = fence_alarm_save(lab.engine), *after = NULL;
        struct fence_err err = {""};

        if (fence_alarm_restore(lab.engine, rows[i].text, strlen(rows[i].text), &err) != -EINVAL ||
            !strstr(err.text, rows[i].error))
            fail_msg("%s: \"%s\"", rows[i].text, err.text);
        after = fence_alarm_save(lab.engine);
        assert_string_equal(before, after);
    }
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learning_survives),
        cmocka_unit_test(test_rates_survive),
        cmocka_unit_test(test_order_survives),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
