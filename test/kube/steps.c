/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/steps.h"

#include <string.h>

#include "test/cmocka.h"

#define CLOSING                                                                                    \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" STEPS_VERSION        \
    "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define FIRST_PAGE                                                                                 \
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"258\",\"continue\":\"a/b\"},"       \
    "\"items\":[]}"

static void to_pages(struct world *world)
{
    world_answer(world, 422, "{\"kind\":\"Status\",\"code\":422}");
    world_tick(world);
}

void steps_begin(struct world *world, enum step step)
{
    world_init(world, 7);
    world_tick(world);
    if (step == STEP_PAGE || step == STEP_NEXT)
        to_pages(world);
    if (step == STEP_NEXT) {
        world_answer(world, 200, FIRST_PAGE);
        world_tick(world);
    }
    if (step == STEP_WATCH) {
        assert_true(world_head(world, 200, -1));
        assert_true(world_body(world, CLOSING, strlen(CLOSING)));
        world->now_ns += 5000000000ull;
        world_end(world, 0);
        world_tick(world);
    }
    assert_int_equal(steps_asked(world), step);
}

enum step steps_asked(const struct world *world)
{
    assert_true(world->active);
    if (strstr(world->path, "sendInitialEvents"))
        return STEP_STREAM;
    if (strstr(world->path, "&continue="))
        return STEP_NEXT;
    return strstr(world->path, "limit=500") ? STEP_PAGE : STEP_WATCH;
}

const char *steps_name(enum step step)
{
    static const char *const names[] = {[STEP_STREAM] = "a streaming list",
                                        [STEP_PAGE] = "a page",
                                        [STEP_NEXT] = "another page",
                                        [STEP_WATCH] = "a watch"};

    return names[step];
}
