/* SPDX-License-Identifier: Apache-2.0 */
#include "test/objects/slice_of.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text(const cJSON *object, const char *key)
{
    const char *value = cJSON_GetStringValue(get(object, key));

    return value ? value : "";
}

/* Nothing of what is empty. */
static void add_unless_empty(cJSON *object, const char *key, cJSON *value)
{
    if (value->child)
        cJSON_AddItemToObject(object, key, value);
    else
        cJSON_Delete(value);
}

static void add_text(cJSON *object, const char *key, const char *value)
{
    if (*value)
        cJSON_AddStringToObject(object, key, value);
}

static const cJSON *addresses(const cJSON *pod)
{
    return get(get(pod, "status"), "podIPs");
}

int slice_has(const cJSON *pod)
{
    const char *phase = text(get(pod, "status"), "phase");

    return *text(get(pod, "spec"), "nodeName") && cJSON_GetArraySize(addresses(pod)) > 0 &&
           strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0;
}

/* ---- ports ---------------------------------------------------------------------------------- */

static void add_port(const cJSON *from, int hosted, cJSON *ports)
{
    cJSON *port;

    if (hosted ? !get(from, "hostPort") : !*text(from, "name"))
        return;
    port = cJSON_CreateObject();
    if (hosted) {
        cJSON_AddNumberToObject(port, "hostPort", get(from, "hostPort")->valueint);
        add_text(port, "hostIP", text(from, "hostIP"));
    } else {
        cJSON_AddStringToObject(port, "name", text(from, "name"));
    }
    cJSON_AddNumberToObject(port, "port", get(from, "containerPort")->valueint);
    cJSON_AddStringToObject(port, "protocol",
                            *text(from, "protocol") ? text(from, "protocol") : "TCP");
    cJSON_AddItemToArray(ports, port);
}

static void add_ports(const cJSON *containers, int init, int hosted, cJSON *ports)
{
    const cJSON *container, *port;

    cJSON_ArrayForEach(container, containers)
    {
        if (init && strcmp(text(container, "restartPolicy"), "Always") != 0)
            continue;
        cJSON_ArrayForEach(port, get(container, "ports")) add_port(port, hosted, ports);
    }
}

static cJSON *ports_of(const cJSON *pod, int hosted)
{
    const cJSON *spec = get(pod, "spec");
    cJSON *ports = cJSON_CreateArray();

    add_ports(get(spec, "containers"), 0, hosted, ports);
    add_ports(get(spec, "initContainers"), 1, hosted, ports);
    return ports;
}

/* ---- pods and nodes ------------------------------------------------------------------------- */

static const char *owner_of(const cJSON *metadata)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, get(metadata, "ownerReferences"))
    {
        if (cJSON_IsTrue(get(owner, "controller")))
            return text(owner, "name");
    }
    return "";
}

static void add_labels(const cJSON *metadata, cJSON *to)
{
    const cJSON *labels = get(metadata, "labels");

    if (labels)
        add_unless_empty(to, "labels", cJSON_Duplicate(labels, 1));
}

static cJSON *group_of(const cJSON *pod)
{
    const cJSON *metadata = get(pod, "metadata");
    cJSON *group = cJSON_CreateObject();

    cJSON_AddStringToObject(group, "namespace", text(metadata, "namespace"));
    add_labels(metadata, group);
    add_text(group, "owner", owner_of(metadata));
    add_unless_empty(group, "ports", ports_of(pod, 0));
    return group;
}

static cJSON *pod_of(const cJSON *from)
{
    const cJSON *spec = get(from, "spec"), *ip;
    cJSON *pod = cJSON_CreateObject(), *ips = cJSON_CreateArray();

    cJSON_AddStringToObject(pod, "name", text(get(from, "metadata"), "name"));
    add_text(pod, "uid", text(get(from, "metadata"), "uid"));
    cJSON_AddStringToObject(pod, "node", text(spec, "nodeName"));
    cJSON_ArrayForEach(ip, addresses(from))
        cJSON_AddItemToArray(ips, cJSON_CreateString(text(ip, "ip")));
    cJSON_AddItemToObject(pod, "ips", ips);
    if (cJSON_IsTrue(get(spec, "hostNetwork")))
        cJSON_AddTrueToObject(pod, "hostNetwork");
    add_unless_empty(pod, "hostPorts", ports_of(from, 1));
    return pod;
}

/* Is all but the pods of a group the same? */
static int same_group(const cJSON *group, const cJSON *other)
{
    cJSON *left = cJSON_Duplicate(group, 1);
    int same;

    cJSON_DeleteItemFromObject(left, "pods");
    same = cJSON_Compare(left, other, 1);
    cJSON_Delete(left);
    return same;
}

static void add_pod(cJSON *groups, const cJSON *pod)
{
    cJSON *own = group_of(pod), *group, *pods;

    cJSON_ArrayForEach(group, groups)
    {
        if (!same_group(group, own))
            continue;
        cJSON_AddItemToArray(cJSON_GetObjectItem(group, "pods"), pod_of(pod));
        cJSON_Delete(own);
        return;
    }
    pods = cJSON_AddArrayToObject(own, "pods");
    cJSON_AddItemToArray(pods, pod_of(pod));
    cJSON_AddItemToArray(groups, own);
}

static void add_node(cJSON *nodes, const cJSON *from)
{
    const cJSON *prefixes = get(get(from, "spec"), "podCIDRs"), *address;
    cJSON *node = cJSON_CreateObject(), *ips = cJSON_CreateArray();

    cJSON_AddStringToObject(node, "name", text(get(from, "metadata"), "name"));
    add_labels(get(from, "metadata"), node);
    cJSON_ArrayForEach(address, get(get(from, "status"), "addresses"))
    {
        if (strcmp(text(address, "type"), "InternalIP") == 0 ||
            strcmp(text(address, "type"), "ExternalIP") == 0)
            cJSON_AddItemToArray(ips, cJSON_CreateString(text(address, "address")));
    }
    add_unless_empty(node, "ips", ips);
    if (prefixes)
        add_unless_empty(node, "podCIDRs", cJSON_Duplicate(prefixes, 1));
    cJSON_AddItemToArray(nodes, node);
}

char *slice_of(const char *name, const cJSON *objects)
{
    cJSON *slice = cJSON_CreateObject(), *metadata, *groups = cJSON_CreateArray();
    cJSON *nodes = cJSON_CreateArray();
    const cJSON *object;
    char *json;

    cJSON_AddStringToObject(slice, "apiVersion", "podfence.io/v1alpha1");
    cJSON_AddStringToObject(slice, "kind", "AddressSlice");
    metadata = cJSON_AddObjectToObject(slice, "metadata");
    cJSON_AddStringToObject(metadata, "name", name);
    cJSON_ArrayForEach(object, objects)
    {
        if (get(get(object, "status"), "addresses"))
            add_node(nodes, object);
        else if (slice_has(object))
            add_pod(groups, object);
    }
    add_unless_empty(slice, "groups", groups);
    add_unless_empty(slice, "nodes", nodes);
    json = cJSON_PrintUnformatted(slice);
    cJSON_Delete(slice);
    if (!json)
        abort();
    return json;
}
