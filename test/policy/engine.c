/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/policy/lookup.h"

static const struct fence_object *find(void *context, enum fence_kind kind,
                                       const char *namespace_name, const char *name)
{
    const struct engine *engine = context;

    return fence_world_find(&engine->world, kind, namespace_name, name);
}

static int make_compiler(struct engine *engine, const struct fence_world *world,
                         struct fence_err *err)
{
    const struct fence_compile_options options = {
        .node_name = world->node_name ? engine->node_name : NULL,
        .required_labels = world->required_labels,
        .required_label_count = world->required_label_count,
        .own_node_egress_is_policy = world->own_node_egress_is_policy,
        .find = find,
        .find_context = engine,
    };

    snprintf(engine->node_name, sizeof(engine->node_name), "%s",
             world->node_name ? world->node_name : "");
    return fence_compiler_new(&options, &engine->compiler, err);
}

/* Both lists are sorted: walk them side by side. */
static int feed_objects(struct engine *engine, const struct fence_world *before,
                        const struct fence_world *after, struct fence_err *err)
{
    size_t i = 0, j = 0;
    int r = 0;

    while (r == 0 && (i < before->object_count || j < after->object_count)) {
        struct fence_change change = {0};
        int order = i == before->object_count ? 1 : -1;

        if (i < before->object_count && j < after->object_count)
            order = fence_object_compare(before->objects[i], after->objects[j]);
        if (order <= 0)
            change.before = before->objects[i++];
        if (order >= 0)
            change.after = after->objects[j++];
        /* the same object in both is no change: a store would not tell of it */
        if (change.before != change.after)
            r = fence_compiler_change(engine->compiler, &change, err);
    }
    return r;
}

bool engine_can_follow(const struct fence_world *a, const struct fence_world *b)
{
    const char *one = a->node_name ? a->node_name : "";
    const char *other = b->node_name ? b->node_name : "";

    return strcmp(one, other) == 0 && !a->required_label_count && !b->required_label_count &&
           a->own_node_egress_is_policy == b->own_node_egress_is_policy;
}

int engine_feed(struct engine *engine, const struct fence_world *world, struct fence_err *err)
{
    struct fence_world before = engine->world;
    int r = 0;

    if (engine->compiler && !engine_can_follow(&before, world))
        fence_compiler_free(&engine->compiler);
    engine->world = *world;
    if (!engine->compiler) {
        before.object_count = 0;
        r = make_compiler(engine, world, err);
    }
    if (r == 0)
        r = feed_objects(engine, &before, world, err);
    if (r == 0)
        r = fence_compiler_host(engine->compiler, world->host_addrs, world->host_addr_count, err);
    if (r == 0)
        r = fence_compiler_locals(engine->compiler, world->locals, world->local_count, err);
    return r;
}

/* As lib/datapath/apply does, of each address by itself. */
static void tell(struct fence_plan *plan)
{
    struct fence_address *entry;
    size_t position = 0;

    while ((entry = fence_addresses_next(&plan->addresses, &position)))
        entry->told = entry->peer;
    fence_plan_told(plan);
}

int engine_update(struct engine *engine, const struct fence_world *world, struct fence_err *err)
{
    int r = engine_feed(engine, world, err);

    if (r == 0)
        r = fence_compiler_run(engine->compiler, world->now, err) < 0 ? -ENOMEM : 1;
    while (r > 0) {
        tell(fence_compiler_plan(engine->compiler));
        r = fence_compiler_settle(engine->compiler, err);
    }
    return r;
}

void engine_done(struct engine *engine)
{
    fence_compiler_free(&engine->compiler);
}

const struct fence_plan *engine_plan(const struct engine *engine)
{
    return fence_compiler_plan(engine->compiler);
}
