/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What services cost: which of them are one class, and what a change touches. What they are judged
 * as is in the cases (services-*) and in the random worlds.
 */
#include <netinet/in.h>

#include "test/policy/engine.h"
#include "test/policy/worlds.h"

#define NODE(name, ip)                                                                             \
    "---\napiVersion: v1\nkind: Node\nmetadata: { name: " name " }\n"                              \
    "status: { addresses: [ { type: InternalIP, address: " ip " } ] }\n"
#define SERVICE(name, ip, ports)                                                                   \
    "---\napiVersion: v1\nkind: Service\nmetadata: { name: " name ", namespace: shop }\n"          \
    "spec: { clusterIP: " ip ", ports: [ " ports " ] }\n"
#define SLICE(name, service, endpoints, port)                                                      \
    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                                  \
    "metadata: { name: " name ", namespace: shop, labels: { kubernetes.io/service-name: " service  \
    " } }\n"                                                                                       \
    "addressType: IPv4\nendpoints: [ " endpoints " ]\nports: [ { port: " port " } ]\n"
#define AT(ip)       "{ addresses: [ " ip " ] }"
#define PORT(number) "{ port: " number " }"

/* web may call db; the rest of the cluster is told apart by no rule. */
#define CLUSTER_OF(db2)                                                                            \
    NODE("n1", "192.168.0.1")                                                                      \
    NODE("n2", "192.168.0.2")                                                                      \
    POD("shop", "web", "app: web", "10.0.0.1")                                                     \
    POD("shop", "db", "app: db", "10.0.0.2")                                                       \
    POD("shop", "db2", "app: " db2, "10.0.0.3")                                                    \
    POD("shop", "log", "app: log", "10.0.0.4")                                                     \
    POD("shop", "bus", "app: bus", "10.0.0.5")                                                     \
    SEGMENT("shop", "out",                                                                         \
            "{ mode: Allowlist, appliesTo: { podSelector: { matchLabels: { app: web "              \
            "} } }, egress: [ { to: [ { podSelector: { matchLabels: { app: db } } } "              \
            "] } ] }")
#define CLUSTER CLUSTER_OF("db")

struct stage {
    struct lab labs[2];
    struct engine engine;
    unsigned int step;
};

static struct lab *now(struct stage *stage)
{
    return &stage->labs[stage->step & 1];
}

static const struct fence_plan *plan_of(const struct stage *stage)
{
    return engine_plan(&stage->engine);
}

/* The engine follows to this world, up to its first run: what is touched then stands in the plan.
 */
static const struct fence_plan *go(struct stage *stage, const char *text)
{
    struct lab *before = now(stage);
    struct lab *lab = &stage->labs[++stage->step & 1];
    struct fence_err err = {0};

    load(lab, text);
    lab_keep(lab, before);
    lab->world.node_name = "n1";
    assert_int_equal(lab_add_local(lab, 1, "shop", "web"), 0);
    assert_int_equal(engine_feed(&stage->engine, &lab->world, &err), 0);
    assert_int_equal(fence_compiler_run(stage->engine.compiler, 0, &err), 0);
    assert_null(plan_check(plan_of(stage)));
    return plan_of(stage);
}

/* What that has come to is told, and the old world is over. */
static void settle(struct stage *stage)
{
    struct lab *before = &stage->labs[(stage->step + 1) & 1];
    struct fence_err err = {0};

    assert_int_equal(engine_update(&stage->engine, &now(stage)->world, &err), 0);
    assert_null(plan_check(plan_of(stage)));
    lab_done(before);
}

static void done(struct stage *stage)
{
    engine_done(&stage->engine);
    lab_done(&stage->labs[0]);
    lab_done(&stage->labs[1]);
}

static uint8_t verdict_at(const struct fence_plan *plan, const char *address, unsigned int port)
{
    const struct plan_query query = {.ifindex = 1,
                                     .direction = FENCE_EGRESS,
                                     .remote = addr_of(address),
                                     .protocol = IPPROTO_TCP,
                                     .port = port};

    return plan_interval(plan, &query, plan_peer_of(plan, &query.remote))->verdict;
}

/* ---- classes -------------------------------------------------------------------------------- */

static const struct {
    const char *what;
    const char *one;
    const char *other;
    bool same;
} pairs[] = {
    {"the same backend", SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     SLICE("b-1", "b", AT("10.0.0.2"), "80"), true},
    {"backends that no rule tells apart", SLICE("a-1", "a", AT("10.0.0.4"), "80"),
     SLICE("b-1", "b", AT("10.0.0.5"), "80"), true},
    {"one backend and two alike", SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     SLICE("b-1", "b", AT("10.0.0.2") ", " AT("10.0.0.3"), "80"), true},
    {"in two slices", SLICE("a-1", "a", AT("10.0.0.2") ", " AT("10.0.0.4"), "80"),
     SLICE("b-1", "b", AT("10.0.0.2"), "80") SLICE("b-2", "b", AT("10.0.0.5"), "80"), true},
    {"other ports of the backends", SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     SLICE("b-1", "b", AT("10.0.0.2"), "81"), false},
    {"backends that a rule tells apart", SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     SLICE("b-1", "b", AT("10.0.0.4"), "80"), false},
    {"nobody behind either", "", "", true},
};

static void test_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(pairs); i++) {
        FENCE_FREE char *text = NULL;
        struct stage stage = {.step = 0};
        const struct fence_plan *plan;

        print_message("%s\n", pairs[i].what);
        assert_true(asprintf(&text, "%s%s%s",
                             CLUSTER SERVICE("a", "10.96.0.1", PORT("80"))
                                 SERVICE("b", "10.96.0.2", PORT("80")),
                             pairs[i].one, pairs[i].other) > 0);
        plan = go(&stage, text);
        assert_int_equal(peer_at(plan, "10.96.0.1")->identity,
                         peer_at(plan, "10.96.0.2")->identity);
        assert_int_equal(identity_at(plan, "10.96.0.1")->reserved, FENCE_IDENTITY_SERVICE);
        assert_int_equal(peer_at(plan, "10.96.0.1")->class == peer_at(plan, "10.96.0.2")->class,
                         pairs[i].same);
        done(&stage);
    }
}

/* ---- changes -------------------------------------------------------------------------------- */

#define TWO SERVICE("a", "10.96.0.1", PORT("80")) SERVICE("b", "10.96.0.2", PORT("80"))
#define B   SLICE("b-1", "b", AT("10.0.0.4"), "80")

struct touched {
    size_t addresses, classes, peers, sets, tables;
};

static const struct {
    const char *what;
    const char *before;
    const char *after;
    struct touched most; /* new and changed things, before anything old goes */
    uint8_t verdict;     /* of 10.96.0.1 afterwards */
} changes[] = {
    {"one more backend of the same kind",
     TWO B SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     TWO B SLICE("a-1", "a", AT("10.0.0.2") ", " AT("10.0.0.3"), "80"),
     {1, 0, 0, 0, 0},
     FENCE_ALLOW},
    {"one that another service has too",
     TWO B SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     TWO B SLICE("a-1", "a", AT("10.0.0.4"), "80"),
     {1, 0, 0, 0, 0},
     FENCE_DENY},
    {"one of another kind",
     TWO B SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     TWO B SLICE("a-1", "a", AT("10.0.0.2") ", " AT("10.0.0.4"), "80"),
     {1, 1, 1, 0, 1},
     FENCE_DEFER},
    {"the slice goes",
     TWO B SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     TWO B,
     {1, 1, 1, 0, 1},
     FENCE_DENY},
    {"a slice before its service, which comes",
     SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     SLICE("a-1", "a", AT("10.0.0.2"), "80") SERVICE("a", "10.96.0.1", PORT("80")),
     {1, 1, 1, 0, 1},
     FENCE_ALLOW},
    {"a node port comes: the addresses of nodes too",
     TWO B SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     SERVICE("a", "10.96.0.1", "{ port: 80, nodePort: 30080 }")
         SERVICE("b", "10.96.0.2", PORT("80")) B SLICE("a-1", "a", AT("10.0.0.2"), "80"),
     {3, 2, 4, 0, 2},
     FENCE_ALLOW},
};

static void test_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(changes); i++) {
        FENCE_FREE char *before = NULL;
        FENCE_FREE char *after = NULL;
        struct stage stage = {.step = 0};
        const struct touched *most = &changes[i].most;
        const struct fence_plan *plan;

        print_message("%s\n", changes[i].what);
        assert_true(asprintf(&before, "%s%s", CLUSTER, changes[i].before) > 0);
        assert_true(asprintf(&after, "%s%s", CLUSTER, changes[i].after) > 0);
        go(&stage, before);
        settle(&stage);
        plan = go(&stage, after);
        assert_in_range(plan->addresses.marked_count, 0, most->addresses);
        assert_in_range(plan->classes_list.touched_count, 0, most->classes);
        assert_in_range(plan->peers_list.touched_count, 0, most->peers);
        assert_in_range(plan->sets_list.touched_count, 0, most->sets);
        assert_in_range(plan->tables_list.touched_count, 0, most->tables);
        assert_int_equal(verdict_at(plan, "10.96.0.1", 80), changes[i].verdict);
        settle(&stage);
        assert_int_equal(verdict_at(plan_of(&stage), "10.96.0.1", 80), changes[i].verdict);
        assert_int_equal(plan_of(&stage)->deferring > 0, changes[i].verdict == FENCE_DEFER);
        done(&stage);
    }
}

/* A backend that is another peer than before makes the address another peer: connections to it are
 * judged again. One that rules merely tell apart does not. */
static void test_peers(void **state)
{
    static const char services[] =
        TWO B SLICE("a-1", "a", AT("10.0.0.2") ", " AT("10.0.0.3"), "80");
    FENCE_FREE char *first = NULL;
    FENCE_FREE char *refined = NULL;
    FENCE_FREE char *relabelled = NULL;
    struct stage stage = {.step = 0};
    struct fence_addr addr = addr_of("10.96.0.1");
    uint32_t peer, class;

    (void)state;
    assert_true(asprintf(&first, "%s%s", CLUSTER, services) > 0);
    assert_true(asprintf(&refined, "%s%s", first,
                         SEGMENT("shop", "more",
                                 "{ mode: Denylist, appliesTo: {}, egress: [ { to: [ { "
                                 "podSelector: { matchLabels: { app: db } } } ], ports: [ { "
                                 "protocol: UDP } ] } ] }")) > 0);
    assert_true(asprintf(&relabelled, "%s%s", CLUSTER_OF("log"), services) > 0);
    go(&stage, first);
    settle(&stage);
    peer = plan_peer_of(plan_of(&stage), &addr);
    class = plan_of(&stage)->peers[peer].class;
    go(&stage, refined);
    assert_int_equal(plan_peer_of(plan_of(&stage), &addr), peer);
    assert_int_not_equal(plan_of(&stage)->peers[peer].class, class);
    settle(&stage);
    go(&stage, relabelled);
    assert_int_not_equal(plan_peer_of(plan_of(&stage), &addr), peer);
    assert_int_equal(verdict_at(plan_of(&stage), "10.96.0.1", 80), FENCE_DEFER);
    settle(&stage);
    done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_peers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
