/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"

static struct fence_labels labels_of(const char *text)
{
    struct fence_labels labels = {0};

    assert_int_equal(fence_labels_parse(text, &labels, NULL), 0);
    return labels;
}

static char web[] = "web", db[] = "db", nothing[] = "";
static char *const web_db[] = {web, db};
static char *const empty[] = {nothing};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): columns in reading order */
static const struct {
    enum fence_operator op;
    char *const *values;
    size_t count;
    const char *labels;
    bool holds;
} requirements[] = {
    {FENCE_OP_IN, web_db, 2, "app=web", true},
    {FENCE_OP_IN, web_db, 2, "app=db", true},
    {FENCE_OP_IN, web_db, 2, "app=webdb", false},
    {FENCE_OP_IN, web_db, 2, "", false},
    {FENCE_OP_IN, web_db, 2, "apps=web", false},
    {FENCE_OP_IN, empty, 1, "app=", true},
    {FENCE_OP_IN, empty, 1, "", false},
    {FENCE_OP_NOT_IN, web_db, 2, "app=web", false},
    {FENCE_OP_NOT_IN, web_db, 2, "app=x", true},
    {FENCE_OP_NOT_IN, web_db, 2, "", true},
    {FENCE_OP_NOT_IN, empty, 1, "app=", false},
    {FENCE_OP_EXISTS, NULL, 0, "app=", true},
    {FENCE_OP_EXISTS, NULL, 0, "a=app", false},
    {FENCE_OP_DOES_NOT_EXIST, NULL, 0, "app=", false},
    {FENCE_OP_DOES_NOT_EXIST, NULL, 0, "a=b", true},
};

static void test_requirements(void **context)
{
    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(requirements); i++) {
        const char *values[2] = {requirements[i].count > 0 ? requirements[i].values[0] : NULL,
                                 requirements[i].count > 1 ? requirements[i].values[1] : NULL};
        struct fence_requirement item = {.key = "app",
                                         .op = requirements[i].op,
                                         .values = values,
                                         .value_count = requirements[i].count};
        struct fence_selector selector = {.items = &item, .count = 1};
        struct fence_labels labels = labels_of(requirements[i].labels);

        if (fence_selector_matches(&selector, &labels) != requirements[i].holds)
            fail_msg("requirement %zu on '%s'", i, requirements[i].labels);
        fence_labels_done(&labels);
    }
}

static void test_all_requirements_count(void **context)
{
    struct fence_requirement items[] = {
        {.key = "app", .op = FENCE_OP_EXISTS},
        {.key = (char[]){"tier"}, .op = FENCE_OP_EXISTS},
    };
    struct fence_selector both = {.items = items, .count = 2};
    struct fence_selector none = {0};
    struct fence_labels one = labels_of("app=a");
    struct fence_labels two = labels_of("app=a,tier=b");

    (void)context;
    assert_false(fence_selector_matches(&both, &one));
    assert_true(fence_selector_matches(&both, &two));
    assert_true(fence_selector_matches(&none, &one));
    fence_labels_done(&one);
    fence_labels_done(&two);
}

static struct fence_prefix prefix_of(const char *text)
{
    struct fence_prefix prefix = {.length = FENCE_WHERE_NONE};

    if (*text)
        assert_int_equal(fence_prefix_parse(text, &prefix, NULL), 0);
    return prefix;
}

static const struct {
    const char *cidr;
    const char *except;
    const char *where; /* "" = in no block */
    bool matches;
} blocks[] = {
    {"10.0.0.0/8", NULL, "10.1.2.3/32", true},
    {"10.0.0.0/8", NULL, "10.0.0.0/8", true},
    {"10.0.0.0/8", NULL, "10.1.0.0/16", true},
    {"10.0.0.0/8", NULL, "0.0.0.0/0", false},
    {"10.0.0.0/8", NULL, "11.0.0.0/32", false},
    {"10.0.0.0/8", NULL, "", false},
    {"10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16", false},
    {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", false},
    {"10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8", true},
    {"0.0.0.0/0", NULL, "0.0.0.0/0", true},
    {"0.0.0.0/0", NULL, "::/0", false},
    {"::/0", NULL, "0.0.0.0/0", false},
    {"::/0", NULL, "fd00::1/128", true},
    {"::/0", NULL, "10.0.0.1/32", false},
    {"::/0", NULL, "", false},
};

static void test_blocks(void **context)
{
    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(blocks); i++) {
        struct fence_prefix except = prefix_of(blocks[i].except ? blocks[i].except : "");
        struct fence_ip_block block = {.cidr = prefix_of(blocks[i].cidr),
                                       .except = &except,
                                       .except_count = blocks[i].except != NULL};
        struct fence_peer_spec spec = {.block = &block};
        struct fence_peer_view view = {.kind = FENCE_VIEW_WORLD,
                                       .where = prefix_of(blocks[i].where)};

        if (fence_peer_matches(&spec, "shop", FENCE_ACTION_ALLOW, &view) != blocks[i].matches)
            fail_msg("block %zu: %s and '%s'", i, blocks[i].cidr, blocks[i].where);
    }
}

/* What each kind of peer in a rule means to each kind of view; columns allow, deny, pass. */
enum spec_kind { SPEC_PODS, SPEC_NODES, SPEC_BLOCK, SPEC_UNKNOWN };

static const struct {
    enum spec_kind spec;
    enum fence_peer_view_kind view;
    bool matches[3];
} kinds[] = {
    {SPEC_PODS, FENCE_VIEW_POD, {true, true, true}},
    {SPEC_PODS, FENCE_VIEW_NODE, {false, false, false}},
    {SPEC_PODS, FENCE_VIEW_HOST, {false, false, false}},
    {SPEC_PODS, FENCE_VIEW_WORLD, {false, false, false}},
    {SPEC_PODS, FENCE_VIEW_MASQUERADED, {false, false, false}},
    {SPEC_PODS, FENCE_VIEW_PENDING, {false, true, false}},
    {SPEC_NODES, FENCE_VIEW_POD, {false, false, false}},
    {SPEC_NODES, FENCE_VIEW_NODE, {true, true, true}},
    {SPEC_NODES, FENCE_VIEW_HOST, {true, true, true}},
    {SPEC_NODES, FENCE_VIEW_WORLD, {false, false, false}},
    {SPEC_NODES, FENCE_VIEW_PENDING, {false, true, false}},
    {SPEC_BLOCK, FENCE_VIEW_POD, {true, true, true}},
    {SPEC_BLOCK, FENCE_VIEW_HOST, {true, true, true}},
    {SPEC_BLOCK, FENCE_VIEW_PENDING, {false, true, false}},
    {SPEC_UNKNOWN, FENCE_VIEW_POD, {false, true, false}},
    {SPEC_UNKNOWN, FENCE_VIEW_WORLD, {false, true, false}},
    {SPEC_UNKNOWN, FENCE_VIEW_PENDING, {false, true, false}},
};

static void test_kinds(void **context)
{
    struct fence_labels labels = labels_of("app=web");
    struct fence_selector any = {0};
    struct fence_ip_block block = {.cidr = prefix_of("10.0.0.0/8")};

    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(kinds); i++) {
        struct fence_peer_spec spec = {
            .pods = kinds[i].spec == SPEC_PODS ? &any : NULL,
            .nodes = kinds[i].spec == SPEC_NODES ? &any : NULL,
            .block = kinds[i].spec == SPEC_BLOCK ? &block : NULL,
            .unknown = kinds[i].spec == SPEC_UNKNOWN,
        };
        struct fence_peer_view view = {.kind = kinds[i].view,
                                       .namespace_name = "shop",
                                       .namespace_labels = &labels,
                                       .labels = &labels,
                                       .where = prefix_of("10.1.2.3/32")};

        for (int action = FENCE_ACTION_ALLOW; action <= FENCE_ACTION_PASS; action++)
            if (fence_peer_matches(&spec, "shop", action, &view) != kinds[i].matches[action])
                fail_msg("kind %zu, action %d", i, action);
        /* where services have the address too, only what denies means it */
        view.service = true;
        for (int action = FENCE_ACTION_ALLOW; action <= FENCE_ACTION_PASS; action++)
            if (fence_peer_matches(&spec, "shop", action, &view) !=
                (action == FENCE_ACTION_DENY && kinds[i].matches[action]))
                fail_msg("kind %zu at a service's address, action %d", i, action);
    }
    fence_labels_done(&labels);
}

static void test_namespace_of_a_peer(void **context)
{
    struct fence_labels team = labels_of("team=a");
    struct fence_requirement needs = {.key = (char[]){"team"}, .op = FENCE_OP_EXISTS};
    struct fence_selector any = {0}, with_team = {.items = &needs, .count = 1};
    struct fence_peer_spec pods = {.pods = &any};
    struct fence_peer_spec namespaces = {.namespaces = &with_team};
    struct fence_labels none = {0};
    struct fence_peer_view view = {.kind = FENCE_VIEW_POD,
                                   .namespace_name = "shop",
                                   .namespace_labels = &team,
                                   .labels = &none};

    (void)context;
    assert_true(fence_peer_matches(&pods, "shop", FENCE_ACTION_ALLOW, &view));
    assert_false(fence_peer_matches(&pods, "sho", FENCE_ACTION_ALLOW, &view));
    assert_true(fence_peer_matches(&namespaces, "other", FENCE_ACTION_ALLOW, &view));
    view.namespace_labels = &none;
    assert_false(fence_peer_matches(&namespaces, "other", FENCE_ACTION_ALLOW, &view));
    fence_labels_done(&team);
}

static const struct {
    const char *namespace_name, *name, *uid;
    const char *object_uid;
    bool host_network, finished, is;
} pods[] = {
    {"shop", "web", "1", "1", false, false, true}, {"shop", "web", "1", "2", false, false, false},
    {"shop", "web", "", "2", false, false, true},  {"shop", "web", "1", "", false, false, true},
    {"shop", "we", "1", "1", false, false, false}, {"sho", "web", "1", "1", false, false, false},
    {"shop", "web", "1", "1", true, false, false}, {"shop", "web", "1", "1", false, true, false},
};

static void test_pod_of_an_endpoint(void **context)
{
    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(pods); i++) {
        const char *uid = pods[i].object_uid;
        struct fence_object object = {.kind = FENCE_OBJECT_POD,
                                      .namespace_name = (char[]){"shop"},
                                      .name = (char[]){"web"},
                                      .pod = {.uid = *uid ? fence_hash_text(uid) : 0,
                                              .host_network = pods[i].host_network,
                                              .finished = pods[i].finished}};

        if (fence_pod_is(&object, pods[i].namespace_name, pods[i].name, pods[i].uid) != pods[i].is)
            fail_msg("pod %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requirements),
        cmocka_unit_test(test_all_requirements_count),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_namespace_of_a_peer),
        cmocka_unit_test(test_pod_of_an_endpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
