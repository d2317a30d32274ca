/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/resources.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/kube/server/server.h"

struct known {
    const char *group, *version, *plural, *singular, *kind, *short_name;
    bool namespaced, custom, generations, has_status;
};

static const struct known known[] = {
    {"", "v1", "pods", "pod", "Pod", "po", true, false, true, true},
    {"", "v1", "namespaces", "namespace", "Namespace", "ns", false, false, false, true},
    {"", "v1", "nodes", "node", "Node", "no", false, false, false, true},
    {"", "v1", "services", "service", "Service", "svc", true, false, false, true},
    {"", "v1", "configmaps", "configmap", "ConfigMap", "cm", true, false, false, false},
    {"", "v1", "events", "event", "Event", "ev", true, false, false, false},
    {"events.k8s.io", "v1", "events", "event", "Event", "", true, false, false, false},
    {"coordination.k8s.io", "v1", "leases", "lease", "Lease", "", true, false, false, false},
    {"discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", "", true, false,
     true, false},
    {"networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy", "netpol", true,
     false, true, false},
    {"policy.networking.k8s.io", "v1alpha2", "clusternetworkpolicies", "clusternetworkpolicy",
     "ClusterNetworkPolicy", "cnp", false, true, true, true},
    {"podfence.io", "v1alpha1", "segmentpolicies", "segmentpolicy", "SegmentPolicy", "segpol", true,
     true, true, true},
    {"podfence.io", "v1alpha1", "clustersegmentpolicies", "clustersegmentpolicy",
     "ClusterSegmentPolicy", "csegpol", false, true, true, true},
    {"podfence.io", "v1alpha1", "addressslices", "addressslice", "AddressSlice", "addrslice", false,
     true, true, false},
    {"podfence.io", "v1alpha1", "nodereports", "nodereport", "NodeReport", "noderep", false, true,
     true, false},
};

static void resource_free(struct resource *resource)
{
    if (!resource)
        return;
    objects_done(&resource->objects);
    history_forget(&resource->history, UINT64_MAX);
    free(resource->history.changes);
    free(resource->texts);
    free(resource);
}

static struct resource *resource_copy(const struct resource *definition)
{
    struct resource own = *definition, *copy = malloc(sizeof(own));
    const char **const texts[] = {&own.group,    &own.version, &own.plural,
                                  &own.singular, &own.kind,    &own.short_name};
    size_t size = 0;
    char *at;

    own.installed = true;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++)
        size += strlen(*texts[i]) + 1;
    own.texts = malloc(size);
    if (!copy || !own.texts) {
        free(own.texts);
        free(copy);
        return NULL;
    }
    at = own.texts;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        const size_t length = strlen(*texts[i]) + 1;

        *texts[i] = memcpy(at, *texts[i], length);
        at += length;
    }
    *copy = own;
    return copy;
}

int resources_add(struct server *server, const struct resource *definition)
{
    struct resource *resource = resources_find(server, definition->group, definition->plural);

    if (resource) {
        resource->installed = true;
        return -EEXIST;
    }
    resource = resource_copy(definition);
    if (!resource)
        return -ENOMEM;
    if (fence_array_grow((void **)&server->resources, &server->resources_capacity,
                         server->resource_count, sizeof(void *)) < 0) {
        resource_free(resource);
        return -ENOMEM;
    }
    server->resources[server->resource_count++] = resource;
    return 0;
}

int resources_init(struct server *server)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(known); i++) {
        const struct resource definition = {
            .group = known[i].group,
            .version = known[i].version,
            .plural = known[i].plural,
            .singular = known[i].singular,
            .kind = known[i].kind,
            .short_name = known[i].short_name,
            .namespaced = known[i].namespaced,
            .custom = known[i].custom,
            .generations = known[i].generations,
            .has_status = known[i].has_status,
        };

        if (resources_add(server, &definition) < 0)
            return -ENOMEM;
    }
    return 0;
}

void resources_done(struct server *server)
{
    for (size_t i = 0; i < server->resource_count; i++)
        resource_free(server->resources[i]);
    free(TAKE_PTR(server->resources));
    server->resource_count = 0;
}

struct resource *resources_find(struct server *server, const char *group, const char *plural)
{
    for (size_t i = 0; i < server->resource_count; i++)
        if (!strcmp(server->resources[i]->group, group) &&
            !strcmp(server->resources[i]->plural, plural))
            return server->resources[i];
    return NULL;
}

char *resource_api_version(const struct resource *resource)
{
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", resource->group, resource->group[0] ? "/" : "",
                 resource->version) < 0)
        return NULL;
    return text;
}

struct resource *resources_of_kind(struct server *server, const char *api_version, const char *kind)
{
    for (size_t i = 0; i < server->resource_count; i++) {
        FENCE_FREE char *own = resource_api_version(server->resources[i]);

        if (own && !strcmp(own, api_version) && !strcmp(server->resources[i]->kind, kind))
            return server->resources[i];
    }
    return NULL;
}

/* ---- paths ---------------------------------------------------------------------------------- */

#define PARTS_MAX 10

/* "/api/v1/pods" in its parts. Returns how many, -1 for too many. */
static int split_path(char *path, char *parts[PARTS_MAX])
{
    char *rest = NULL;
    int count = 0;

    for (char *part = strtok_r(path, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (count == PARTS_MAX)
            return -1;
        parts[count++] = part;
    }
    return count;
}

static int copy_part(char *to, size_t size, const char *from)
{
    if (strlen(from) >= size)
        return -ENOENT;
    memcpy(to, from, strlen(from) + 1);
    return 0;
}

/* What follows the version: RESOURCE[/NAME[/SUBRESOURCE]], or namespaces/NAMESPACE before that. */
static int parse_parts(struct server *server, const char *group, char **parts, int count,
                       struct target *target)
{
    if (count >= 3 && !strcmp(parts[0], "namespaces") &&
        resources_find(server, group, parts[2]) != NULL) {
        if (copy_part(target->name_space, sizeof(target->name_space), parts[1]) < 0)
            return -ENOENT;
        parts += 2;
        count -= 2;
    }
    if (count < 1 || count > 3)
        return -ENOENT;
    target->resource = resources_find(server, group, parts[0]);
    if (!target->resource || !target->resource->installed ||
        (target->name_space[0] && !target->resource->namespaced))
        return -ENOENT;
    if (count > 1 && copy_part(target->name, sizeof(target->name), parts[1]) < 0)
        return -ENOENT;
    if (count > 2 && copy_part(target->subresource, sizeof(target->subresource), parts[2]) < 0)
        return -ENOENT;
    if (target->name[0] && target->resource->namespaced && !target->name_space[0])
        return -ENOENT;
    if (target->subresource[0] &&
        (strcmp(target->subresource, "status") != 0 || !target->resource->has_status))
        return -ENOENT;
    return 0;
}

int target_parse(struct server *server, const char *path, struct target *ret_target)
{
    FENCE_FREE char *copy = strdup(path);
    struct target target = {.resource = NULL};
    char *parts[PARTS_MAX];
    int count = copy ? split_path(copy, parts) : -1, used;
    const char *group = "", *version;

    if (count >= 3 && !strcmp(parts[0], "api")) {
        version = parts[1];
        used = 2;
    } else if (count >= 4 && !strcmp(parts[0], "apis")) {
        group = parts[1];
        version = parts[2];
        used = 3;
    } else {
        return -ENOENT;
    }
    if (parse_parts(server, group, parts + used, count - used, &target) < 0 ||
        strcmp(target.resource->version, version) != 0)
        return -ENOENT;
    *ret_target = target;
    return 0;
}
