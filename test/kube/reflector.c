/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/kube/recorded.h"
#include "test/kube/world.h"

#define SECOND 1000000000ull

static bool asks(const struct world *world, const char *part)
{
    return strstr(world->path, part) != NULL;
}

static void answer_recorded(struct world *world, long status, const char *name)
{
    size_t size;
    FENCE_FREE char *body = recorded_body(name, &size);

    world_answer(world, status, body);
}

/* A stream that is listed and goes on as a watch. */
static void begin_stream(struct world *world)
{
    size_t size;
    FENCE_FREE char *body = recorded_body("watchlist-empty", &size);

    world_init(world, 1);
    world_tick(world);
    assert_true(asks(world, "/api/v1/pods?watch=1&"));
    assert_int_equal(world->idle_ms, 100000); /* it goes on as a watch */
    assert_true(asks(world, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&labelSel"));
    assert_true(world_head(world, 200, -1));
    assert_true(world_body(world, body, size));
    assert_true(world_state(world).listed && world_state(world).streaming);
    assert_int_equal(world_state(world).bytes, size); /* before its end */
    assert_int_equal(world_state(world).phase, FENCE_KUBE_WATCHING);
}

static void streams(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 1);
    world_tick(&world);
    answer_recorded(&world, 200, "watchlist-pods");
    assert_int_equal(world.ended, 1);
    assert_int_equal(world.told, 5);
    assert_true(fence_reflector_due_ns(world.reflector) <= world.now_ns); /* at once */
    world_tick(&world);
    assert_false(asks(&world, "sendInitialEvents"));
    assert_true(asks(&world, "&resourceVersion="));
    world_done(&world);
}

static void falls_back_to_pages(void **state)
{
    static const struct {
        long status;
        const char *name;
    } refusals[] = {{422, "watchlist-422"}, {200, "watchlist-unsupported"}};
    struct world world;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refusals); i++) {
        world_init(&world, 1);
        world_tick(&world);
        answer_recorded(&world, refusals[i].status, refusals[i].name);
        world_tick(&world);
        assert_true(asks(&world, "/api/v1/pods?limit=500&labelSelector"));
        assert_int_equal(world.idle_ms, 30000);
        answer_recorded(&world, 200, "list-pods-page1");
        assert_int_equal(world.ended, 0);
        world_tick(&world);
        assert_true(asks(&world, "&continue=eyJ2"));
        answer_recorded(&world, 410, "410-continue");
        world_tick(&world);
        assert_false(asks(&world, "continue="));
        answer_recorded(&world, 200, "list-pods");
        assert_int_equal(world.ended, 1);
        assert_int_equal(world.begun, i + 2); /* the second one's stream had begun, too */
        assert_false(world_state(&world).streaming);
        world_tick(&world);
        assert_true(asks(&world, "&resourceVersion=258"));
        world_done(&world);
    }
}

static void lists_again_after_410(void **state)
{
    struct world world;

    (void)state;
    begin_stream(&world);
    world.now_ns += 5 * SECOND;
    world_end(&world, -ECONNRESET);
    assert_int_equal(world_state(&world).phase, FENCE_KUBE_WAITING);
    world_tick(&world);
    assert_true(asks(&world, "&resourceVersion=289"));
    answer_recorded(&world, 200, "410-watch-after-restart");
    assert_true(strstr(world_state(&world).problem, "too old") != NULL);
    world_tick(&world);
    assert_true(asks(&world, "sendInitialEvents"));
    assert_int_equal(world.begun, 1); /* nothing is forgotten before it answers */
    world_done(&world);
}

static void rights_and_kinds(void **state)
{
    struct world world;
    uint64_t before;

    (void)state;
    world_init(&world, 1);
    world_tick(&world);
    answer_recorded(&world, 401, "401-watch");
    assert_int_equal(world.renewals, 1);
    assert_int_equal(world_state(&world).phase, FENCE_KUBE_REFUSED);
    world_tick(&world);
    answer_recorded(&world, 403, "403-watch");
    assert_int_equal(world_state(&world).phase, FENCE_KUBE_REFUSED);
    assert_true(strstr(world_state(&world).problem, "HTTP 403: configmaps is forbidden") != NULL);
    assert_false(world_state(&world).listed);
    world_tick(&world);
    answer_recorded(&world, 404, "crd-404-watch");
    assert_int_equal(world_state(&world).phase, FENCE_KUBE_ABSENT);
    assert_string_equal(world_state(&world).problem, "HTTP 404: 404 page not found");
    assert_false(world_state(&world).listed); /* a wrong path is answered so, too */
    assert_int_equal(world.begun, 0);
    for (unsigned int i = 0; i < 40; i++) {
        before = world.now_ns;
        world_tick(&world);
        assert_true(world.now_ns - before >= SECOND && world.now_ns - before <= 60 * SECOND);
        answer_recorded(&world, 404, "crd-404-watch");
    }
    world_done(&world);
}

static void waits_as_asked(void **state)
{
    struct world world;
    uint64_t before;

    (void)state;
    world_init(&world, 1);
    world_tick(&world);
    assert_true(world_head(&world, 429, 7000));
    world_end(&world, 0);
    before = world.now_ns;
    assert_int_equal(fence_reflector_due_ns(world.reflector) - before, 7 * SECOND);
    world_tick(&world);
    assert_true(world_head(&world, 503, 1000000000));
    world_end(&world, 0);
    assert_int_equal(fence_reflector_due_ns(world.reflector) - world.now_ns, 600 * SECOND);
    world_done(&world);
}

/* By the exchange, whose connection goes with it; if it does not, by the reflector itself. */
static void hang(struct world *world, bool ends)
{
    if (!ends) {
        world_tick(world);
        return;
    }
    world->now_ns += 100 * SECOND;
    fence_reflector_tick(world->reflector);
    assert_true(world->active); /* not before the exchange */
    world_end(world, -ETIMEDOUT);
}

static void silence(void **state)
{
    struct world world;

    (void)state;
    for (unsigned int ends = 0; ends < 2; ends++) {
        begin_stream(&world);
        hang(&world, ends);
        assert_false(world.active);
        world_tick(&world);
        assert_true(asks(&world, "&resourceVersion=289"));
        assert_int_equal(world.idle_ms, 100000);
        world_head(&world, 200, -1);
        hang(&world, ends);
        assert_false(world.active);
        assert_string_equal(world_state(&world).problem, "nothing was heard for a long time");
        world_tick(&world);
        assert_true(asks(&world, "sendInitialEvents")); /* checked by a list */
        assert_int_equal(world.idle_ms, 200000); /* it goes on as a watch, with more patience */
        world_done(&world);
    }
}

/* No connection in time is nothing that a list could check. */
static void slow_to_connect(void **state)
{
    struct world world;

    (void)state;
    begin_stream(&world);
    for (unsigned int i = 0; i < 5; i++) {
        world.now_ns += 10 * SECOND;
        world_end(&world, -ETIMEDOUT);
        world_tick(&world);
        assert_true(asks(&world, "&resourceVersion=289"));
    }
    world_done(&world);
}

static void ends_at_once(void **state)
{
    struct world world;

    (void)state;
    begin_stream(&world);
    world.now_ns += 5 * SECOND;
    world_end(&world, 0);
    world_tick(&world);
    world_answer(&world, 200, "");
    assert_true(fence_reflector_due_ns(world.reflector) >= world.now_ns + SECOND / 2);
    world_tick(&world);
    assert_true(asks(&world, "&resourceVersion=289"));
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams),
        cmocka_unit_test(falls_back_to_pages),
        cmocka_unit_test(lists_again_after_410),
        cmocka_unit_test(rights_and_kinds),
        cmocka_unit_test(waits_as_asked),
        cmocka_unit_test(silence),
        cmocka_unit_test(slow_to_connect),
        cmocka_unit_test(ends_at_once),
    };

    if (!recorded_is_there())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
