/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/apply.h"
#include "lib/policy/compile.h"

struct engine {
    const struct engine_parts *parts;
    struct fence_compiler *compiler;
    struct fence_apply *apply;
    bool fed; /* all that the store had at the beginning */
};

static const struct fence_object *find(void *context, enum fence_kind kind,
                                       const char *namespace_name, const char *name)
{
    return fence_store_find(context, kind, namespace_name, name);
}

int engine_begin(const struct engine_parts *parts, struct engine **ret_engine,
                 struct fence_err *err)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    const struct fence_compile_options options = {
        .node_name = parts->node_name,
        .find = find,
        .find_context = parts->store,
    };
    int r;

    if (!engine)
        return fence_err_set(err, -ENOMEM, "out of memory");
    engine->parts = parts;
    r = fence_compiler_new(&options, &engine->compiler, err);
    if (r == 0)
        r = fence_apply_new(parts->pins, &engine->apply, err);
    if (r < 0) {
        engine_end(&engine);
        return r;
    }
    *ret_engine = engine;
    return 0;
}

void engine_end(struct engine **engine)
{
    struct engine *gone = *engine;

    if (!gone)
        return;
    fence_compiler_free(&gone->compiler);
    fence_apply_free(&gone->apply);
    free(gone);
    *engine = NULL;
}

static int feed_all(struct engine *engine, struct fence_err *err)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_objects(engine->parts->store, &objects);
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct fence_change change = {.after = objects[i]};

        r = fence_compiler_change(engine->compiler, &change, err);
    }
    engine->fed = r == 0;
    return r;
}

static int feed_changes(struct engine *engine, struct fence_err *err)
{
    const struct fence_change *changes;
    size_t count = 0;
    int r = fence_store_changes(engine->parts->store, &changes, &count);

    if (r < 0)
        return fence_err_set(err, r, "%s", strerror(-r));
    for (size_t i = 0; r == 0 && i < count; i++)
        r = fence_compiler_change(engine->compiler, &changes[i], err);
    return r;
}

static int feed(struct engine *engine, const struct fence_local *locals, size_t count,
                struct fence_err *err)
{
    const struct engine_parts *parts = engine->parts;
    int r = engine->fed ? feed_changes(engine, err) : feed_all(engine, err);

    if (r == 0)
        r = fence_compiler_host(engine->compiler, parts->host_addrs, parts->host_addr_count, err);
    if (r == 0)
        r = fence_compiler_locals(engine->compiler, locals, count, err);
    return r < 0 ? r : fence_compiler_run(engine->compiler, 1, err);
}

static int apply(struct engine *engine, struct engine_cost *cost, struct fence_err *err)
{
    struct fence_apply_report report = {0};
    uint64_t begin = fence_clock_boot_ns();
    int r = fence_apply(engine->apply, fence_compiler_plan(engine->compiler), &report, err);

    cost->apply_ns += fence_clock_boot_ns() - begin;
    if (r < 0)
        return r;
    cost->writes += report.writes;
    if (report.failure_count && cost->failures == 0)
        snprintf(cost->failure, sizeof(cost->failure), "%s: %s", report.failures[0].subject,
                 report.failures[0].text);
    cost->failures += report.failure_count;
    fence_apply_report_done(&report);
    return 0;
}

int engine_update(struct engine *engine, const struct fence_local *locals, size_t count,
                  struct engine_cost *ret_cost, struct fence_err *err)
{
    struct engine_cost cost = {0};
    uint64_t begin = fence_clock_boot_ns();
    int r = feed(engine, locals, count, err);
    int more = 1;

    while (r == 0 && more > 0) {
        r = apply(engine, &cost, err);
        if (r == 0)
            more = fence_compiler_settle(engine->compiler, err);
    }
    if (r < 0 || more < 0)
        return r < 0 ? r : more;
    fence_store_changes_done(engine->parts->store);
    cost.compile_ns = fence_clock_boot_ns() - begin - cost.apply_ns;
    *ret_cost = cost;
    return 0;
}

int engine_sweep(struct engine *engine, uint64_t *ret_ns, struct fence_err *err)
{
    uint64_t begin = fence_clock_boot_ns();
    int r = fence_apply_sweep(engine->apply, err);

    *ret_ns = fence_clock_boot_ns() - begin;
    return r < 0 ? r : 0;
}
