/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/model.h"

#include <stdio.h>

#include "lib/base/memory.h"

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
            free(item->values[j]);
        free(item->values);
        free(item->key);
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

static void policy_done(struct fence_policy *policy)
{
    fence_selector_done(&policy->namespaces);
    fence_selector_done(&policy->pods);
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        for (size_t i = 0; i < policy->rule_count[direction]; i++)
            fence_rule_done(&policy->rules[direction][i]);
        free(policy->rules[direction]);
    }
}

static void pod_done(struct fence_pod *pod)
{
    for (size_t i = 0; i < pod->port_count; i++)
        free(pod->ports[i].name);
    free(pod->ports);
    free(pod->addrs);
    fence_labels_done(&pod->labels);
    free(pod->uid);
    free(pod->node);
    free(pod->owner);
    free(pod->container_id);
}

static void node_done(struct fence_node *node)
{
    fence_labels_done(&node->labels);
    free(node->addrs);
    free(node->pod_prefixes);
}

void fence_object_free(struct fence_object **object)
{
    struct fence_object *gone = *object;

    if (!gone)
        return;
    if (fence_kind_is_policy(gone->kind))
        policy_done(&gone->policy);
    else if (gone->kind == FENCE_OBJECT_POD)
        pod_done(&gone->pod);
    else if (gone->kind == FENCE_OBJECT_NODE)
        node_done(&gone->node);
    else if (gone->kind == FENCE_OBJECT_NAMESPACE)
        fence_labels_done(&gone->namespace_labels);
    free(gone->namespace_name);
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
