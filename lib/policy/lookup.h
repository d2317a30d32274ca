/* SPDX-License-Identifier: Apache-2.0 */
/* Finding objects in a world: they are sorted by kind, namespace and name. */
#pragma once

#include "lib/policy/world.h"

struct fence_object_range {
    const struct fence_object *const *items;
    size_t count;
};

struct fence_object_range fence_world_kind(const struct fence_world *world, enum fence_kind kind);
const struct fence_object *fence_world_find(const struct fence_world *world, enum fence_kind kind,
                                            const char *namespace_name, const char *name);

/* The Node object of this node, NULL when there is none or the node's name is unknown. */
const struct fence_object *fence_world_own_node(const struct fence_world *world);

/* Does the annotation of the Pod object name the container of this endpoint? */
bool fence_pod_names_container(const struct fence_object *pod, const struct fence_local *local);

/*
 * The Pod object behind a local endpoint: by namespace, name and uid, or by the annotation
 * podfence.io/container-id. The annotation counts only in the endpoint's own namespace, or when
 * the runtime is not Kubernetes (it gives no uid): otherwise a user could claim another's pod.
 */
const struct fence_object *fence_world_pod_of(const struct fence_world *world,
                                              const struct fence_local *local);

/* True when the policy has run out. */
bool fence_policy_is_over(const struct fence_object *policy, int64_t now);

/* The first required label that is missing, NULL when all are there. */
const char *fence_world_missing_label(const struct fence_world *world,
                                      const struct fence_labels *labels);
