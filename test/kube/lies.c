/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that no server should give, objects that cannot be kept, requests that cannot be begun:
 * what was not told to its end is never taken for a whole list, and the next step is a safe one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/kube/list.h"
#include "test/cmocka.h"
#include "test/kube/steps.h"

#define SECOND 1000000000ull
#define POD(name, version)                                                                         \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define END(version)                                                                               \
    EVENT("BOOKMARK",                                                                              \
          "{\"metadata\":{" version "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define WHOLE(text)           text, sizeof(text) - 1
#define LIST(metadata, items) "{\"kind\":\"PodList\",\"metadata\":" metadata ",\"items\":" items "}"
#define FAILED(code)                                                                               \
    EVENT("ERROR", "{\"kind\":\"Status\",\"message\":\"a\\nb\\u001b[31m\"" code "}")

struct lie {
    const char *body;
    size_t size; /* 0 = its length */
    unsigned int told;
    const char *problem; /* a part of it */
    enum step next;
    const char *version; /* of a watch that is next; NULL: STEPS_VERSION */
};

static void expect(struct world *world, const struct lie *lie, enum step asked)
{
    struct fence_kube_state state = world_state(world);
    char query[64];

    if (!strstr(state.problem, lie->problem) || strpbrk(state.problem, "\n\033"))
        fail_msg("%s: problem \"%s\", expected \"%s\"", lie->body, state.problem, lie->problem);
    assert_int_equal(world->told, lie->told);
    assert_int_equal(state.phase, FENCE_KUBE_WAITING);
    assert_true(fence_reflector_due_ns(world->reflector) >= world->now_ns + SECOND / 2);
    assert_int_equal(state.retry_at_ns, fence_reflector_due_ns(world->reflector));
    world_tick(world);
    if (steps_asked(world) != lie->next)
        fail_msg("%s of %s: then %s", steps_name(asked), lie->body, world->path);
    snprintf(query, sizeof(query), "&resourceVersion=%s&",
             lie->version ? lie->version : STEPS_VERSION);
    if (lie->next == STEP_WATCH && !strstr(world->path, query))
        fail_msg("%s: then %s", lie->body, world->path);
}

static void tell(const struct lie *lie, enum step step)
{
    struct world world;
    unsigned int ended;
    size_t size = lie->size ? lie->size : strlen(lie->body);

    steps_begin(&world, step);
    ended = world.ended;
    if (world_head(&world, 200, -1) && world_body(&world, lie->body, size))
        world_end(&world, 0);
    assert_int_equal(world.ended, ended);
    expect(&world, lie, step);
    world_done(&world);
}

static void tell_all(const struct lie *lies, size_t count, enum step step)
{
    for (size_t i = 0; i < count; i++)
        tell(&lies[i], step);
}

static void watches(void **state)
{
    static const struct lie lies[] = {
        {"no JSON\n", 0, 0, "no JSON object", STEP_STREAM, NULL},
        {"{\"type\":\"ADDED\",\"object\":{\n", 0, 0, "ends in the middle", STEP_STREAM, NULL},
        {"{\"type\":\"ADDED\"}\n", 0, 0, "without an object", STEP_STREAM, NULL},
        {"{\"type\":\"ADDED\",\"object\":[]}\n", 0, 0, "without an object", STEP_STREAM, NULL},
        {"[]\n", 0, 0, "no JSON object", STEP_STREAM, NULL},
        {"{}\n", 0, 0, "no known type", STEP_STREAM, NULL},
        {EVENT("RENAMED", POD("n1", "290")), 0, 0, "no known type", STEP_STREAM, NULL},
        {EVENT("added", POD("n1", "290")), 0, 0, "no known type", STEP_STREAM, NULL},
        {"{\"type\":7,\"object\":" POD("n1", "290") "}\n", 0, 0, "no known type", STEP_STREAM,
         NULL},
        {"{\"type\":\"ADDED\",\"type\":\"DELETED\",\"object\":" POD("n1", "290") "}\n", 0, 0,
         "\"type\" twice", STEP_STREAM, NULL},
        /* what came before it has been told, and counts */
        {EVENT("ADDED", POD("n1", "290")) "{\"type\":\"ADDED\",\"object\":{}} {}\n", 0, 1,
         "more behind the object", STEP_STREAM, NULL},
        {WHOLE("{\"type\":\"ADDED\0\",\"object\":{}}\n"), 0, "NUL byte", STEP_STREAM, NULL},
        {WHOLE("{\"type\":\"ADDED\",\"object\":{\"a\":\"\0\"}}\n"), 0, "NUL byte", STEP_STREAM,
         NULL},
        {WHOLE("\0\n"), 0, "no JSON object", STEP_STREAM, NULL},
        /* no server says that it is over, and none should be asked for "any" version */
        {EVENT("ADDED", POD("n1", "290")) "{\"type\":\"ADD", 0, 1, "in the middle of a line",
         STEP_WATCH, "290"},
        {EVENT("ADDED", POD("n1", "290")) EVENT("MODIFIED", POD("n1", "0")) "{", 0, 2,
         "in the middle of a line", STEP_WATCH, "290"},
        {EVENT("ADDED", "{\"metadata\":{\"resourceVersion\":291}}") "{", 0, 1,
         "in the middle of a line", STEP_WATCH, NULL},
        {EVENT("BOOKMARK", "{\"metadata\":{}}") "{", 0, 0, "in the middle of a line", STEP_WATCH,
         NULL},
        {EVENT("BOOKMARK", "{}") "{", 0, 0, "in the middle of a line", STEP_WATCH, NULL},
        {END("") "{", 0, 0, "in the middle of a line", STEP_WATCH, NULL},
        {EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"\"}}") "{", 0, 0,
         "in the middle of a line", STEP_WATCH, NULL},
        {FAILED(""), 0, 0, "the watch ended with 0: a b [31m", STEP_WATCH, NULL},
        {FAILED(",\"code\":\"410\""), 0, 0, "the watch ended with 0: a b [31m", STEP_WATCH, NULL},
        {FAILED(",\"code\":1e99"), 0, 0, "the watch ended with 0: a b [31m", STEP_WATCH, NULL},
        {FAILED(",\"code\":500"), 0, 0, "the watch ended with 500: a b [31m", STEP_WATCH, NULL},
        {FAILED(",\"code\":410"), 0, 0, "the watch ended with 410: a b [31m", STEP_STREAM, NULL},
        {EVENT("ERROR", "{}"), 0, 0, "the watch ended with 0: ", STEP_WATCH, NULL},
    };

    (void)state;
    tell_all(lies, FENCE_ARRAY_SIZE(lies), STEP_WATCH);
}

/* Where a streaming list cannot be understood, the next one is in pages. */
static void streams(void **state)
{
    static const struct lie lies[] = {
        {LIST("{\"resourceVersion\":\"290\"}", "[]") "\n", 0, 0, "no known type", STEP_PAGE, NULL},
        {EVENT("ADDED", POD("n1", "290")) "no JSON\n", 0, 1, "no JSON object", STEP_PAGE, NULL},
        {EVENT("ADDED", POD("n1", "290")), 0, 1, "did not end", STEP_PAGE, NULL},
        {EVENT("ADDED", POD("n1", "290")) EVENT("BOOKMARK", "{\"metadata\":{}}"), 0, 1,
         "did not end", STEP_PAGE, NULL},
        /* versions of objects are none of the list */
        {EVENT("ADDED", POD("n1", "290")) END(""), 0, 1, "without a resourceVersion", STEP_PAGE,
         NULL},
        {EVENT("ADDED", POD("n1", "290")) END("\"resourceVersion\":\"0\","), 0, 1,
         "without a resourceVersion", STEP_PAGE, NULL},
        {EVENT("ADDED", POD("n1", "290")) END("\"resourceVersion\":291,"), 0, 1,
         "without a resourceVersion", STEP_PAGE, NULL},
        {FAILED(""), 0, 0, "the watch ended with 0: a b [31m", STEP_PAGE, NULL},
        {FAILED(",\"code\":410"), 0, 0, "the watch ended with 410: a b [31m", STEP_STREAM, NULL},
        {FAILED(",\"code\":429"), 0, 0, "the watch ended with 429: a b [31m", STEP_STREAM, NULL},
    };

    (void)state;
    tell_all(lies, FENCE_ARRAY_SIZE(lies), STEP_STREAM);
}

#define GOOD "{\"resourceVersion\":\"290\"}"

static void pages(void **state)
{
    static const struct lie lies[] = {
        {"", 0, 0, "ends in the middle", STEP_PAGE, NULL},
        {"[]", 0, 0, "no JSON object", STEP_PAGE, NULL},
        {"null", 0, 0, "no JSON object", STEP_PAGE, NULL},
        {LIST(GOOD, "{}"), 0, 0, "items are no array", STEP_PAGE, NULL},
        {LIST(GOOD, "\"" POD("n1", "1") "\""), 0, 0, "", STEP_PAGE, NULL},
        {LIST(GOOD, "7"), 0, 0, "items are no array", STEP_PAGE, NULL},
        {LIST(GOOD, "[7]"), 0, 0, "items are no objects", STEP_PAGE, NULL},
        {LIST(GOOD, "[" POD("n1", "1") ",]"), 0, 1, "items are no objects", STEP_PAGE, NULL},
        {LIST(GOOD, "[" POD("n1", "1") POD("n2", "2") "]"), 0, 1, "items are no objects", STEP_PAGE,
         NULL},
        {"{\"kind\":\"PodList\",\"metadata\":" GOOD "}", 0, 0, "it has no items", STEP_PAGE, NULL},
        {"{\"kind\":\"PodList\",\"items\":[" POD("n1", "1") "]}", 0, 1, "without a resourceVersion",
         STEP_PAGE, NULL},
        {LIST("null", "[]"), 0, 0, "without a resourceVersion", STEP_PAGE, NULL},
        {LIST("[]", "[]"), 0, 0, "without a resourceVersion", STEP_PAGE, NULL},
        {LIST("{}", "[]"), 0, 0, "without a resourceVersion", STEP_PAGE, NULL},
        {LIST("{\"resourceVersion\":290}", "[]"), 0, 0, "version or token is no string", STEP_PAGE,
         NULL},
        {LIST("{\"resourceVersion\":\"\"}", "[]"), 0, 0, "without a resourceVersion", STEP_PAGE,
         NULL},
        {LIST("{\"resourceVersion\":\"0\"}", "[]"), 0, 0, "without a resourceVersion", STEP_PAGE,
         NULL},
        {LIST("{\"resourceVersion\":\"290\",\"continue\":7}", "[]"), 0, 0,
         "version or token is no string", STEP_PAGE, NULL},
        {LIST(GOOD, "[]") "{}", 0, 0, "more behind its end", STEP_PAGE, NULL},
        {WHOLE(LIST(GOOD, "[{\"a\":\"\0\"}]")), 0, "NUL byte", STEP_PAGE, NULL},
        {"{\"kind\":\"Pod\",\"metadata\":" GOOD ",\"items\":[]}", 0, 0, "no list but of kind Pod",
         STEP_PAGE, NULL},
        {"{\"items\":[],\"metadata\":" GOOD ",\"items\":[]}", 0, 0, "\"items\" twice", STEP_PAGE,
         NULL},
    };

    (void)state;
    tell_all(lies, FENCE_ARRAY_SIZE(lies), STEP_PAGE);
    /* of a page in the middle: else it would be taken for the last */
    tell_all(lies, FENCE_ARRAY_SIZE(lies), STEP_NEXT);
}

static void a_version_too_long(void **state)
{
    char body[512], version[130];
    const struct lie page = {body, 0, 0, "without a resourceVersion", STEP_PAGE, NULL};
    const struct lie watch = {body, 0, 0, "a resourceVersion of 129 bytes", STEP_STREAM, NULL};

    (void)state;
    memset(version, '1', sizeof(version) - 1);
    version[sizeof(version) - 1] = '\0';
    snprintf(body, sizeof(body), LIST("{\"resourceVersion\":\"%s\"}", "[]"), version);
    tell(&page, STEP_PAGE);
    snprintf(body, sizeof(body), EVENT("ADDED", "{\"metadata\":{\"resourceVersion\":\"%s\"}}"),
             version);
    tell(&watch, STEP_WATCH);
}

/* One object without an end: what is held of it is bounded. */
static void too_large(void **state)
{
    static const struct {
        enum step step, next;
        const char *begin;
    } rows[] = {
        {STEP_WATCH, STEP_STREAM, "{\"type\":\"ADDED\",\"object\":{\"a\":\""},
        {STEP_STREAM, STEP_STREAM, "{\"type\":\"ADDED\",\"object\":{\"a\":\""},
        {STEP_PAGE, STEP_PAGE, "{\"items\":[{\"a\":\""},
        {STEP_PAGE, STEP_PAGE, "{\"metadata\":{\"a\":\""},
    };
    static char piece[16384];
    struct world world;
    size_t sent = 0;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        steps_begin(&world, rows[i].step);
        world_head(&world, 200, -1);
        assert_true(world_body(&world, rows[i].begin, strlen(rows[i].begin)));
        for (sent = 0; world.active && sent < 2 * (size_t)FENCE_KUBE_OBJECT_MAX;
             sent += sizeof(piece))
            world_body(&world, piece, sizeof(piece));
        assert_true(sent <= FENCE_KUBE_OBJECT_MAX + sizeof(piece));
        assert_non_null(strstr(world_state(&world).problem, "more than "));
        assert_int_equal(world.told, 0);
        world_tick(&world);
        assert_int_equal(steps_asked(&world), rows[i].next);
        world_done(&world);
    }
}

/* ---- servers without end ------------------------------------------------------------------------
 */

/* The same token again, two in turn, a new one each time. */
static void tokens_without_end(void **state)
{
    char body[256];

    (void)state;
    for (unsigned int count = 1; count <= 3; count++) {
        struct world world;
        unsigned int requests = 0;

        steps_begin(&world, STEP_NEXT);
        while (!*world_state(&world).problem && requests < 100000) {
            snprintf(body, sizeof(body),
                     LIST("{\"resourceVersion\":\"290\",\"continue\":\"t%u\"}", "[]"),
                     count < 3 ? requests % count : requests);
            world_answer(&world, 200, body);
            requests++;
            if (!*world_state(&world).problem)
                world_tick(&world);
        }
        assert_in_range(requests, 1, 4000);
        assert_int_equal(world.ended, 0);
        assert_int_equal(world_state(&world).phase, FENCE_KUBE_WAITING);
        assert_true(fence_reflector_due_ns(world.reflector) >= world.now_ns + SECOND / 2);
        world_tick(&world);
        assert_int_equal(steps_asked(&world), STEP_PAGE);
        world_done(&world);
    }
}

/* Something comes all the time, but never its end. */
static void lists_without_end(void **state)
{
    static const char event[] = EVENT("ADDED", POD("n1", "290"));
    struct world world;
    uint64_t begun, failures;

    (void)state;
    steps_begin(&world, STEP_STREAM);
    begun = world.now_ns;
    world_head(&world, 200, -1);
    while (world.active && world.now_ns < begun + 3600 * SECOND) {
        assert_true(world_body(&world, event, strlen(event)));
        world.now_ns += 20 * SECOND;
        fence_reflector_tick(world.reflector);
    }
    assert_in_range(world.now_ns - begun, 600 * SECOND, 620 * SECOND);
    assert_string_equal(world_state(&world).problem, "a list that does not end");
    assert_int_equal(world.ended, 0);
    world_tick(&world);
    assert_int_equal(steps_asked(&world), STEP_PAGE);
    /* and pages, each in good time */
    begun = world.now_ns;
    failures = world_state(&world).failures;
    for (unsigned int i = 0; world_state(&world).failures == failures && i < 1000; i++) {
        char body[256];

        snprintf(body, sizeof(body), LIST("{\"resourceVersion\":\"1\",\"continue\":\"%u\"}", "[]"),
                 i);
        world.now_ns += 20 * SECOND;
        if (world.active)
            world_answer(&world, 200, body);
        fence_reflector_tick(world.reflector);
    }
    assert_in_range(world.now_ns - begun, 600 * SECOND, 640 * SECOND);
    assert_int_equal(world.ended, 0);
    world_done(&world);
}

/* A watch that reports the same error again and again is not begun for ever from the same version.
 */
static void errors_without_end(void **state)
{
    struct world world;
    unsigned int watches = 0;

    (void)state;
    steps_begin(&world, STEP_WATCH);
    while (steps_asked(&world) == STEP_WATCH && watches < 100) {
        world_answer(&world, 200, FAILED(",\"code\":500"));
        world_tick(&world);
        watches++;
    }
    assert_in_range(watches, 2, 6);
    assert_int_equal(steps_asked(&world), STEP_STREAM);
    world_done(&world);
}

/* ---- objects that cannot be kept ----------------------------------------------------------------
 */

static void no_memory_for_objects(void **state)
{
    static const struct {
        enum step step, next;
        const char *body;
    } rows[] = {
        {STEP_PAGE, STEP_PAGE, LIST(GOOD, "[" POD("n1", "1") "," POD("n2", "2") "]")},
        {STEP_NEXT, STEP_PAGE, LIST(GOOD, "[" POD("n1", "1") "," POD("n2", "2") "]")},
        {STEP_STREAM, STEP_STREAM,
         EVENT("ADDED", POD("n1", "1")) EVENT("ADDED", POD("n2", "2"))
             END("\"resourceVersion\":\"290\",")},
        {STEP_WATCH, STEP_STREAM,
         EVENT("MODIFIED", POD("n1", "291")) EVENT("ADDED", POD("n2", "292"))
             EVENT("BOOKMARK", POD("", "293"))},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const struct lie lie = {rows[i].body, 0, 1, "no memory for it", rows[i].next, NULL};
        struct world world;
        unsigned int ended;

        steps_begin(&world, rows[i].step);
        ended = world.ended;
        world.fail_object = 2;
        assert_true(world_head(&world, 200, -1));
        assert_false(world_body(&world, lie.body, strlen(lie.body)));
        assert_int_equal(world.ended, ended);
        /* what was not told has not happened */
        if (rows[i].step == STEP_WATCH)
            assert_string_equal(world_state(&world).version, "291");
        expect(&world, &lie, rows[i].step);
        world_done(&world);
    }
}

static void no_memory_for_the_end(void **state)
{
    static const struct {
        enum step step;
        const char *body;
    } rows[] = {
        {STEP_PAGE, LIST(GOOD, "[" POD("n1", "1") "]")},
        {STEP_STREAM, EVENT("ADDED", POD("n1", "1")) END("\"resourceVersion\":\"290\",")},
    };
    struct world world;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const struct lie lie = {rows[i].body, 0, 1, "no memory for it", rows[i].step, NULL};

        steps_begin(&world, rows[i].step);
        world.fail_ended = 1;
        world_answer(&world, 200, rows[i].body);
        assert_int_equal(world.ended, 0);
        assert_false(world_state(&world).listed);
        expect(&world, &lie, rows[i].step);
        world_answer(&world, 200, rows[i].body); /* now there is some */
        assert_int_equal(world.ended, 1);
        assert_true(world_state(&world).listed);
        world_done(&world);
    }
}

/* ---- requests that cannot be begun --------------------------------------------------------------
 */

static void not_begun(void **state)
{
    static const enum step steps[] = {STEP_STREAM, STEP_PAGE, STEP_WATCH};
    struct world world;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(steps); i++) {
        steps_begin(&world, steps[i]);
        world_end(&world, -ECONNRESET);
        world.start_fails = -ENOENT;
        fence_err_set(&world.start_err, 0, "token: no such file");
        world_tick(&world);
        assert_false(world.active);
        assert_string_equal(world_state(&world).problem,
                            "the request could not be begun: token: no such file");
        assert_int_equal(world_state(&world).phase, FENCE_KUBE_WAITING);
        assert_true(fence_reflector_due_ns(world.reflector) >= world.now_ns + SECOND / 2);
        world.start_fails = -ENOMEM;
        world_tick(&world);
        assert_string_equal(world_state(&world).problem,
                            "the request could not be begun: Cannot allocate memory");
        world.start_fails = 0;
        world_tick(&world);
        assert_int_equal(steps_asked(&world), steps[i]);
        world_done(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watches),
        cmocka_unit_test(streams),
        cmocka_unit_test(pages),
        cmocka_unit_test(a_version_too_long),
        cmocka_unit_test(too_large),
        cmocka_unit_test(tokens_without_end),
        cmocka_unit_test(lists_without_end),
        cmocka_unit_test(errors_without_end),
        cmocka_unit_test(no_memory_for_objects),
        cmocka_unit_test(no_memory_for_the_end),
        cmocka_unit_test(not_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
