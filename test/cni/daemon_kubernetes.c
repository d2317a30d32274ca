/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon makes of what a client of the Kubernetes API tells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/objects/store.h"
#include "test/cmocka.h"

#include "test/cni/kubernetes_lab.h"

/* ---- what it does ---------------------------------------------------------------------------- */

#define POLICY_TEXT                                                                                \
    "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":"            \
    "{\"name\":\"a\",\"namespace\":\"x\"},\"spec\":{\"podSelector\":{}}}"
#define CONFIG_MAP_TEXT                                                                            \
    "{\"metadata\":{\"name\":\"c\",\"namespace\":\"x\"},\"data\":{\"p.json\":"                     \
    "\"{\\\"apiVersion\\\":\\\"networking.k8s.io/v1\\\",\\\"kind\\\":\\\"NetworkPolicy\\\","       \
    "\\\"metadata\\\":{\\\"name\\\":\\\"b\\\",\\\"namespace\\\":\\\"x\\\"},"                       \
    "\\\"spec\\\":{\\\"podSelector\\\":{}}}\"}}"

/* All but ClusterNetworkPolicies, which are not installed, and Nodes. */
static void list_most(struct fence_kube *kube)
{
    for (unsigned int i = 0; i < kube_resource_count; i++)
        if (i != FENCE_OBJECT_NODE && i != FENCE_OBJECT_CLUSTER_NETWORK_POLICY)
            kube_list(kube, i,
                      i == POLICY        ? POLICY_TEXT
                      : i == CONFIG_MAPS ? CONFIG_MAP_TEXT
                                         : NULL);
    kube->states[FENCE_OBJECT_CLUSTER_NETWORK_POLICY].phase = FENCE_KUBE_ABSENT;
    kube->states[FENCE_OBJECT_CLUSTER_NETWORK_POLICY].problem = "not installed";
}

static void refuse_nodes(struct fence_kube *kube)
{
    kube->states[FENCE_OBJECT_NODE].phase = FENCE_KUBE_REFUSED;
    kube->states[FENCE_OBJECT_NODE].problem = "403: no right";
    kube->states[FENCE_OBJECT_NODE].status = 403;
    kube->states[FENCE_OBJECT_NODE].failures++;
}

static void nodes_absent(struct fence_kube *kube)
{
    kube->states[FENCE_OBJECT_NODE].phase = FENCE_KUBE_ABSENT;
    kube->states[FENCE_OBJECT_NODE].problem = "404: not found";
}

/* A second answer says that the kind is not installed. */
static void absent_again(struct fence_kube *kube)
{
    kube->states[FENCE_OBJECT_CLUSTER_NETWORK_POLICY].failures++;
}

static void list_nodes(struct fence_kube *kube)
{
    absent_again(kube);
    kube->states[FENCE_OBJECT_NODE].problem = "";
    kube_list(kube, FENCE_OBJECT_NODE, NULL);
}

static void refuse(struct fence_kube *kube, unsigned int resource, long status)
{
    kube->states[resource].phase = FENCE_KUBE_REFUSED;
    kube->states[resource].status = status;
    kube->states[resource].problem = "no right";
    kube->states[resource].failures++;
}

static void forbid_config_maps(struct fence_kube *kube)
{
    refuse(kube, CONFIG_MAPS, 403);
}

static void unknown_to_config_maps(struct fence_kube *kube)
{
    refuse(kube, CONFIG_MAPS, 401);
}

static void forbid_policies(struct fence_kube *kube)
{
    refuse(kube, POLICY, 403);
}

static void list_all_but_config_maps(struct fence_kube *kube)
{
    for (unsigned int i = 0; i < kube_resource_count; i++)
        if (i != CONFIG_MAPS)
            kube_list(kube, i, i == POLICY ? POLICY_TEXT : NULL);
}

static void list_config_maps(struct fence_kube *kube)
{
    kube->states[CONFIG_MAPS].problem = "";
    kube_list(kube, CONFIG_MAPS, CONFIG_MAP_TEXT);
}

static void lose_policies(struct fence_kube *kube)
{
    kube->ops->begun(kube->context, POLICY); /* and breaks off */
    kube->states[POLICY].phase = FENCE_KUBE_WAITING;
    kube->states[POLICY].problem = "connection refused";
    kube->states[POLICY].failures++;
}

static void drop_policies(struct fence_kube *kube)
{
    kube->states[POLICY].problem = "";
    kube_list(kube, POLICY, NULL);
}

static void delete_config_map(struct fence_kube *kube)
{
    char json[] = CONFIG_MAP_TEXT;
    struct fence_err err = {""};

    assert_int_equal(kube->ops->deleted(kube->context, CONFIG_MAPS, json, strlen(json), &err), 0);
}

static void large_list(struct fence_kube *kube)
{
    struct fence_err err = {""};

    kube->ops->begun(kube->context, POLICY);
    for (unsigned int i = 0; i < 3000; i++)
        kube_tell(kube, POLICY, POLICY_TEXT);
    assert_int_equal(kube->ops->ended(kube->context, POLICY, &err), 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    return kube_lab_open(state, NULL);
}

static size_t policies(const struct kube_lab *lab)
{
    const struct fence_object *const *objects;

    return fence_store_kind(lab->store, POLICY, &objects);
}

static void resources_are_those_of_the_kinds(void **state)
{
    kube_assert_resources(*state, 10, "", "");
}

static void start_waits_for_every_kind(void **state)
{
    struct kube_lab *lab = *state;
    struct fence_kubernetes_changes changes = kube_lab_handle(lab, list_most);

    assert_true(changes.objects && !changes.seen);
    assert_int_equal(policies(lab), 2);
    assert_false(fence_kubernetes_all_seen(lab->kubernetes));
    kube_assert_problem(lab, FENCE_OBJECT_CLUSTER_NETWORK_POLICY,
                        "kubernetes: ClusterNetworkPolicy: its first list has not come yet: "
                        "nothing is changed until it has been listed once");
    assert_int_equal(kube_lab_problem(lab, FENCE_OBJECT_CLUSTER_NETWORK_POLICY),
                     FENCE_KUBERNETES_BEGINS);
    changes = kube_lab_handle(lab, refuse_nodes);
    assert_true(changes.problems && !changes.seen && !changes.objects);
    kube_assert_problem(
        lab, FENCE_OBJECT_NODE,
        "kubernetes: Node: 403: no right: nothing is changed until it has been listed "
        "once");
    changes =
        kube_lab_handle(lab, nodes_absent); /* no cluster is without nodes: the wrong server */
    assert_true(!changes.seen && !fence_kubernetes_all_seen(lab->kubernetes));
    changes = kube_lab_handle(lab, list_nodes);
    assert_true(changes.seen && fence_kubernetes_all_seen(lab->kubernetes));
    kube_assert_problem(lab, FENCE_OBJECT_NODE, "");
    kube_assert_problem(lab, FENCE_OBJECT_CLUSTER_NETWORK_POLICY, "");
    changes = kube_lab_handle(lab, NULL);
    assert_true(!changes.seen && !changes.problems && !changes.objects);
}

/* A server that has just begun may not know its CRDs yet: policies of before stay in force. */
static void one_absence_is_not_believed(void **state)
{
    struct kube_lab *lab = *state;

    kube_lab_handle(lab, list_most);
    kube_list(kube_lab_client(), FENCE_OBJECT_NODE, NULL);
    assert_false(kube_lab_handle(lab, NULL).seen);
    assert_false(fence_kubernetes_all_seen(lab->kubernetes));
    assert_true(kube_lab_handle(lab, absent_again).seen);
}

static void config_maps_may_be_forbidden(void **state)
{
    struct kube_lab *lab = *state;

    for (unsigned int i = 0; i < 9; i++) /* a server that has not read its roles refuses all */
        assert_false(kube_lab_handle(lab, forbid_config_maps).seen);
    assert_false(kube_lab_handle(lab, list_all_but_config_maps).seen);
    assert_false(kube_lab_handle(lab, forbid_config_maps).seen);
    assert_false(
        kube_lab_handle(lab, unknown_to_config_maps).seen); /* a token says nothing of roles */
    assert_false(kube_lab_handle(lab, forbid_config_maps).seen);
    assert_false(kube_lab_handle(lab, NULL).seen); /* the same refusal */
    assert_true(kube_lab_handle(lab, forbid_config_maps).seen);
    assert_int_equal(kube_lab_problem(lab, CONFIG_MAPS), FENCE_KUBERNETES_WITHOUT);
    kube_assert_problem(lab, CONFIG_MAPS,
                        "kubernetes: ConfigMap: no right: done without: no policies are read from "
                        "ConfigMaps of the API");
    assert_true(kube_lab_kind(lab, CONFIG_MAPS).up && !kube_lab_kind(lab, CONFIG_MAPS).listed);
    assert_int_equal(policies(lab), 1);
    assert_true(kube_lab_handle(lab, list_config_maps).objects); /* the right is given */
    assert_int_equal(policies(lab), 2);
    kube_assert_problem(lab, CONFIG_MAPS, "");
    kube_lab_handle(lab, forbid_config_maps); /* and taken away again: what is known stays */
    kube_lab_handle(lab, forbid_config_maps);
    kube_lab_handle(lab, forbid_config_maps);
    assert_int_equal(kube_lab_problem(lab, CONFIG_MAPS), FENCE_KUBERNETES_ILL);
    assert_true(!kube_lab_kind(lab, CONFIG_MAPS).up && kube_lab_kind(lab, CONFIG_MAPS).listed);
    assert_true(kube_lab_kind(lab, POLICY).up);
    assert_string_equal(kube_lab_kind(lab, POLICY).name, "NetworkPolicy");
    assert_int_equal(policies(lab), 2);
}

static void others_may_not(void **state)
{
    struct kube_lab *lab = *state;

    kube_lab_handle(lab, list_most); /* Nodes are still to come */
    kube_lab_handle(lab, list_config_maps);
    kube_lab_handle(lab, refuse_nodes);
    for (unsigned int i = 0; i < 9; i++)
        assert_false(kube_lab_handle(lab, refuse_nodes).seen);
    assert_int_equal(kube_lab_problem(lab, FENCE_OBJECT_NODE), FENCE_KUBERNETES_ILL);
    kube_lab_handle(lab, forbid_policies);
    assert_int_equal(policies(lab), 2);
}

static void away_changes_nothing(void **state)
{
    struct kube_lab *lab = *state;
    struct fence_kubernetes_changes changes;

    kube_lab_handle(lab, list_most);
    kube_lab_handle(lab, list_nodes);
    changes = kube_lab_handle(lab, lose_policies);
    assert_true(changes.problems && !changes.objects);
    assert_int_equal(policies(lab), 2);
    assert_true(fence_kubernetes_all_seen(lab->kubernetes));
    kube_assert_problem(
        lab, POLICY,
        "kubernetes: NetworkPolicy: connection refused: what is known of it stays in "
        "force");
    changes = kube_lab_handle(lab, drop_policies);
    assert_true(changes.objects && !changes.seen);
    assert_int_equal(policies(lab), 1);
    kube_assert_problem(lab, POLICY, "");
    changes = kube_lab_handle(lab, delete_config_map);
    assert_true(changes.objects);
    assert_int_equal(policies(lab), 0);
}

static double number(const cJSON *kinds, int resource, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetArrayItem(kinds, resource), name));
}

static void status_has_every_kind(void **state)
{
    struct kube_lab *lab = *state;
    const cJSON *kinds, *pods;
    cJSON *json;

    kube_lab_handle(lab, list_most);
    json = fence_kubernetes_json(lab->kubernetes);
    kinds = cJSON_GetObjectItem(json, "kinds");
    assert_int_equal(cJSON_GetArraySize(kinds), FENCE_KUBERNETES_RESOURCES - 1);
    pods = cJSON_GetArrayItem(kinds, FENCE_OBJECT_POD);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(pods, "kind")), "Pod");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(pods, "listed")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(pods, "up")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(pods, "lastHeardSeconds")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(pods, "retryInSeconds")));
    cJSON_Delete(json);
    kube_lab_client()->states[FENCE_OBJECT_POD].heard_ns = fence_clock_boot_ns() - 5000000000ull;
    kube_lab_client()->states[FENCE_OBJECT_POD].retry_at_ns = fence_clock_boot_ns() + 9000000000ull;
    kube_lab_client()->states[FENCE_OBJECT_SERVICE].retry_at_ns = 1; /* due */
    json = fence_kubernetes_json(lab->kubernetes);
    kinds = cJSON_GetObjectItem(json, "kinds");
    assert_float_equal(number(kinds, FENCE_OBJECT_POD, "lastHeardSeconds"), 5, 1);
    assert_float_equal(number(kinds, FENCE_OBJECT_POD, "retryInSeconds"), 9, 1);
    assert_float_equal(number(kinds, FENCE_OBJECT_SERVICE, "retryInSeconds"), 0, 0.001);
    assert_true(
        cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetArrayItem(kinds, FENCE_OBJECT_NODE), "listed")));
    assert_int_equal(cJSON_GetObjectItem(json, "connections")->valueint, 3);
    cJSON_Delete(json);
    json = fence_kubernetes_json(NULL);
    assert_true(cJSON_IsNull(json));
    cJSON_Delete(json);
}

static void assert_counts(const struct kube_lab *lab, const char *wanted)
{
    char text[128], little[8];

    fence_kubernetes_amounts(lab->kubernetes, text, sizeof(text));
    assert_string_equal(text, wanted);
    fence_kubernetes_amounts(lab->kubernetes, little, sizeof(little));
    assert_memory_equal(little, wanted, sizeof(little) - 1);
}

static void large_lists_are_told(void **state)
{
    struct kube_lab *lab = *state;

    assert_counts(lab, "no objects");
    assert_false(kube_lab_handle(lab, list_most).large);
    assert_counts(lab, "1 networkpolicies, 1 configmaps");
    assert_true(kube_lab_handle(lab, large_list).large);
    assert_counts(lab, "3000 networkpolicies, 1 configmaps");
    kube_lab_handle(lab, lose_policies); /* a list that broke off */
    assert_counts(lab, "3000 networkpolicies, 1 configmaps");
    assert_false(kube_lab_handle(lab, NULL).large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(resources_are_those_of_the_kinds, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(start_waits_for_every_kind, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(one_absence_is_not_believed, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(config_maps_may_be_forbidden, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(others_may_not, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(away_changes_nothing, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(status_has_every_kind, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(large_lists_are_told, set_up, kube_lab_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
