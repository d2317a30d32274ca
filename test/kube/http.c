/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked and what comes when the server does as it should. */
#include "lib/kube/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utime.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/kube/https.h"

#define HTTP FENCE_CLEANUP(fence_http_free)

static void whole(void **state)
{
    struct https_answer answer = {0};

    https_ask(https_config(NULL, "tls"), "/ok", &answer);
    assert_int_equal(answer.end.code, 0);
    assert_int_equal(answer.end.status, 200);
    assert_int_equal(answer.head.status, 200);
    assert_string_equal(answer.head.content_type, "application/json");
    assert_int_equal(answer.head.retry_after_ms, -1);
    assert_string_equal(answer.body, "{\"a\":1}\n");
    assert_true(answer.end.bytes > 50 && answer.end.bytes < 500);
    (void)state;
}

static void request(void **state)
{
    struct fence_kube_config *config = https_config(NULL, "tls");
    static char token[] = "secret.token";
    const struct fence_http_request patch = {.method = "PATCH",
                                             .path = "/echo?a=b%20c",
                                             .accept = "application/json",
                                             .content_type = "application/merge-patch+json",
                                             .body = "{\"b\":2}xx",
                                             .body_size = 7};
    struct https_answer answer = {0};
    HTTP struct fence_http *http = NULL;

    config->token = token;
    http = https_open(config);
    https_begin(http, &patch, &answer);
    https_wait(http, &answer);
    assert_int_equal(answer.end.status, 200);
    https_expect(answer.body, "\"method\": \"PATCH\"");
    https_expect(answer.body, "\"path\": \"/echo?a=b%20c\"");
    https_expect(answer.body, "\"body\": \"{\\\"b\\\":2}\"");
    https_expect(answer.body, "\"content-type\": \"application/merge-patch+json\"");
    https_expect(answer.body, "\"accept\": \"application/json\"");
    https_expect(answer.body, "\"accept-encoding\": \"gzip\"");
    https_expect(answer.body, "\"user-agent\": \"podfenced-test\"");
    https_expect(answer.body, "\"authorization\": \"Bearer secret.token\"");
    assert_null(strstr(answer.body, "expect"));
    (void)state;
}

static void no_content(void **state)
{
    struct https_answer answer = {0};

    https_ask(https_config(NULL, "tls"), "/nocontent", &answer);
    assert_int_equal(answer.end.code, 0);
    assert_int_equal(answer.heads, 1);
    assert_int_equal(answer.head.status, 204);
    assert_string_equal(answer.head.content_type, "");
    (void)state;
}

static void redirect_is_not_followed(void **state)
{
    struct https_answer answer = {0};

    https_ask(https_config(NULL, "tls"), "/redirect", &answer);
    assert_int_equal(answer.end.code, 0);
    assert_int_equal(answer.end.status, 302);
    assert_int_equal(answer.size, 0);
    (void)state;
}

static long ask_retry(const char *value)
{
    struct https_answer answer = {0};
    char path[128];

    snprintf(path, sizeof(path), "/retry?v=%s", value);
    https_ask(https_config(NULL, "tls"), path, &answer);
    assert_int_equal(answer.end.status, 429);
    return answer.head.retry_after_ms;
}

static void retry_after(void **state)
{
    time_t soon = time(NULL) + 100;
    char date[64];
    struct tm tm;
    long ms;

    strftime(date, sizeof(date), "%a,%%20%d%%20%b%%20%Y%%20%H:%M:%S%%20GMT", gmtime_r(&soon, &tm));
    ms = ask_retry(date);
    assert_true(ms > 90000 && ms <= 100000);
    assert_int_equal(ask_retry("1"), 1000);
    assert_int_equal(ask_retry("0"), 0);
    assert_int_equal(ask_retry("Sun,%2006%20Nov%201994%2008:49:37%20GMT"), 0);
    assert_int_equal(ask_retry("-5"), 0);
    assert_int_equal(ask_retry("86401"), 86400000);
    assert_int_equal(ask_retry("99999999999999999999999"), -1);
    assert_int_equal(ask_retry("soon"), -1);
    assert_int_equal(ask_retry(""), -1);
    (void)state;
}

static void addresses_and_names(void **state)
{
    static char name[] = "api.podfence.test";
    struct https_answer six = {0}, named = {0}, local = {0};
    struct fence_kube_config *config;
    char host[64];

    https_ask(https_config("[::1]", "six"), "/ok", &six);
    assert_int_equal(six.end.code, 0);
    https_ask(https_config("localhost", "tls"), "/ok", &local);
    assert_int_equal(local.end.code, 0);
    config = https_config(NULL, "named");
    config->server_name = name;
    https_ask(config, "/echo", &named);
    if (named.end.code != 0)
        fail_msg("%s", named.message);
    https_expect(named.body, "\"server_name\": \"api.podfence.test\"");
    snprintf(host, sizeof(host), "\"host\": \"127.0.0.1:%d\"", https_port("named"));
    https_expect(named.body, host);
    (void)state;
}

static void compressed(void **state)
{
    struct https_answer answer = {0};

    https_ask(https_config(NULL, "tls"), "/gzip", &answer);
    assert_int_equal(answer.end.code, 0);
    assert_int_equal(answer.size, 32u << 20);
    assert_true(answer.largest <= 64u << 10); /* nothing is collected */
    assert_true(answer.end.bytes < 64u << 10);
    (void)state;
}

static void authority_as_text(void **state)
{
    struct fence_kube_config *config = https_config(NULL, "tls");
    FENCE_FREE char *pem = https_text("authority.pem");
    struct https_answer answer = {0};

    config->ca_file = NULL;
    config->ca_pem = pem;
    https_ask(config, "/ok", &answer);
    assert_int_equal(answer.end.code, 0);
    (void)state;
}

static void client_certificate(void **state)
{
    struct fence_kube_config *config = https_config(NULL, "client");
    FENCE_FREE char *cert_file = strdup(https_path("client.pem"));
    FENCE_FREE char *key_file = strdup(https_path("client.key"));
    FENCE_FREE char *cert = https_text("client.pem");
    FENCE_FREE char *key = https_text("client.key");
    struct https_answer files = {0}, texts = {0}, none = {0};

    config->cert_file = cert_file;
    config->key_file = key_file;
    https_ask(config, "/ok", &files);
    assert_int_equal(files.end.code, 0);
    config = https_config(NULL, "client");
    config->cert_pem = cert;
    config->key_pem = key;
    https_ask(config, "/ok", &texts);
    assert_int_equal(texts.end.code, 0);
    https_ask(https_config(NULL, "client"), "/ok", &none);
    /* the server hangs up, and its alert may be lost by that */
    assert_true(none.end.code == -EACCES || none.end.code == -ECONNRESET);
    assert_int_equal(none.heads, 0);
    (void)state;
}

static void one_connection_is_used_again(void **state)
{
    HTTP struct fence_http *http = https_open(https_config(NULL, "tls"));

    assert_int_equal(fence_http_connections(http), 0);
    for (int i = 0; i < 5; i++) {
        struct https_answer answer = {0};

        https_get(http, "/ok", &answer);
        https_wait(http, &answer);
        assert_int_equal(answer.end.code, 0);
        assert_int_equal(fence_http_connections(http), 1);
    }
    (void)state;
}

/* Watches that stay open, and short exchanges beside them, over one connection. */
static void http2(void **state)
{
    HTTP struct fence_http *http = https_open(https_config(NULL, "http2"));
    struct https_answer drips[8] = {{0}}, answers[8] = {{0}};

    for (int i = 0; i < 8; i++)
        https_get(http, "/drip", &drips[i]);
    for (int i = 0; i < 8; i++)
        https_get(http, "/ok", &answers[i]);
    for (int i = 0; i < 8; i++)
        https_wait(http, &answers[i]);
    assert_int_equal(fence_http_connections(http), 1);
    for (int i = 0; i < 8; i++)
        assert_int_equal(drips[i].ends, 0);
    for (int i = 0; i < 8; i++) {
        https_wait(http, &drips[i]);
        assert_string_equal(drips[i].body, "xxxxxxxx");
        assert_string_equal(answers[i].body, "{\"a\":1}\n");
        assert_int_equal(answers[i].end.code + drips[i].end.code, 0);
    }
    assert_int_equal(fence_http_connections(http), 1);
    (void)state;
}

static void http2_cut(void **state)
{
    HTTP struct fence_http *http = https_open(https_config(NULL, "http2"));
    struct https_answer cut = {0}, other = {0}, cancelled = {0};

    https_get(http, "/drip", &other);
    https_get(http, "/drip", &cancelled);
    https_get(http, "/cut", &cut);
    https_wait(http, &cut);
    fence_http_cancel(http, &cancelled.exchange);
    assert_int_equal(cut.end.code, -ECONNRESET);
    https_wait(http, &other); /* the others go on */
    assert_int_equal(other.end.code, 0);
    assert_int_equal(cancelled.ends, 0);
    assert_int_equal(fence_http_connections(http), 1);
    (void)state;
}

static void plain(void **state)
{
    struct fence_kube_config *config = https_config(NULL, "plain");
    struct https_answer answer = {0};

    memmove(config->server + 4, config->server + 5, strlen(config->server + 5) + 1);
    https_ask(config, "/ok", &answer);
    assert_int_equal(answer.end.code, 0);
    (void)state;
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

static long ask_token(struct fence_http *http)
{
    struct https_answer answer = {0};

    https_get(http, "/token", &answer);
    https_wait(http, &answer);
    assert_int_equal(answer.end.code, 0);
    return answer.end.status;
}

static void token_file(void **state)
{
    struct fence_kube_config *config = https_config(NULL, "tls");
    FENCE_FREE char *path = strdup(https_path("token"));
    HTTP struct fence_http *http = NULL;

    https_write("token", "first\n");
    config->token_file = path;
    http = https_open(config);
    assert_int_equal(ask_token(http), 401);
    https_write("token", " \tsecond \r\n\n");
    assert_int_equal(ask_token(http), 401); /* looked at once a minute */
    fence_http_renew_token(http);
    assert_int_equal(ask_token(http), 200);
    /* gone, or spoilt: the one that is known goes on */
    https_write("token", "a\001b");
    fence_http_renew_token(http);
    assert_int_equal(ask_token(http), 200);
    assert_int_equal(unlink(path), 0);
    fence_http_renew_token(http);
    assert_int_equal(ask_token(http), 200);
    (void)state;
}

static void token_refused(void **state)
{
    static const char *const texts[] = {"", " \n", "a\nX-Evil: 1", "a b", "a\177", "\303\244"};
    struct fence_kube_config *config = https_config(NULL, "tls");
    FENCE_FREE char *path = strdup(https_path("token"));
    const struct fence_http_request get = {.method = "GET", .path = "/ok"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        HTTP struct fence_http *http = NULL;
        FENCE_FREE char *copy = strdup(texts[i]);
        struct https_answer answer = {0};
        struct fence_err err = {0};

        config->token_file = NULL;
        config->token = copy;
        assert_int_equal(fence_http_new(config, "x", &http, &err), -EINVAL);
        assert_null(strstr(err.text, "Evil"));
        config->token_file = path;
        https_write("token", texts[i]);
        http = https_open(config);
        assert_int_equal(fence_http_start(http, &get, &https_ops, &answer, &answer.exchange, &err),
                         -EINVAL);
        https_expect(err.text, path);
        https_expect(err.text, "holds no token");
        assert_null(strstr(err.text, "Evil"));
        assert_null(answer.exchange);
    }
    (void)state;
}

static void token_missing(void **state)
{
    struct fence_kube_config *config = https_config(NULL, "tls");
    FENCE_FREE char *path = strdup(https_path("late-token"));
    const struct fence_http_request get = {.method = "GET", .path = "/ok"};
    struct https_answer answer = {0};
    struct fence_err err = {0};
    HTTP struct fence_http *http = NULL;

    config->token_file = path;
    http = https_open(config);
    assert_int_equal(fence_http_start(http, &get, &https_ops, &answer, &answer.exchange, &err),
                     -ENOENT);
    https_expect(err.text, path);
    https_write("late-token", "second");
    assert_int_equal(ask_token(http), 200);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(request),
        cmocka_unit_test(no_content),
        cmocka_unit_test(redirect_is_not_followed),
        cmocka_unit_test(retry_after),
        cmocka_unit_test(addresses_and_names),
        cmocka_unit_test(compressed),
        cmocka_unit_test(authority_as_text),
        cmocka_unit_test(client_certificate),
        cmocka_unit_test(one_connection_is_used_again),
        cmocka_unit_test(http2),
        cmocka_unit_test(http2_cut),
        cmocka_unit_test(plain),
        cmocka_unit_test(token_file),
        cmocka_unit_test(token_refused),
        cmocka_unit_test(token_missing),
    };

    return cmocka_run_group_tests(tests, https_start, https_stop);
}
