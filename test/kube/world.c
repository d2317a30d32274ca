/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

static int world_start(void *context, const struct fence_http_request *request,
                       const struct fence_http_ops *ops, void *handler,
                       struct fence_http_exchange **ret_exchange)
{
    struct world *world = context;

    assert_false(world->active);
    if (world->start_fails)
        return world->start_fails;
    world->active = true;
    world->ops = ops;
    world->handler = handler;
    world->idle_ms = request->idle_ms;
    snprintf(world->path, sizeof(world->path), "%s", request->path);
    *ret_exchange = (struct fence_http_exchange *)world;
    return 0;
}

static void world_cancel(void *context, struct fence_http_exchange **exchange)
{
    ((struct world *)context)->active = false;
    *exchange = NULL;
}

static void world_renew(void *context)
{
    ((struct world *)context)->renewals++;
}

static uint64_t world_now(void *context)
{
    return ((struct world *)context)->now_ns;
}

static uint32_t world_draw(void *context)
{
    struct world *world = context;

    world->seed ^= world->seed << 13;
    world->seed ^= world->seed >> 7;
    world->seed ^= world->seed << 17;
    return (uint32_t)(world->seed >> 16);
}

unsigned int world_random(struct world *world, unsigned int below)
{
    return world_draw(world) % below;
}

static struct world_objects *objects_of(struct world *world)
{
    return world->listing ? &world->pending : &world->objects;
}

static unsigned int index_of(const char *json, unsigned int *ret_version)
{
    unsigned int index = 0;

    *ret_version = 0;
    sscanf(json, "{\"metadata\":{\"name\":\"n%u\",\"resourceVersion\":\"%u\"", &index, ret_version);
    return index % WORLD_NAMES;
}

static void hear(struct world *world, char what, const char *json)
{
    if (world->heard)
        world->heard(world, what, json);
}

/* Counts down to the one that fails. */
static int fails(unsigned int *left, struct fence_err *err)
{
    if (!*left || --*left)
        return 0;
    return fence_err_set(err, -ENOMEM, "no memory for it");
}

static int on_object(void *context, unsigned int resource, char *json, size_t size,
                     struct fence_err *err)
{
    struct world *world = context;
    unsigned int version, index = index_of(json, &version);

    assert_int_equal(resource, 3);
    assert_int_equal(strlen(json), size);
    if (fails(&world->fail_object, err) < 0)
        return -ENOMEM;
    hear(world, '+', json);
    objects_of(world)->present |= 1u << index;
    objects_of(world)->versions[index] = version;
    world->told++;
    return 0;
}

static int on_deleted(void *context, unsigned int resource, char *json, size_t size,
                      struct fence_err *err)
{
    struct world *world = context;
    unsigned int version, index = index_of(json, &version);

    (void)resource, (void)size, (void)err;
    hear(world, '-', json);
    assert_false(world->always & 1u << index);
    objects_of(world)->present &= ~(1u << index);
    world->told++;
    world->gone++;
    return 0;
}

static void on_begun(void *context, unsigned int resource)
{
    struct world *world = context;

    (void)resource;
    hear(world, '(', "");
    world->listing = true;
    world->pending.present = 0;
    world->begun++;
}

static int on_ended(void *context, unsigned int resource, struct fence_err *err)
{
    struct world *world = context;

    (void)resource;
    assert_true(world->listing);
    if (fails(&world->fail_ended, err) < 0)
        return -ENOMEM;
    hear(world, ')', "");
    world->listing = false;
    world->objects = world->pending;
    world->ended++;
    assert_int_equal(world->objects.present & world->always, world->always);
    return 0;
}

static const struct fence_kube_ops kube_ops = {
    .object = on_object, .deleted = on_deleted, .begun = on_begun, .ended = on_ended};
static const struct fence_kube_resource pods = {
    .kind = "Pod", .version = "v1", .plural = "pods", .selector = "labelSelector=a%3Db"};
static struct fence_reflector_world table = {.start = world_start,
                                             .cancel = world_cancel,
                                             .renew_token = world_renew,
                                             .now_ns = world_now,
                                             .random = world_draw};

void world_init(struct world *world, uint64_t seed)
{
    struct fence_reflector_options options = {
        .resource = &pods, .index = 3, .ops = &kube_ops, .context = world, .world = &table};

    memset(world, 0, sizeof(*world));
    world->seed = (seed + 1) * 0x9e3779b97f4a7c15ull;
    world->now_ns = 1000000000ull;
    table.context = world;
    table.start_err = &world->start_err;
    assert_int_equal(fence_reflector_new(&options, &world->reflector), 0);
}

void world_done(struct world *world)
{
    fence_reflector_free(&world->reflector);
    assert_false(world->active);
}

void world_tick(struct world *world)
{
    uint64_t due = fence_reflector_due_ns(world->reflector);

    if (due > world->now_ns)
        world->now_ns = due;
    fence_reflector_tick(world->reflector);
}

void world_end(struct world *world, int code)
{
    struct fence_http_end end = {.code = code, .message = code ? "the network" : "", .bytes = 1};

    assert_true(world->active);
    world->active = false;
    world->ops->end(world->handler, &end);
}

bool world_head(struct world *world, long status, long retry_after_ms)
{
    struct fence_http_head head = {
        .status = status, .content_type = "", .retry_after_ms = retry_after_ms};

    if (world->ops->head(world->handler, &head) >= 0)
        return true;
    world_end(world, -ECANCELED);
    return false;
}

bool world_body(struct world *world, const char *data, size_t size)
{
    if (world->ops->body(world->handler, data, size) >= 0)
        return true;
    world_end(world, -ECANCELED);
    return false;
}

void world_answer(struct world *world, long status, const char *body)
{
    assert_true(world->active);
    if (world_head(world, status, -1) && world_body(world, body, strlen(body)))
        world_end(world, 0);
}

struct fence_kube_state world_state(const struct world *world)
{
    struct fence_kube_state state;

    fence_reflector_state(world->reflector, &state);
    return state;
}
