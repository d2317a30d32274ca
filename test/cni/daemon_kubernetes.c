/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of the Kubernetes API, with a client that says what the test wants. */
#include "cni/daemon/kubernetes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/objects/store.h"
#include "test/cmocka.h"

#define POLICY      FENCE_OBJECT_NETWORK_POLICY
#define CONFIG_MAPS FENCE_OBJECT_KINDS
#define SLICES      (CONFIG_MAPS + 1)

/* ---- the client ----------------------------------------------------------------------------- */

struct fence_kube {
    const struct fence_kube_ops *ops;
    void *context;
    struct fence_kube_state states[FENCE_KUBERNETES_RESOURCES];
    void (*next)(struct fence_kube *kube); /* what the next handle does */
};

static struct fence_kube *client;
static unsigned int resource_count;

int fence_kube_new(const struct fence_kube_config *config, const struct fence_kube_options *options,
                   struct fence_kube **ret_kube, struct fence_err *err)
{
    (void)config, (void)err;
    resource_count = options->count;
    client = calloc(1, sizeof(*client));
    assert_non_null(client);
    client->ops = options->ops;
    client->context = options->context;
    for (unsigned int i = 0; i < options->count; i++)
        client->states[i].problem = "";
    *ret_kube = client;
    return 0;
}

void fence_kube_free(struct fence_kube **kube)
{
    free(*kube);
    *kube = NULL;
}

int fence_kube_fd(const struct fence_kube *kube)
{
    (void)kube;
    return 7;
}

void fence_kube_handle(struct fence_kube *kube)
{
    if (kube->next)
        kube->next(kube);
}

const char *fence_kube_phase_name(enum fence_kube_phase phase)
{
    return phase == FENCE_KUBE_WATCHING ? "watching" : "another";
}

const struct fence_reflector_world *fence_kube_world(const struct fence_kube *kube)
{
    (void)kube;
    return NULL;
}

unsigned int fence_kube_connections(const struct fence_kube *kube)
{
    (void)kube;
    return 3;
}

void fence_kube_state(const struct fence_kube *kube, unsigned int resource,
                      struct fence_kube_state *ret_state)
{
    *ret_state = kube->states[resource];
}

/* ---- what it does ---------------------------------------------------------------------------- */

static void tell(struct fence_kube *kube, unsigned int resource, const char *text)
{
    char *json = strdup(text);
    struct fence_err err = {""};

    assert_non_null(json);
    assert_int_equal(kube->ops->object(kube->context, resource, json, strlen(json), &err), 0);
    free(json);
}

static void list(struct fence_kube *kube, unsigned int resource, const char *text)
{
    struct fence_err err = {""};

    kube->ops->begun(kube->context, resource);
    if (text)
        tell(kube, resource, text);
    assert_int_equal(kube->ops->ended(kube->context, resource, &err), 0);
    kube->states[resource].listed = true;
    kube->states[resource].phase = FENCE_KUBE_WATCHING;
}

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
    for (unsigned int i = 0; i < resource_count; i++)
        if (i != FENCE_OBJECT_NODE && i != FENCE_OBJECT_CLUSTER_NETWORK_POLICY)
            list(kube, i, i == POLICY ? POLICY_TEXT : i == CONFIG_MAPS ? CONFIG_MAP_TEXT : NULL);
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

static void list_nodes(struct fence_kube *kube)
{
    kube->states[FENCE_OBJECT_NODE].problem = "";
    list(kube, FENCE_OBJECT_NODE, NULL);
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
    for (unsigned int i = 0; i < resource_count; i++)
        if (i != CONFIG_MAPS)
            list(kube, i, i == POLICY ? POLICY_TEXT : NULL);
}

static void list_config_maps(struct fence_kube *kube)
{
    kube->states[CONFIG_MAPS].problem = "";
    list(kube, CONFIG_MAPS, CONFIG_MAP_TEXT);
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
    list(kube, POLICY, NULL);
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
        tell(kube, POLICY, POLICY_TEXT);
    assert_int_equal(kube->ops->ended(kube->context, POLICY, &err), 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

struct lab {
    struct fence_store *store;
    struct fence_kubernetes *kubernetes;
};

static int open_lab(void **state, const char *own_node)
{
    static const struct fence_kube_config config;
    const struct fence_kubernetes_options options = {
        .config = &config, .own_node = own_node, .order = 1};
    struct lab *lab = calloc(1, sizeof(*lab));
    struct fence_err err = {""};

    if (!lab || fence_store_new(&lab->store) < 0 ||
        fence_kubernetes_new(&options, lab->store, &lab->kubernetes, &err) < 0)
        return -1;
    *state = lab;
    return 0;
}

static int set_up(void **state)
{
    return open_lab(state, NULL);
}

static int set_up_slices(void **state)
{
    return open_lab(state, "node-a");
}

static int tear_down(void **state)
{
    struct lab *lab = *state;

    fence_kubernetes_free(&lab->kubernetes);
    fence_store_free(&lab->store);
    free(lab);
    return 0;
}

static struct fence_kubernetes_changes handle(struct lab *lab, void (*next)(struct fence_kube *))
{
    struct fence_kubernetes_changes changes;

    client->next = next;
    fence_kubernetes_handle(lab->kubernetes, &changes);
    return changes;
}

static size_t policies(const struct lab *lab)
{
    const struct fence_object *const *objects;

    return fence_store_kind(lab->store, POLICY, &objects);
}

static enum fence_kubernetes_wellness problem(const struct lab *lab, unsigned int resource)
{
    char text[512];

    return fence_kubernetes_problem(lab->kubernetes, resource, text, sizeof(text));
}

static struct fence_kubernetes_kind kind(const struct lab *lab, unsigned int resource)
{
    struct fence_kubernetes_kind found;

    fence_kubernetes_kind(lab->kubernetes, resource, &found);
    return found;
}

static void assert_problem(const struct lab *lab, unsigned int resource, const char *wanted)
{
    char text[512] = "";

    assert_int_equal(fence_kubernetes_problem(lab->kubernetes, resource, text, sizeof(text)) !=
                         FENCE_KUBERNETES_WELL,
                     *wanted != '\0');
    assert_string_equal(text, wanted);
}

static void assert_resources(const struct lab *lab, unsigned int count, const char *pods,
                             const char *nodes)
{
    assert_int_equal(fence_kubernetes_count(lab->kubernetes), count);
    assert_int_equal(resource_count, count);
    for (unsigned int i = 0; i < count; i++) {
        const struct fence_kube_resource *resource = fence_kubernetes_resource(lab->kubernetes, i);

        if (i < FENCE_OBJECT_KINDS)
            assert_string_equal(resource->kind, fence_kind_name((enum fence_kind)i));
        if (i == FENCE_OBJECT_POD)
            assert_string_equal(resource->selector, pods);
        else if (i == FENCE_OBJECT_NODE)
            assert_string_equal(resource->selector, nodes);
        else if (i != CONFIG_MAPS)
            assert_string_equal(resource->selector, "");
    }
}

static void resources_are_those_of_the_kinds(void **state)
{
    assert_resources(*state, 10, "", "");
}

static void resources_with_slices(void **state)
{
    struct lab *lab = *state;

    assert_resources(lab, 11, "fieldSelector=spec.nodeName%3Dnode-a",
                     "fieldSelector=metadata.name%3Dnode-a");
    assert_string_equal(fence_kubernetes_resource(lab->kubernetes, SLICES)->kind, "AddressSlice");
}

/* ---- address slices -------------------------------------------------------------------------- */

static void slices_absent(struct fence_kube *kube)
{
    kube->states[SLICES].listed = true; /* as the client has it: there are no objects */
    kube->states[SLICES].phase = FENCE_KUBE_ABSENT;
    kube->states[SLICES].problem = "HTTP 404: not found";
}

static void list_all_but_slices(struct fence_kube *kube)
{
    for (unsigned int i = 0; i < SLICES; i++)
        list(kube, i, NULL);
    slices_absent(kube);
}

static void slices_again(struct fence_kube *kube)
{
    kube->states[SLICES].phase = FENCE_KUBE_LISTING;
    kube->states[SLICES].problem = "";
}

#define SLICE_TEXT(name, members)                                                                  \
    "{\"apiVersion\":\"podfence.io/v1alpha1\",\"kind\":\"AddressSlice\","                          \
    "\"metadata\":{\"name\":\"" name "\"}," members "}"
#define POD_TEXT(name, node) "{\"name\":\"" name "\",\"node\":\"" node "\",\"ips\":[\"10.0.0.1\"]}"
#define PODS_TEXT                                                                                  \
    "\"groups\":[{\"namespace\":\"x\",\"pods\":[" POD_TEXT("p", "node-b") "," POD_TEXT(            \
        "own", "node-a") "]}]"

static void list_slices(struct fence_kube *kube)
{
    list(kube, SLICES, SLICE_TEXT("podfence-1", PODS_TEXT));
}

static void publish(struct fence_kube *kube)
{
    tell(kube, SLICES, SLICE_TEXT("podfence-complete", "\"complete\":true"));
}

static void unpublish(struct fence_kube *kube)
{
    char json[] = SLICE_TEXT("podfence-complete", "\"complete\":true");

    assert_int_equal(kube->ops->deleted(kube->context, SLICES, json, strlen(json), NULL), 0);
}

static void lose_slices(struct fence_kube *kube)
{
    list(kube, SLICES, NULL);
}

static void large_list_of_slices(struct fence_kube *kube)
{
    struct fence_err err = {""};

    kube->ops->begun(kube->context, SLICES);
    for (unsigned int i = 0; i < 100; i++)
        tell(kube, SLICES, SLICE_TEXT("podfence-1", PODS_TEXT));
    assert_int_equal(kube->ops->ended(kube->context, SLICES, &err), 0);
}

#define WRITERS "all daemons need --address-slices, and their role the right to write addressslices"

static void slices_are_waited_for(void **state)
{
    struct lab *lab = *state;
    struct fence_kubernetes_changes changes;

    assert_false(handle(lab, list_all_but_slices).seen);
    assert_int_equal(problem(lab, SLICES), FENCE_KUBERNETES_ILL);
    assert_problem(lab, SLICES,
                   "kubernetes: AddressSlice: HTTP 404: not found: install the CRD "
                   "(conf/base/crds/addressslices.yaml), or leave out --address-slices: nothing is "
                   "changed until it has been listed once");
    assert_false(handle(lab, slices_again).seen);
    assert_int_equal(problem(lab, SLICES), FENCE_KUBERNETES_BEGINS);
    changes = handle(lab, list_slices);
    assert_true(!changes.seen && changes.objects);
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_POD), 1);
    assert_int_equal(problem(lab, SLICES), FENCE_KUBERNETES_ILL);
    assert_problem(lab, SLICES,
                   "kubernetes: AddressSlice: no daemon has published the addresses yet: " WRITERS
                   ": nothing is changed until it has been listed once");
    assert_false(kind(lab, SLICES).listed);
    assert_true(handle(lab, publish).seen);
    assert_problem(lab, SLICES, "");
    assert_true(kind(lab, SLICES).listed && kind(lab, SLICES).up);
}

static void slices_gone_are_told(void **state)
{
    struct lab *lab = *state;

    handle(lab, list_all_but_slices);
    handle(lab, slices_again);
    handle(lab, publish);
    handle(lab, list_slices); /* which is without it */
    assert_false(fence_kubernetes_all_seen(lab->kubernetes));
    assert_true(handle(lab, publish).seen);
    handle(lab, unpublish);
    assert_true(fence_kubernetes_all_seen(lab->kubernetes));
    assert_problem(lab, SLICES,
                   "kubernetes: AddressSlice: podfence-complete is gone: addresses may be "
                   "missing: " WRITERS ": what is known of it stays in force");
    assert_false(kind(lab, SLICES).up);
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_POD), 1);
    assert_true(handle(lab, large_list_of_slices).large);
    assert_true(handle(lab, lose_slices).objects);
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_POD), 0);
}

/* ---- kinds ----------------------------------------------------------------------------------- */

static void start_waits_for_every_kind(void **state)
{
    struct lab *lab = *state;
    struct fence_kubernetes_changes changes = handle(lab, list_most);

    assert_true(changes.objects && !changes.seen);
    assert_int_equal(policies(lab), 2);
    assert_false(fence_kubernetes_all_seen(lab->kubernetes));
    assert_problem(lab, FENCE_OBJECT_CLUSTER_NETWORK_POLICY, "");
    changes = handle(lab, refuse_nodes);
    assert_true(changes.problems && !changes.seen && !changes.objects);
    assert_problem(lab, FENCE_OBJECT_NODE,
                   "kubernetes: Node: 403: no right: nothing is changed until it has been listed "
                   "once");
    changes = handle(lab, nodes_absent); /* no cluster is without nodes: the wrong server */
    assert_true(!changes.seen && !fence_kubernetes_all_seen(lab->kubernetes));
    changes = handle(lab, list_nodes);
    assert_true(changes.seen && fence_kubernetes_all_seen(lab->kubernetes));
    assert_problem(lab, FENCE_OBJECT_NODE, "");
    changes = handle(lab, NULL);
    assert_true(!changes.seen && !changes.problems && !changes.objects);
}

static void config_maps_may_be_forbidden(void **state)
{
    struct lab *lab = *state;

    for (unsigned int i = 0; i < 9; i++) /* a server that has not read its roles refuses all */
        assert_false(handle(lab, forbid_config_maps).seen);
    assert_false(handle(lab, list_all_but_config_maps).seen);
    assert_false(handle(lab, forbid_config_maps).seen);
    assert_false(handle(lab, unknown_to_config_maps).seen); /* a token says nothing of roles */
    assert_false(handle(lab, forbid_config_maps).seen);
    assert_false(handle(lab, NULL).seen); /* the same refusal */
    assert_true(handle(lab, forbid_config_maps).seen);
    assert_int_equal(problem(lab, CONFIG_MAPS), FENCE_KUBERNETES_WITHOUT);
    assert_problem(lab, CONFIG_MAPS,
                   "kubernetes: ConfigMap: no right: done without: no policies are read from "
                   "ConfigMaps of the API");
    assert_true(kind(lab, CONFIG_MAPS).up && !kind(lab, CONFIG_MAPS).listed);
    assert_int_equal(policies(lab), 1);
    assert_true(handle(lab, list_config_maps).objects); /* the right is given */
    assert_int_equal(policies(lab), 2);
    assert_problem(lab, CONFIG_MAPS, "");
    handle(lab, forbid_config_maps); /* and taken away again: what is known stays */
    handle(lab, forbid_config_maps);
    handle(lab, forbid_config_maps);
    assert_int_equal(problem(lab, CONFIG_MAPS), FENCE_KUBERNETES_ILL);
    assert_true(!kind(lab, CONFIG_MAPS).up && kind(lab, CONFIG_MAPS).listed);
    assert_true(kind(lab, POLICY).up);
    assert_string_equal(kind(lab, POLICY).name, "NetworkPolicy");
    assert_int_equal(policies(lab), 2);
}

static void others_may_not(void **state)
{
    struct lab *lab = *state;

    handle(lab, list_most); /* Nodes are still to come */
    handle(lab, list_config_maps);
    handle(lab, refuse_nodes);
    for (unsigned int i = 0; i < 9; i++)
        assert_false(handle(lab, refuse_nodes).seen);
    assert_int_equal(problem(lab, FENCE_OBJECT_NODE), FENCE_KUBERNETES_ILL);
    handle(lab, forbid_policies);
    assert_int_equal(policies(lab), 2);
}

static void away_changes_nothing(void **state)
{
    struct lab *lab = *state;
    struct fence_kubernetes_changes changes;

    handle(lab, list_most);
    handle(lab, list_nodes);
    changes = handle(lab, lose_policies);
    assert_true(changes.problems && !changes.objects);
    assert_int_equal(policies(lab), 2);
    assert_true(fence_kubernetes_all_seen(lab->kubernetes));
    assert_problem(lab, POLICY,
                   "kubernetes: NetworkPolicy: connection refused: what is known of it stays in "
                   "force");
    changes = handle(lab, drop_policies);
    assert_true(changes.objects && !changes.seen);
    assert_int_equal(policies(lab), 1);
    assert_problem(lab, POLICY, "");
    changes = handle(lab, delete_config_map);
    assert_true(changes.objects);
    assert_int_equal(policies(lab), 0);
}

static double number(const cJSON *kinds, int resource, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetArrayItem(kinds, resource), name));
}

static void status_has_every_kind(void **state)
{
    struct lab *lab = *state;
    const cJSON *kinds, *pods;
    cJSON *json;

    handle(lab, list_most);
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
    client->states[FENCE_OBJECT_POD].heard_ns = fence_clock_boot_ns() - 5000000000ull;
    client->states[FENCE_OBJECT_POD].retry_at_ns = fence_clock_boot_ns() + 9000000000ull;
    client->states[FENCE_OBJECT_SERVICE].retry_at_ns = 1; /* due */
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

static void assert_counts(const struct lab *lab, const char *wanted)
{
    char text[128], little[8];

    fence_kubernetes_amounts(lab->kubernetes, text, sizeof(text));
    assert_string_equal(text, wanted);
    fence_kubernetes_amounts(lab->kubernetes, little, sizeof(little));
    assert_memory_equal(little, wanted, sizeof(little) - 1);
}

static void large_lists_are_told(void **state)
{
    struct lab *lab = *state;

    assert_counts(lab, "no objects");
    assert_false(handle(lab, list_most).large);
    assert_counts(lab, "1 networkpolicies, 1 configmaps");
    assert_true(handle(lab, large_list).large);
    assert_counts(lab, "3000 networkpolicies, 1 configmaps");
    handle(lab, lose_policies); /* a list that broke off */
    assert_counts(lab, "3000 networkpolicies, 1 configmaps");
    assert_false(handle(lab, NULL).large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(resources_are_those_of_the_kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resources_with_slices, set_up_slices, tear_down),
        cmocka_unit_test_setup_teardown(slices_are_waited_for, set_up_slices, tear_down),
        cmocka_unit_test_setup_teardown(slices_gone_are_told, set_up_slices, tear_down),
        cmocka_unit_test_setup_teardown(start_waits_for_every_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(config_maps_may_be_forbidden, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_may_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(away_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(status_has_every_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_lists_are_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
