/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/pack.h"

static const struct {
    const char *name;
    bool policy;
    bool namespaced;
} kinds[] = {
    [FENCE_OBJECT_POD] = {"Pod", false, true},
    [FENCE_OBJECT_NAMESPACE] = {"Namespace", false, false},
    [FENCE_OBJECT_NODE] = {"Node", false, false},
    [FENCE_OBJECT_SERVICE] = {"Service", false, true},
    [FENCE_OBJECT_ENDPOINT_SLICE] = {"EndpointSlice", false, true},
    [FENCE_OBJECT_NETWORK_POLICY] = {"NetworkPolicy", true, true},
    [FENCE_OBJECT_CLUSTER_NETWORK_POLICY] = {"ClusterNetworkPolicy", true, false},
    [FENCE_OBJECT_SEGMENT_POLICY] = {"SegmentPolicy", true, true},
    [FENCE_OBJECT_CLUSTER_SEGMENT_POLICY] = {"ClusterSegmentPolicy", true, false},
};

_Static_assert(FENCE_ARRAY_SIZE(kinds) == FENCE_OBJECT_KINDS, "a row for every kind");

const char *fence_kind_name(enum fence_kind kind)
{
    return kinds[kind].name;
}

bool fence_kind_is_policy(enum fence_kind kind)
{
    return kinds[kind].policy;
}

bool fence_kind_is_namespaced(enum fence_kind kind)
{
    return kinds[kind].namespaced;
}

void fence_selector_done(struct fence_selector *selector)
{
    for (size_t i = 0; i < selector->count; i++) {
        struct fence_requirement *item = &selector->items[i];

        for (size_t j = 0; j < item->value_count; j++)
            fence_shared_string_unref(&item->values[j]);
        free(item->values);
        fence_shared_string_unref(&item->key);
    }
    free(selector->items);
    *selector = (struct fence_selector){0};
}

static void selector_free(struct fence_selector **selector)
{
    if (*selector)
        fence_selector_done(*selector);
    free(*selector);
    *selector = NULL;
}

void fence_peer_spec_done(struct fence_peer_spec *peer)
{
    selector_free(&peer->namespaces);
    selector_free(&peer->pods);
    selector_free(&peer->nodes);
    if (peer->block)
        free(peer->block->except);
    free(peer->block);
    *peer = (struct fence_peer_spec){0};
}

void fence_rule_done(struct fence_rule *rule)
{
    for (size_t i = 0; i < rule->peer_count; i++)
        fence_peer_spec_done(&rule->peers[i]);
    for (size_t i = 0; i < rule->port_count; i++)
        free(rule->ports[i].name);
    free(rule->peers);
    free(rule->ports);
    *rule = (struct fence_rule){0};
}

static void policy_done(struct fence_policy *policy, bool packed)
{
    if (packed) {
        fence_policy_packed_done(policy);
        return;
    }
    fence_selector_done(&policy->namespaces);
    fence_selector_done(&policy->pods);
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        for (size_t i = 0; i < policy->rule_count[direction]; i++)
            fence_rule_done(&policy->rules[direction][i]);
        free(policy->rules[direction]);
    }
}

static void pod_done(struct fence_pod *pod, bool packed)
{
    fence_shared_labels_unref(&pod->labels);
    fence_ports_unref(&pod->ports);
    fence_shared_string_unref(&pod->node);
    fence_shared_string_unref(&pod->owner);
    fence_shared_string_unref(&pod->container_id);
    if (packed)
        return;
    free(pod->addrs);
    free(pod->host_ports);
}

static void node_done(struct fence_node *node)
{
    fence_shared_labels_unref(&node->labels);
    free(node->addrs);
    free(node->pod_prefixes);
}

static void service_done(struct fence_service *service, bool packed)
{
    for (size_t i = 0; i < service->port_count; i++)
        fence_shared_string_unref(&service->ports[i].name);
    if (packed)
        return;
    free(service->addrs.items);
    free(service->ports);
}

static void slice_done(struct fence_endpoint_slice *slice, bool packed)
{
    fence_shared_string_unref(&slice->service);
    for (size_t i = 0; i < slice->port_count; i++)
        fence_shared_string_unref(&slice->ports[i].name);
    if (packed)
        return;
    free(slice->addrs.items);
    free(slice->ports);
}

void fence_object_free(struct fence_object **object)
{
    struct fence_object *gone = *object;

    if (!gone)
        return;
    if (fence_kind_is_policy(gone->kind))
        policy_done(&gone->policy, gone->packed);
    else if (gone->kind == FENCE_OBJECT_POD)
        pod_done(&gone->pod, gone->packed);
    else if (gone->kind == FENCE_OBJECT_NODE)
        node_done(&gone->node);
    else if (gone->kind == FENCE_OBJECT_NAMESPACE)
        fence_shared_labels_unref(&gone->namespace_labels);
    else if (gone->kind == FENCE_OBJECT_SERVICE)
        service_done(&gone->service, gone->packed);
    else if (gone->kind == FENCE_OBJECT_ENDPOINT_SLICE)
        slice_done(&gone->slice, gone->packed);
    fence_shared_string_unref(&gone->namespace_name);
    if (!gone->packed)
        free(gone->name);
    free(gone);
    *object = NULL;
}

char *fence_object_id(const struct fence_object *object)
{
    char *id = NULL;
    int length;

    if (fence_kind_is_namespaced(object->kind))
        length = asprintf(&id, "%s/%s/%s", fence_kind_name(object->kind), object->namespace_name,
                          object->name);
    else
        length = asprintf(&id, "%s/%s", fence_kind_name(object->kind), object->name);
    return length < 0 ? NULL : id;
}

int fence_object_compare(const struct fence_object *a, const struct fence_object *b)
{
    int order;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    order =
        a->namespace_name == b->namespace_name ? 0 : strcmp(a->namespace_name, b->namespace_name);
    return order ? order : strcmp(a->name, b->name);
}

/* ---- copies --------------------------------------------------------------------------------- */

static int copy_requirement(const struct fence_requirement *from, struct fence_requirement *to)
{
    to->op = from->op;
    to->key = fence_shared_string_ref(from->key);
    to->values = calloc(from->value_count + 1, sizeof(char *));
    if (!to->values)
        return -ENOMEM;
    for (size_t i = 0; i < from->value_count; i++)
        to->values[i] = fence_shared_string_ref(from->values[i]);
    to->value_count = from->value_count;
    return 0;
}

/* A new selector, or none where there is none. */
static int copy_selector(const struct fence_selector *from, struct fence_selector **ret_selector)
{
    struct fence_selector *copy;

    if (!from)
        return 0;
    copy = *ret_selector = calloc(1, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    copy->items = calloc(from->count + 1, sizeof(*copy->items));
    if (!copy->items)
        return -ENOMEM;
    for (size_t i = 0; i < from->count; i++) {
        copy->count++;
        if (copy_requirement(&from->items[i], &copy->items[i]) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int copy_block(const struct fence_ip_block *from, struct fence_ip_block **ret_block)
{
    struct fence_ip_block *copy;

    if (!from)
        return 0;
    copy = *ret_block = calloc(1, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    copy->cidr = from->cidr;
    copy->except = calloc(from->except_count + 1, sizeof(*copy->except));
    if (!copy->except)
        return -ENOMEM;
    for (size_t i = 0; i < from->except_count; i++)
        copy->except[i] = from->except[i];
    copy->except_count = from->except_count;
    return 0;
}

int fence_peer_spec_copy(const struct fence_peer_spec *from, struct fence_peer_spec *ret_peer)
{
    struct fence_peer_spec copy = {.unknown = from->unknown};
    int r = copy_selector(from->namespaces, &copy.namespaces);

    if (r == 0)
        r = copy_selector(from->pods, &copy.pods);
    if (r == 0)
        r = copy_selector(from->nodes, &copy.nodes);
    if (r == 0)
        r = copy_block(from->block, &copy.block);
    if (r < 0) {
        fence_peer_spec_done(&copy);
        return r;
    }
    *ret_peer = copy;
    return 0;
}
