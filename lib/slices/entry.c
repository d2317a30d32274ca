/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/slices/entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(member(object, name));

    return text ? text : "";
}

static bool is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(member(object, name));
}

/* What is not there, or is empty, is left out. */
static void add_copy(cJSON *to, const char *name, const cJSON *value)
{
    if (value && value->child)
        cJSON_AddItemToObject(to, name, cJSON_Duplicate(value, true));
}

static void add_text(cJSON *to, const char *name, const char *text)
{
    if (*text)
        cJSON_AddStringToObject(to, name, text);
}

/* Takes `list`. */
static void add_list(cJSON *to, const char *name, cJSON *list)
{
    if (cJSON_GetArraySize(list))
        cJSON_AddItemToObject(to, name, list);
    else
        cJSON_Delete(list);
}

static char *print(cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);

    cJSON_Delete(json);
    return text;
}

void fence_slice_entry_done(struct fence_slice_entry *entry)
{
    free(entry->key);
    free(entry->group);
    free(entry->text);
    *entry = (struct fence_slice_entry){0};
}

/* ---- pods ------------------------------------------------------------------------------------ */

/* No object has a longer name: it is not checked where a pod is made. */
#define OWNER_MAX 253u

static const char *owner_of(const cJSON *metadata)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, member(metadata, "ownerReferences"))
    {
        if (is_true(owner, "controller"))
            return strlen(text_in(owner, "name")) <= OWNER_MAX ? text_in(owner, "name") : "";
    }
    return "";
}

typedef void each_port(const cJSON *port, cJSON *list);

static void add_named_port(const cJSON *port, cJSON *list)
{
    const char *protocol = text_in(port, "protocol");
    cJSON *one;

    if (!*text_in(port, "name"))
        return;
    one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "name", text_in(port, "name"));
    cJSON_AddNumberToObject(one, "port", cJSON_GetNumberValue(member(port, "containerPort")));
    cJSON_AddStringToObject(one, "protocol", *protocol ? protocol : "TCP");
    cJSON_AddItemToArray(list, one);
}

static void add_host_port(const cJSON *port, cJSON *list)
{
    const cJSON *host_port = member(port, "hostPort");
    const char *protocol = text_in(port, "protocol"), *host_ip = text_in(port, "hostIP");
    struct fence_addr addr;
    cJSON *one;

    if (!cJSON_IsNumber(host_port) || host_port->valuedouble < 1)
        return;
    /* neither is this: no runtime opens such a port */
    if (*host_ip && fence_addr_parse(host_ip, &addr) < 0)
        return;
    one = cJSON_CreateObject();
    cJSON_AddNumberToObject(one, "hostPort", host_port->valuedouble);
    cJSON_AddNumberToObject(one, "port", cJSON_GetNumberValue(member(port, "containerPort")));
    cJSON_AddStringToObject(one, "protocol", *protocol ? protocol : "TCP");
    add_text(one, "hostIP", host_ip);
    cJSON_AddItemToArray(list, one);
}

/* Of containers, and of init containers that stay (sidecars). */
static cJSON *ports_of(const cJSON *spec, each_port *add)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *container, *port;

    cJSON_ArrayForEach(container, member(spec, "containers"))
    {
        cJSON_ArrayForEach(port, member(container, "ports"))
        {
            add(port, list);
        }
    }
    cJSON_ArrayForEach(container, member(spec, "initContainers"))
    {
        const cJSON *ports = strcmp(text_in(container, "restartPolicy"), "Always") == 0
                                 ? member(container, "ports")
                                 : NULL;

        cJSON_ArrayForEach(port, ports)
        {
            add(port, list);
        }
    }
    return list;
}

static cJSON *addresses_of(const cJSON *status)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *address;

    cJSON_ArrayForEach(address, member(status, "podIPs"))
    {
        if (*text_in(address, "ip"))
            cJSON_AddItemToArray(list, cJSON_CreateString(text_in(address, "ip")));
    }
    if (!cJSON_GetArraySize(list) && *text_in(status, "podIP"))
        cJSON_AddItemToArray(list, cJSON_CreateString(text_in(status, "podIP")));
    return list;
}

static bool is_over(const cJSON *status)
{
    const char *phase = text_in(status, "phase");

    return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

static char *group_of(const cJSON *pod)
{
    const cJSON *metadata = member(pod, "metadata");
    cJSON *json = cJSON_CreateObject();
    char *text;

    cJSON_AddStringToObject(json, "namespace", text_in(metadata, "namespace"));
    add_copy(json, "labels", member(metadata, "labels"));
    add_text(json, "owner", owner_of(metadata));
    add_list(json, "ports", ports_of(member(pod, "spec"), add_named_port));
    text = print(json);
    if (text)
        text[strlen(text) - 1] = '\0';
    return text;
}

static char *text_of_pod(const cJSON *pod)
{
    const cJSON *metadata = member(pod, "metadata"), *spec = member(pod, "spec");
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "name", text_in(metadata, "name"));
    add_text(json, "uid", text_in(metadata, "uid"));
    cJSON_AddStringToObject(json, "node", text_in(spec, "nodeName"));
    add_list(json, "ips", addresses_of(member(pod, "status")));
    if (is_true(spec, "hostNetwork"))
        cJSON_AddTrueToObject(json, "hostNetwork");
    add_list(json, "hostPorts", ports_of(spec, add_host_port));
    return print(json);
}

static bool has_address(const cJSON *pod)
{
    cJSON *list = addresses_of(member(pod, "status"));
    bool has = cJSON_GetArraySize(list) > 0;

    cJSON_Delete(list);
    return has;
}

int fence_slice_entry_of_pod(const cJSON *pod, struct fence_slice_entry *ret_entry)
{
    FENCE_CLEANUP(fence_slice_entry_done) struct fence_slice_entry entry = {0};
    const cJSON *metadata = member(pod, "metadata");

    if (!*text_in(metadata, "name") || !*text_in(metadata, "namespace"))
        return -EINVAL;
    if (asprintf(&entry.key, "%s/%s", text_in(metadata, "namespace"), text_in(metadata, "name")) <
        0) {
        entry.key = NULL;
        return -ENOMEM;
    }
    if (!is_over(member(pod, "status")) && *text_in(member(pod, "spec"), "nodeName") &&
        has_address(pod)) {
        entry.group = group_of(pod);
        entry.text = text_of_pod(pod);
        if (!entry.group || !entry.text)
            return -ENOMEM;
    }
    *ret_entry = entry;
    memset(&entry, 0, sizeof(entry));
    return 0;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool is_address(const cJSON *address)
{
    const char *type = text_in(address, "type");

    return (strcmp(type, "InternalIP") == 0 || strcmp(type, "ExternalIP") == 0) &&
           *text_in(address, "address");
}

static cJSON *addresses_of_node(const cJSON *status)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *address;

    cJSON_ArrayForEach(address, member(status, "addresses"))
    {
        if (is_address(address))
            cJSON_AddItemToArray(list, cJSON_CreateString(text_in(address, "address")));
    }
    return list;
}

static cJSON *prefixes_of(const cJSON *spec)
{
    const cJSON *several = member(spec, "podCIDRs");
    cJSON *list;

    if (several && several->child)
        return cJSON_Duplicate(several, true);
    list = cJSON_CreateArray();
    if (*text_in(spec, "podCIDR"))
        cJSON_AddItemToArray(list, cJSON_CreateString(text_in(spec, "podCIDR")));
    return list;
}

int fence_slice_entry_of_node(const cJSON *node, struct fence_slice_entry *ret_entry)
{
    FENCE_CLEANUP(fence_slice_entry_done) struct fence_slice_entry entry = {0};
    const cJSON *metadata = member(node, "metadata");
    cJSON *json;

    if (!*text_in(metadata, "name"))
        return -EINVAL;
    json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "name", text_in(metadata, "name"));
    add_copy(json, "labels", member(metadata, "labels"));
    add_list(json, "ips", addresses_of_node(member(node, "status")));
    add_list(json, "podCIDRs", prefixes_of(member(node, "spec")));
    entry.text = print(json);
    entry.key = strdup(text_in(metadata, "name"));
    if (!entry.text || !entry.key)
        return -ENOMEM;
    *ret_entry = entry;
    memset(&entry, 0, sizeof(entry));
    return 0;
}
