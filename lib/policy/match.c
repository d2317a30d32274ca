/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/match.h"

#include <string.h>

#include "lib/base/hash.h"
static bool has_value(const struct fence_requirement *requirement, const char *value)
{
    for (size_t i = 0; i < requirement->value_count; i++)
        if (strcmp(requirement->values[i], value) == 0)
            return true;
    return false;
}

static bool requirement_holds(const struct fence_requirement *requirement,
                              const struct fence_labels *labels)
{
    const char *value = fence_labels_get(labels, requirement->key);

    switch (requirement->op) {
    case FENCE_OP_IN:
        return value && has_value(requirement, value);
    case FENCE_OP_NOT_IN:
        return !value || !has_value(requirement, value);
    case FENCE_OP_EXISTS:
        return value != NULL;
    case FENCE_OP_DOES_NOT_EXIST:
        return value == NULL;
    }
    return false;
}

bool fence_selector_matches(const struct fence_selector *selector,
                            const struct fence_labels *labels)
{
    for (size_t i = 0; i < selector->count; i++)
        if (!requirement_holds(&selector->items[i], labels))
            return false;
    return true;
}

static bool block_holds(const struct fence_ip_block *block, const struct fence_prefix *where)
{
    if (where->length == FENCE_WHERE_NONE || !fence_prefix_covers(&block->cidr, where))
        return false;
    for (size_t i = 0; i < block->except_count; i++)
        if (fence_prefix_covers(&block->except[i], where))
            return false;
    return true;
}

static bool workload_matches(const struct fence_peer_spec *spec, const char *policy_namespace,
                             const struct fence_peer_view *view)
{
    if (view->kind != FENCE_VIEW_POD)
        return false;
    if (spec->namespaces && !fence_selector_matches(spec->namespaces, view->namespace_labels))
        return false;
    if (!spec->namespaces && *policy_namespace &&
        strcmp(policy_namespace, view->namespace_name) != 0)
        return false;
    return !spec->pods || fence_selector_matches(spec->pods, view->labels);
}

bool fence_peer_matches(const struct fence_peer_spec *spec, const char *policy_namespace,
                        enum fence_action action, const struct fence_peer_view *view)
{
    bool pending = view->kind == FENCE_VIEW_PENDING;

    if (spec->unknown)
        return action == FENCE_ACTION_DENY;
    if (view->service && action != FENCE_ACTION_DENY)
        return false;
    if (pending && action != FENCE_ACTION_DENY)
        return false;
    if (view->kind == FENCE_VIEW_SERVICE)
        return false;
    if (spec->block)
        return block_holds(spec->block, &view->where);
    if (pending)
        return true;
    if (spec->nodes)
        return (view->kind == FENCE_VIEW_NODE || view->kind == FENCE_VIEW_HOST) &&
               fence_selector_matches(spec->nodes, view->labels);
    return workload_matches(spec, policy_namespace, view);
}

bool fence_peer_cuts(const struct fence_peer_spec *spec, const struct fence_peer_view *view)
{
    return view->kind == FENCE_VIEW_SERVICE && spec->block &&
           block_holds(spec->block, &view->where);
}

bool fence_service_has_cluster_ip(const struct fence_object *service, const struct fence_addr *addr)
{
    for (size_t i = 0; i < service->service.cluster_count; i++)
        if (fence_addr_equal(&service->service.addrs.items[i], addr))
            return true;
    return false;
}

bool fence_policy_selects(const struct fence_object *policy, const char *namespace_name,
                          const struct fence_labels *namespace_labels,
                          const struct fence_labels *pod_labels)
{
    if (fence_kind_is_namespaced(policy->kind)) {
        if (strcmp(policy->namespace_name, namespace_name) != 0)
            return false;
    } else if (!fence_selector_matches(&policy->policy.namespaces, namespace_labels)) {
        return false;
    }
    return fence_selector_matches(&policy->policy.pods, pod_labels);
}

bool fence_pod_is(const struct fence_object *pod, const char *namespace_name, const char *name,
                  const char *uid)
{
    if (pod->pod.host_network || pod->pod.finished)
        return false;
    if (strcmp(pod->namespace_name, namespace_name) != 0 || strcmp(pod->name, name) != 0)
        return false;
    return !*uid || !pod->pod.uid || fence_hash_text(uid) == pod->pod.uid;
}
