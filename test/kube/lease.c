/* SPDX-License-Identifier: Apache-2.0 */
/* A server that knows one Lease, and up to five who want it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "lib/base/memory.h"
#include "lib/kube/lease.h"
#include "test/cmocka.h"

#define SECOND  1000000000ull
#define WANTERS 5u

struct server;

struct wanter {
    struct server *server;
    struct fence_reflector_world world;
    struct fence_lease *lease;
    char identity[16];
    bool alive;
    /* the exchange that runs */
    bool active;
    const struct fence_http_ops *ops;
    void *handler;
    char method[8];
    char *body;
    char path[256];
};

struct server {
    uint64_t now_ns, seed;
    char *lease; /* JSON; NULL: there is none */
    unsigned int version, reads, writes, renewals_of_token;
    int start_fails; /* what the world answers */
    struct wanter wanters[WANTERS];
    unsigned int count;
};

static uint32_t draw(struct server *server)
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

static void finish(struct wanter *wanter)
{
    wanter->active = false;
    free(wanter->body);
    wanter->body = NULL;
}

static void world_cancel(void *context, struct fence_http_exchange **exchange)
{
    finish(context);
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
    return draw(((struct wanter *)context)->server);
}

static void add_wanter(struct server *server)
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

static void begin(struct server *server, unsigned int count, uint64_t seed)
{
    *server = (struct server){.now_ns = SECOND, .seed = (seed + 1) * 0x9e3779b97f4a7c15ull};
    for (unsigned int i = 0; i < count; i++)
        add_wanter(server);
}

static void end(struct server *server)
{
    for (unsigned int i = 0; i < server->count; i++) {
        fence_lease_free(&server->wanters[i].lease);
        assert_false(server->wanters[i].active);
    }
    free(server->lease);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void respond(struct wanter *wanter, long status, const char *body)
{
    struct fence_http_head head = {.status = status, .content_type = "", .retry_after_ms = -1};
    struct fence_http_end ended = {.status = status, .message = ""};
    const struct fence_http_ops *ops = wanter->ops;
    void *handler = wanter->handler;

    finish(wanter);
    if (ops->head(handler, &head) < 0 || ops->body(handler, body, strlen(body)) < 0)
        ended.code = -ECANCELED;
    ops->end(handler, &ended);
}

static void break_off(struct wanter *wanter)
{
    struct fence_http_end ended = {.code = -ECONNRESET, .message = "the network"};
    const struct fence_http_ops *ops = wanter->ops;
    void *handler = wanter->handler;

    finish(wanter);
    ops->end(handler, &ended);
}

static const char *text_in(const char *json, const char *part, const char *name, char text[64])
{
    cJSON *root = cJSON_Parse(json);
    const char *value = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, part), name));

    snprintf(text, 64, "%s", value ? value : "");
    cJSON_Delete(root);
    return text;
}

static double number_in(const char *json, const char *name)
{
    cJSON *root = cJSON_Parse(json);
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(root, "spec");
    double value = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(spec, name));

    cJSON_Delete(root);
    return value;
}

static void keep(struct server *server, const char *body)
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

static void serve(struct wanter *wanter)
{
    struct server *server = wanter->server;
    char asked[64], had[64];

    if (strcmp(wanter->method, "GET") == 0) {
        assert_string_equal(wanter->path,
                            "/apis/coordination.k8s.io/v1/namespaces/podfence/leases/podfence");
        server->reads++;
        respond(wanter, server->lease ? 200 : 404, server->lease ? server->lease : "{}");
        return;
    }
    if (strcmp(wanter->method, "POST") == 0) {
        assert_string_equal(wanter->path,
                            "/apis/coordination.k8s.io/v1/namespaces/podfence/leases");
        if (server->lease) {
            respond(wanter, 409, "{\"message\":\"it exists\"}");
            return;
        }
    } else {
        assert_string_equal(wanter->method, "PUT");
        text_in(wanter->body, "metadata", "resourceVersion", asked);
        if (!server->lease) {
            respond(wanter, 404, "{}");
            return;
        }
        if (strcmp(asked, text_in(server->lease, "metadata", "resourceVersion", had)) != 0) {
            respond(wanter, 409, "{\"message\":\"it has been changed\"}");
            return;
        }
    }
    keep(server, wanter->body);
    respond(wanter, 200, server->lease);
}

/* Boot time of the next thing that somebody alive does. */
static uint64_t next_due(const struct server *server)
{
    uint64_t due = UINT64_MAX, one;

    for (unsigned int i = 0; i < server->count; i++) {
        one = server->wanters[i].alive ? fence_lease_due_ns(server->wanters[i].lease) : UINT64_MAX;
        due = one < due ? one : due;
    }
    return due;
}

/* `bad` of 100 requests fail, half of them after the server has done what they ask. */
static void step(struct server *server, unsigned int bad)
{
    uint64_t due = next_due(server);

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
        if (draw(server) % 100 >= bad) {
            serve(wanter);
        } else {
            if (wanter->body && draw(server) % 2 && !server->lease)
                keep(server, wanter->body);
            break_off(wanter);
        }
    }
}

static void run(struct server *server, uint64_t seconds, unsigned int bad)
{
    uint64_t until = server->now_ns + seconds * SECOND;

    while (next_due(server) < until)
        step(server, bad);
    server->now_ns = until;
}

static unsigned int holders(const struct server *server, unsigned int *ret_last)
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

/* ---- tests ----------------------------------------------------------------------------------- */

static void is_taken_and_renewed(void **state)
{
    struct server server;
    char text[64];

    (void)state;
    begin(&server, 1, 1);
    assert_false(fence_lease_is_held(server.wanters[0].lease));
    run(&server, 1, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_string_equal(fence_lease_holder(server.wanters[0].lease), "node-0");
    assert_string_equal(text_in(server.lease, "spec", "holderIdentity", text), "node-0");
    assert_true(number_in(server.lease, "leaseDurationSeconds") == 30);
    assert_true(number_in(server.lease, "leaseTransitions") == 0);
    text_in(server.lease, "spec", "renewTime", text);
    assert_int_equal(strlen(text), strlen("2026-01-01T00:00:00.000000Z"));
    run(&server, 600, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_int_equal(server.reads, 1);
    /* every 10 s at most, and not much more often */
    assert_in_range(server.writes, 60, 70);
    end(&server);
}

/* Of many one has it; the others look as their ranks say. */
static void one_has_it(void **state)
{
    struct server server;
    unsigned int last = 0, reads;

    (void)state;
    begin(&server, WANTERS, 2);
    for (unsigned int i = 0; i < WANTERS; i++)
        fence_lease_set_rank(server.wanters[i].lease, i * 10);
    run(&server, 60, 0);
    assert_int_equal(holders(&server, &last), 1);
    reads = server.reads;
    run(&server, 3600, 0);
    assert_int_equal(holders(&server, &last), 1);
    /* ranks 0, 10, 20, 30, 40 less the one that has it: at most 3600 / 10 and four smaller parts */
    assert_in_range(server.reads - reads, 60, 480);
    end(&server);
}

/* The holder dies: somebody takes over when it has run out, not before. */
static void is_taken_over(void **state)
{
    struct server server;
    unsigned int last = 0, dead = 0;
    uint64_t died;

    (void)state;
    begin(&server, 3, 3);
    run(&server, 60, 0);
    assert_int_equal(holders(&server, &dead), 1);
    server.wanters[dead].alive = false;
    died = server.now_ns;
    while (holders(&server, &last) == 0)
        step(&server, 0);
    assert_int_not_equal(last, dead);
    assert_in_range((server.now_ns - died) / SECOND, 18, 45);
    assert_true(number_in(server.lease, "leaseTransitions") == 1);
    /* the dead one comes back: it is told so, and does not believe in its old one */
    server.wanters[dead].alive = true;
    assert_false(fence_lease_is_held(server.wanters[dead].lease));
    run(&server, 120, 0);
    assert_int_equal(holders(&server, &last), 1);
    assert_int_not_equal(last, dead);
    end(&server);
}

/* A new process of the holder's does not wait for its own old lease. */
static void goes_on_after_a_restart(void **state)
{
    struct server server;

    (void)state;
    begin(&server, 1, 4);
    run(&server, 60, 0);
    fence_lease_free(&server.wanters[0].lease);
    server.count = 0;
    add_wanter(&server);
    run(&server, 1, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_true(number_in(server.lease, "leaseTransitions") == 0);
    end(&server);
}

/* Who stops gives it back, and the next who looks takes it. */
static void is_given(void **state)
{
    struct server server;
    unsigned int last = 0, gone = 0;
    char text[64];

    (void)state;
    begin(&server, 2, 11);
    run(&server, 60, 0);
    assert_int_equal(holders(&server, &gone), 1);
    assert_false(fence_lease_give(server.wanters[!gone].lease));
    assert_true(fence_lease_give(server.wanters[gone].lease));
    assert_int_equal(holders(&server, &last), 0);
    serve(&server.wanters[gone]);
    assert_false(fence_lease_give(server.wanters[gone].lease));
    assert_string_equal(text_in(server.lease, "spec", "holderIdentity", text), "");
    server.wanters[gone].alive = false;
    run(&server, 11, 0);
    assert_int_equal(holders(&server, &last), 1);
    assert_int_equal(last, !gone);
    end(&server);
}

/* Without the server it is not held for ever, and comes back. */
static void is_lost_without_the_server(void **state)
{
    struct server server;

    (void)state;
    begin(&server, 1, 5);
    run(&server, 60, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    run(&server, 25, 100);
    assert_false(fence_lease_is_held(server.wanters[0].lease));
    assert_string_equal(fence_lease_problem(server.wanters[0].lease), "the network");
    run(&server, 120, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_string_equal(fence_lease_problem(server.wanters[0].lease), "");
    end(&server);
}

/* Somebody deletes it, or hands it to another. */
static void is_taken_away(void **state)
{
    struct server server;

    (void)state;
    begin(&server, 1, 6);
    run(&server, 60, 0);
    free(server.lease);
    server.lease = NULL;
    run(&server, 30, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_non_null(server.lease);
    keep(&server, "{\"metadata\":{},\"spec\":{\"holderIdentity\":\"me\"}}");
    run(&server, 12, 0);
    assert_false(fence_lease_is_held(server.wanters[0].lease));
    assert_string_equal(fence_lease_holder(server.wanters[0].lease), "me");
    end(&server);
}

/* Its namespace is not there: that is said, and not asked again and again. */
static void needs_its_namespace(void **state)
{
    struct server server;

    (void)state;
    begin(&server, 1, 12);
    fence_lease_tick(server.wanters[0].lease);
    serve(&server.wanters[0]);
    server.now_ns = fence_lease_due_ns(server.wanters[0].lease);
    fence_lease_tick(server.wanters[0].lease);
    assert_string_equal(server.wanters[0].method, "POST");
    respond(&server.wanters[0], 404, "{\"message\":\"namespaces \\\"podfence\\\" not found\"}");
    assert_string_equal(fence_lease_problem(server.wanters[0].lease),
                        "HTTP 404: namespaces \"podfence\" not found");
    assert_true(fence_lease_due_ns(server.wanters[0].lease) > server.now_ns + 5 * SECOND);
    run(&server, 60, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    end(&server);
}

static void refusals_are_told(void **state)
{
    static const struct {
        long status;
        const char *body, *problem;
    } rows[] = {
        {403, "{\"kind\":\"Status\",\"message\":\"leases is forbidden\"}",
         "HTTP 403: leases is forbidden"},
        {500, "oh\nno", "HTTP 500: oh"},
        {200, "[", "the answer is no JSON"},
        {200, "{}", "the answer is no Lease"},
        {200, "{\"metadata\":{\"resourceVersion\":7}}", "the answer is no Lease"},
    };
    struct server server;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        begin(&server, 1, 7);
        fence_lease_tick(server.wanters[0].lease);
        assert_true(server.wanters[0].active);
        respond(&server.wanters[0], rows[i].status, rows[i].body);
        assert_string_equal(fence_lease_problem(server.wanters[0].lease), rows[i].problem);
        assert_true(fence_lease_due_ns(server.wanters[0].lease) > server.now_ns + SECOND);
        end(&server);
    }
    begin(&server, 1, 8);
    fence_lease_tick(server.wanters[0].lease);
    respond(&server.wanters[0], 401, "{}");
    assert_int_equal(server.renewals_of_token, 1);
    end(&server);
    begin(&server, 1, 9);
    server.start_fails = -ENOMEM;
    fence_lease_tick(server.wanters[0].lease);
    assert_string_equal(fence_lease_problem(server.wanters[0].lease),
                        "the request could not be begun: Cannot allocate memory");
    end(&server);
}

/* An answer without end is given up, and so is one that comes while we stop. */
static void answers_are_bounded(void **state)
{
    static char much[65536];
    struct server server;
    struct wanter *wanter = &server.wanters[0];
    struct fence_http_end ended = {.code = -ECANCELED, .status = 200, .message = "x"};
    size_t fed = 0;

    (void)state;
    memset(much, ' ', sizeof(much));
    begin(&server, 1, 10);
    fence_lease_tick(wanter->lease);
    while (fed < (8u << 20) && wanter->ops->body(wanter->handler, much, sizeof(much)) == 0)
        fed += sizeof(much);
    assert_in_range(fed, 1u << 20, 4u << 20);
    finish(wanter);
    wanter->ops->end(wanter->handler, &ended);
    assert_non_null(strstr(fence_lease_problem(wanter->lease), "cannot be kept"));
    run(&server, 60, 0);
    assert_true(fence_lease_is_held(wanter->lease));
    server.now_ns = fence_lease_due_ns(wanter->lease);
    fence_lease_tick(wanter->lease);
    assert_true(wanter->active);
    end(&server);
}

/* Whatever fails: never two at once, and when it ends, one. */
static void never_two(void **state)
{
    struct server server;
    unsigned int last = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        begin(&server, WANTERS, seed);
        for (unsigned int i = 0; i < 300; i++) {
            struct wanter *wanter = &server.wanters[draw(&server) % WANTERS];

            fence_lease_set_rank(wanter->lease, draw(&server) % 4);
            if (draw(&server) % 20 == 0)
                wanter->alive = !wanter->alive;
            if (next_due(&server) != UINT64_MAX)
                step(&server, 30);
            assert_true(holders(&server, &last) <= 1);
        }
        for (unsigned int i = 0; i < WANTERS; i++)
            server.wanters[i].alive = true;
        run(&server, 600, 0);
        assert_int_equal(holders(&server, &last), 1);
        end(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_taken_and_renewed),
        cmocka_unit_test(one_has_it),
        cmocka_unit_test(is_taken_over),
        cmocka_unit_test(goes_on_after_a_restart),
        cmocka_unit_test(is_given),
        cmocka_unit_test(is_lost_without_the_server),
        cmocka_unit_test(is_taken_away),
        cmocka_unit_test(needs_its_namespace),
        cmocka_unit_test(refusals_are_told),
        cmocka_unit_test(answers_are_bounded),
        cmocka_unit_test(never_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
