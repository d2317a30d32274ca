/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/evaluate.h"

#include <errno.h>
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
    "---\napiVersion: v1\nkind: Node\nmetadata: { name: n1 }\n"
    "spec: { podCIDRs: [ 10.1.0.0/24 ] }\n"
    "status: { addresses: [ { type: InternalIP, address: 192.168.0.1 } ] }\n"
    "---\napiVersion: v1\nkind: Node\nmetadata: { name: n2 }\nspec: { podCIDRs: [ 203.0.113.64/26 "
    "] }\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: web, namespace: shop, labels: { app: web } "
    "}\nspec: { nodeName: n1 }\nstatus: { podIPs: [ { ip: 10.1.0.1 }, { ip: 'fd00::1' } ] }\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: db, namespace: shop, labels: { app: db } }\n"
    "spec: { nodeName: n1 }\nstatus: { podIPs: [ { ip: 10.1.0.2 }, { ip: 'fd00::2' } ] }\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: mon, namespace: ops, labels: { app: mon } "
    "}\n"
    "spec: { nodeName: n1, hostNetwork: true }\nstatus: { podIPs: [ { ip: 192.168.0.1 } ] }\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: far, namespace: ops }\n"
    "spec: { nodeName: n1 }\nstatus: { podIPs: [ { ip: 10.1.0.9 } ] }\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: new, namespace: ops }\n"
    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
    "metadata: { name: db-in, namespace: shop }\n"
    "spec: { podSelector: { matchLabels: { app: db } }, ingress: [ { from: [ { podSelector: { "
    "matchLabels: { app: payments } } } ], ports: [ { port: 80 } ] }, { from: [ { ipBlock: { cidr: "
    "203.0.113.0/24, except: [ 203.0.113.8/29 ] } } ], ports: [ { port: 443 } ] } ] }\n"
    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
    "metadata: { name: web-out, namespace: shop }\n"
    "spec: { podSelector: { matchLabels: { app: web } }, policyTypes: [ Egress ], egress: [ { to: "
    "[ { podSelector: { matchLabels: { app: db } } } ] } ] }\n";

static void load(struct lab *lab)
{
    struct fence_err err = {0};

    if (lab_load(lab, objects, &err) < 0)
        fail_msg("%s", err.text);
}

/* Answers on TCP; the side that decides is the first that denies, else ingress. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): columns in reading order */
static const struct {
    const char *from, *to;
    unsigned int port;
    uint8_t verdict;
    const char *egress, *ingress; /* reasons */
    const char *policy;
    int rule;
    const char *nearest;
    int nearest_rule;
    const char *failed;
} answers[] = {
    {"shop/web", "shop/db", 80, 0, "rule", "no-rule", "NetworkPolicy/shop/db-in", -1,
     "NetworkPolicy/shop/db-in", 0, "peer label app=web is not payments"},
    {"10.1.0.1", "10.1.0.2", 80, 0, "rule", "no-rule", "NetworkPolicy/shop/db-in", -1,
     "NetworkPolicy/shop/db-in", 0, "peer label app=web is not payments"},
    {"203.0.113.1", "shop/db", 443, 1, "not-an-endpoint", "rule", "NetworkPolicy/shop/db-in", 1, "",
     -1, ""},
    {"203.0.113.1", "shop/db", 444, 0, "not-an-endpoint", "no-rule", "NetworkPolicy/shop/db-in", -1,
     "NetworkPolicy/shop/db-in", 1, "port 444/TCP is not 443/TCP"},
    {"203.0.113.9", "shop/db", 443, 0, "not-an-endpoint", "no-rule", "NetworkPolicy/shop/db-in", -1,
     "NetworkPolicy/shop/db-in", 1, "peer address 203.0.113.9 is in the exception 203.0.113.8/29"},
    {"ops/far", "shop/db", 80, 0, "no-policy", "no-rule", "NetworkPolicy/shop/db-in", -1,
     "NetworkPolicy/shop/db-in", 0, "peer namespace ops is not shop"},
    {"10.1.0.77", "shop/db", 80, 0, "not-an-endpoint", "peer-pending", "NetworkPolicy/shop/db-in",
     -1, "NetworkPolicy/shop/db-in", 0, "peer is pending: its address is no known pod's"},
    {"203.0.113.64", "shop/db", 443, 1, "not-an-endpoint", "rule", "NetworkPolicy/shop/db-in", 1,
     "", -1, ""},
    {"10.1.0.0", "shop/db", 80, 0, "not-an-endpoint", "peer-pending", "NetworkPolicy/shop/db-in",
     -1, "NetworkPolicy/shop/db-in", 0, "peer is pending: its address is no known pod's"},
    {"192.168.0.1", "shop/db", 80, 1, "not-an-endpoint", "from-host", "", -1, "", -1, ""},
    {"ops/mon", "shop/db", 80, 1, "not-an-endpoint", "from-host", "", -1, "", -1, ""},
    {"shop/web", "192.168.0.1", 80, 1, "own-node", "not-an-endpoint", "", -1, "", -1, ""},
    {"shop/web", "ops/mon", 80, 1, "own-node", "not-an-endpoint", "", -1, "", -1, ""},
    {"shop/web", "ops/far", 80, 0, "no-rule", "no-policy", "NetworkPolicy/shop/web-out", -1,
     "NetworkPolicy/shop/web-out", 0, "peer namespace ops is not shop"},
    {"shop/web", "203.0.113.1", 80, 0, "no-rule", "not-an-endpoint", "NetworkPolicy/shop/web-out",
     -1, "NetworkPolicy/shop/web-out", 0, "peer is outside the cluster, not a pod"},
    {"shop/db", "shop/db", 80, 1, "not-an-endpoint", "not-an-endpoint", "", -1, "", -1, ""},
    {"shop/db", "ops/far", 80, 1, "not-isolated", "no-policy", "", -1, "", -1, ""},
    {"shop/db", "10.1.0.2", 80, 1, "not-an-endpoint", "not-an-endpoint", "", -1, "", -1, ""},
    {"127.0.0.1", "shop/db", 80, 0, "not-an-endpoint", "martian", "", -1, "", -1, ""},
    {"127.9.9.9", "ops/far", 80, 0, "not-an-endpoint", "martian", "", -1, "", -1, ""},
    {"::1", "shop/db", 80, 0, "not-an-endpoint", "martian", "", -1, "", -1, ""},
    {"224.0.0.1", "shop/db", 80, 0, "not-an-endpoint", "martian", "", -1, "", -1, ""},
    {"255.255.255.255", "shop/db", 80, 0, "not-an-endpoint", "martian", "", -1, "", -1, ""},
    {"ff02::1", "shop/db", 80, 0, "not-an-endpoint", "martian", "", -1, "", -1, ""},
    {"shop/db", "127.0.0.1", 80, 0, "martian", "not-an-endpoint", "", -1, "", -1, ""},
    {"shop/web", "::1", 80, 0, "martian", "not-an-endpoint", "", -1, "", -1, ""},
    {"shop/db", "224.0.0.1", 80, 1, "not-isolated", "not-an-endpoint", "", -1, "", -1, ""},
    {"shop/db", "ff02::1", 80, 1, "not-isolated", "not-an-endpoint", "", -1, "", -1, ""},
    {"126.0.0.1", "ops/far", 80, 1, "not-an-endpoint", "no-policy", "", -1, "", -1, ""},
    {"223.255.255.255", "ops/far", 80, 1, "not-an-endpoint", "no-policy", "", -1, "", -1, ""},
    {"127.0.0.1", "192.0.2.1", 80, 1, "not-an-endpoint", "not-an-endpoint", "", -1, "", -1, ""},
};

static void check(const struct lab *lab, size_t i)
{
    struct fence_query query = {.from = answers[i].from,
                                .to = answers[i].to,
                                .protocol = IPPROTO_TCP,
                                .port = answers[i].port};
    struct fence_answer answer = {0};
    const struct fence_side *side = &answer.sides[FENCE_EGRESS];
    struct fence_err err = {0};

    if (fence_evaluate(&lab->world, &query, &answer, &err) < 0)
        fail_msg("answer %zu: %s", i, err.text);
    if (side->verdict == FENCE_ALLOW)
        side = &answer.sides[FENCE_INGRESS];
    if (answer.verdict != answers[i].verdict || answer.mixed)
        fail_msg("answer %zu: %s", i, fence_verdict_name(answer.verdict));
    assert_string_equal(fence_reason_name(answer.sides[FENCE_EGRESS].reason), answers[i].egress);
    assert_string_equal(fence_reason_name(answer.sides[FENCE_INGRESS].reason), answers[i].ingress);
    assert_string_equal(side->policy, answers[i].policy);
    assert_int_equal((int)side->rule, answers[i].rule);
    assert_string_equal(side->nearest_policy, answers[i].nearest);
    assert_int_equal((int)side->nearest_rule, answers[i].nearest_rule);
    assert_string_equal(side->nearest_failed, answers[i].failed);
}

static void test_answers(void **context)
{
    struct lab lab = {0};

    (void)context;
    load(&lab);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(answers); i++)
        check(&lab, i);
    lab_done(&lab);
}

static const struct {
    const char *from, *to;
    int family;
    int error;
    const char *text;
} refusals[] = {
    {"shop/nobody", "shop/db", 0, -ENOENT, "there is no pod shop/nobody"},
    {"shop", "shop/db", 0, -ENOENT, "neither an address nor a pod"},
    {"shop/web", "10.1.0.300", 0, -ENOENT, "neither an address nor a pod"},
    {"shop/web/x", "shop/db", 0, -ENOENT, "there is no pod shop/web/x"},
    {"ops/far", "fd00::7", 0, -EINVAL, "no address of one family in common"},
    {"10.0.0.1", "fd00::7", 0, -EINVAL, "no address of one family in common"},
    {"ops/far", "shop/db", 6, -EINVAL, "no address of that family in common"},
    {"shop/db", "ops/new", 0, -EINVAL, "the pod ops/new has no address (status.podIPs)"},
    {"ops/new", "10.0.0.1", 4, -EINVAL, "the pod ops/new has no address (status.podIPs)"},
};

static void test_refusals(void **context)
{
    struct lab lab = {0};

    (void)context;
    load(&lab);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refusals); i++) {
        struct fence_query query = {.from = refusals[i].from,
                                    .to = refusals[i].to,
                                    .protocol = IPPROTO_TCP,
                                    .family = refusals[i].family};
        struct fence_answer answer = {.verdict = 77};
        struct fence_err err = {0};

        assert_int_equal(fence_evaluate(&lab.world, &query, &answer, &err), refusals[i].error);
        assert_int_equal(answer.verdict, 77);
        if (!strstr(err.text, refusals[i].text))
            fail_msg("refusal %zu: %s", i, err.text);
    }
    lab_done(&lab);
}

static void test_families_that_differ(void **context)
{
    static const char policy[] =
        "---\napiVersion: podfence.io/v1alpha1\nkind: SegmentPolicy\n"
        "metadata: { name: v4, namespace: shop }\nspec: { mode: Denylist, appliesTo: {}, egress: [ "
        "{ to: [ { ipBlock: { cidr: 10.1.0.0/16 } } ] } ] }\n"
        "---\napiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: shop }\n"
        "status: { podIPs: [ { ip: 10.1.0.1 }, { ip: 'fd00::1' } ] }\n"
        "---\napiVersion: v1\nkind: Pod\nmetadata: { name: b, namespace: shop }\n"
        "status: { podIPs: [ { ip: 10.1.0.2 }, { ip: 'fd00::2' } ] }\n";
    struct fence_query query = {.from = "shop/a", .to = "shop/b", .protocol = IPPROTO_UDP};
    struct fence_answer answer = {0};
    struct lab lab = {0};

    (void)context;
    assert_int_equal(lab_load(&lab, policy, NULL), 0);
    assert_int_equal(fence_evaluate(&lab.world, &query, &answer, NULL), 0);
    assert_true(answer.mixed);
    assert_int_equal(answer.verdict, FENCE_DENY);
    query.family = 6;
    assert_int_equal(fence_evaluate(&lab.world, &query, &answer, NULL), 0);
    assert_false(answer.mixed);
    assert_int_equal(answer.verdict, FENCE_ALLOW);
    lab_done(&lab);
}

/* Endpoints of this node: known by the runtime, pending, incomplete, exempt. */
static void test_locals(void **context)
{
    static const char *const required[] = {"team"};
    struct fence_query query = {.from = "10.9.9.9", .to = "shop/x", .protocol = IPPROTO_TCP};
    struct fence_answer answer = {0};
    struct fence_addr addr;
    struct lab lab = {0};

    (void)context;
    load(&lab);
    assert_int_equal(fence_addr_parse("10.1.0.50", &addr), 0);
    lab_add_local(&lab, 5, "shop", "x");
    lab.locals[0].addrs = &addr;
    lab.locals[0].addr_count = 1;
    assert_int_equal(fence_evaluate(&lab.world, &query, &answer, NULL), 0);
    assert_int_equal(answer.sides[FENCE_INGRESS].reason, FENCE_REASON_PENDING);
    assert_int_equal(answer.verdict, FENCE_DENY);

    lab.locals[0].labels = &lab.labels;
    assert_int_equal(fence_labels_set(&lab.labels, "app", "db"), 0);
    assert_int_equal(fence_evaluate(&lab.world, &query, &answer, NULL), 0);
    assert_int_equal(answer.sides[FENCE_INGRESS].reason, FENCE_REASON_NO_RULE);

    lab.world.required_labels = required;
    lab.world.required_label_count = 1;
    assert_int_equal(fence_evaluate(&lab.world, &query, &answer, NULL), 0);
    assert_int_equal(answer.sides[FENCE_INGRESS].reason, FENCE_REASON_INCOMPLETE);

    lab.locals[0].exempt = true;
    assert_int_equal(fence_evaluate(&lab.world, &query, &answer, NULL), 0);
    assert_int_equal(answer.sides[FENCE_INGRESS].reason, FENCE_REASON_EXEMPT);
    assert_int_equal(answer.verdict, FENCE_ALLOW);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_families_that_differ),
        cmocka_unit_test(test_locals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
