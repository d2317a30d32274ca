/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/lease_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define SECOND 1000000000ull

uint32_t lease_server_draw(struct server *server)
{
    server->seed ^= server->seed << 13;
    server->seed ^= server->seed >> 7;
    server->seed ^= server->seed << 17;
    return (uint32_t)(server->seed >> 16);
}

/* ---- the world ------------------------------------------------------------------------------- */

static int world_start(void *context, const struct fence_http_request *request,
                       const struct fence_http_ops *ops, void *handler,
                       struct fence_http_exchange **ret_exchange)
{
    struct wanter *wanter = context;

    assert_false(wanter->active);
    if (wanter->server->start_fails)
        return wanter->server->start_fails;
    wanter->active = true;
    wanter->ops = ops;
    wanter->handler = handler;
    snprintf(wanter->method, sizeof(wanter->method), "%s", request->method);
    snprintf(wanter->path, sizeof(wanter->path), "%s", request->path);
    wanter->body = request->body ? strdup(request->body) : NULL;
    *ret_exchange = (struct fence_http_exchange *)wanter;
    return 0;
}

void lease_server_finish(struct wanter *wanter)
{
    wanter->active = false;
    free(wanter->body);
    wanter->body = NULL;
}

static void world_cancel(void *context, struct fence_http_exchange **exchange)
{
    lease_server_finish(context);
    *exchange = NULL;
}

static void world_renew_token(void *context)
{
    ((struct wanter *)context)->server->renewals_of_token++;
}

static uint64_t world_now(void *context)
{
    return ((struct wanter *)context)->server->now_ns;
}

static uint32_t world_random(void *context)
{
    return lease_server_draw(((struct wanter *)context)->server);
}

void lease_server_add_wanter(struct server *server)
{
    struct wanter *wanter = &server->wanters[server->count];
    struct fence_lease_options options = {.namespace_name = "podfence",
                                          .name = "podfence",
                                          .identity = wanter->identity,
                                          .world = &wanter->world};

    *wanter = (struct wanter){.server = server, .alive = true};
    snprintf(wanter->identity, sizeof(wanter->identity), "node-%u", server->count++);
    wanter->world = (struct fence_reflector_world){.start = world_start,
                                                   .cancel = world_cancel,
                                                   .renew_token = world_renew_token,
                                                   .now_ns = world_now,
                                                   .random = world_random,
                                                   .context = wanter};
    assert_int_equal(fence_lease_new(&options, &wanter->lease), 0);
}

void lease_server_begin(struct server *server, unsigned int count, uint64_t seed)
{
    *server = (struct server){.now_ns = SECOND, .seed = (seed + 1) * 0x9e3779b97f4a7c15ull};
    for (unsigned int i = 0; i < count; i++)
        lease_server_add_wanter(server);
}

void lease_server_end(struct server *server)
{
    for (unsigned int i = 0; i < server->count; i++) {
        fence_lease_free(&server->wanters[i].lease);
        assert_false(server->wanters[i].active);
    }
    free(server->lease);
}

/* ---- the server ------------------------------------------------------------------------------ */

void lease_server_respond(struct wanter *wanter, long status, const char *body)
{
    struct fence_http_head head = {.status = status, .content_type = "", .retry_after_ms = -1};
    struct fence_http_end ended = {.status = status, .message = ""};
    const struct fence_http_ops *ops = wanter->ops;
    void *handler = wanter->handler;

    lease_server_finish(wanter);
    if (ops->head(handler, &head) < 0 || ops->body(handler, body, strlen(body)) < 0)
        ended.code = -ECANCELED;
    ops->end(handler, &ended);
}

void lease_server_break_off(struct wanter *wanter)
{
    struct fence_http_end ended = {.code = -ECONNRESET, .message = "the network"};
    const struct fence_http_ops *ops = wanter->ops;
    void *handler = wanter->handler;

    lease_server_finish(wanter);
    ops->end(handler, &ended);
}

const char *lease_server_text_in(const char *json, const char *part, const char *name,
                                 char text[64])
{
    cJSON *root = cJSON_Parse(json);
    const char *value = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, part), name));

    snprintf(text, 64, "%s", value ? value : "");
    cJSON_Delete(root);
    return text;
}

double lease_server_number_in(const char *json, const char *name)
{
    cJSON *root = cJSON_Parse(json);
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(root, "spec");
    double value = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(spec, name));

    cJSON_Delete(root);
    return value;
}

void lease_server_keep(struct server *server, const char *body)
{
    cJSON *json = cJSON_Parse(body);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(json, "metadata");
    char version[16];

    assert_non_null(json);
    snprintf(version, sizeof(version), "%u", ++server->version);
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "resourceVersion");
    cJSON_AddStringToObject(metadata, "resourceVersion", version);
    free(server->lease);
    server->lease = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    server->writes++;
}

void lease_server_serve(struct wanter *wanter)
{
    struct server *server = wanter->server;
    char asked[64], had[64];

    if (strcmp(wanter->method, "GET") == 0) {
        assert_string_equal(wanter->path,
                            "/apis/coordination.k8s.io/v1/namespaces/podfence/leases/podfence");
        server->reads++;
        lease_server_respond(wanter, server->lease ? 200 : 404,
                             server->lease ? server->lease : "{}");
        return;
    }
    if (strcmp(wanter->method, "POST") == 0) {
        assert_string_equal(wanter->path,
                            "/apis/coordination.k8s.io/v1/namespaces/podfence/leases");
        if (server->lease) {
            lease_server_respond(wanter, 409, "{\"message\":\"it exists\"}");
            return;
        }
    } else {
        assert_string_equal(wanter->method, "PUT");
        lease_server_text_in(wanter->body, "metadata", "resourceVersion", asked);
        if (!server->lease) {
            lease_server_respond(wanter, 404, "{}");
            return;
        }
        if (strcmp(asked,
                   lease_server_text_in(server->lease, "metadata", "resourceVersion", had)) != 0) {
            lease_server_respond(wanter, 409, "{\"message\":\"it has been changed\"}");
            return;
        }
    }
    lease_server_keep(server, wanter->body);
    lease_server_respond(wanter, 200, server->lease);
}

/* Boot time of the next thing that somebody alive does. */
uint64_t lease_server_next_due(const struct server *server)
{
    uint64_t due = UINT64_MAX, one;

    for (unsigned int i = 0; i < server->count; i++) {
        one = server->wanters[i].alive ? fence_lease_due_ns(server->wanters[i].lease) : UINT64_MAX;
        due = one < due ? one : due;
    }
    return due;
}

/* `bad` of 100 requests fail, half of them after the server has done what they ask. */
void lease_server_step(struct server *server, unsigned int bad)
{
    uint64_t due = lease_server_next_due(server);

    assert_true(due != UINT64_MAX);
    if (due > server->now_ns)
        server->now_ns = due;
    for (unsigned int i = 0; i < server->count; i++) {
        struct wanter *wanter = &server->wanters[i];

        if (!wanter->alive)
            continue;
        fence_lease_tick(wanter->lease);
        if (!wanter->active)
            continue;
        if (lease_server_draw(server) % 100 >= bad) {
            lease_server_serve(wanter);
        } else {
            if (wanter->body && lease_server_draw(server) % 2 && !server->lease)
                lease_server_keep(server, wanter->body);
            lease_server_break_off(wanter);
        }
    }
}

void lease_server_run(struct server *server, uint64_t seconds, unsigned int bad)
{
    uint64_t until = server->now_ns + seconds * SECOND;

    while (lease_server_next_due(server) < until)
        lease_server_step(server, bad);
    server->now_ns = until;
}

unsigned int lease_server_holders(const struct server *server, unsigned int *ret_last)
{
    unsigned int count = 0;

    for (unsigned int i = 0; i < server->count; i++) {
        if (!server->wanters[i].alive || !fence_lease_is_held(server->wanters[i].lease))
            continue;
        *ret_last = i;
        count++;
    }
    return count;
}
