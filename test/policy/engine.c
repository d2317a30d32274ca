/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/engine.h"

int engine_update(struct engine *engine, const struct fence_world *world, struct fence_err *err)
{
    struct fence_plan *plan = NULL;
    int r = fence_compile(world, engine->plan, &plan, err);

    if (r < 0)
        return r;
    fence_plan_free(&engine->plan);
    engine->plan = plan;
    return 0;
}

void engine_done(struct engine *engine)
{
    fence_plan_free(&engine->plan);
}

const struct fence_plan *engine_plan(const struct engine *engine)
{
    return engine->plan;
}
