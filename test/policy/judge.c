/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts, reasons and rule numbers of compiled tables, peer by peer. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "test/policy/lab.h"

static const char objects[] =
    "---\napiVersion: v1\nkind: Node\nmetadata: { name: n1, labels: { role: a } }\n"
    "spec: { podCIDRs: [ 10.1.0.0/24 ] }\n"
    "status: { addresses: [ { type: InternalIP, address: 192.168.0.1 } ] }\n"
    "---\napiVersion: v1\nkind: Node\nmetadata: { name: n2, labels: { role: b } }\n"
    "spec: { podCIDRs: [ 10.2.0.0/24 ] }\n"
    "status: { addresses: [ { type: InternalIP, address: 192.168.0.2 } ] }\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: web, namespace: s, labels: { app: web } }\n"
    "status: { podIPs: [ { ip: 10.1.0.1 } ] }\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: db, namespace: s, labels: { app: db } }\n"
    "status: { podIPs: [ { ip: 10.1.0.2 }, { ip: 'fd00::2' } ] }\n";

#define SEGMENT(name, spec)                                                                        \
    "---\napiVersion: podfence.io/v1alpha1\nkind: SegmentPolicy\n"                                 \
    "metadata: { name: " name ", namespace: s }\nspec: " spec "\n"
#define CLUSTER(name, spec)                                                                        \
    "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"             \
    "metadata: { name: " name " }\nspec: " spec "\n"

#define ALLOW_WEB                                                                                  \
    SEGMENT("in", "{ mode: Allowlist, appliesTo: {}, ingress: [ {ports: [{port: 443}]}, { from: "  \
                  "[ { podSelector: { matchLabels: { app: web } } } ], ports: [ { port: 80, "      \
                  "endPort: 89 } ] } ] }")
#define ALLOW_WORLD                                                                                \
    SEGMENT("in", "{ mode: Allowlist, appliesTo: {}, ingress: [ { from: [ { ipBlock: { cidr: "     \
                  "0.0.0.0/0 } } ] } ] }")
#define ALLOW_TEN                                                                                  \
    SEGMENT("in", "{ mode: Allowlist, appliesTo: {}, ingress: [ { from: [ { ipBlock: { cidr: "     \
                  "10.0.0.0/8 } } ] } ] }")
#define NO_EGRESS SEGMENT("out", "{ mode: Allowlist, appliesTo: {}, egress: [] }")
#define DENY_NODES                                                                                 \
    CLUSTER("nodes", "{ tier: Admin, priority: 1, subject: { namespaces: {} }, egress: [ { "       \
                     "action: Deny, to: [ { nodes: {} } ] } ] }")
#define DENY_WEB                                                                                   \
    SEGMENT("cut", "{ mode: Denylist, appliesTo: {}, ingress: [ { from: [ { podSelector: { "       \
                   "matchLabels: { app: web } } } ] } ] }")
#define DENY_TEN                                                                                   \
    SEGMENT("cut", "{ mode: Denylist, appliesTo: {}, ingress: [ { from: [ { ipBlock: { cidr: "     \
                   "10.2.0.0/16 } } ] } ] }")
#define DENY_NAME                                                                                  \
    SEGMENT("cut", "{ mode: Denylist, appliesTo: {}, egress: [ { ports: [ { port: http } ] } ] }")
#define AUDIT_NONE                                                                                 \
    SEGMENT("try", "{ mode: Allowlist, enforcement: Audit, appliesTo: {}, ingress: [] }")
/* One rule with a peer that later versions may know, beside one that means everybody. */
#define UNKNOWN(action)                                                                            \
    CLUSTER("unknown", "{ tier: Admin, priority: 1, subject: { namespaces: {} }, ingress: [ { "    \
                       "action: " action ", from: [ { later: {} }, { namespaces: {} } ], "         \
                       "protocols: [ { tcp: { destinationPort: { number: 80 } } } ] } ] }")
#define ACCEPT_UNKNOWN UNKNOWN("Accept")
#define DENY_UNKNOWN   UNKNOWN("Deny")
#define PASS_UNKNOWN   UNKNOWN("Pass")

#define IN  FENCE_INGRESS
#define OUT FENCE_EGRESS

/* What db's table for a peer says. `peer`: an address, or a reserved peer's name. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): columns in reading order */
static const struct {
    const char *policies;
    const char *peer;
    int direction;
    unsigned int port;
    uint8_t verdict;
    uint8_t reason;
    const char *policy; /* NULL: rule 0 */
    uint32_t rule;
    uint8_t shadow;
    bool own_node_is_policy;
} answers[] = {
    /* no policy, none that isolates */
    {"", "10.1.0.1", IN, 80, 1, FENCE_REASON_NO_POLICY, NULL, 0, 1, 0},
    {NO_EGRESS, "10.1.0.1", IN, 80, 1, FENCE_REASON_NOT_ISOLATED, NULL, 0, 1, 0},
    {DENY_WEB, "203.0.113.1", IN, 80, 1, FENCE_REASON_NOT_ISOLATED, NULL, 0, 1, 0},
    /* allow-list */
    {ALLOW_WEB, "10.1.0.1", IN, 79, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/in", FENCE_RULE_NONE,
     0, 0},
    {ALLOW_WEB, "10.1.0.1", IN, 80, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 1, 1, 0},
    {ALLOW_WEB, "10.1.0.1", IN, 89, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 1, 1, 0},
    {ALLOW_WEB, "10.1.0.1", IN, 90, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/in", FENCE_RULE_NONE,
     0, 0},
    {ALLOW_WEB, "10.1.0.1", IN, 443, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 0, 1, 0},
    {ALLOW_WEB, "203.0.113.1", IN, 80, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/in",
     FENCE_RULE_NONE, 0, 0},
    /* pending peers: a known range, the reserved one */
    {ALLOW_WEB, "10.2.0.9", IN, 80, 0, FENCE_REASON_PEER_PENDING, "SegmentPolicy/s/in",
     FENCE_RULE_NONE, 0, 0},
    {ALLOW_WEB, "10.2.0.9", IN, 443, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 0, 1, 0},
    {ALLOW_WEB, "pending", IN, 443, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 0, 1, 0},
    {ALLOW_TEN, "10.2.0.9", IN, 80, 0, FENCE_REASON_PEER_PENDING, "SegmentPolicy/s/in",
     FENCE_RULE_NONE, 0, 0},
    {ALLOW_TEN, "10.9.0.9", IN, 80, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 0, 1, 0},
    {ALLOW_WORLD, "pending", IN, 80, 0, FENCE_REASON_PEER_PENDING, "SegmentPolicy/s/in",
     FENCE_RULE_NONE, 0, 0},
    {DENY_WEB, "10.2.0.9", IN, 80, 0, FENCE_REASON_DENYLIST, "SegmentPolicy/s/cut", 0, 0, 0},
    {DENY_WEB, "pending", IN, 80, 0, FENCE_REASON_DENYLIST, "SegmentPolicy/s/cut", 0, 0, 0},
    {DENY_TEN, "10.2.0.9", IN, 80, 0, FENCE_REASON_DENYLIST, "SegmentPolicy/s/cut", 0, 0, 0},
    {DENY_TEN, "10.1.0.9", IN, 80, 1, FENCE_REASON_NOT_ISOLATED, NULL, 0, 1, 0},
    {DENY_TEN, "pending", IN, 80, 1, FENCE_REASON_NOT_ISOLATED, NULL, 0, 1, 0},
    {DENY_NAME, "10.2.0.9", OUT, 81, 0, FENCE_REASON_DENYLIST, "SegmentPolicy/s/cut", 0, 0, 0},
    {DENY_NAME, "10.1.0.1", OUT, 81, 1, FENCE_REASON_NOT_ISOLATED, NULL, 0, 1, 0},
    {DENY_NODES, "10.2.0.9", OUT, 81, 0, FENCE_REASON_DENY_RULE, "ClusterNetworkPolicy/nodes", 0, 0,
     0},
    /* masqueraded: only a block of length 0 of its family */
    {ALLOW_WEB, "masqueraded4", IN, 443, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 0, 1, 0},
    {ALLOW_WEB, "masqueraded4", IN, 80, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/in",
     FENCE_RULE_NONE, 0, 0},
    {ALLOW_WORLD, "masqueraded4", IN, 80, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 0, 1, 0},
    {ALLOW_WORLD, "masqueraded6", IN, 80, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/in",
     FENCE_RULE_NONE, 0, 0},
    {ALLOW_TEN, "masqueraded4", IN, 80, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/in",
     FENCE_RULE_NONE, 0, 0},
    /* the own node: exempt from allow-lists on egress only, and only there */
    {NO_EGRESS, "192.168.0.1", OUT, 80, 1, FENCE_REASON_OWN_NODE, NULL, 0, 1, 0},
    {NO_EGRESS, "192.168.0.2", OUT, 80, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/out",
     FENCE_RULE_NONE, 0, 0},
    {NO_EGRESS, "192.168.0.1", OUT, 80, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/out",
     FENCE_RULE_NONE, 0, 1},
    {DENY_NODES, "192.168.0.1", OUT, 80, 0, FENCE_REASON_DENY_RULE, "ClusterNetworkPolicy/nodes", 0,
     0, 0},
    {DENY_NODES, "192.168.0.2", OUT, 80, 0, FENCE_REASON_DENY_RULE, "ClusterNetworkPolicy/nodes", 0,
     0, 0},
    {DENY_NODES, "10.1.0.1", OUT, 80, 1, FENCE_REASON_NOT_ISOLATED, NULL, 0, 1, 0},
    {ALLOW_WEB, "192.168.0.1", IN, 80, 0, FENCE_REASON_NO_RULE, "SegmentPolicy/s/in",
     FENCE_RULE_NONE, 0, 0},
    /* audit: the shadow alone */
    {AUDIT_NONE, "10.1.0.1", IN, 80, 1, FENCE_REASON_NO_POLICY, NULL, 0, 0, 0},
    {ALLOW_WEB AUDIT_NONE, "10.1.0.1", IN, 80, 1, FENCE_REASON_RULE, "SegmentPolicy/s/in", 1, 1, 0},
    {DENY_WEB AUDIT_NONE, "10.1.0.1", IN, 80, 0, FENCE_REASON_DENYLIST, "SegmentPolicy/s/cut", 0, 0,
     0},
    /* a peer of an unknown kind: Deny and Pass deny everything, whatever their ports */
    {PASS_UNKNOWN, "10.1.0.1", IN, 80, 0, FENCE_REASON_DENY_RULE, "ClusterNetworkPolicy/unknown", 0,
     0, 0},
    {DENY_UNKNOWN, "203.0.113.1", IN, 81, 0, FENCE_REASON_DENY_RULE, "ClusterNetworkPolicy/unknown",
     0, 0, 0},
    {ACCEPT_UNKNOWN, "10.1.0.1", IN, 80, 1, FENCE_REASON_NOT_ISOLATED, NULL, 0, 1, 0},
};

static uint32_t peer_named(const struct fence_plan *plan, const char *text)
{
    struct fence_addr addr;

    if (fence_addr_parse(text, &addr) == 0)
        return plan_peer_of(plan, &addr);
    if (strcmp(text, "pending") == 0)
        return plan_peer_reserved(plan, FENCE_PEER_PENDING);
    return plan_peer_reserved(plan, strcmp(text, "masqueraded4") == 0 ? FENCE_PEER_MASQUERADED4
                                                                      : FENCE_PEER_MASQUERADED6);
}

static void check(const struct fence_plan *plan, size_t i)
{
    struct plan_query query = {.ifindex = 2,
                               .direction = answers[i].direction,
                               .protocol = IPPROTO_TCP,
                               .port = answers[i].port};
    const struct fence_interval *got =
        plan_interval(plan, &query, peer_named(plan, answers[i].peer));
    const struct fence_plan_rule *rule;

    assert_non_null(got);
    rule = got->rule ? &plan->rules[got->rule - 1] : NULL;
    if (got->verdict != answers[i].verdict || got->reason != answers[i].reason ||
        got->shadow != answers[i].shadow || !rule != !answers[i].policy ||
        (rule && (strcmp(rule->policy, answers[i].policy) != 0 || rule->index != answers[i].rule ||
                  rule->direction != query.direction)))
        fail_msg("answer %zu (%s): %s %s, shadow %s, %s %d", i, answers[i].peer,
                 fence_verdict_name(got->verdict), fence_reason_name(got->reason),
                 fence_verdict_name(got->shadow), rule ? rule->policy : "no rule",
                 rule ? (int)rule->index : 0);
}

static void test_answers(void **context)
{
    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(answers); i++) {
        FENCE_FREE char *text = NULL;
        struct lab lab = {0};
        struct fence_plan *plan = NULL;
        struct fence_err err = {0};

        assert_true(asprintf(&text, "%s%s", objects, answers[i].policies) > 0);
        if (lab_load(&lab, text, &err) < 0)
            fail_msg("answer %zu: %s", i, err.text);
        lab.world.node_name = "n1";
        lab.world.own_node_egress_is_policy = answers[i].own_node_is_policy;
        lab_add_local(&lab, 2, "s", "db");
        assert_int_equal(fence_compile(&lab.world, &plan, &err), 0);
        assert_null(plan_check(plan));
        check(plan, i);
        fence_plan_free(&plan);
        lab_done(&lab);
    }
}

static const struct {
    const char *policies;
    uint8_t verdict, reason;
    bool world_has_entry;
} fallbacks[] = {
    {"", 1, FENCE_REASON_NO_POLICY, false},
    {ALLOW_WEB, 0, FENCE_REASON_NO_RULE, false},
    {ALLOW_WORLD, 0, FENCE_REASON_NO_RULE, true},
    {DENY_TEN, 1, FENCE_REASON_NOT_ISOLATED, false},
    /* whoever is unknown may be the one that is denied */
    {DENY_WEB, 0, FENCE_REASON_DENYLIST, true},
    {PASS_UNKNOWN, 0, FENCE_REASON_DENY_RULE, false},
};

/* What a set says of peers that it does not list, on port 80 inwards. */
static void test_fallbacks(void **context)
{
    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(fallbacks); i++) {
        struct plan_query query = {
            .ifindex = 2, .direction = IN, .protocol = IPPROTO_TCP, .port = 80};
        FENCE_FREE char *text = NULL;
        struct lab lab = {0};
        struct fence_plan *plan = NULL;
        const struct fence_interval *got;
        const struct fence_plan_set *set;
        uint32_t class;
        bool listed;

        assert_true(asprintf(&text, "%s%s", objects, fallbacks[i].policies) > 0);
        assert_int_equal(lab_load(&lab, text, NULL), 0);
        lab_add_local(&lab, 2, "s", "db");
        assert_int_equal(fence_compile(&lab.world, &plan, NULL), 0);
        got = plan_interval(plan, &query, FENCE_PLAN_NONE);
        if (got->verdict != fallbacks[i].verdict || got->reason != fallbacks[i].reason)
            fail_msg("fallback %zu: %s", i, fence_reason_name(got->reason));
        set = &plan->sets[plan_endpoint(plan, 2)->set];
        class = plan->peers[peer_named(plan, "203.0.113.1")].class;
        listed = fence_plan_table_of(set, IN, class) != set->fallback[IN];
        if (listed != fallbacks[i].world_has_entry)
            fail_msg("fallback %zu: the world %s an entry", i, listed ? "has" : "lacks");
        fence_plan_free(&plan);
        lab_done(&lab);
    }
}

/* Shadow intervals and enforced ones have edges of their own. */
static void test_edges_of_both(void **context)
{
    static const char *const policies =
        SEGMENT("a", "{ mode: Denylist, appliesTo: {}, ingress: [ { ports: [ { port: 10, endPort: "
                     "20 } ] } ] }")
            SEGMENT("b", "{ mode: Denylist, enforcement: Audit, appliesTo: {}, ingress: [ { ports: "
                         "[ { port: 15, endPort: 30 } ] } ] }");
    static const struct {
        uint32_t low;
        uint8_t verdict, shadow;
    } expected[] = {
        {0, 1, 1},
        {FENCE_POSITION(IPPROTO_TCP, 10), 0, 0},
        {FENCE_POSITION(IPPROTO_TCP, 21), 1, 0},
        {FENCE_POSITION(IPPROTO_TCP, 31), 1, 1},
    };
    FENCE_FREE char *text = NULL;
    struct lab lab = {0};
    struct fence_plan *plan = NULL;
    const struct fence_plan_table *table;

    (void)context;
    assert_true(asprintf(&text, "%s%s", objects, policies) > 0);
    assert_int_equal(lab_load(&lab, text, NULL), 0);
    lab_add_local(&lab, 2, "s", "db");
    assert_int_equal(fence_compile(&lab.world, &plan, NULL), 0);
    assert_int_equal(plan->sets_list.count, 1);
    table = &plan->tables[plan->sets[0].fallback[FENCE_INGRESS]];
    assert_int_equal(table->count, FENCE_ARRAY_SIZE(expected));
    for (size_t i = 0; i < table->count; i++) {
        assert_int_equal(table->intervals[i].low, expected[i].low);
        assert_int_equal(table->intervals[i].verdict, expected[i].verdict);
        assert_int_equal(table->intervals[i].shadow, expected[i].shadow);
    }
    fence_plan_free(&plan);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_fallbacks),
        cmocka_unit_test(test_edges_of_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
