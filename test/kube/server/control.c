/* SPDX-License-Identifier: Apache-2.0 */
/* The tests' own listener: what goes wrong, what was asked, what is there. JSON in and out. */
#include "test/kube/server/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/kube/server/answer.h"
#include "test/kube/server/watch.h"
#include "test/kube/server/write.h"

/* Each is called under the lock, with the body (NULL when it is no JSON); what it returns is the
 * answer, NULL with a message that what was asked is wrong. */
typedef cJSON *control_function(struct exchange *exchange, const cJSON *body,
                                struct fence_err *err);

static cJSON *done(const char *name, double number)
{
    cJSON *answer = cJSON_CreateObject();

    cJSON_AddNumberToObject(answer, name, number);
    return answer;
}

static cJSON *get_state(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    const struct server *server = exchange->server;
    cJSON *state = cJSON_CreateObject(), *objects;

    (void)body;
    (void)err;
    cJSON_AddNumberToObject(state, "resourceVersion", (double)server->number);
    cJSON_AddNumberToObject(state, "openWatches", (double)watches_count(server));
    cJSON_AddNumberToObject(state, "connections", server->connections);
    cJSON_AddBoolToObject(state, "accepting", server->https != NULL);
    objects = cJSON_AddObjectToObject(state, "objects");
    for (size_t i = 0; i < server->resource_count; i++)
        cJSON_AddNumberToObject(objects, server->resources[i]->plural,
                                (double)server->resources[i]->objects.count);
    return state;
}

static cJSON *get_counters(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    (void)body;
    (void)err;
    return counters_json(&exchange->server->counters);
}

static cJSON *get_requests(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    (void)body;
    (void)err;
    return counters_log_json(&exchange->server->counters);
}

static cJSON *reset_counters(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    (void)body;
    (void)err;
    counters_reset(&exchange->server->counters);
    return cJSON_CreateObject();
}

static cJSON *get_faults(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    (void)body;
    (void)err;
    return faults_json(&exchange->server->faults);
}

static cJSON *clear_faults(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    (void)body;
    (void)err;
    faults_clear(&exchange->server->faults);
    return cJSON_CreateObject();
}

/* One, or an array of them. */
static cJSON *add_faults(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    struct server *server = exchange->server;
    const cJSON *one;
    int result = 0;

    if (!cJSON_IsArray(body))
        result = faults_add(&server->faults, body, server->fixtures, err);
    else
        cJSON_ArrayForEach(one, body)
        {
            if (result == 0)
                result = faults_add(&server->faults, one, server->fixtures, err);
        }
    return result < 0 ? NULL : faults_json(&server->faults);
}

static const char *group_of(const cJSON *body)
{
    return json_text(body, "group");
}

/* The kind that "group" and "plural" name. */
static struct resource *named(struct server *server, const cJSON *body, struct fence_err *err)
{
    struct resource *resource = resources_find(server, group_of(body), json_text(body, "plural"));

    if (!resource)
        fence_err_set(err, -ENOENT, "there are no %s in the group \"%s\"",
                      json_text(body, "plural"), group_of(body));
    return resource;
}

/* {"end": "properly" | "cut" | "line"}, of all kinds or of "plural" in "group". */
static cJSON *end_watches(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    static const struct {
        const char *text;
        enum watch_ending ending;
    } endings[] = {{"properly", WATCH_ENDS}, {"cut", WATCH_CUT}, {"line", WATCH_CUT_LINE}};
    struct server *server = exchange->server;
    struct resource *resource = NULL;

    if (json_text(body, "plural")[0] && !(resource = named(server, body, err)))
        return NULL;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(endings); i++)
        if (!strcmp(json_text(body, "end"), endings[i].text))
            return done("ended", (double)watches_end(server, resource, endings[i].ending));
    fence_err_set(err, -EINVAL, "a watch ends properly, cut or line");
    return NULL;
}

/* Up to "resourceVersion", or all that has happened. */
static cJSON *compact(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    struct server *server = exchange->server;
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(body, "resourceVersion");
    const uint64_t number = cJSON_IsNumber(given) ? (uint64_t)given->valuedouble : server->number;

    (void)err;
    for (size_t i = 0; i < server->resource_count; i++)
        history_forget(&server->resources[i]->history, number);
    return done("compacted", (double)number);
}

static cJSON *set_listener(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    struct server *server = exchange->server;
    const bool open = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "open"));

    if (open && server_open_listener(server, err) < 0)
        return NULL;
    if (!open)
        server_close_listener(server);
    return done("port", server->https_port);
}

/* {"accept": ["..."]} */
static cJSON *set_tokens(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    struct server *server = exchange->server;
    const cJSON *accept = cJSON_GetObjectItemCaseSensitive(body, "accept"), *token;
    char **tokens = calloc((size_t)cJSON_GetArraySize(accept) + 1, sizeof(*tokens));

    if (!cJSON_IsArray(accept) || !tokens) {
        free(tokens);
        fence_err_set(err, -EINVAL, "accept is a list");
        return NULL;
    }
    for (size_t i = 0; i < server->token_count; i++)
        free(server->tokens[i]);
    free(server->tokens);
    server->tokens = tokens;
    server->token_count = 0;
    cJSON_ArrayForEach(token, accept)
    {
        if (cJSON_IsString(token) && (tokens[server->token_count] = strdup(token->valuestring)))
            server->token_count++;
    }
    return done("tokens", (double)server->token_count);
}

static void clear_rights(struct server *server)
{
    for (size_t i = 0; i < server->refused_count; i++) {
        free(server->refused[i].verb);
        free(server->refused[i].group);
        free(server->refused[i].resource);
    }
    free(TAKE_PTR(server->refused));
    server->refused_count = 0;
}

/* {"refuse": [{"verb": "list", "group": "", "resource": "pods"}]}, which replaces what was refused.
 */
static cJSON *set_rights(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    struct server *server = exchange->server;
    const cJSON *refuse = cJSON_GetObjectItemCaseSensitive(body, "refuse"), *one;

    if (!cJSON_IsArray(refuse)) {
        fence_err_set(err, -EINVAL, "refuse is a list");
        return NULL;
    }
    clear_rights(server);
    server->refused = calloc((size_t)cJSON_GetArraySize(refuse) + 1, sizeof(*server->refused));
    cJSON_ArrayForEach(one, refuse)
    {
        if (server->refused)
            server->refused[server->refused_count++] =
                (struct right){.verb = strdup(json_text(one, "verb")),
                               .group = strdup(json_text(one, "group")),
                               .resource = strdup(json_text(one, "resource"))};
    }
    return done("refused", (double)server->refused_count);
}

/* As when a CRD is deleted: its objects go, watches end, and nothing is known of it. */
static void uninstall(struct server *server, struct resource *resource)
{
    while (resource->objects.count) {
        struct version *gone = NULL;
        FENCE_FREE char *key = strdup(resource->objects.items[resource->objects.count - 1]->key);

        if (!key || commit_deletion(server, resource, key, &gone) < 0)
            break;
        version_unref(gone);
    }
    resource->installed = false;
    watches_end(server, resource, WATCH_ENDS);
}

static cJSON *set_resource(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    struct server *server = exchange->server;
    const bool removed = cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(body, "installed"));
    struct resource *resource = resources_find(server, group_of(body), json_text(body, "plural"));
    const struct resource definition = {
        .group = group_of(body),
        .version = json_text(body, "version"),
        .plural = json_text(body, "plural"),
        .singular = json_text(body, "singular"),
        .kind = json_text(body, "kind"),
        .short_name = json_text(body, "shortName"),
        .namespaced = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "namespaced")),
        .custom = true,
        .generations = true,
        .has_status = true,
    };

    if (resource && removed) {
        uninstall(server, resource);
    } else if (!resource && (!definition.kind[0] || !definition.version[0])) {
        (void)named(server, body, err);
        return NULL;
    } else {
        (void)resources_add(server, &definition);
    }
    return done("resources", (double)server->resource_count);
}

static cJSON *add_objects(struct exchange *exchange, const cJSON *body, struct fence_err *err)
{
    (void)body; /* it may be YAML */
    if (!exchange->body ||
        load_objects(exchange->server, exchange->body, exchange->size, true, err) < 0)
        return NULL;
    return done("resourceVersion", (double)exchange->server->number);
}

static const struct {
    const char *method, *path;
    control_function *call;
} paths[] = {
    {"GET", "/state", get_state},
    {"GET", "/counters", get_counters},
    {"DELETE", "/counters", reset_counters},
    {"GET", "/requests", get_requests},
    {"GET", "/faults", get_faults},
    {"POST", "/faults", add_faults},
    {"DELETE", "/faults", clear_faults},
    {"POST", "/watches", end_watches},
    {"POST", "/compact", compact},
    {"POST", "/listener", set_listener},
    {"POST", "/tokens", set_tokens},
    {"POST", "/rights", set_rights},
    {"POST", "/resources", set_resource},
    {"POST", "/objects", add_objects},
};

enum MHD_Result control_handle(struct exchange *exchange)
{
    cJSON *body = exchange->body ? cJSON_Parse(exchange->body) : NULL;
    struct fence_err err = {"there is nothing like this here"};
    cJSON *answer = NULL;

    pthread_mutex_lock(&exchange->server->lock);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(paths); i++)
        if (!strcmp(exchange->method, paths[i].method) && !strcmp(exchange->path, paths[i].path))
            answer = paths[i].call(exchange, body, &err);
    pthread_mutex_unlock(&exchange->server->lock);
    cJSON_Delete(body);
    if (!answer)
        return answer_plain(exchange, 400, err.text);
    return answer_json(exchange, 200, answer);
}
