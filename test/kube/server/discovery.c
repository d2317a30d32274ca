/* SPDX-License-Identifier: Apache-2.0 */
/* What kubectl asks before anything else: which kinds there are. */
#include "test/kube/server/api.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/kube/server/answer.h"

static cJSON *version_json(void)
{
    static const char *const members[][2] = {
        {"major", "1"},
        {"minor", "36"},
        {"emulationMajor", "1"},
        {"emulationMinor", "36"},
        {"minCompatibilityMajor", "1"},
        {"minCompatibilityMinor", "35"},
        {"gitVersion", "v1.36.2"},
        {"gitCommit", "podfence-test"},
        {"gitTreeState", ""},
        {"buildDate", "1970-01-01T00:00:00Z"},
        {"goVersion", "none"},
        {"compiler", "gcc"},
        {"platform", "linux/amd64"},
    };
    cJSON *version = cJSON_CreateObject();

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(members); i++)
        cJSON_AddStringToObject(version, members[i][0], members[i][1]);
    return version;
}

static cJSON *api_json(const struct server *server)
{
    cJSON *api = cJSON_CreateObject(), *cidr = cJSON_CreateObject();
    char address[96];

    snprintf(address, sizeof(address), "%s:%u", server->host, server->https_port);
    cJSON_AddStringToObject(api, "kind", "APIVersions");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(api, "versions"), cJSON_CreateString("v1"));
    cJSON_AddStringToObject(cidr, "clientCIDR", "0.0.0.0/0");
    cJSON_AddStringToObject(cidr, "serverAddress", address);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(api, "serverAddressByClientCIDRs"), cidr);
    return api;
}

static cJSON *group_version_json(const struct resource *resource)
{
    cJSON *version = cJSON_CreateObject();
    FENCE_FREE char *text = resource_api_version(resource);

    cJSON_AddStringToObject(version, "groupVersion", text);
    cJSON_AddStringToObject(version, "version", resource->version);
    return version;
}

/* `one`: as the document itself. */
static cJSON *group_json(const struct resource *resource, bool one)
{
    cJSON *group = cJSON_CreateObject();

    if (one) {
        cJSON_AddStringToObject(group, "kind", "APIGroup");
        cJSON_AddStringToObject(group, "apiVersion", "v1");
    }
    cJSON_AddStringToObject(group, "name", resource->group);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(group, "versions"), group_version_json(resource));
    cJSON_AddItemToObject(group, "preferredVersion", group_version_json(resource));
    return group;
}

/* The first installed kind of a group; each group has one version. */
static struct resource *first_of(const struct server *server, const char *group)
{
    for (size_t i = 0; i < server->resource_count; i++)
        if (server->resources[i]->installed && !strcmp(server->resources[i]->group, group))
            return server->resources[i];
    return NULL;
}

static cJSON *groups_json(const struct server *server)
{
    cJSON *list = cJSON_CreateObject(), *groups;

    cJSON_AddStringToObject(list, "kind", "APIGroupList");
    cJSON_AddStringToObject(list, "apiVersion", "v1");
    groups = cJSON_AddArrayToObject(list, "groups");
    for (size_t i = 0; i < server->resource_count; i++) {
        const struct resource *resource = server->resources[i];

        if (resource->group[0] && first_of(server, resource->group) == resource)
            cJSON_AddItemToArray(groups, group_json(resource, false));
    }
    return list;
}

static cJSON *resource_json(const struct resource *resource, bool status)
{
    static const char *const verbs[] = {"create", "delete", "get",  "list",
                                        "patch",  "update", "watch"};
    cJSON *one = cJSON_CreateObject(), *list;
    FENCE_FREE char *name = NULL;

    if (asprintf(&name, "%s%s", resource->plural, status ? "/status" : "") < 0)
        name = NULL;
    cJSON_AddStringToObject(one, "name", name ? name : "");
    cJSON_AddStringToObject(one, "singularName", status ? "" : resource->singular);
    cJSON_AddBoolToObject(one, "namespaced", resource->namespaced);
    cJSON_AddStringToObject(one, "kind", resource->kind);
    list = cJSON_AddArrayToObject(one, "verbs");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(verbs); i++)
        if (!status || !strcmp(verbs[i], "get") || !strcmp(verbs[i], "patch") ||
            !strcmp(verbs[i], "update"))
            cJSON_AddItemToArray(list, cJSON_CreateString(verbs[i]));
    if (!status && resource->short_name[0])
        cJSON_AddItemToArray(cJSON_AddArrayToObject(one, "shortNames"),
                             cJSON_CreateString(resource->short_name));
    return one;
}

static cJSON *resources_json(const struct server *server, const struct resource *of)
{
    cJSON *list = cJSON_CreateObject(), *all;
    FENCE_FREE char *group_version = resource_api_version(of);

    cJSON_AddStringToObject(list, "kind", "APIResourceList");
    if (of->group[0])
        cJSON_AddStringToObject(list, "apiVersion", "v1");
    cJSON_AddStringToObject(list, "groupVersion", group_version);
    all = cJSON_AddArrayToObject(list, "resources");
    for (size_t i = 0; i < server->resource_count; i++) {
        const struct resource *resource = server->resources[i];

        if (!resource->installed || strcmp(resource->group, of->group) != 0)
            continue;
        cJSON_AddItemToArray(all, resource_json(resource, false));
        if (resource->has_status)
            cJSON_AddItemToArray(all, resource_json(resource, true));
    }
    return list;
}

/* "/apis/GROUP" and "/apis/GROUP/VERSION". NULL: there is no such one, or it is about objects. */
static cJSON *of_group(const struct server *server, const char *path)
{
    char group[128] = "", version[32] = "", more[2] = "";
    const int parts = sscanf(path, "/apis/%127[^/]/%31[^/]/%1s", group, version, more);
    const struct resource *first = parts >= 1 && parts <= 2 ? first_of(server, group) : NULL;

    if (!first || (parts == 2 && strcmp(first->version, version) != 0))
        return NULL;
    return parts == 1 ? group_json(first, true) : resources_json(server, first);
}

/* An OpenAPI document of version 2 without definitions: kubectl then does not validate what it
 * sends. In Protocol Buffers: swagger "2.0", info (title "test", version "1"), paths, definitions.
 */
static enum MHD_Result answer_openapi(struct exchange *exchange)
{
    static const char document[] = "\x0a\x03"
                                   "2.0"
                                   "\x12\x09\x0a\x04"
                                   "test"
                                   "\x12\x01"
                                   "1"
                                   "\x42\x00\x4a";
    char *body = malloc(sizeof(document));

    if (body)
        memcpy(body, document, sizeof(document)); /* its NUL is the length of the definitions */
    return answer_text(exchange, 200, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
                       body, sizeof(document));
}

bool discovery_answer(struct exchange *exchange, enum MHD_Result *ret_result)
{
    const struct server *server = exchange->server;
    const char *path = exchange->path;
    cJSON *json = NULL;

    if (!strcmp(path, "/openapi/v2")) {
        *ret_result = answer_openapi(exchange);
        return true;
    }
    if (!strcmp(path, "/healthz") || !strcmp(path, "/readyz") || !strcmp(path, "/livez")) {
        *ret_result = answer_plain(exchange, 200, "ok");
        return true;
    }
    pthread_mutex_lock(&exchange->server->lock);
    if (!strcmp(path, "/version"))
        json = version_json();
    else if (!strcmp(path, "/api"))
        json = api_json(server);
    else if (!strcmp(path, "/api/v1"))
        json = resources_json(server, first_of(server, ""));
    else if (!strcmp(path, "/apis"))
        json = groups_json(server);
    else
        json = of_group(server, path);
    pthread_mutex_unlock(&exchange->server->lock);
    if (json)
        *ret_result = answer_json(exchange, 200, json);
    return json != NULL;
}
