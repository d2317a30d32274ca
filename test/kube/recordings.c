/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every recording of a real API server, as an answer to each kind of request that the client makes,
 * in the pieces and with the end that it had, byte by byte, and otherwise cut. What is told is
 * compared with what cJSON makes of the whole body.
 */
#include "test/kube/recordings.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define MS 1000000ull

/* Sizes of pieces. */
enum mode { AS_RECORDED, WHOLE, BYTES, RECORDS, MODES };

/* What is told must be these, in this order. */
struct told {
    const char *what; /* for people */
    cJSON *body;
    cJSON *events; /* of a stream: {"type", "object"} */
    const cJSON *next;
    unsigned int objects, gone, begun, ended;
    char token[512];
    long asked_ms; /* by Retry-After */
};

/* ---- what the body says -----------------------------------------------------------------------
 */

static void read_lines(struct told *told, const char *body)
{
    told->events = cJSON_CreateArray();
    for (; *body; body += strcspn(body, "\n"), body += *body == '\n') {
        cJSON *event = cJSON_ParseWithLength(body, strcspn(body, "\n"));

        if (event)
            cJSON_AddItemToArray(told->events, event);
    }
    told->next = told->events->child;
}

static void read_items(struct told *told, const char *body)
{
    const cJSON *metadata;
    const char *token;

    told->body = cJSON_Parse(body);
    told->next = cJSON_GetObjectItem(told->body, "items");
    told->next = told->next ? told->next->child : NULL;
    metadata = cJSON_GetObjectItem(told->body, "metadata");
    token = cJSON_GetStringValue(cJSON_GetObjectItem(metadata, "continue"));
    snprintf(told->token, sizeof(told->token), "&continue=%s", token ? token : "");
}

/* Bookmarks are not told. */
static const cJSON *next_object(struct told *told, char *ret_type)
{
    const cJSON *next = told->next;
    const char *type;

    *ret_type = 'A';
    if (next)
        told->next = next->next;
    if (!told->events || !next)
        return next;
    type = cJSON_GetStringValue(cJSON_GetObjectItem(next, "type"));
    *ret_type = (char)(type ? *type : '?');
    return *ret_type == 'B' ? next_object(told, ret_type) : cJSON_GetObjectItem(next, "object");
}

static void heard(struct world *world, char what, const char *json)
{
    struct told *told = world->listener;
    const cJSON *object;
    cJSON *given;
    char type;

    told->begun += what == '(';
    told->ended += what == ')';
    told->objects += what == '+';
    told->gone += what == '-';
    if (what == '(' || what == ')')
        return;
    object = next_object(told, &type);
    given = cJSON_Parse(json);
    if (!given || !cJSON_Compare(object, given, true) || (type == 'D') != (what == '-'))
        fail_msg("%s: told %c %s", told->what, what, json);
    cJSON_Delete(given);
}

/* ---- an answer --------------------------------------------------------------------------------
 */

static size_t piece_of(const struct recording *recording, enum mode mode, size_t i)
{
    if (mode == BYTES)
        return 1;
    if (mode == RECORDS)
        return 16384;
    if (mode == AS_RECORDED && i < recording->pieces.count)
        return recording->pieces.sizes[i];
    return recording->size;
}

static bool send_body(struct world *world, const struct recording *recording, enum mode mode)
{
    size_t sent = 0, size;

    for (size_t i = 0; sent < recording->size; i++, sent += size) {
        size = piece_of(recording, mode, i);
        if (size > recording->size - sent)
            size = recording->size - sent;
        if (!world_body(world, recording->body + sent, size))
            return false;
    }
    return true;
}

static void answer(struct world *world, const struct recording *recording, enum mode mode)
{
    if (!world_head(world, recording->status, recording->retry_after_ms))
        return;
    if (!send_body(world, recording, mode))
        return;
    world->now_ns += (uint64_t)recording->lasted_ms * MS;
    world_end(world, recording->cut ? -ECONNRESET : 0);
}

static void check_wait(const struct world *world, const struct expected *expected,
                       const struct told *told)
{
    const struct {
        long low, high;
    } limits[] = {[WAIT_NOT] = {0, 0},
                  [WAIT_SHORT] = {500, 1000},
                  [WAIT_ASKED] = {told->asked_ms, told->asked_ms},
                  [WAIT_LONG] = {1000, 2000}};
    uint64_t due = fence_reflector_due_ns(world->reflector);
    long ms = due > world->now_ns ? (long)((due - world->now_ns) / MS) : 0;

    if (ms < limits[expected->wait].low || ms > limits[expected->wait].high)
        fail_msg("%s: the next request is due in %ld ms", told->what, ms);
}

static void check_state(const struct world *world, const struct expected *expected,
                        const struct told *told)
{
    struct fence_kube_state state = world_state(world);
    bool as_said =
        *expected->problem ? strstr(state.problem, expected->problem) != NULL : !*state.problem;

    if (!as_said || strpbrk(state.problem, "\r\n"))
        fail_msg("%s: problem \"%s\", expected \"%s\"", told->what, state.problem,
                 expected->problem);
    if (told->objects != expected->told || told->gone != expected->gone ||
        told->ended != expected->ends)
        fail_msg("%s: told %u objects, %u gone, %u ends", told->what, told->objects, told->gone,
                 told->ended);
    if (expected->wait != WAIT_NOT && state.phase != expected->phase)
        fail_msg("%s: phase %d", told->what, (int)state.phase);
    if (world->renewals != expected->renewals)
        fail_msg("%s: the token was renewed %u times", told->what, world->renewals);
}

static void check_next(struct world *world, const struct expected *expected,
                       const struct told *told)
{
    char version[160];

    world_tick(world);
    snprintf(version, sizeof(version), "&resourceVersion=%s&", expected->version);
    if (steps_asked(world) != expected->next ||
        (expected->next == STEP_WATCH && !strstr(world->path, version)) ||
        (expected->next == STEP_NEXT && !strstr(world->path, told->token)))
        fail_msg("%s: then %s", told->what, world->path);
    /* a state while a request runs */
    assert_int_equal(world_state(world).phase,
                     expected->next == STEP_WATCH ? FENCE_KUBE_WATCHING : FENCE_KUBE_LISTING);
}

static void replay(const char *name, const struct recording *recording, enum step step,
                   enum mode mode)
{
    struct expected expected = recordings_expect(name, step);
    struct told told = {.asked_ms = recording->retry_after_ms};
    struct world world;
    char what[128];

    snprintf(what, sizeof(what), "%s as %s, mode %d", name, steps_name(step), mode);
    told.what = what;
    steps_begin(&world, step);
    if (step == STEP_STREAM || step == STEP_WATCH)
        read_lines(&told, recording->body);
    else
        read_items(&told, recording->body);
    world.listener = &told;
    world.heard = heard;
    answer(&world, recording, mode);
    check_state(&world, &expected, &told);
    check_wait(&world, &expected, &told);
    check_next(&world, &expected, &told);
    world_done(&world);
    cJSON_Delete(told.body);
    cJSON_Delete(told.events);
}

static bool is_note(const char *name)
{
    return strcmp(name, "restart-timeline.txt") == 0 || strcmp(name, "curl-exit-codes.txt") == 0;
}

static void every_recording(void **state)
{
    char **names = recorded_names();
    unsigned int count = 0;

    (void)state;
    for (size_t i = 0; names[i]; i++) {
        struct recording recording;

        if (is_note(names[i]))
            continue;
        recording_read(names[i], &recording);
        for (unsigned int j = 0; j < 4 * MODES; j++)
            replay(names[i], &recording, (enum step)(j / MODES), (enum mode)(j % MODES));
        recording_done(&recording);
        count++;
    }
    printf("%u recordings, each as 4 answers in %d ways\n", count, MODES);
    recorded_names_free(&names);
}

static void none_is_left_out(void **state)
{
    char **names = recorded_names();
    size_t count = 0, rows = 0;

    (void)state;
    for (; names[count]; count++) {
        if (recordings_tables(names[count]) != 1)
            fail_msg("%u tables speak of %s", recordings_tables(names[count]), names[count]);
    }
    while (recordings_row(rows))
        rows++;
    assert_true(count > 0);
    assert_int_equal(rows, count); /* none that is not there */
    recorded_names_free(&names);
}

/* ---- notes ------------------------------------------------------------------------------------
 */

/* What the client saw then, `ms` after the server was stopped. */
static const char *at_time(const char *part, double seconds)
{
    const char *found = NULL, *line = part;
    double since;

    while (sscanf(line, "%lf s", &since) == 1 && since <= seconds) {
        found = strstr(line, " s  ") + 4;
        line = strchr(line, '\n');
        if (!line++)
            break;
    }
    return found;
}

static void meet(struct world *world, const char *seen)
{
    static const char status[] = "{\"kind\":\"Status\",\"message\":\"forbidden\",\"code\":403}";

    if (strncmp(seen, "403", 3) == 0)
        world_answer(world, 403, status);
    else if (strncmp(seen, "200", 3) != 0)
        world_end(world, strstr(seen, "Refused") ? -ECONNREFUSED : -ECONNRESET);
}

/* A watch that a restart ends goes on from its version, without a list, soon after the server. */
static void restart(const char *part)
{
    struct world world;
    uint64_t begun;
    const char *seen;

    steps_begin(&world, STEP_WATCH);
    begun = world.now_ns;
    world_end(&world, -ECONNRESET);
    do {
        world_tick(&world);
        seen = at_time(part, (double)(world.now_ns - begun) / 1e9);
        assert_non_null(seen);
        meet(&world, seen);
    } while (!world.active);
    assert_int_equal(steps_asked(&world), STEP_WATCH);
    assert_non_null(strstr(world.path, "&resourceVersion=" STEPS_VERSION "&"));
    assert_int_equal(world.begun, 1);
    assert_in_range(world.now_ns - begun, 2000 * MS, 12000 * MS);
    world_done(&world);
}

static void restarts(void **state)
{
    size_t size;
    FENCE_FREE char *text = recorded_text("restart-timeline.txt", &size);
    unsigned int count = 0;

    (void)state;
    for (const char *part = strstr(text, "\nrestart "); part;
         part = strstr(part + 1, "\nrestart "), count++)
        restart(part + 1 + strcspn(part + 1, "\n") + 1);
    assert_true(count > 0);
}

/* What libcurl says of an end is what http_end.c makes of it; a replay here must have the same. */
static void exit_codes(void **state)
{
    size_t size;
    FENCE_FREE char *text = recorded_text("curl-exit-codes.txt", &size);
    struct recording stopped, killed;
    unsigned int count = 0;

    (void)state;
    recording_read("watch-server-sigterm", &stopped);
    recording_read("watch-server-killed", &killed);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *code = strstr(line, "exit code ");
        bool is_kill = strncmp(line, "SIGKILL", 7) == 0;

        assert_non_null(code);
        assert_int_equal(atoi(code + strlen("exit code ")), is_kill ? 18 : 0);
        assert_int_equal(is_kill ? killed.cut : stopped.cut, is_kill);
        count++;
    }
    assert_true(count > 0);
    recording_done(&stopped);
    recording_done(&killed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_left_out),
        cmocka_unit_test(every_recording),
        cmocka_unit_test(restarts),
        cmocka_unit_test(exit_codes),
    };

    if (!recorded_is_there())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
