/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to "policies": each policy, where it comes from, and which endpoints it selects. */
#include <stdlib.h>
#include <string.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/status.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/policy/lookup.h"
#include "lib/policy/match.h"

#define NS_PER_SECOND 1000000000

/* Names of endpoints that are listed for one policy; the count is of all. */
#define NAMES_MAX 200

/* What a policy looks at in an endpoint. */
struct subject {
    const struct fence_object *pod; /* NULL = labels from the runtime */
    const struct fence_local *local;
    const struct fence_labels *labels; /* NULL = pending: no policy selects it */
    const struct fence_labels *namespace_labels;
    struct fence_labels bare; /* of a namespace without an object */
};

struct policies {
    const struct fence_daemon *daemon;
    struct fence_world world;
    struct subject *subjects;
    size_t count;
};

static const char *namespace_of(const struct subject *subject)
{
    return subject->pod ? subject->pod->namespace_name : subject->local->namespace_name;
}

static void fill_subject(struct policies *policies, struct subject *subject)
{
    const struct fence_object *space;

    subject->pod = fence_world_pod_of(&policies->world, subject->local);
    subject->labels = subject->pod ? subject->pod->pod.labels : subject->local->labels;
    space = fence_world_find(&policies->world, FENCE_OBJECT_NAMESPACE, "", namespace_of(subject));
    if (space) {
        subject->namespace_labels = space->namespace_labels;
        return;
    }
    (void)fence_labels_set(&subject->bare, "kubernetes.io/metadata.name", namespace_of(subject));
    subject->namespace_labels = &subject->bare;
}

static int open_policies(const struct fence_daemon *daemon, struct policies *policies)
{
    const struct fence_locals *locals = &daemon->reconcile.locals;

    *policies = (struct policies){
        .daemon = daemon,
        .world = {.locals = locals->items,
                  .local_count = locals->count,
                  .node_name = daemon->options.node_name,
                  .now = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND)},
    };
    policies->world.object_count = fence_store_objects(daemon->store, &policies->world.objects);
    policies->subjects = calloc(locals->count + 1, sizeof(*policies->subjects));
    if (!policies->subjects)
        return -1;
    policies->count = locals->count;
    for (size_t i = 0; i < locals->count; i++) {
        policies->subjects[i].local = &locals->items[i];
        fill_subject(policies, &policies->subjects[i]);
    }
    return 0;
}

static void close_policies(struct policies *policies)
{
    for (size_t i = 0; i < policies->count; i++)
        fence_labels_done(&policies->subjects[i].bare);
    free(policies->subjects);
}

/* The refusal of this object, NULL when its file's present text is fine. */
static const struct fence_problem *refusal_of(const struct fence_daemon *daemon, const char *id)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(daemon->store, &problems);

    for (size_t i = 0; i < count; i++)
        if (!problems[i].warning && !strcmp(problems[i].id, id))
            return &problems[i];
    return NULL;
}

static void add_endpoints(cJSON *policy, const struct policies *policies,
                          const struct fence_object *object)
{
    /* one that is over applies to nobody */
    const bool over = fence_policy_is_over(object, policies->world.now);
    cJSON *list = cJSON_AddArrayToObject(policy, "endpoints");
    size_t selected = 0;

    for (size_t i = 0; i < policies->count && !over; i++) {
        const struct subject *subject = &policies->subjects[i];
        char name[FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX];

        if (!subject->labels ||
            !fence_policy_selects(object, namespace_of(subject), subject->namespace_labels,
                                  subject->labels) ||
            selected++ >= NAMES_MAX)
            continue;
        if (subject->pod)
            snprintf(name, sizeof(name), "%s/%s", namespace_of(subject), subject->pod->name);
        else
            fence_local_name(subject->local, name, sizeof(name));
        cJSON_AddItemToArray(list, cJSON_CreateString(name));
    }
    cJSON_AddNumberToObject(policy, "endpointCount", (double)selected);
}

static cJSON *policy_json(const struct policies *policies, const struct fence_object *object)
{
    FENCE_FREE char *id = fence_object_id(object);
    const char *file = fence_store_unit_of(policies->daemon->store, object);
    const char *state = "in force";
    cJSON *policy = cJSON_CreateObject();

    if (fence_policy_is_over(object, policies->world.now))
        state = "expired";
    else if (id && refusal_of(policies->daemon, id))
        state = "last good in force";
    cJSON_AddStringToObject(policy, "id", id ? id : "");
    cJSON_AddStringToObject(policy, "file", file ? file : "");
    cJSON_AddNumberToObject(policy, "line", object->line);
    cJSON_AddStringToObject(policy, "state", state);
    cJSON_AddBoolToObject(policy, "audit", object->policy.audit);
    add_endpoints(policy, policies, object);
    return policy;
}

static bool names_a_policy(const char *id)
{
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++) {
        const char *name = fence_kind_name((enum fence_kind)kind);
        size_t size = strlen(name);

        if (fence_kind_is_policy((enum fence_kind)kind) && !strncmp(id, name, size) &&
            id[size] == '/')
            return true;
    }
    return false;
}

static void add_refused(cJSON *list, const struct fence_daemon *daemon)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(daemon->store, &problems);

    for (size_t i = 0; i < count; i++) {
        cJSON *policy;

        if (problems[i].kept || problems[i].warning || !names_a_policy(problems[i].id))
            continue;
        policy = cJSON_CreateObject();
        cJSON_AddStringToObject(policy, "id", problems[i].id);
        cJSON_AddStringToObject(policy, "file", problems[i].unit);
        cJSON_AddNumberToObject(policy, "line", problems[i].line);
        cJSON_AddStringToObject(policy, "state", "refused");
        cJSON_AddArrayToObject(policy, "endpoints");
        cJSON_AddNumberToObject(policy, "endpointCount", 0);
        cJSON_AddItemToArray(list, policy);
    }
}

cJSON *fence_policies_json(const struct fence_daemon *daemon)
{
    struct policies policies;
    cJSON *list;

    if (open_policies(daemon, &policies) < 0)
        return NULL;
    list = cJSON_CreateArray();
    for (size_t i = 0; i < policies.world.object_count; i++)
        if (fence_kind_is_policy(policies.world.objects[i]->kind))
            cJSON_AddItemToArray(list, policy_json(&policies, policies.world.objects[i]));
    add_refused(list, daemon);
    close_policies(&policies);
    return list;
}
