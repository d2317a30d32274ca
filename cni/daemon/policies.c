/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: where each comes from, which endpoints it selects, and since when it is in force. */
#include "cni/daemon/policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/status.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/policy/intern.h"
#include "lib/policy/lookup.h"
#include "lib/policy/match.h"

#define NS_PER_SECOND 1000000000

/* Names of endpoints that are listed for one policy; the count is of all. */
#define NAMES_MAX 200

#define ENDPOINT_SUBJECT "endpoint " /* of a failure: see lib/datapath/apply_endpoints.c */

#define NAME_BYTES (FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX)

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
    int64_t now;                 /* seconds since 1970 */
    struct fence_intern refused; /* id to its problem */
    struct subject *subjects;
    size_t count;
};

static const char *namespace_of(const struct subject *subject)
{
    return subject->pod ? subject->pod->namespace_name : subject->local->namespace_name;
}

/* As fence_world_pod_of, without sorting the objects unless the names do not tell. */
static const struct fence_object *pod_of(const struct fence_store *store,
                                         const struct fence_local *local)
{
    const struct fence_object *named =
        fence_store_find(store, FENCE_OBJECT_POD, local->namespace_name, local->pod);
    const struct fence_object *const *pods;
    size_t count;

    if (named && fence_pod_is(named, local->namespace_name, local->pod, local->uid))
        return named;
    count = *local->container_id ? fence_store_kind(store, FENCE_OBJECT_POD, &pods) : 0;
    for (size_t i = 0; i < count; i++)
        if (fence_pod_names_container(pods[i], local))
            return pods[i];
    return NULL;
}

static void fill_subject(const struct fence_store *store, struct subject *subject)
{
    const struct fence_object *space;

    subject->pod = pod_of(store, subject->local);
    subject->labels = subject->pod ? subject->pod->pod.labels : subject->local->labels;
    space = fence_store_find(store, FENCE_OBJECT_NAMESPACE, "", namespace_of(subject));
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
        .now = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND),
        .subjects = calloc(locals->count + 1, sizeof(*policies->subjects)),
    };
    if (!policies->subjects)
        return -1;
    policies->count = locals->count;
    for (size_t i = 0; i < locals->count; i++) {
        policies->subjects[i].local = &locals->items[i];
        fill_subject(daemon->store, &policies->subjects[i]);
    }
    return 0;
}

static void close_policies(struct policies *policies)
{
    for (size_t i = 0; i < policies->count; i++)
        fence_labels_done(&policies->subjects[i].bare);
    free(policies->subjects);
    fence_intern_done(&policies->refused);
}

/* For refusal_of. Without memory some last good version is shown as in force. */
static void index_refusals(struct policies *policies)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(policies->daemon->store, &problems);
    uint32_t number;

    for (size_t i = 0; i < count; i++)
        if (!problems[i].warning && *problems[i].id)
            (void)fence_intern_put(&policies->refused, problems[i].id, strlen(problems[i].id),
                                   (uint32_t)i, &number);
}

/* The refusal of this object, NULL when its file's present text is fine. */
static const struct fence_problem *refusal_of(const struct policies *policies, const char *id)
{
    const struct fence_problem *problems;
    uint32_t number;

    if (!fence_intern_find(&policies->refused, id, strlen(id), &number))
        return NULL;
    (void)fence_store_problems(policies->daemon->store, &problems);
    return &problems[number];
}

static const char *name_of(const struct subject *subject, char *text, size_t size)
{
    if (!subject->pod)
        return fence_local_name(subject->local, text, size);
    snprintf(text, size, "%s/%s", namespace_of(subject), subject->pod->name);
    return text;
}

static bool is_selected(const struct fence_object *object, const struct subject *subject)
{
    return subject->labels && fence_policy_selects(object, namespace_of(subject),
                                                   subject->namespace_labels, subject->labels);
}

static void add_endpoints(cJSON *policy, const struct policies *policies,
                          const struct fence_object *object)
{
    /* one that is over applies to nobody */
    const bool over = fence_policy_is_over(object, policies->now);
    cJSON *list = cJSON_AddArrayToObject(policy, "endpoints");
    size_t selected = 0;

    for (size_t i = 0; i < policies->count && !over; i++) {
        char name[NAME_BYTES];

        if (!is_selected(object, &policies->subjects[i]) || selected++ >= NAMES_MAX)
            continue;
        cJSON_AddItemToArray(
            list, cJSON_CreateString(name_of(&policies->subjects[i], name, sizeof(name))));
    }
    cJSON_AddNumberToObject(policy, "endpointCount", (double)selected);
}

/* What the last apply could not do for an endpoint, NULL when nothing. */
static const char *failure_of(const struct fence_reconcile *reconcile,
                              const struct fence_local *local)
{
    const struct fence_plan_endpoint *planned = fence_reconcile_endpoint(reconcile, local->ifindex);
    const char *closed = planned ? fence_reconcile_closed(reconcile, planned) : NULL;
    char name[NAME_BYTES], subject[NAME_BYTES + 16];
    size_t length;

    if (closed)
        return closed;
    length = (size_t)snprintf(subject, sizeof(subject), ENDPOINT_SUBJECT "%s ",
                              fence_local_name(local, name, sizeof(name)));
    for (size_t i = 0; i < reconcile->report.failure_count; i++)
        if (!strncmp(reconcile->report.failures[i].subject, subject, length))
            return reconcile->report.failures[i].text;
    return NULL;
}

/* A map that is full is why endpoints are closed. */
static const struct fence_apply_failure *map_failure(const struct fence_reconcile *reconcile)
{
    for (size_t i = 0; i < reconcile->report.failure_count; i++)
        if (strncmp(reconcile->report.failures[i].subject, ENDPOINT_SUBJECT,
                    strlen(ENDPOINT_SUBJECT)) != 0)
            return &reconcile->report.failures[i];
    return NULL;
}

static const char *explain(const struct fence_reconcile *reconcile, const char *failure, char *text,
                           size_t size)
{
    const struct fence_apply_failure *map = map_failure(reconcile);

    if (map)
        snprintf(text, size, "%s (%s: %s)", failure, map->subject, map->text);
    else
        snprintf(text, size, "%s", failure);
    return text;
}

static void add_failure(cJSON *list, const char *endpoint, const char *text)
{
    cJSON *failure = cJSON_CreateObject();

    cJSON_AddStringToObject(failure, "endpoint", endpoint);
    cJSON_AddStringToObject(failure, "text", text);
    cJSON_AddItemToArray(list, failure);
}

/* Where the policy is not enforced as it says, although it selects the endpoint. */
static void add_shortfalls(cJSON *policy, const struct policies *policies,
                           const struct fence_object *object)
{
    cJSON *exempt = cJSON_AddArrayToObject(policy, "exempt");
    cJSON *failures = cJSON_AddArrayToObject(policy, "failures");

    for (size_t i = 0; i < policies->count; i++) {
        const struct subject *subject = &policies->subjects[i];
        const struct fence_reconcile *reconcile = &policies->daemon->reconcile;
        char name[NAME_BYTES], text[FENCE_ERR_MAX];
        const char *failure;

        if (!is_selected(object, subject))
            continue;
        name_of(subject, name, sizeof(name));
        if (subject->local->exempt)
            cJSON_AddItemToArray(exempt, cJSON_CreateString(name));
        failure = failure_of(reconcile, subject->local);
        if (failure)
            add_failure(failures, name, explain(reconcile, failure, text, sizeof(text)));
    }
}

void fence_policy_add_reach(const struct fence_daemon *daemon, const struct fence_object *policy,
                            cJSON *object)
{
    struct policies policies;

    if (open_policies(daemon, &policies) < 0)
        return;
    add_endpoints(object, &policies, policy);
    add_shortfalls(object, &policies, policy);
    close_policies(&policies);
}

/* ---- shortfalls ----------------------------------------------------------------------------- */

struct fence_shortfalls {
    struct policies policies; /* all endpoints */
    const char **texts;       /* what is wrong with each, NULL = nothing */
};

static bool is_any_short(const struct fence_daemon *daemon)
{
    const struct fence_locals *locals = &daemon->reconcile.locals;

    for (size_t i = 0; i < locals->count; i++)
        if (failure_of(&daemon->reconcile, &locals->items[i]))
            return true;
    return false;
}

struct fence_shortfalls *fence_shortfalls_new(const struct fence_daemon *daemon)
{
    struct fence_shortfalls *list = is_any_short(daemon) ? calloc(1, sizeof(*list)) : NULL;

    if (!list)
        return NULL;
    list->texts = calloc(daemon->reconcile.locals.count, sizeof(*list->texts));
    if (!list->texts || open_policies(daemon, &list->policies) < 0) {
        free(list->texts);
        free(list);
        return NULL;
    }
    for (size_t i = 0; i < list->policies.count; i++)
        list->texts[i] = failure_of(&daemon->reconcile, list->policies.subjects[i].local);
    return list;
}

void fence_shortfalls_free(struct fence_shortfalls **shortfalls)
{
    struct fence_shortfalls *gone = *shortfalls;

    if (!gone)
        return;
    close_policies(&gone->policies);
    free(gone->texts);
    free(gone);
    *shortfalls = NULL;
}

bool fence_shortfalls_find(const struct fence_shortfalls *shortfalls,
                           const struct fence_object *policy, char *text, size_t size)
{
    char name[NAME_BYTES], why[FENCE_ERR_MAX];

    for (size_t i = 0; shortfalls && i < shortfalls->policies.count; i++) {
        const struct subject *subject = &shortfalls->policies.subjects[i];

        if (!shortfalls->texts[i] || !is_selected(policy, subject))
            continue;
        snprintf(text, size, "endpoint %s: %s", name_of(subject, name, sizeof(name)),
                 explain(&shortfalls->policies.daemon->reconcile, shortfalls->texts[i], why,
                         sizeof(why)));
        return true;
    }
    return false;
}

/* ---- the answer to "policies" --------------------------------------------------------------- */

static cJSON *policy_json(const struct policies *policies, const struct fence_object *object)
{
    FENCE_FREE char *id = fence_object_id(object);
    const char *file = fence_store_unit_of(policies->daemon->store, object);
    const struct fence_problem *refusal = id ? refusal_of(policies, id) : NULL;
    const char *state = "in force";
    cJSON *policy = cJSON_CreateObject();

    cJSON_AddStringToObject(policy, "id", id ? id : "");
    cJSON_AddStringToObject(policy, "file", file ? file : "");
    cJSON_AddNumberToObject(policy, "line", object->line);
    if (!fence_inforce_add(policies->daemon, id ? id : "", policy))
        state = "pending";
    else if (fence_policy_is_over(object, policies->now))
        state = "expired";
    else if (refusal)
        state = "last good in force";
    cJSON_AddStringToObject(policy, "state", state);
    if (refusal)
        cJSON_AddStringToObject(policy, "refused", refusal->text);
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
        cJSON_AddStringToObject(policy, "refused", problems[i].text);
        cJSON_AddArrayToObject(policy, "endpoints");
        cJSON_AddNumberToObject(policy, "endpointCount", 0);
        cJSON_AddItemToArray(list, policy);
    }
}

static void add_kind(cJSON *list, const struct policies *policies, enum fence_kind kind)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_kind(policies->daemon->store, kind, &objects);

    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, policy_json(policies, objects[i]));
}

cJSON *fence_policies_json(const struct fence_daemon *daemon)
{
    struct policies policies;
    cJSON *list;

    if (open_policies(daemon, &policies) < 0)
        return NULL;
    index_refusals(&policies);
    list = cJSON_CreateArray();
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        if (fence_kind_is_policy((enum fence_kind)kind))
            add_kind(list, &policies, (enum fence_kind)kind);
    add_refused(list, daemon);
    close_policies(&policies);
    return list;
}
