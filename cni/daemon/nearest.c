/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to "nearest": which rule came closest to allowing a denied connection. The maps do not
 * hold what a rule wanted, so the evaluator is asked about the objects in force.
 */
#include "cni/daemon/daemon.h"
#include "cni/daemon/status.h"
#include "lib/base/clock.h"
#include "lib/base/names.h"
#include "lib/policy/evaluate.h"

#define NS_PER_SECOND 1000000000

static void add_side(cJSON *list, const struct fence_side *side, enum fence_direction direction)
{
    cJSON *item;

    if (side->verdict == FENCE_ALLOW || !*side->nearest_policy)
        return;
    item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "direction", fence_direction_name(direction));
    cJSON_AddStringToObject(item, "policy", side->nearest_policy);
    if (side->nearest_rule != FENCE_RULE_NONE)
        cJSON_AddNumberToObject(item, "rule", side->nearest_rule);
    cJSON_AddStringToObject(item, "failed", side->nearest_failed);
    cJSON_AddItemToArray(list, item);
}

cJSON *fence_nearest_json(const struct fence_daemon *daemon, const struct fence_query *query)
{
    const struct fence_options *options = &daemon->options;
    struct fence_world world = {
        .locals = daemon->reconcile.locals.items,
        .local_count = daemon->reconcile.locals.count,
        .node_name = *options->node_name ? options->node_name : NULL,
        .host_addrs = daemon->node.addrs,
        .host_addr_count = daemon->node.addr_count,
        .required_labels = options->required_labels.items,
        .required_label_count = options->required_labels.count,
        .own_node_egress_is_policy = options->own_node_egress_is_policy,
        .now = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND),
    };
    struct fence_answer answer = {0};
    struct fence_err unused = {0};
    cJSON *list = cJSON_CreateArray();

    world.object_count = fence_store_objects(daemon->store, &world.objects);
    if (list && fence_evaluate(&world, query, &answer, &unused) == 0)
        for (int i = 0; i < FENCE_DIRECTIONS; i++)
            add_side(list, &answer.sides[i], (enum fence_direction)i);
    return list;
}
