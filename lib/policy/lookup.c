/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/lookup.h"

#include <string.h>

#include "lib/policy/match.h"

/* Index of the first object whose kind is at least `kind`. */
static size_t kind_begin(const struct fence_world *world, unsigned int kind)
{
    size_t low = 0;
    size_t high = world->object_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if ((unsigned int)world->objects[middle]->kind < kind)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct fence_object_range fence_world_kind(const struct fence_world *world, enum fence_kind kind)
{
    size_t begin = kind_begin(world, kind);
    size_t end = kind_begin(world, (unsigned int)kind + 1);
    struct fence_object_range range = {.count = end - begin};

    if (range.count)
        range.items = &world->objects[begin];
    return range;
}

const struct fence_object *fence_world_find(const struct fence_world *world, enum fence_kind kind,
                                            const char *namespace_name, const char *name)
{
    struct fence_object_range range = fence_world_kind(world, kind);
    size_t low = 0;
    size_t high = range.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct fence_object *object = range.items[middle];
        int order = strcmp(object->namespace_name, namespace_name);

        if (order == 0)
            order = strcmp(object->name, name);
        if (order == 0)
            return object;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct fence_object *fence_world_own_node(const struct fence_world *world)
{
    return world->node_name ? fence_world_find(world, FENCE_OBJECT_NODE, "", world->node_name)
                            : NULL;
}

bool fence_pod_names_container(const struct fence_object *pod, const struct fence_local *local)
{
    if (pod->pod.host_network || pod->pod.finished || !*pod->pod.container_id ||
        strcmp(pod->pod.container_id, local->container_id) != 0)
        return false;
    return !*local->uid || strcmp(pod->namespace_name, local->namespace_name) == 0;
}

const struct fence_object *fence_world_pod_of(const struct fence_world *world,
                                              const struct fence_local *local)
{
    const struct fence_object *named =
        fence_world_find(world, FENCE_OBJECT_POD, local->namespace_name, local->pod);
    struct fence_object_range pods;

    if (named && fence_pod_is(named, local->namespace_name, local->pod, local->uid))
        return named;
    pods = fence_world_kind(world, FENCE_OBJECT_POD);
    for (size_t i = 0; *local->container_id && i < pods.count; i++)
        if (fence_pod_names_container(pods.items[i], local))
            return pods.items[i];
    return NULL;
}

bool fence_policy_is_over(const struct fence_object *policy, int64_t now)
{
    return policy->policy.expires_at && policy->policy.expires_at <= now;
}

const char *fence_world_missing_label(const struct fence_world *world,
                                      const struct fence_labels *labels)
{
    for (size_t i = 0; i < world->required_label_count; i++)
        if (!fence_labels_get(labels, world->required_labels[i]))
            return world->required_labels[i];
    return NULL;
}
