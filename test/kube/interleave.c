/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that changes, forgets old versions, refuses and breaks off at any byte, and a client
 * without memory or sockets for moments: whatever happens in between, the reflector ends with the
 * server's objects, and what the server has had all the time never goes. interleave [SEEDS [FIRST]]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/kube/world.h"

#define STEPS  120
#define EVENTS 512
#define ALWAYS 3u /* n0 and n1 */

struct server {
    struct world world;
    struct world_objects objects;
    struct {
        char type;
        unsigned int name;
    } events[EVENTS]; /* by version */
    unsigned int version;
    unsigned int compacted; /* watches from before it are too old */
    struct world_objects snapshot;
    unsigned int snapshot_version;
    unsigned int sent; /* version up to which the watch that runs has told */
    bool watching;
    bool streams; /* it has streaming lists */
    bool calm;    /* no faults any more */
    char body[65536];
    size_t size;
};

static unsigned int seeds = 4000, first;
static unsigned int relists, faults, current;

static bool chance(struct server *server, unsigned int percent)
{
    return !server->calm && world_random(&server->world, 100) < percent;
}

static void change(struct server *server)
{
    unsigned int name = world_random(&server->world, WORLD_NAMES), bit = 1u << name;
    bool goes = server->objects.present & bit && !(ALWAYS & bit) && chance(server, 50);

    if (server->version + 1 >= EVENTS)
        return;
    server->version++;
    server->events[server->version].type = 'A';
    if (server->objects.present & bit)
        server->events[server->version].type = 'M';
    if (goes)
        server->events[server->version].type = 'D';
    server->events[server->version].name = name;
    server->objects.present = goes ? server->objects.present & ~bit : server->objects.present | bit;
    server->objects.versions[name] = server->version;
}

static void put_object(struct server *server, unsigned int name, unsigned int version)
{
    server->size += (size_t)sprintf(server->body + server->size,
                                    "{\"metadata\":{\"name\":\"n%u\",\"resourceVersion\":\"%u\"}}",
                                    name, version);
}

static void put(struct server *server, const char *text)
{
    server->size += (size_t)sprintf(server->body + server->size, "%s", text);
}

static void put_event(struct server *server, char type, unsigned int name, unsigned int version)
{
    put(server, type == 'A'   ? "{\"type\":\"ADDED\",\"object\":"
                : type == 'M' ? "{\"type\":\"MODIFIED\",\"object\":"
                              : "{\"type\":\"DELETED\",\"object\":");
    put_object(server, name, version);
    put(server, "}\n");
}

static void put_bookmark(struct server *server, bool is_initial_end)
{
    server->size += (size_t)sprintf(
        server->body + server->size,
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%u\"%s}}}\n",
        server->version,
        is_initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}

/* In two pieces, or cut at any byte. False when the exchange is over. */
static bool send(struct server *server)
{
    struct world *world = &server->world;
    size_t split = world_random(world, (unsigned int)server->size + 1);

    if (!world_body(world, server->body, split))
        return false;
    if (chance(server, 10)) {
        faults++;
        world_end(world, chance(server, 50) ? 0 : -ECONNRESET);
        return false;
    }
    return world_body(world, server->body + split, server->size - split);
}

static void send_last(struct server *server)
{
    if (send(server))
        world_end(&server->world, 0);
}

static void answer_page(struct server *server)
{
    const char *token = strstr(server->world.path, "continue=");
    unsigned int version = 0, at = 0, count = 0;

    if (token && (sscanf(token, "continue=%u-%u", &version, &at) != 2 ||
                  version != server->snapshot_version || chance(server, 15))) {
        world_answer(&server->world, 410, "{\"kind\":\"Status\",\"code\":410}");
        return;
    }
    if (!token) {
        server->snapshot = server->objects;
        server->snapshot_version = server->version;
    }
    if (!world_head(&server->world, 200, -1))
        return;
    put(server, "{\"kind\":\"PodList\",\"items\":[");
    for (; at < WORLD_NAMES && count < 3; at++) {
        if (!(server->snapshot.present & 1u << at))
            continue;
        put(server, count++ ? "," : "");
        put_object(server, at, server->snapshot.versions[at]);
    }
    server->size +=
        (size_t)sprintf(server->body + server->size, "],\"metadata\":{\"resourceVersion\":\"%u\"",
                        server->snapshot_version);
    if (at < WORLD_NAMES)
        server->size += (size_t)sprintf(server->body + server->size, ",\"continue\":\"%u-%u\"",
                                        server->snapshot_version, at);
    put(server, "}}\n");
    send_last(server);
}

static void answer_stream(struct server *server)
{
    if (!server->streams) {
        world_answer(&server->world, 422, "{\"kind\":\"Status\",\"code\":422}");
        return;
    }
    if (!world_head(&server->world, 200, -1))
        return;
    for (unsigned int i = 0; i < WORLD_NAMES; i++) {
        if (server->objects.present & 1u << i)
            put_event(server, 'A', i, server->objects.versions[i]);
    }
    put_bookmark(server, true);
    server->sent = server->version;
    server->watching = send(server);
}

static void answer_watch(struct server *server)
{
    const char *from = strstr(server->world.path, "resourceVersion=");

    assert_true(from && sscanf(from, "resourceVersion=%u", &server->sent) == 1);
    if (!world_head(&server->world, 200, -1))
        return;
    server->watching = server->sent >= server->compacted;
    if (server->watching)
        return;
    put(server, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n");
    send_last(server);
}

static void tell_watch(struct server *server)
{
    for (unsigned int i = server->sent + 1; i <= server->version; i++)
        put_event(server, server->events[i].type, server->events[i].name, i);
    server->sent = server->version;
    if (chance(server, 30))
        put_bookmark(server, false);
    server->watching = send(server);
    if (server->watching && chance(server, 15)) {
        server->watching = false;
        world_end(&server->world, 0);
    }
}

static void answer(struct server *server)
{
    static const long statuses[] = {401, 403, 404, 410, 429, 500, 503, 504};
    struct world *world = &server->world;

    server->size = 0;
    if (server->watching) {
        tell_watch(server);
    } else if (chance(server, 10)) {
        faults++;
        world_end(world, chance(server, 30) ? -ETIMEDOUT : -ECONNREFUSED);
    } else if (chance(server, 15)) {
        faults++;
        world_answer(world, statuses[world_random(world, FENCE_ARRAY_SIZE(statuses))], "no\n");
    } else if (strstr(world->path, "limit=")) {
        answer_page(server);
    } else if (strstr(world->path, "sendInitialEvents")) {
        answer_stream(server);
    } else {
        answer_watch(server);
    }
}

/* Ours: no memory for an object or for a list, a request that cannot be begun. */
static void fail_ourselves(struct server *server)
{
    struct world *world = &server->world;

    world->fail_object = chance(server, 3) ? 1 + world_random(world, 4) : 0;
    world->fail_ended = chance(server, 3) ? 1 : 0;
    world->start_fails = chance(server, 5) ? -EMFILE : 0;
    faults += world->start_fails != 0;
}

static void step(struct server *server)
{
    struct world *world = &server->world;

    fail_ourselves(server);
    if (chance(server, 50))
        change(server);
    if (chance(server, 5))
        server->compacted = server->version;
    if (!world->active)
        server->watching = false;
    if (world->active && !chance(server, 5)) {
        world->now_ns += 1000000ull * world_random(world, 3000);
        answer(server);
    } else {
        world_tick(world); /* of an exchange: nothing came for too long */
    }
}

static void run(unsigned int seed)
{
    static struct server server;

    memset(&server, 0, sizeof(server));
    world_init(&server.world, seed);
    server.streams = seed % 2;
    server.world.always = ALWAYS;
    server.objects = (struct world_objects){.present = ALWAYS, .versions = {1, 1}};
    server.version = server.compacted = 1;
    for (unsigned int i = 0; i < STEPS; i++)
        step(&server);
    server.calm = true;
    for (unsigned int i = 0;
         i < 40 && !(server.watching && server.sent == server.version && server.world.active); i++)
        step(&server);
    assert_true(server.watching && server.world.active);
    assert_false(server.world.listing);
    assert_int_equal(server.world.objects.present, server.objects.present);
    for (unsigned int i = 0; i < WORLD_NAMES; i++) {
        if (server.objects.present & 1u << i)
            assert_int_equal(server.world.objects.versions[i], server.objects.versions[i]);
    }
    relists += server.world.ended;
    world_done(&server.world);
}

static void any_interleaving(void **state)
{
    (void)state;
    for (unsigned int seed = first; seed < first + seeds; seed++) {
        current = seed;
        run(seed);
    }
    printf("%u seeds, %u lists, %u faults\n", seeds, relists, faults);
    assert_true(relists > seeds && faults > seeds);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_interleaving)};

    if (argc > 1)
        seeds = (unsigned int)atoi(argv[1]);
    if (argc > 2)
        first = (unsigned int)atoi(argv[2]);
    if (cmocka_run_group_tests(tests, NULL, NULL) == 0)
        return 0;
    printf("seed %u\n", current);
    return 1;
}
