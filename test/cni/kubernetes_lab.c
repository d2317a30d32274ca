/* SPDX-License-Identifier: Apache-2.0 */
#include "test/cni/kubernetes_lab.h"

#include <stdlib.h>
#include <string.h>

#include "lib/objects/store.h"
#include "test/cmocka.h"

/* ---- the client ----------------------------------------------------------------------------- */

static struct fence_kube *client;

struct fence_kube *kube_lab_client(void)
{
    return client;
}
unsigned int kube_resource_count;

int fence_kube_new(const struct fence_kube_config *config, const struct fence_kube_options *options,
                   struct fence_kube **ret_kube, struct fence_err *err)
{
    (void)config, (void)err;
    kube_resource_count = options->count;
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

void kube_tell(struct fence_kube *kube, unsigned int resource, const char *text)
{
    char *json = strdup(text);
    struct fence_err err = {""};

    assert_non_null(json);
    assert_int_equal(kube->ops->object(kube->context, resource, json, strlen(json), &err), 0);
    free(json);
}

void kube_list(struct fence_kube *kube, unsigned int resource, const char *text)
{
    struct fence_err err = {""};

    kube->ops->begun(kube->context, resource);
    if (text)
        kube_tell(kube, resource, text);
    assert_int_equal(kube->ops->ended(kube->context, resource, &err), 0);
    kube->states[resource].listed = true;
    kube->states[resource].phase = FENCE_KUBE_WATCHING;
}

/* ---- the lab --------------------------------------------------------------------------------- */

int kube_lab_open(void **state, const char *own_node)
{
    static const struct fence_kube_config config;
    const struct fence_kubernetes_options options = {
        .config = &config, .own_node = own_node, .order = 1};
    struct kube_lab *lab = calloc(1, sizeof(*lab));
    struct fence_err err = {""};

    if (!lab || fence_store_new(&lab->store) < 0 ||
        fence_kubernetes_new(&options, lab->store, &lab->kubernetes, &err) < 0)
        return -1;
    *state = lab;
    return 0;
}

int kube_lab_close(void **state)
{
    struct kube_lab *lab = *state;

    fence_kubernetes_free(&lab->kubernetes);
    fence_store_free(&lab->store);
    free(lab);
    return 0;
}

struct fence_kubernetes_changes kube_lab_handle(struct kube_lab *lab,
                                                void (*next)(struct fence_kube *))
{
    struct fence_kubernetes_changes changes;

    client->next = next;
    fence_kubernetes_handle(lab->kubernetes, &changes);
    return changes;
}

enum fence_kubernetes_wellness kube_lab_problem(const struct kube_lab *lab, unsigned int resource)
{
    char text[512];

    return fence_kubernetes_problem(lab->kubernetes, resource, text, sizeof(text));
}

struct fence_kubernetes_kind kube_lab_kind(const struct kube_lab *lab, unsigned int resource)
{
    struct fence_kubernetes_kind found;

    fence_kubernetes_kind(lab->kubernetes, resource, &found);
    return found;
}

void kube_assert_problem(const struct kube_lab *lab, unsigned int resource, const char *wanted)
{
    char text[512] = "";

    assert_int_equal(fence_kubernetes_problem(lab->kubernetes, resource, text, sizeof(text)) !=
                         FENCE_KUBERNETES_WELL,
                     *wanted != '\0');
    assert_string_equal(text, wanted);
}

void kube_assert_resources(const struct kube_lab *lab, unsigned int count, const char *pods,
                           const char *nodes)
{
    assert_int_equal(fence_kubernetes_count(lab->kubernetes), count);
    assert_int_equal(kube_resource_count, count);
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
