/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/packets_world.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"

/* of a backend that the file only names */
#define UNLISTED_BACKEND "10.244.250.5"

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(member(object, key));

    return text ? text : "";
}

int packets_phase_of(const char *what, enum packets_phase *phase)
{
    if (strstr(what, "no policy selects"))
        *phase = PACKETS_NO_POLICY;
    /* what is taken away is what it allows: the pod stays isolated */
    else if (strstr(what, "deny-all") || strstr(what, "policy removed"))
        *phase = PACKETS_DENY_ALL;
    else if (strstr(what, "policy applied"))
        *phase = PACKETS_AS_WRITTEN;
    else if (strstr(what, ", then "))
        return -EINVAL;
    return 0;
}

static void copy(cJSON *to, const cJSON *from, const char *key)
{
    if (member(from, key))
        cJSON_AddItemToObject(to, key, cJSON_Duplicate(member(from, key), true));
}

/* Nothing in, nothing out, for the pod's whole namespace. */
static void add_deny_all(cJSON *policies, const char *namespace_name)
{
    static const char *const directions[] = {"Ingress", "Egress"};
    cJSON *policy = cJSON_CreateObject();
    cJSON *metadata, *spec;

    cJSON_AddItemToArray(policies, policy);
    cJSON_AddStringToObject(policy, "apiVersion", "networking.k8s.io/v1");
    cJSON_AddStringToObject(policy, "kind", "NetworkPolicy");
    metadata = cJSON_AddObjectToObject(policy, "metadata");
    cJSON_AddStringToObject(metadata, "name", "deny-all");
    cJSON_AddStringToObject(metadata, "namespace", namespace_name);
    spec = cJSON_AddObjectToObject(policy, "spec");
    cJSON_AddObjectToObject(spec, "podSelector");
    cJSON_AddItemToObject(spec, "policyTypes", cJSON_CreateStringArray(directions, 2));
}

static const cJSON *pod_named(const cJSON *pods, const char *name)
{
    const cJSON *pod;

    cJSON_ArrayForEach(pod, pods)
    {
        char text[512];

        snprintf(text, sizeof(text), "%s/%s", text_of(pod, "ns"), text_of(pod, "name"));
        if (strcmp(text, name) == 0)
            return pod;
    }
    return NULL;
}

/* A pod that the file only names as a backend: "ns/pod". */
static const cJSON *add_backend(cJSON *pods, const char *name)
{
    const char *slash = strchr(name, '/');
    FENCE_FREE char *namespace_name = slash ? strndup(name, (size_t)(slash - name)) : NULL;
    cJSON *pod;

    if (!namespace_name)
        return NULL;
    pod = cJSON_CreateObject();
    cJSON_AddItemToArray(pods, pod);
    cJSON_AddStringToObject(pod, "ns", namespace_name);
    cJSON_AddStringToObject(pod, "name", slash + 1);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(pod, "labels"), "pod", slash + 1);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(pod, "ips"), cJSON_CreateString(UNLISTED_BACKEND));
    cJSON_AddStringToObject(pod, "node", "n1");
    return pod;
}

/* Objects by their text: the Service of the address and where it leads. */
static void add_service(cJSON *policies, const cJSON *packet, const cJSON *backend)
{
    static const char form[] =
        "[{\"apiVersion\":\"v1\",\"kind\":\"Service\","
        "\"metadata\":{\"name\":\"s\",\"namespace\":\"%s\"},"
        "\"spec\":{\"clusterIP\":\"%s\",\"ports\":[{\"port\":%d,\"protocol\":\"%s\"}]}},"
        "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\","
        "\"metadata\":{\"name\":\"s-1\",\"namespace\":\"%s\","
        "\"labels\":{\"kubernetes.io/service-name\":\"s\"}},"
        "\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"%s\"]}],"
        "\"ports\":[{\"port\":%d,\"protocol\":\"%s\"}]}]";
    const char *namespace_name = text_of(backend, "ns"), *protocol = text_of(packet, "proto");
    const cJSON *addr = cJSON_GetArrayItem(member(backend, "ips"), 0);
    const cJSON *port = member(packet, "dport");
    int number = port ? (int)port->valuedouble : 0;
    FENCE_FREE char *text = NULL;
    cJSON *objects;

    if (asprintf(&text, form, namespace_name, text_of(packet, "dst"), number, protocol,
                 namespace_name, addr ? addr->valuestring : "", number, protocol) < 0) {
        text = NULL;
        return;
    }
    objects = cJSON_Parse(text);
    while (cJSON_GetArraySize(objects))
        cJSON_AddItemToArray(policies, cJSON_DetachItemFromArray(objects, 0));
    cJSON_Delete(objects);
}

/* "a ClusterIP whose endpoint is y/a" */
static void add_services(cJSON *world, const cJSON *file)
{
    cJSON *pods = cJSON_GetObjectItemCaseSensitive(world, "pods");
    cJSON *policies = cJSON_GetObjectItemCaseSensitive(world, "policies");
    const cJSON *packet;

    cJSON_ArrayForEach(packet, member(file, "packets"))
    {
        const char *name = strstr(text_of(packet, "what"), "endpoint is ");
        const cJSON *backend;

        if (!name)
            continue;
        name += strlen("endpoint is ");
        backend = pod_named(pods, name);
        if (!backend)
            backend = add_backend(pods, name);
        if (backend)
            add_service(policies, packet, backend);
    }
}

cJSON *packets_world(const cJSON *file, enum packets_phase phase)
{
    cJSON *world = cJSON_CreateObject();
    cJSON *pods = cJSON_AddArrayToObject(world, "pods");
    cJSON *policies;
    const cJSON *item;

    copy(world, file, "namespaces");
    copy(world, file, "nodes");
    cJSON_AddItemToArray(pods, cJSON_Duplicate(member(file, "pod"), true));
    cJSON_ArrayForEach(item, member(file, "peers"))
        cJSON_AddItemToArray(pods, cJSON_Duplicate(item, true));
    if (phase == PACKETS_AS_WRITTEN)
        copy(world, file, "policies");
    policies = cJSON_GetObjectItemCaseSensitive(world, "policies");
    if (!policies)
        policies = cJSON_AddArrayToObject(world, "policies");
    if (phase == PACKETS_DENY_ALL)
        add_deny_all(policies, text_of(member(file, "pod"), "ns"));
    add_services(world, file);
    return world;
}
