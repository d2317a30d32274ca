/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan that follows a change answers as one made afresh. One change a row, each of them one that
 * the plan must not take for another: blocks that come and go under addresses that stay, peers that
 * look alike but for their namespace or their exceptions.
 */
#include <netinet/in.h>

#include "test/policy/engine.h"
#include "test/policy/worlds.h"

#define STEPS 4

/* Two pods with the same labels, so that only their addresses tell them apart. */
#define PODS                                                                                       \
    POD("shop", "a", "app: web", "10.0.0.1")                                                       \
    POD("shop", "b", "app: web", "10.0.0.2")                                                       \
    POD("shop", "far", "app: web", "10.9.0.1")                                                     \
    POD("other", "c", "app: web", "10.0.0.3") POD("shop", "db", "app: db", "10.0.0.4")

#define TO(name, peer)                                                                             \
    SEGMENT("shop", name,                                                                          \
            "{ mode: Allowlist, appliesTo: { podSelector: { matchLabels: { app: db } } }, "        \
            "ingress: [ { from: [ " peer " ] } ] }")
#define BLOCK(name, cidr)       TO(name, "{ ipBlock: { cidr: " cidr " } }")
#define BUT(name, cidr, except) TO(name, "{ ipBlock: { cidr: " cidr ", except: [ " except " ] } }")
#define WEB                     "{ podSelector: { matchLabels: { app: web } } }"

static const struct {
    const char *what;
    const char *worlds[STEPS];
} rows[] = {
    {"a block around a peer", {"", BLOCK("p", "10.0.0.0/24"), ""}},
    {"a block around one address of a peer's three",
     {TO("q", WEB), TO("q", WEB) BLOCK("p", "10.0.0.2/32"), BLOCK("p", "10.0.0.2/32"), ""}},
    {"a smaller block within",
     {BLOCK("p", "10.0.0.0/8"), BLOCK("p", "10.0.0.0/8") BLOCK("q", "10.0.0.0/24"),
      BLOCK("q", "10.0.0.0/24"), BLOCK("q", "10.0.0.0/31")}},
    {"from one address to the other",
     {BLOCK("p", "10.0.0.1/32"), BLOCK("p", "10.0.0.2/32"), BLOCK("p", "10.9.0.1/32")}},
    {"an exception comes, moves and goes",
     {BLOCK("p", "10.0.0.0/24"), BUT("p", "10.0.0.0/24", "10.0.0.1/32"),
      BUT("p", "10.0.0.0/24", "10.0.0.2/31"), BLOCK("p", "10.0.0.0/24")}},
    {"two policies that differ in their exceptions",
     {BUT("p", "10.0.0.0/24", "10.0.0.1/32"),
      BUT("p", "10.0.0.0/24", "10.0.0.1/32") SEGMENT(
          "shop", "q",
          "{ mode: Allowlist, appliesTo: { podSelector: { matchLabels: { app: web } } }, ingress: "
          "[ { from: [ { ipBlock: { cidr: 10.0.0.0/24, except: [ 10.0.0.4/32 ] } } ] } ] }")}},
    {"the same peer in another namespace",
     {TO("p", WEB),
      TO("p", WEB) SEGMENT(
          "other", "p", "{ mode: Allowlist, appliesTo: {}, ingress: [ { from: [ " WEB " ] } ] }"),
      SEGMENT("other", "p",
              "{ mode: Allowlist, appliesTo: {}, ingress: [ { from: [ " WEB " ] } ] }")}},
    {"a policy goes, and comes again", {TO("p", WEB), "", TO("p", WEB), ""}},
    {"a block goes and comes again under the same pods",
     {TO("q", WEB) BLOCK("p", "10.0.0.2/32"), TO("q", WEB), TO("q", WEB) BLOCK("p", "10.0.0.2/32"),
      TO("q", WEB)}},
};

static const char *const addresses[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
                                        "10.9.0.1", "10.0.0.9", "10.9.0.9", "192.0.2.1"};

static int compare_objects(const void *a, const void *b)
{
    return fence_object_compare(*(const struct fence_object *const *)a,
                                *(const struct fence_object *const *)b);
}

/* The pods are the same objects in each step, as a store has them: nobody says that they changed.
 */
static void lab_of(struct lab *lab, const struct lab *pods, const char *policies)
{
    size_t count, kept = pods->world.object_count;

    load(lab, policies);
    count = lab->world.object_count;
    lab->objects = realloc(lab->objects, (count + kept) * sizeof(void *));
    assert_non_null(lab->objects);
    memcpy(lab->objects + count, pods->world.objects, kept * sizeof(void *));
    qsort(lab->objects, count + kept, sizeof(void *), compare_objects);
    lab->world.objects = lab->objects;
    lab->world.object_count = count + kept;
    lab->world.node_name = "n1";
    assert_int_equal(lab_add_local(lab, 1, "shop", "db"), 0);
    assert_int_equal(lab_add_local(lab, 2, "other", "c"), 0);
    assert_int_equal(lab_add_local(lab, 3, "shop", "a"), 0);
}

static bool allows(const struct fence_plan *plan, uint32_t ifindex, const char *address)
{
    const struct plan_query query = {
        .ifindex = ifindex,
        .direction = FENCE_INGRESS,
        .remote = addr_of(address),
        .protocol = IPPROTO_TCP,
        .port = 80,
    };
    const struct fence_interval *interval =
        plan_interval(plan, &query, plan_peer_of(plan, &query.remote));

    return !interval || interval->verdict == FENCE_ALLOW;
}

static void compare(const struct lab *lab, const struct fence_plan *followed)
{
    struct fence_plan *fresh = compile(lab);

    assert_null(plan_check(followed));
    for (uint32_t ifindex = 1; ifindex <= lab->local_count; ifindex++)
        for (size_t i = 0; i < FENCE_ARRAY_SIZE(addresses); i++)
            if (allows(followed, ifindex, addresses[i]) != allows(fresh, ifindex, addresses[i]))
                fail_msg("from %s to endpoint %u: %s, but afresh it is not", addresses[i], ifindex,
                         allows(followed, ifindex, addresses[i]) ? "allowed" : "denied");
    fence_plan_free(&fresh);
}

static void step(struct engine *engine, struct lab *lab, const struct lab *pods, const char *text)
{
    struct fence_err err = {0};
    int r;

    lab_of(lab, pods, text);
    r = engine_update(engine, &lab->world, &err);
    if (r < 0)
        print_error("%s\n", err.text);
    assert_int_equal(r, 0);
    compare(lab, engine_plan(engine));
}

static void follow(void **context)
{
    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct lab labs[STEPS] = {0};
        struct engine engine = {0};
        struct lab pods = {0};

        load(&pods, PODS);
        print_message("%s\n", rows[i].what);
        for (size_t j = 0; j < STEPS && rows[i].worlds[j]; j++)
            step(&engine, &labs[j], &pods, rows[i].worlds[j]);
        engine_done(&engine);
        for (size_t j = 0; j < STEPS; j++)
            lab_done(&labs[j]);
        lab_done(&pods);
    }
}

/* Nothing may be left out when the maps could not be written in between, so that it never settled.
 */
static void follow_before_it_settles(void **context)
{
    static const char *const worlds[] = {TO("p", WEB), "", TO("p", WEB)};
    struct lab labs[FENCE_ARRAY_SIZE(worlds)] = {0};
    struct engine engine = {0};
    struct fence_err err = {0};
    struct lab pods = {0};

    (void)context;
    load(&pods, PODS);
    step(&engine, &labs[0], &pods, worlds[0]);
    lab_of(&labs[1], &pods, worlds[1]);
    assert_int_equal(engine_feed(&engine, &labs[1].world, &err), 0);
    assert_int_equal(fence_compiler_run(engine.compiler, 0, &err), 0);
    assert_int_equal(fence_compiler_settle(engine.compiler, &err), 1);
    step(&engine, &labs[2], &pods, worlds[2]);
    engine_done(&engine);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(labs); i++)
        lab_done(&labs[i]);
    lab_done(&pods);
}

/* What has an end comes again with a clock that is set back, and the objects stay the same. */
static void follow_the_clock(void **context)
{
    static const char text[] =
        SEGMENT("shop", "p",
                "{ mode: Denylist, appliesTo: {}, ingress: [ { from: [ " WEB " ] } ], expiresAt: "
                "2030-01-01T00:00:00Z }");
    static const int64_t end = 1893456000;
    static const int64_t times[] = {end + 60, end - 60, end - 1, end, end - 1, end + 1};
    struct lab lab = {0}, pods = {0};
    struct engine engine = {0};
    struct fence_err err = {0};

    (void)context;
    load(&pods, PODS);
    lab_of(&lab, &pods, text);
    lab.world.now = end + 60;
    assert_int_equal(engine_update(&engine, &lab.world, &err), 0);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(times); i++) {
        lab.world.now = times[i];
        assert_int_equal(fence_compiler_run(engine.compiler, times[i], &err), 0);
        fence_plan_told(fence_compiler_plan(engine.compiler));
        while (fence_compiler_settle(engine.compiler, &err) > 0)
            fence_plan_told(fence_compiler_plan(engine.compiler));
        assert_int_equal(allows(engine_plan(&engine), 1, "10.0.0.1"), times[i] >= end);
        assert_int_equal(engine_plan(&engine)->next_expiry, times[i] < end ? end : 0);
        compare(&lab, engine_plan(&engine));
    }
    engine_done(&engine);
    lab_done(&lab);
    lab_done(&pods);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follow),
        cmocka_unit_test(follow_before_it_settles),
        cmocka_unit_test(follow_the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
