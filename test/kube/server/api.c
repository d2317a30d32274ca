/* SPDX-License-Identifier: Apache-2.0 */
/* A request of the API: what goes wrong with it, who asks, what for, whether they may. */
#include "test/kube/server/api.h"

#include <string.h>

#include <gnutls/gnutls.h>

#include "lib/base/memory.h"
#include "test/kube/server/answer.h"
#include "test/kube/server/replay.h"
#include "test/kube/server/watch.h"

#define USER "system:serviceaccount:default:agent"

static const char *verb_of(const struct exchange *exchange, bool is_object)
{
    static const struct {
        const char *method, *verb;
    } verbs[] = {{"POST", "create"}, {"PUT", "update"}, {"PATCH", "patch"}, {"DELETE", "delete"}};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(verbs); i++)
        if (!strcmp(exchange->method, verbs[i].method))
            return verbs[i].verb;
    if (is_object)
        return "get";
    return exchange_flag(exchange, "watch") ? "watch" : "list";
}

/* ---- who ------------------------------------------------------------------------------------ */

static bool has_certificate(const struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    unsigned int count = 0, status = 1;
    gnutls_session_t session = info ? (gnutls_session_t)info->tls_session : NULL;

    return session && gnutls_certificate_get_peers(session, &count) && count &&
           gnutls_certificate_verify_peers2(session, &status) == 0 && status == 0;
}

static bool is_token_good(struct server *server, const char *token)
{
    bool good = false;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->token_count; i++)
        good = good || !strcmp(server->tokens[i], token);
    pthread_mutex_unlock(&server->lock);
    return good;
}

/* NULL: a token that is not good. */
static const char *user_of(const struct exchange *exchange)
{
    const char *authorization = exchange_header(exchange, "Authorization");

    if (!authorization)
        return has_certificate(exchange) ? USER : "system:anonymous";
    if (strncmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    return is_token_good(exchange->server, authorization + 7) ? USER : NULL;
}

/* ---- rights --------------------------------------------------------------------------------- */

static bool is_same(const char *pattern, const char *text)
{
    return !strcmp(pattern, "*") || !strcmp(pattern, text);
}

static bool is_refused(const struct exchange *exchange)
{
    const struct target *target = &exchange->target;
    struct server *server = exchange->server;
    char resource[160];
    bool refused = false;

    snprintf(resource, sizeof(resource), "%s%s%s", target->resource->plural,
             target->subresource[0] ? "/" : "", target->subresource);
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->refused_count && !refused; i++)
        refused = is_same(server->refused[i].verb, exchange->verb) &&
                  is_same(server->refused[i].group, target->resource->group) &&
                  is_same(server->refused[i].resource, resource);
    pthread_mutex_unlock(&server->lock);
    return refused;
}

static enum MHD_Result answer_forbidden(struct exchange *exchange, const char *user)
{
    const struct target *target = &exchange->target;
    FENCE_FREE char *resource = status_resource(target->resource);
    char name[300] = "", scope[96] = "at the cluster scope";

    if (target->name[0])
        snprintf(name, sizeof(name), " \"%s\"", target->name);
    if (target->name_space[0])
        snprintf(scope, sizeof(scope), "in the namespace \"%s\"", target->name_space);
    return answer_json(exchange, 403,
                       status_new(403, "Forbidden", status_details(target),
                                  "%s%s is forbidden: User \"%s\" cannot %s resource \"%s%s%s\" in "
                                  "API group \"%s\" %s",
                                  resource, name, user, exchange->verb, target->resource->plural,
                                  target->subresource[0] ? "/" : "", target->subresource,
                                  target->resource->group, scope));
}

/* ---- what ----------------------------------------------------------------------------------- */

/* Of a list "a, b" the first that there is: whole objects or their metadata; a Table is not. */
static bool read_accept(struct exchange *exchange)
{
    const char *accept = exchange_header(exchange, "Accept");
    const char *partial = accept ? strstr(accept, "as=PartialObjectMetadata") : NULL;

    exchange->partial = partial != NULL;
    return !accept || strstr(accept, "application/json") || strstr(accept, "*/*") ||
           strstr(accept, "application/*");
}

static enum MHD_Result answer_not_acceptable(struct exchange *exchange)
{
    return answer_json(
        exchange, 406,
        status_new(
            406, "NotAcceptable", cJSON_CreateObject(),
            "406: Not Acceptable\n\nAvailable representations: application/json, "
            "application/yaml, application/vnd.kubernetes.protobuf, "
            "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"));
}

static enum MHD_Result dispatch(struct exchange *exchange)
{
    static const struct {
        const char *verb;
        bool on_object;
        enum MHD_Result (*answer)(struct exchange *exchange);
    } verbs[] = {
        {"list", false, list_answer},    {"watch", false, watch_answer},
        {"get", true, get_answer},       {"create", false, create_answer},
        {"update", true, update_answer}, {"patch", true, patch_answer},
        {"delete", true, delete_answer},
    };
    const bool on_object = exchange->target.name[0] != '\0';

    if (exchange->too_large)
        return answer_failure(exchange, 413, "RequestEntityTooLarge", "the body is too large");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(verbs); i++)
        if (!strcmp(verbs[i].verb, exchange->verb) && verbs[i].on_object == on_object)
            return verbs[i].answer(exchange);
    return answer_failure(exchange, 405, "MethodNotAllowed",
                          "the server does not allow this method on the requested resource");
}

static enum MHD_Result answer_api(struct exchange *exchange, bool has_target)
{
    const char *user = user_of(exchange);
    enum MHD_Result result;

    if (!user)
        return answer_failure(exchange, 401, "Unauthorized", "Unauthorized");
    if (!has_target) {
        if (discovery_answer(exchange, &result))
            return result;
        return answer_plain(exchange, 404, "404 page not found");
    }
    if (strcmp(user, USER) != 0 || is_refused(exchange))
        return answer_forbidden(exchange, user);
    if (!read_accept(exchange))
        return answer_not_acceptable(exchange);
    return dispatch(exchange);
}

/* Counted, with its fault. Returns whether the path is one of objects. */
static bool begin(struct exchange *exchange)
{
    struct server *server = exchange->server;
    bool has_target;

    pthread_mutex_lock(&server->lock);
    has_target = target_parse(server, exchange->path, &exchange->target) == 0;
    exchange->verb = verb_of(exchange, !has_target || exchange->target.name[0]);
    exchange->counter = counters_get(&server->counters, exchange->verb, exchange->path);
    if (exchange->counter)
        exchange->counter->requests++;
    (void)faults_take(&server->faults, exchange->method, exchange->uri, &exchange->effect);
    pthread_mutex_unlock(&server->lock);
    return has_target;
}

static void count_reset(struct exchange *exchange)
{
    struct server *server = exchange->server;

    pthread_mutex_lock(&server->lock);
    if (exchange->counter)
        exchange->counter->statuses[0]++;
    counters_log(&server->counters, exchange->method, exchange->uri, 0);
    pthread_mutex_unlock(&server->lock);
}

enum MHD_Result api_handle(struct exchange *exchange)
{
    const bool has_target = begin(exchange);
    const struct effect *effect = &exchange->effect;

    if (effect->reset ||
        (effect->delay_ms && exchange_wait(exchange, effect->delay_ms, -1) == WOKEN_GONE)) {
        count_reset(exchange);
        return MHD_NO; /* the connection is closed */
    }
    if (effect->replay)
        return replay_answer(exchange);
    if (effect->status)
        return answer_fault(exchange);
    return answer_api(exchange, has_target);
}
