/* SPDX-License-Identifier: Apache-2.0 */
/* Servers and networks that do not as they should, and callers that change their mind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/kube/http.h"
#include "test/cmocka.h"
#include "test/kube/https.h"

#define HTTP FENCE_CLEANUP(fence_http_free)

static void broken_answers(void **state)
{
    static const struct {
        const char *path;
        int code;
        size_t size; /* of the body that was handed over */
        const char *message;
    } cases[] = {
        {"/reset", -ECONNRESET, 100, ""},
        {"/short", -ECONNRESET, 100, ""},
        {"/long", 0, 5, ""},
        {"/cut", -ECONNRESET, 21, ""},
        {"/badchunk", -ECONNRESET, 0, ""},
        {"/nothing", -ECONNRESET, 0, ""},
        {"/garbage", -EIO, 0, ""},
        {"/badgzip", -EIO, 0, "not compressed as it says"},
        {"/headers", -EIO, 0, "headers"},
        {"/line", -EIO, 0, "headers"},
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        struct https_answer answer = {0};

        https_ask(https_config(NULL, "tls"), cases[i].path, &answer);
        print_message("%s: %d, %s\n", cases[i].path, answer.end.code, answer.message);
        assert_int_equal(answer.end.code, cases[i].code);
        assert_int_equal(answer.size, cases[i].size);
        https_expect(answer.message, cases[i].message);
        if (cases[i].code < 0)
            https_expect(answer.message, "127.0.0.1 port ");
    }
    (void)state;
}

/* What the client refuses of the server's TLS, before it says who it is. */
static void certificates(void **state)
{
    static char missing[] = "/nonexistent/ca.crt";
    FENCE_FREE char *stranger = strdup(https_path("stranger.pem"));
    static const struct {
        const char *port, *message;
    } cases[] = {
        {"tls", "its certificate is refused: "}, /* another authority */
        {"tls", "/nonexistent/ca.crt"},          /* none */
        {"named", "127.0.0.1"},                  /* another name */
        {"old", "127.0.0.1 port "},              /* TLS 1.1 */
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        struct fence_kube_config *config = https_config(NULL, cases[i].port);
        struct https_answer answer = {0};

        config->ca_file = i == 0 ? stranger : i == 1 ? missing : config->ca_file;
        https_ask(config, "/ok", &answer);
        print_message("%s: %d, %s\n", cases[i].port, answer.end.code, answer.message);
        assert_int_equal(answer.end.code, -EACCES);
        assert_int_equal(answer.end.status, 0);
        https_expect(answer.message, cases[i].message);
    }
    (void)state;
}

static void insecure(void **state)
{
    struct fence_kube_config *config = https_config(NULL, "named");
    struct https_answer answer = {0};

    config->ca_file = NULL;
    config->insecure = true;
    https_ask(config, "/ok", &answer);
    assert_int_equal(answer.end.code, 0);
    (void)state;
}

/* Nobody is asked for its password at the terminal. */
static void locked_key(void **state)
{
    struct fence_kube_config *config = https_config(NULL, "client");
    FENCE_FREE char *cert = strdup(https_path("client.pem"));
    FENCE_FREE char *key = strdup(https_path("client-locked.key"));
    struct https_answer answer = {0};

    config->cert_file = cert;
    config->key_file = key;
    https_ask(config, "/ok", &answer);
    assert_int_equal(answer.end.code, -EACCES);
    https_expect(answer.message, "client-locked.key");
    (void)state;
}

static void unreachable(void **state)
{
    struct https_answer closed = {0}, unknown = {0}, plain = {0};
    char message[128];

    https_ask(https_config(NULL, "free"), "/ok", &closed);
    assert_int_equal(closed.end.code, -ECONNREFUSED);
    snprintf(message, sizeof(message), "connecting to 127.0.0.1 port %d: Connection refused",
             https_port("free"));
    assert_string_equal(closed.message, message);
    https_ask(https_config("nothing.invalid", "free"), "/ok", &unknown);
    assert_int_equal(unknown.end.code, -EIO);
    https_expect(unknown.message, "nothing.invalid");
    https_ask(https_config(NULL, "plain"), "/ok", &plain); /* speaks no TLS */
    assert_true(plain.end.code == -EACCES || plain.end.code == -ECONNRESET);
    (void)state;
}

static void no_server(void **state)
{
    static char bad[] = "https://[::", origin[] = "/root/.kube/config";
    struct fence_kube_config config = {.origin = origin, .server = bad};
    struct fence_http *http = NULL;
    struct fence_err err = {0};

    assert_int_equal(fence_http_new(&config, "x", &http, &err), -EINVAL);
    https_expect(err.text, origin);
    assert_null(http);
    (void)state;
}

/* ---- time -------------------------------------------------------------------------------------
 */

static void idle(void **state)
{
    struct fence_http_request get = {.method = "GET", .path = "/silent", .idle_ms = 300};
    HTTP struct fence_http *http = https_open(https_config(NULL, "tls"));
    struct https_answer silent = {0}, stalled = {0}, drip = {0};
    uint64_t began = fence_clock_boot_ns();

    https_begin(http, &get, &silent);
    get.path = "/stall";
    https_begin(http, &get, &stalled);
    get.path = "/drip"; /* 0.8 s in all, never longer quiet than 0.1 s */
    https_begin(http, &get, &drip);
    https_wait(http, &silent);
    assert_int_equal(silent.end.code, -ETIMEDOUT);
    assert_int_equal(silent.end.status, 0);
    assert_in_range((fence_clock_boot_ns() - began) / 1000000u, 300, 2000);
    https_expect(silent.message, "nothing heard for 300 ms");
    https_wait(http, &stalled);
    assert_int_equal(stalled.end.code, -ETIMEDOUT);
    assert_string_equal(stalled.body, "begun\n");
    https_wait(http, &drip);
    assert_int_equal(drip.end.code, 0);
    assert_int_equal(drip.size, 8);
    (void)state;
}

static void total(void **state)
{
    const struct fence_http_request get = {.method = "GET", .path = "/drip", .total_ms = 350};
    HTTP struct fence_http *http = https_open(https_config(NULL, "tls"));
    struct https_answer answer = {0};

    https_begin(http, &get, &answer);
    https_wait(http, &answer);
    assert_int_equal(answer.end.code, -ETIMEDOUT);
    assert_in_range(answer.size, 1, 7);
    https_expect(answer.message, "no whole answer in 350 ms");
    (void)state;
}

/* A shared connection that has gone dead is not used again, and takes nobody else along for long.
 */
static void dead_connection(void **state)
{
    const struct fence_http_request get = {.method = "GET", .path = "/silent", .idle_ms = 400};
    HTTP struct fence_http *http = https_open(https_config(NULL, "http2"));
    struct https_answer silent = {0}, other = {0}, next = {0};

    https_get(http, "/stall", &other); /* waits for ever, once begun */
    while (other.size == 0)
        https_run_for(http, 10);
    https_begin(http, &get, &silent);
    https_wait(http, &silent);
    assert_int_equal(silent.end.code, -ETIMEDOUT);
    https_wait(http, &other);
    assert_int_equal(other.end.code, -ECONNRESET);
    https_get(http, "/ok", &next);
    https_wait(http, &next);
    assert_int_equal(next.end.code, 0);
    assert_int_equal(fence_http_connections(http), 1);
    (void)state;
}

/* ---- callers ----------------------------------------------------------------------------------
 */

static void handler_refuses(void **state)
{
    struct https_answer head = {.refuse_head = true}, body = {.refuse_body = true};

    https_ask(https_config(NULL, "tls"), "/ok", &head);
    assert_int_equal(head.end.code, -ECANCELED);
    assert_int_equal(head.pieces, 0);
    https_ask(https_config(NULL, "tls"), "/gzip", &body);
    assert_int_equal(body.end.code, -ECANCELED);
    assert_int_equal(body.pieces, 1);
    (void)state;
}

static void cancelled(void **state)
{
    HTTP struct fence_http *http = https_open(https_config(NULL, "tls"));
    struct https_answer at_once = {0}, later = {0};
    struct https_answer in_head = {.cancel_in_head = true}, in_body = {.cancel_in_body = true};
    struct https_answer in_end = {.cancel_in_end = true};

    https_get(http, "/ok", &at_once);
    fence_http_cancel(http, &at_once.exchange);
    fence_http_cancel(http, &at_once.exchange);
    https_get(http, "/silent", &later);
    https_get(http, "/ok", &in_head);
    https_get(http, "/drip", &in_body);
    https_get(http, "/ok", &in_end);
    https_wait(http, &in_end);
    https_run_for(http, 500);
    fence_http_cancel(http, &later.exchange);
    https_run_for(http, 100);
    assert_int_equal(at_once.ends + later.ends + in_head.ends + in_body.ends, 0);
    assert_int_equal(in_head.heads, 1);
    assert_int_equal(in_head.pieces, 0);
    assert_int_equal(in_body.pieces, 1);
    assert_null(in_body.exchange);
    (void)state;
}

/* From inside handlers others are started and cancelled. */
static void others(void **state)
{
    HTTP struct fence_http *http = https_open(https_config(NULL, "tls"));
    struct https_answer from_body = {0}, from_end = {0}, victim = {0}, second = {0};
    struct https_answer first = {
        .start_in_body = &from_body, .start_in_end = &from_end, .cancel_other = &victim};
    struct https_answer killer = {.cancel_other = &second};

    https_get(http, "/silent", &victim);
    https_get(http, "/ok", &first);
    https_wait(http, &first);
    https_wait(http, &from_body);
    https_wait(http, &from_end);
    assert_int_equal(first.end.code + from_body.end.code + from_end.end.code, 0);
    assert_int_equal(victim.ends, 0);
    assert_null(victim.exchange);
    https_get(http, "/drip", &killer);
    https_get(http, "/drip", &second);
    https_wait(http, &killer);
    assert_int_equal(second.ends, 0);
    (void)state;
}

static void freed_in_the_middle(void **state)
{
    static const char *const paths[] = {"/ok", "/drip", "/silent", "/gzip"};
    struct https_answer answers[4] = {{0}};

    for (unsigned int ms = 0; ms < 60; ms += 4) {
        HTTP struct fence_http *http = https_open(https_config("localhost", "tls"));

        for (size_t i = 0; i < 4; i++) {
            answers[i] = (struct https_answer){0};
            https_get(http, paths[i], &answers[i]);
        }
        https_run_for(http, ms);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_answers),
        cmocka_unit_test(certificates),
        cmocka_unit_test(insecure),
        cmocka_unit_test(locked_key),
        cmocka_unit_test(unreachable),
        cmocka_unit_test(no_server),
        cmocka_unit_test(idle),
        cmocka_unit_test(total),
        cmocka_unit_test(dead_connection),
        cmocka_unit_test(handler_refuses),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(others),
        cmocka_unit_test(freed_in_the_middle),
    };

    return cmocka_run_group_tests(tests, https_start, https_stop);
}
