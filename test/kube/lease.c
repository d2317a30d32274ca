/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a Lease, and when another one does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/kube/lease_server.h"

#define SECOND 1000000000ull

/* ---- tests ----------------------------------------------------------------------------------- */

static void is_taken_and_renewed(void **state)
{
    struct server server;
    char text[64];

    (void)state;
    lease_server_begin(&server, 1, 1);
    assert_false(fence_lease_is_held(server.wanters[0].lease));
    lease_server_run(&server, 1, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_string_equal(fence_lease_holder(server.wanters[0].lease), "node-0");
    assert_string_equal(lease_server_text_in(server.lease, "spec", "holderIdentity", text),
                        "node-0");
    assert_true(lease_server_number_in(server.lease, "leaseDurationSeconds") == 30);
    assert_true(lease_server_number_in(server.lease, "leaseTransitions") == 0);
    lease_server_text_in(server.lease, "spec", "renewTime", text);
    assert_int_equal(strlen(text), strlen("2026-01-01T00:00:00.000000Z"));
    lease_server_run(&server, 600, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_int_equal(server.reads, 1);
    /* every 10 s at most, and not much more often */
    assert_in_range(server.writes, 60, 70);
    lease_server_end(&server);
}

/* Of many one has it; the others look as their ranks say. */
static void one_has_it(void **state)
{
    struct server server;
    unsigned int last = 0, reads;

    (void)state;
    lease_server_begin(&server, WANTERS, 2);
    for (unsigned int i = 0; i < WANTERS; i++)
        fence_lease_set_rank(server.wanters[i].lease, i * 10);
    lease_server_run(&server, 60, 0);
    assert_int_equal(lease_server_holders(&server, &last), 1);
    reads = server.reads;
    lease_server_run(&server, 3600, 0);
    assert_int_equal(lease_server_holders(&server, &last), 1);
    /* ranks 0, 10, 20, 30, 40 less the one that has it: at most 3600 / 10 and four smaller parts */
    assert_in_range(server.reads - reads, 60, 480);
    lease_server_end(&server);
}

/* The holder dies: somebody takes over when it has run out, not before. */
static void is_taken_over(void **state)
{
    struct server server;
    unsigned int last = 0, dead = 0;
    uint64_t died;

    (void)state;
    lease_server_begin(&server, 3, 3);
    lease_server_run(&server, 60, 0);
    assert_int_equal(lease_server_holders(&server, &dead), 1);
    server.wanters[dead].alive = false;
    died = server.now_ns;
    while (lease_server_holders(&server, &last) == 0)
        lease_server_step(&server, 0);
    assert_int_not_equal(last, dead);
    assert_in_range((server.now_ns - died) / SECOND, 18, 45);
    assert_true(lease_server_number_in(server.lease, "leaseTransitions") == 1);
    /* the dead one comes back: it is told so, and does not believe in its old one */
    server.wanters[dead].alive = true;
    assert_false(fence_lease_is_held(server.wanters[dead].lease));
    lease_server_run(&server, 120, 0);
    assert_int_equal(lease_server_holders(&server, &last), 1);
    assert_int_not_equal(last, dead);
    lease_server_end(&server);
}

/* A new process of the holder's does not wait for its own old lease. */
static void goes_on_after_a_restart(void **state)
{
    struct server server;

    (void)state;
    lease_server_begin(&server, 1, 4);
    lease_server_run(&server, 60, 0);
    fence_lease_free(&server.wanters[0].lease);
    server.count = 0;
    lease_server_add_wanter(&server);
    lease_server_run(&server, 1, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_true(lease_server_number_in(server.lease, "leaseTransitions") == 0);
    lease_server_end(&server);
}

/* Who stops gives it back, and the next who looks takes it. */
static void is_given(void **state)
{
    struct server server;
    unsigned int last = 0, gone = 0;
    char text[64];

    (void)state;
    lease_server_begin(&server, 2, 11);
    lease_server_run(&server, 60, 0);
    assert_int_equal(lease_server_holders(&server, &gone), 1);
    assert_false(fence_lease_give(server.wanters[!gone].lease));
    assert_true(fence_lease_give(server.wanters[gone].lease));
    assert_int_equal(lease_server_holders(&server, &last), 0);
    lease_server_serve(&server.wanters[gone]);
    assert_false(fence_lease_give(server.wanters[gone].lease));
    assert_string_equal(lease_server_text_in(server.lease, "spec", "holderIdentity", text), "");
    server.wanters[gone].alive = false;
    lease_server_run(&server, 11, 0);
    assert_int_equal(lease_server_holders(&server, &last), 1);
    assert_int_equal(last, !gone);
    lease_server_end(&server);
}

/* Without the server it is not held for ever, and comes back. */
static void is_lost_without_the_server(void **state)
{
    struct server server;

    (void)state;
    lease_server_begin(&server, 1, 5);
    lease_server_run(&server, 60, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    lease_server_run(&server, 25, 100);
    assert_false(fence_lease_is_held(server.wanters[0].lease));
    assert_string_equal(fence_lease_problem(server.wanters[0].lease), "the network");
    lease_server_run(&server, 120, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_string_equal(fence_lease_problem(server.wanters[0].lease), "");
    lease_server_end(&server);
}

/* Somebody deletes it, or hands it to another. */
static void is_taken_away(void **state)
{
    struct server server;

    (void)state;
    lease_server_begin(&server, 1, 6);
    lease_server_run(&server, 60, 0);
    free(server.lease);
    server.lease = NULL;
    lease_server_run(&server, 30, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    assert_non_null(server.lease);
    lease_server_keep(&server, "{\"metadata\":{},\"spec\":{\"holderIdentity\":\"me\"}}");
    lease_server_run(&server, 12, 0);
    assert_false(fence_lease_is_held(server.wanters[0].lease));
    assert_string_equal(fence_lease_holder(server.wanters[0].lease), "me");
    lease_server_end(&server);
}

/* Its namespace is not there: that is said, and not asked again and again. */
static void needs_its_namespace(void **state)
{
    struct server server;

    (void)state;
    lease_server_begin(&server, 1, 12);
    fence_lease_tick(server.wanters[0].lease);
    lease_server_serve(&server.wanters[0]);
    server.now_ns = fence_lease_due_ns(server.wanters[0].lease);
    fence_lease_tick(server.wanters[0].lease);
    assert_string_equal(server.wanters[0].method, "POST");
    lease_server_respond(&server.wanters[0], 404,
                         "{\"message\":\"namespaces \\\"podfence\\\" not found\"}");
    assert_string_equal(fence_lease_problem(server.wanters[0].lease),
                        "HTTP 404: namespaces \"podfence\" not found");
    assert_true(fence_lease_due_ns(server.wanters[0].lease) > server.now_ns + 5 * SECOND);
    lease_server_run(&server, 60, 0);
    assert_true(fence_lease_is_held(server.wanters[0].lease));
    lease_server_end(&server);
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
        lease_server_begin(&server, 1, 7);
        fence_lease_tick(server.wanters[0].lease);
        assert_true(server.wanters[0].active);
        lease_server_respond(&server.wanters[0], rows[i].status, rows[i].body);
        assert_string_equal(fence_lease_problem(server.wanters[0].lease), rows[i].problem);
        assert_true(fence_lease_due_ns(server.wanters[0].lease) > server.now_ns + SECOND);
        lease_server_end(&server);
    }
    lease_server_begin(&server, 1, 8);
    fence_lease_tick(server.wanters[0].lease);
    lease_server_respond(&server.wanters[0], 401, "{}");
    assert_int_equal(server.renewals_of_token, 1);
    lease_server_end(&server);
    lease_server_begin(&server, 1, 9);
    server.start_fails = -ENOMEM;
    fence_lease_tick(server.wanters[0].lease);
    assert_string_equal(fence_lease_problem(server.wanters[0].lease),
                        "the request could not be begun: Cannot allocate memory");
    lease_server_end(&server);
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
    lease_server_begin(&server, 1, 10);
    fence_lease_tick(wanter->lease);
    while (fed < (8u << 20) && wanter->ops->body(wanter->handler, much, sizeof(much)) == 0)
        fed += sizeof(much);
    assert_in_range(fed, 1u << 20, 4u << 20);
    lease_server_finish(wanter);
    wanter->ops->end(wanter->handler, &ended);
    assert_non_null(strstr(fence_lease_problem(wanter->lease), "cannot be kept"));
    lease_server_run(&server, 60, 0);
    assert_true(fence_lease_is_held(wanter->lease));
    server.now_ns = fence_lease_due_ns(wanter->lease);
    fence_lease_tick(wanter->lease);
    assert_true(wanter->active);
    lease_server_end(&server);
}

/* Whatever fails: never two at once, and when it ends, one. */
static void never_two(void **state)
{
    struct server server;
    unsigned int last = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        lease_server_begin(&server, WANTERS, seed);
        for (unsigned int i = 0; i < 300; i++) {
            struct wanter *wanter = &server.wanters[lease_server_draw(&server) % WANTERS];

            fence_lease_set_rank(wanter->lease, lease_server_draw(&server) % 4);
            if (lease_server_draw(&server) % 20 == 0)
                wanter->alive = !wanter->alive;
            if (lease_server_next_due(&server) != UINT64_MAX)
                lease_server_step(&server, 30);
            assert_true(lease_server_holders(&server, &last) <= 1);
        }
        for (unsigned int i = 0; i < WANTERS; i++)
            server.wanters[i].alive = true;
        lease_server_run(&server, 600, 0);
        assert_int_equal(lease_server_holders(&server, &last), 1);
        lease_server_end(&server);
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
