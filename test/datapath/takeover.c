/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon that starts after the policies changed: the kernel is asked after every single write.
 * What is right before and afterwards is right all the time, but for what apply_takeover.c names.
 */
#include <netinet/in.h>
#include <stdio.h>

#include "test/datapath/reconciler.h"
#include "test/datapath/writes.h"
#include "test/policy/worlds.h"

#define DB    1
#define CACHE 2

#define WEB_POD POD("shop", "a-web", "app: web, tier: x", "10.0.0.1")
#define BAD_POD POD("shop", "b-bad", "app: bad, tier: x", "10.0.0.2")
#define OUR_PODS                                                                                   \
    POD("shop", "db", "app: db", "10.0.0.4") POD("shop", "cache", "app: cache", "10.0.0.5")

#define WITH(label) "{ podSelector: { matchLabels: { " label " } } }"
#define TO(app, name, ingress)                                                                     \
    SEGMENT("shop", name,                                                                          \
            "{ mode: Allowlist, appliesTo: { podSelector: { matchLabels: { app: " app " } } }, "   \
            "ingress: [ " ingress " ] }")
#define FROM(peers) "{ from: [ " peers " ] }"

struct row {
    unsigned int ifindex;
    const char *from;
    bool allowed; /* all the time */
};

struct takeover {
    const char *what;
    const char *before;
    const char *after;
    struct row rows[4];
};

static const struct takeover takeovers[] = {
    {"a new class of those who had one table",
     WEB_POD BAD_POD OUR_PODS TO("db", "db", FROM(WITH("app: web"))),
     WEB_POD BAD_POD OUR_PODS TO("db", "db", FROM(WITH("app: web") ", " WITH("app: other")))
         TO("cache", "cache", FROM(WITH("tier: x"))),
     {{DB, "10.0.0.1", true}, {DB, "10.0.0.2", false}, {DB, "192.0.2.1", false}}},
    {"a block comes, and with it a class of addresses outside",
     OUR_PODS TO("db", "db", FROM("{ ipBlock: { cidr: 192.0.2.0/24 } }")),
     OUR_PODS TO("db", "db", FROM("{ ipBlock: { cidr: 192.0.0.0/16 } }"))
         TO("cache", "cache", FROM("{ ipBlock: { cidr: 192.0.2.0/25 } }")),
     {{DB, "192.0.2.1", true}, {DB, "198.51.100.1", false}}},
    {"those who had different tables are told apart no more",
     WEB_POD BAD_POD OUR_PODS TO("db", "db", FROM(WITH("app: web")))
         TO("cache", "cache", FROM(WITH("app: bad"))),
     WEB_POD BAD_POD OUR_PODS TO("db", "db", "") TO("cache", "cache", FROM(WITH("tier: x"))),
     {{DB, "10.0.0.2", false}, {DB, "192.0.2.1", false}}},
    {"somebody new joins those who were there",
     WEB_POD OUR_PODS TO("db", "db", FROM(WITH("app: web"))),
     WEB_POD BAD_POD OUR_PODS TO("db", "db", "") TO("cache", "cache", FROM(WITH("tier: x"))),
     {{DB, "10.0.0.2", false}}},
};

struct watched {
    struct reconciler *reconciler;
    const struct takeover *takeover;
    unsigned int writes;
    char wrong[200];
};

static bool allows(struct reconciler *reconciler, const struct row *row)
{
    const struct reconciler_query query = {
        .ifindex = row->ifindex,
        .direction = FENCE_INGRESS,
        .origin = FENCE_ORIGIN_FORWARDED,
        .local = addr_of(row->ifindex == DB ? "10.0.0.4" : "10.0.0.5"),
        .remote = addr_of(row->from),
        .protocol = IPPROTO_TCP,
        .port = 80,
    };
    struct reconciler_answer answer;
    struct fence_err err = {0};

    if (reconciler_ask(reconciler, &query, &answer, &err) < 0)
        fail_msg("%s", err.text);
    return answer.result.verdict == FENCE_ALLOW;
}

static void check(void *context, int fd)
{
    struct watched *watched = context;

    (void)fd;
    watched->writes++;
    for (const struct row *row = watched->takeover->rows; row->ifindex; row++)
        if (!*watched->wrong && allows(watched->reconciler, row) != row->allowed)
            snprintf(watched->wrong, sizeof(watched->wrong), "%s to %u is not %s after write %u",
                     row->from, row->ifindex, row->allowed ? "allowed" : "denied", watched->writes);
}

static void follow(struct reconciler *reconciler, struct lab *lab, const char *text)
{
    struct fence_err err = {0};

    load(lab, text);
    assert_int_equal(lab_add_local(lab, DB, "shop", "db"), 0);
    assert_int_equal(lab_add_local(lab, CACHE, "shop", "cache"), 0);
    lab->world.node_name = "n1";
    if (reconciler_update(reconciler, &lab->world, &err) < 0)
        fail_msg("%s", err.text);
}

static void take_over(const struct takeover *takeover)
{
    struct lab before = {0}, after = {0}, nothing = {0};
    struct watched watched = {.takeover = takeover};
    const struct writes_watcher watcher = {check, &watched};
    struct fence_err err = {0};

    print_message("%s\n", takeover->what);
    assert_int_equal(reconciler_new(&watched.reconciler, &err), 0);
    follow(watched.reconciler, &before, takeover->before);
    check(&watched, -1);
    assert_string_equal(watched.wrong, "");
    assert_int_equal(reconciler_restart(watched.reconciler, &err), 0);
    writes_watch(&watcher);
    follow(watched.reconciler, &after, takeover->after);
    writes_watch(NULL);
    assert_string_equal(watched.wrong, "");
    assert_true(watched.writes > 1);
    assert_int_equal(reconciler_update(watched.reconciler, &nothing.world, &err), 0);
    reconciler_free(&watched.reconciler);
    lab_done(&before);
    lab_done(&after);
}

static void test_takeovers(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(takeovers); i++)
        take_over(&takeovers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_takeovers)};
    struct fence_err err = {0};

    if (reconciler_setup(&err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
