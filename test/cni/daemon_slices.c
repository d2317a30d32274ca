/* SPDX-License-Identifier: Apache-2.0 */
/* --address-slices: what is asked for then, and what is waited for. */
#include <string.h>

#include "lib/objects/store.h"
#include "test/cmocka.h"

#include "test/cni/kubernetes_lab.h"

/* ---- what the client does -------------------------------------------------------------------- */

static void slices_absent(struct fence_kube *kube)
{
    kube->states[SLICES].listed = true; /* as the client has it: there are no objects */
    kube->states[SLICES].phase = FENCE_KUBE_ABSENT;
    kube->states[SLICES].problem = "HTTP 404: not found";
}

static void list_all_but_slices(struct fence_kube *kube)
{
    for (unsigned int i = 0; i < SLICES; i++)
        kube_list(kube, i, NULL);
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
    kube_list(kube, SLICES, SLICE_TEXT("podfence-1", PODS_TEXT));
}

static void publish(struct fence_kube *kube)
{
    kube_tell(kube, SLICES, SLICE_TEXT("podfence-complete", "\"complete\":true"));
}

static void unpublish(struct fence_kube *kube)
{
    char json[] = SLICE_TEXT("podfence-complete", "\"complete\":true");

    assert_int_equal(kube->ops->deleted(kube->context, SLICES, json, strlen(json), NULL), 0);
}

static void lose_slices(struct fence_kube *kube)
{
    kube_list(kube, SLICES, NULL);
}

static void large_list_of_slices(struct fence_kube *kube)
{
    struct fence_err err = {""};

    kube->ops->begun(kube->context, SLICES);
    for (unsigned int i = 0; i < 200; i++)
        kube_tell(kube, SLICES, SLICE_TEXT("podfence-1", PODS_TEXT));
    assert_int_equal(kube->ops->ended(kube->context, SLICES, &err), 0);
}

#define WRITERS "all daemons need --address-slices, and their role the right to write addressslices"

/* What the status has of it. */
static void assert_told(const struct kube_lab *lab, const char *problem)
{
    cJSON *json = fence_kubernetes_json(lab->kubernetes);
    const cJSON *kind = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "kinds"), SLICES);

    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(kind, "kind")), "AddressSlice");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(kind, "problem")), problem);
    cJSON_Delete(json);
}

static void slices_are_waited_for(void **state)
{
    struct kube_lab *lab = *state;
    struct fence_kubernetes_changes changes;

    assert_false(kube_lab_handle(lab, list_all_but_slices).seen);
    assert_int_equal(kube_lab_problem(lab, SLICES), FENCE_KUBERNETES_ILL);
    kube_assert_problem(
        lab, SLICES,
        "kubernetes: AddressSlice: HTTP 404: not found: install the CRD "
        "(conf/base/crds/addressslices.yaml), or leave out --address-slices: nothing is "
        "changed until it has been listed once");
    assert_false(kube_lab_handle(lab, slices_again).seen);
    assert_int_equal(kube_lab_problem(lab, SLICES), FENCE_KUBERNETES_BEGINS);
    changes = kube_lab_handle(lab, list_slices);
    assert_true(!changes.seen && changes.objects);
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_POD), 1);
    assert_int_equal(kube_lab_problem(lab, SLICES), FENCE_KUBERNETES_ILL);
    kube_assert_problem(
        lab, SLICES,
        "kubernetes: AddressSlice: no daemon has published the addresses yet: " WRITERS
        ": nothing is changed until it has been listed once");
    assert_told(lab, "no daemon has published the addresses yet: " WRITERS);
    assert_false(kube_lab_kind(lab, SLICES).listed);
    assert_true(kube_lab_handle(lab, publish).seen);
    kube_assert_problem(lab, SLICES, "");
    assert_true(kube_lab_kind(lab, SLICES).listed && kube_lab_kind(lab, SLICES).up);
    assert_told(lab, "");
}

static void slices_gone_are_told(void **state)
{
    struct kube_lab *lab = *state;

    kube_lab_handle(lab, list_all_but_slices);
    kube_lab_handle(lab, slices_again);
    kube_lab_handle(lab, publish);
    kube_lab_handle(lab, list_slices); /* which is without it */
    assert_false(fence_kubernetes_all_seen(lab->kubernetes));
    assert_true(kube_lab_handle(lab, publish).seen);
    kube_lab_handle(lab, unpublish);
    assert_true(fence_kubernetes_all_seen(lab->kubernetes));
    kube_assert_problem(lab, SLICES,
                        "kubernetes: AddressSlice: podfence-complete is gone: addresses may be "
                        "missing: " WRITERS ": what is known of it stays in force");
    assert_false(kube_lab_kind(lab, SLICES).up);
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_POD), 1);
    assert_true(kube_lab_handle(lab, large_list_of_slices).large);
    assert_true(kube_lab_handle(lab, lose_slices).objects);
    assert_int_equal(fence_store_count(lab->store, FENCE_OBJECT_POD), 0);
}

static void resources_with_slices(void **state)
{
    struct kube_lab *lab = *state;

    kube_assert_resources(lab, 11, "fieldSelector=spec.nodeName%3Dnode-a",
                          "fieldSelector=metadata.name%3Dnode-a");
    assert_string_equal(fence_kubernetes_resource(lab->kubernetes, SLICES)->kind, "AddressSlice");
}

static int set_up(void **state)
{
    return kube_lab_open(state, "node-a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(resources_with_slices, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(slices_are_waited_for, set_up, kube_lab_close),
        cmocka_unit_test_setup_teardown(slices_gone_are_told, set_up, kube_lab_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
