/* SPDX-License-Identifier: Apache-2.0 */
/* Which Pod object is behind an endpoint, and what becomes of one without. */
#include "test/policy/worlds.h"

static void test_endpoint_without_a_pod_is_pending(void **context)
{
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, NAMESPACE("shop", ""));
    lab_add_local(&lab, 7, "shop", "web");
    plan = compile(&lab);
    assert_int_equal(plan->endpoints_list.count, 1);
    assert_int_equal(plan->endpoints[0].ifindex, 7);
    assert_int_equal(plan->endpoints[0].flags, FENCE_EP_PENDING);
    assert_int_equal(plan->endpoints[0].set, FENCE_PLAN_NONE);
    assert_int_equal(plan->endpoints[0].identity, FENCE_PLAN_NONE);
    assert_non_null(plan->endpoints[0].pending);
    fence_plan_free(&plan);
    lab_done(&lab);
}

static void test_endpoint_labels_of_the_runtime(void **context)
{
    struct lab lab = {0};
    struct fence_plan *plan;
    struct fence_addr addr = addr_of("10.0.0.9");

    (void)context;
    load(&lab, SEGMENT("shop", "db", "{ mode: Allowlist, appliesTo: {}, ingress: [] }"));
    assert_int_equal(fence_labels_parse("app=web,job-name=j", &lab.labels, NULL), 0);
    lab_add_local(&lab, 7, "shop", "web");
    lab.locals[0].labels = &lab.labels;
    lab.locals[0].addrs = &addr;
    lab.locals[0].addr_count = 1;
    plan = compile(&lab);
    assert_int_equal(plan->endpoints[0].flags, 0);
    assert_int_equal(peer_at(plan, "10.0.0.9")->identity, plan->endpoints[0].identity);
    assert_int_equal(identity_at(plan, "10.0.0.9")->labels->count, 1);
    assert_string_equal(fence_labels_get(identity_at(plan, "10.0.0.9")->labels, "app"), "web");
    assert_string_equal(identity_at(plan, "10.0.0.9")->namespace_name, "shop");
    assert_string_equal(identity_at(plan, "10.0.0.9")->app, "web");
    fence_plan_free(&plan);
    lab_done(&lab);
}

/* How an endpoint finds its Pod object: flags as they come out. */
static const struct {
    const char *what;
    const char *pod;
    const char *namespace_name, *name, *uid, *container_id;
    uint32_t flags;
} finds[] = {
    {"by name", POD_X("shop", "web", "", "10.0.0.1", ", uid: u1", "", ""), "shop", "web", "u1",
     "c1", 0},
    {"by name, uid unknown", POD_X("shop", "web", "", "10.0.0.1", ", uid: u1", "", ""), "shop",
     "web", "", "c1", 0},
    {"another uid", POD_X("shop", "web", "", "10.0.0.1", ", uid: u1", "", ""), "shop", "web", "u2",
     "c1", FENCE_EP_PENDING},
    {"a static pod",
     POD_X("shop", "web", "", "10.0.0.1",
           ", uid: u1, annotations: { kubernetes.io/config.mirror: u2 }", "", ""),
     "shop", "web", "u2", "c1", 0},
    {"a static pod that was another one",
     POD_X("shop", "web", "", "10.0.0.1",
           ", uid: u1, annotations: { kubernetes.io/config.mirror: u2 }", "", ""),
     "shop", "web", "u1", "c1", FENCE_EP_PENDING},
    {"host network", POD_X("shop", "web", "", "10.0.0.1", "", ", hostNetwork: true", ""), "shop",
     "web", "", "c1", FENCE_EP_PENDING},
    {"finished", POD_X("shop", "web", "", "10.0.0.1", "", "", ", phase: Succeeded"), "shop", "web",
     "", "c1", FENCE_EP_PENDING},
    {"by container",
     POD_X("shop", "web", "", "10.0.0.1", ", annotations: { podfence.io/container-id: c1 }", "",
           ""),
     "", "", "", "c1", 0},
    {"another container",
     POD_X("shop", "web", "", "10.0.0.1", ", annotations: { podfence.io/container-id: c1 }", "",
           ""),
     "", "", "", "c12", FENCE_EP_PENDING},
    {"by container, within its namespace",
     POD_X("shop", "web", "", "10.0.0.1", ", annotations: { podfence.io/container-id: c1 }", "",
           ""),
     "shop", "other", "u", "c1", 0},
    {"a container of Kubernetes in another namespace",
     POD_X("evil", "web", "", "10.0.0.1", ", annotations: { podfence.io/container-id: c1 }", "",
           ""),
     "shop", "other", "u", "c1", FENCE_EP_PENDING},
};

static void test_endpoint_finds_its_pod(void **context)
{
    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(finds); i++) {
        struct lab lab = {0};
        struct fence_plan *plan;

        load(&lab, finds[i].pod);
        lab_add_local(&lab, 3, finds[i].namespace_name, finds[i].name);
        lab.locals[0].uid = finds[i].uid;
        lab.locals[0].container_id = finds[i].container_id;
        plan = compile(&lab);
        if (plan->endpoints[0].flags != finds[i].flags)
            fail_msg("%s: flags %u", finds[i].what, plan->endpoints[0].flags);
        fence_plan_free(&plan);
        lab_done(&lab);
    }
}

static void test_incomplete_and_exempt(void **context)
{
    static const char *const required[] = {"team"};
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, POD("shop", "web", "app: web", "10.0.0.1") POD("shop", "db", "team: a", "10.0.0.2")
                   POD("ops", "mon", "team: a", "10.0.0.3") POD("ops", "far", "", "10.0.0.4"));
    lab.world.required_labels = required;
    lab.world.required_label_count = 1;
    lab_add_local(&lab, 1, "shop", "web");
    lab_add_local(&lab, 2, "shop", "db");
    lab_add_local(&lab, 3, "ops", "mon");
    lab.locals[2].exempt = true;
    plan = compile(&lab);
    assert_int_equal(plan->endpoints[0].flags, FENCE_EP_PENDING | FENCE_EP_INCOMPLETE);
    assert_int_equal(plan->endpoints[0].set, FENCE_PLAN_NONE);
    assert_int_equal(plan->endpoints[1].flags, 0);
    assert_int_not_equal(plan->endpoints[1].set, FENCE_PLAN_NONE);
    assert_int_equal(plan->endpoints[2].flags, FENCE_EP_EXEMPT);
    assert_int_equal(plan->endpoints[2].set, FENCE_PLAN_NONE);
    assert_int_equal(identity_at(plan, "10.0.0.1")->reserved, FENCE_IDENTITY_INCOMPLETE);
    assert_int_equal(identity_at(plan, "10.0.0.4")->reserved, FENCE_IDENTITY_INCOMPLETE);
    assert_string_equal(identity_at(plan, "10.0.0.3")->namespace_name, "ops");
    fence_plan_free(&plan);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint_without_a_pod_is_pending),
        cmocka_unit_test(test_endpoint_labels_of_the_runtime),
        cmocka_unit_test(test_endpoint_finds_its_pod),
        cmocka_unit_test(test_incomplete_and_exempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
