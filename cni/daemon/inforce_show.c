/* SPDX-License-Identifier: Apache-2.0 */
/* What is in force, as JSON: lib/api/README.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/daemon/answer.h"
#include "cni/daemon/daemon.h"
#include "cni/daemon/inforce_internal.h"
#include "cni/daemon/times.h"
#include "lib/base/clock.h"

#define NS_PER_SECOND   1000000000ull
#define TEXT_MAX        1024
#define DEFAULT_SECONDS 30
#define MOST_SECONDS    3600

/* ---- policies ------------------------------------------------------------------------------- */

static void add_version(cJSON *policy, const struct fence_policy *version)
{
    char text[20];

    if (version->generation)
        cJSON_AddNumberToObject(policy, "generation", (double)version->generation);
    else
        cJSON_AddNullToObject(policy, "generation");
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)version->content);
    cJSON_AddStringToObject(policy, "content", text);
}

bool fence_inforce_add(const struct fence_daemon *daemon, const char *id, cJSON *policy)
{
    const struct fence_inforce_policy *record = inforce_find(&daemon->inforce, id);
    const struct fence_object *object = record ? inforce_object(daemon, record) : NULL;
    char text[TEXT_MAX];

    fence_time_add_ms(policy, "seenAt", record ? record->seen_ms : 0);
    fence_time_add_ms(policy, "compiledAt", record ? record->compiled_ms : 0);
    fence_time_add_ms(policy, "inForceSince", record ? record->in_force_ms : 0);
    if (object)
        add_version(policy, &object->policy);
    if (!record || !record->waiting)
        return true;
    cJSON_AddStringToObject(policy, "why", inforce_why(daemon, record, text, sizeof(text)));
    return false;
}

/* ---- status --------------------------------------------------------------------------------- */

static void add_bucket(cJSON *list, const struct fence_histogram *histogram, size_t index)
{
    cJSON *bucket = cJSON_CreateObject();

    if (index < FENCE_HISTOGRAM_BOUNDS)
        cJSON_AddNumberToObject(bucket, "le", fence_histogram_bounds[index]);
    else
        cJSON_AddStringToObject(bucket, "le", "+Inf");
    cJSON_AddNumberToObject(bucket, "count", (double)fence_histogram_up_to(histogram, index));
    cJSON_AddItemToArray(list, bucket);
}

static void add_quantile(cJSON *object, const char *name, const struct fence_histogram *histogram,
                         double q)
{
    if (histogram->count)
        cJSON_AddNumberToObject(object, name, fence_histogram_quantile(histogram, q));
    else
        cJSON_AddNullToObject(object, name);
}

void fence_inforce_add_status(cJSON *status, const struct fence_daemon *daemon)
{
    const struct fence_histogram *histogram = &daemon->inforce.histogram;
    cJSON *object = cJSON_AddObjectToObject(status, "inForce");
    cJSON *buckets = cJSON_AddArrayToObject(object, "buckets");

    for (size_t i = 0; i <= FENCE_HISTOGRAM_BOUNDS; i++)
        add_bucket(buckets, histogram, i);
    cJSON_AddNumberToObject(object, "count", (double)histogram->count);
    cJSON_AddNumberToObject(object, "sum", histogram->sum);
    add_quantile(object, "p50", histogram, 0.5);
    add_quantile(object, "p99", histogram, 0.99);
    cJSON_AddNumberToObject(object, "waiting", (double)daemon->inforce.waiting_count);
}

/* ---- endpoints ------------------------------------------------------------------------------ */

/* *ret_reason is NULL where there is nothing to say. */
static const char *state_of(const struct fence_reconcile *reconcile, uint32_t ifindex,
                            const char **ret_reason)
{
    const struct fence_plan_endpoint *planned = fence_reconcile_endpoint(reconcile, ifindex);

    *ret_reason = planned ? fence_reconcile_closed(reconcile, planned) : "not resolved yet";
    if (!planned)
        return "pending";
    if (*ret_reason)
        return "closed";
    if (planned->flags & FENCE_EP_PENDING) {
        *ret_reason = planned->pending ? planned->pending : "not resolved";
        return planned->flags & FENCE_EP_INCOMPLETE ? "incomplete" : "pending";
    }
    return planned->flags & FENCE_EP_EXEMPT ? "exempt" : "enforced";
}

static void add_endpoint(cJSON *list, const struct fence_daemon *daemon,
                         const struct fence_inforce_endpoint *endpoint)
{
    const struct fence_locals *locals = &daemon->reconcile.locals;
    char name[FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX];
    cJSON *json = cJSON_CreateObject();
    const char *reason, *state = state_of(&daemon->reconcile, endpoint->ifindex, &reason);

    for (size_t i = 0; i < locals->count; i++) {
        if (locals->items[i].ifindex != endpoint->ifindex)
            continue;
        cJSON_AddStringToObject(json, "endpoint",
                                fence_local_name(&locals->items[i], name, sizeof(name)));
        cJSON_AddStringToObject(json, "containerId", locals->items[i].container_id);
    }
    cJSON_AddNumberToObject(json, "ifindex", endpoint->ifindex);
    cJSON_AddNumberToObject(json, "policySet", endpoint->set);
    cJSON_AddStringToObject(json, "state", state);
    if (reason)
        cJSON_AddStringToObject(json, "reason", reason);
    fence_time_add_ms(json, "since", endpoint->since_ms);
    cJSON_AddItemToArray(list, json);
}

void fence_inforce_handle_endpoints(struct fence_client *client, const cJSON *request)
{
    const struct fence_inforce *inforce = &client->daemon->inforce;
    cJSON *list = cJSON_CreateArray();

    (void)request;
    for (size_t i = 0; i < inforce->endpoint_count; i++)
        add_endpoint(list, client->daemon, &inforce->endpoints[i]);
    fence_answer_send(client, "endpoints", list);
}

/* ---- wait ----------------------------------------------------------------------------------- */

static void answer_wait(struct fence_client *client, const struct fence_inforce_wait *wait,
                        int result, const char *text)
{
    cJSON *policy;

    if (result < 0) {
        fence_client_refuse(client, "%.256s is not in force: %s", wait->policy, text);
        return;
    }
    policy = cJSON_CreateObject();
    cJSON_AddStringToObject(policy, "id", text);
    (void)fence_inforce_add(client->daemon, text, policy);
    fence_answer_send(client, "policy", policy);
}

static bool take_policy(const cJSON *request, struct fence_inforce_wait *wait)
{
    const cJSON *policy = cJSON_GetObjectItemCaseSensitive(request, "policy");

    if (!cJSON_IsString(policy) || !*policy->valuestring ||
        strlen(policy->valuestring) >= sizeof(wait->policy))
        return false;
    snprintf(wait->policy, sizeof(wait->policy), "%s", policy->valuestring);
    return true;
}

static bool take_version(const cJSON *request, struct fence_inforce_wait *wait)
{
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(request, "content");
    const cJSON *generation = cJSON_GetObjectItemCaseSensitive(request, "generation");
    char *end = NULL;

    if (content) {
        if (!cJSON_IsString(content) || strlen(content->valuestring) != 16)
            return false;
        wait->content = strtoull(content->valuestring, &end, 16);
        if (*end)
            return false;
    }
    if (generation) {
        if (!cJSON_IsNumber(generation) ||
            !(generation->valuedouble >= 0 && generation->valuedouble < 1e15))
            return false;
        wait->generation = (int64_t)generation->valuedouble;
    }
    return true;
}

static bool take_timeout(const cJSON *request, struct fence_inforce_wait *wait)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(request, "seconds");
    double seconds = DEFAULT_SECONDS;

    if (member && (!cJSON_IsNumber(member) ||
                   !(member->valuedouble >= 0 && member->valuedouble <= MOST_SECONDS)))
        return false;
    if (member)
        seconds = member->valuedouble;
    wait->deadline_ns = fence_clock_boot_ns() + (uint64_t)(seconds * 1e9);
    return true;
}

void fence_inforce_handle_wait(struct fence_client *client, const cJSON *request)
{
    struct fence_inforce_wait wait = {.answer = answer_wait};
    int r;

    if (!take_policy(request, &wait)) {
        fence_client_refuse(client, "policy must be a text of 1 to %u bytes",
                            FENCE_WAIT_NAME_MAX - 1);
        return;
    }
    if (!take_version(request, &wait)) {
        fence_client_refuse(client, "content must be 16 hexadecimal digits, generation a number");
        return;
    }
    if (!take_timeout(request, &wait)) {
        fence_client_refuse(client, "seconds must be a number from 0 to %d", MOST_SECONDS);
        return;
    }
    /* as things are now, not as they were when the daemon last looked; others than root wait */
    if (client->is_root)
        fence_sources_read(client->daemon);
    r = fence_inforce_wait(client, &wait);
    if (r < 0)
        fence_client_refuse(client, "%s",
                            r == -EBUSY ? "too many clients wait for policies" : "out of memory");
}
