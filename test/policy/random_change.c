/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to random worlds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/policy/random_parts.h"

static cJSON *member(const cJSON *world, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(world, key);
}

static unsigned int size_of(const cJSON *world, const char *key)
{
    return (unsigned int)cJSON_GetArraySize(member(world, key));
}

/* ---- details of a policy -------------------------------------------------------------------- */

/* A text of a pair becomes the other one. */
static bool swap_text(cJSON *item)
{
    static const char *const pairs[][2] = {
        {"In", "NotIn"},
        {"Exists", "DoesNotExist"},
        {"Allowlist", "Denylist"},
        {"Enforce", "Audit"},
        {"Accept", "Deny"},
        {"Pass", "Accept"},
        {"TCP", "UDP"},
        {"UDP", "SCTP"},
        {"ICMP", "ICMPv6"},
        {"Admin", "Baseline"},
        {"http", "dns"},
        {"dns", "web"},
        {"Ingress", "Egress"},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        for (int j = 0; j < 2; j++)
            if (cJSON_IsString(item) && strcmp(item->valuestring, pairs[i][j]) == 0) {
                cJSON_SetValuestring(item, pairs[i][!j]);
                return true;
            }
    return false;
}

/* Ends of ranges, priorities, types and codes: what may grow by one. */
static bool may_grow(const cJSON *item)
{
    static const char *const keys[] = {"endPort", "end", "priority", "type", "code"};
    static const double most[] = {65535, 65535, 1000, 255, 255};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (cJSON_IsNumber(item) && item->string && strcmp(item->string, keys[i]) == 0)
            return item->valuedouble < most[i];
    return false;
}

static bool has_exceptions(const cJSON *item)
{
    return item->string && strcmp(item->string, "except") == 0 && item->child;
}

/* One exception less, or a smaller one: valid either way. */
static void tweak_exceptions(struct rng *rng, cJSON *list)
{
    int at = (int)rng_below(rng, (unsigned int)cJSON_GetArraySize(list));
    const char *prefix = cJSON_GetArrayItem(list, at)->valuestring;
    const char *slash = strchr(prefix, '/');
    int length = atoi(slash + 1);
    int most = strchr(prefix, ':') ? 128 : 32;
    char text[64];

    if (length == most || rng_chance(rng, 30)) {
        cJSON_DeleteItemFromArray(list, at);
        return;
    }
    length = rng_chance(rng, 50) ? length + 1 : most;
    snprintf(text, sizeof(text), "%.*s/%d", (int)(slash - prefix), prefix, length);
    cJSON_ReplaceItemInArray(list, at, cJSON_CreateString(text));
}

static bool tweak_item(struct rng *rng, cJSON *item)
{
    if (may_grow(item))
        cJSON_SetNumberValue(item, item->valuedouble + 1);
    else if (has_exceptions(item))
        tweak_exceptions(rng, item);
    else
        return swap_text(item);
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the policy's JSON */
static cJSON *nth_item(cJSON *parent, unsigned int *skip)
{
    cJSON *item;

    cJSON_ArrayForEach(item, parent)
    {
        cJSON *found = (*skip)-- == 0 ? item : nth_item(item, skip);

        if (found)
            return found;
    }
    return NULL;
}

/* One detail of the spec becomes another one that is valid too. */
static void tweak(struct rng *rng, cJSON *policy)
{
    bool exception = rng_chance(rng, 30); /* there are few of them */

    for (unsigned int i = 0; i < 200; i++) {
        unsigned int skip = rng_below(rng, 80);
        cJSON *item = nth_item(member(policy, "spec"), &skip);

        if (item && (!exception || i >= 100 || has_exceptions(item)) && tweak_item(rng, item))
            return;
    }
}

/* ---- changes -------------------------------------------------------------------------------- */

/* The number that the name of a new one gets: not one in use. */
static unsigned int free_number(const cJSON *world, const char *key)
{
    const cJSON *item;
    unsigned int next = 0, number;

    cJSON_ArrayForEach(item, member(world, key))
    {
        const cJSON *metadata = member(item, "metadata");

        if (sscanf(member(metadata ? metadata : item, "name")->valuestring + 1, "%u", &number) ==
                1 &&
            number >= next)
            next = number + 1;
    }
    return next;
}

static void remove_one(struct rng *rng, cJSON *world, const char *key)
{
    unsigned int count = size_of(world, key);

    if (count)
        cJSON_DeleteItemFromArray(member(world, key), (int)rng_below(rng, count));
}

static const char *change_pod(struct rng *rng, cJSON *world)
{
    cJSON *pod = random_item(rng, world, "pods");
    const cJSON *node = random_item(rng, world, "nodes");

    switch (pod ? rng_below(rng, 5) : 5) {
    case 0:
        remove_one(rng, world, "pods");
        return "a pod removed";
    case 1:
        cJSON_ReplaceItemInObjectCaseSensitive(pod, "labels", random_labels(rng));
        return "a pod relabelled";
    case 2:
        cJSON_DeleteItemFromObjectCaseSensitive(pod, "node");
        if (node)
            cJSON_AddStringToObject(pod, "node", member(node, "name")->valuestring);
        return "a pod moved";
    case 3:
        cJSON_DeleteItemFromObjectCaseSensitive(pod, "phase");
        if (rng_chance(rng, 60))
            cJSON_AddStringToObject(pod, "phase", "Succeeded");
        return "a pod's phase changed";
    case 4:
        cJSON_DeleteItemFromObjectCaseSensitive(pod, "ports");
        random_container_ports(rng, pod);
        return "a pod's ports changed";
    default:
        cJSON_AddItemToArray(member(world, "pods"),
                             random_pod(rng, world, free_number(world, "pods")));
        return "a pod added";
    }
}

static const char *change_namespace(struct rng *rng, cJSON *world)
{
    const char *name = RNG_PICK(rng, random_namespaces);

    cJSON_DeleteItemFromObjectCaseSensitive(member(world, "namespaces"), name);
    if (rng_chance(rng, 20))
        return "a namespace removed";
    cJSON_AddItemToObject(member(world, "namespaces"), name, random_namespace(rng, name));
    return "a namespace relabelled";
}

static const char *change_node(struct rng *rng, cJSON *world)
{
    cJSON *list = member(world, "nodes");
    int count = cJSON_GetArraySize(list);
    int at = (int)rng_below(rng, 3);

    if (at >= count) {
        cJSON_AddItemToArray(list, random_node(rng, free_number(world, "nodes")));
        return "a node added";
    }
    if (rng_chance(rng, 30)) {
        cJSON_DeleteItemFromArray(list, at);
        return "a node removed";
    }
    cJSON_ReplaceItemInObjectCaseSensitive(cJSON_GetArrayItem(list, at), "labels",
                                           random_labels(rng));
    return "a node relabelled";
}

/* Another spec for the same object. */
static void change_spec(struct rng *rng, const cJSON *world, cJSON *policy)
{
    const char *kind = member(policy, "kind")->valuestring;
    bool done = false;

    for (unsigned int i = 0; i < 20 && !done; i++) {
        cJSON *other = random_policy(rng, world, 0);

        done = strcmp(member(other, "kind")->valuestring, kind) == 0;
        if (done)
            cJSON_ReplaceItemInObjectCaseSensitive(
                policy, "spec", cJSON_DetachItemFromObjectCaseSensitive(other, "spec"));
        cJSON_Delete(other);
    }
}

static const char *change_policy(struct rng *rng, cJSON *world)
{
    cJSON *list = member(world, "policies");
    unsigned int count = size_of(world, "policies");

    if (count == 0 || rng_chance(rng, 20)) {
        cJSON_AddItemToArray(list, random_policy(rng, world, free_number(world, "policies")));
        return "a policy added";
    }
    if (rng_chance(rng, 25)) {
        remove_one(rng, world, "policies");
        return "a policy removed";
    }
    if (rng_chance(rng, 60)) {
        tweak(rng, cJSON_GetArrayItem(list, (int)rng_below(rng, count)));
        return "a detail of a policy changed";
    }
    change_spec(rng, world, cJSON_GetArrayItem(list, (int)rng_below(rng, count)));
    return "a policy changed";
}

const char *random_change(struct rng *rng, cJSON *world)
{
    static const int leaps[] = {1, 1, 60, -1};
    unsigned int what = rng_below(rng, 26);
    cJSON *now = member(world, "now");

    if (what < 8)
        return change_pod(rng, world);
    if (what < 10)
        return change_namespace(rng, world);
    if (what < 12)
        return change_node(rng, world);
    if (what < 19)
        return change_policy(rng, world);
    if (what < 25)
        return random_change_service(rng, world);
    cJSON_SetNumberHelper(now, cJSON_GetNumberValue(now) + RNG_PICK(rng, leaps));
    return "the time";
}
