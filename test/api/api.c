/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/api.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/memory.h"

struct fixture {
    char folder[64];
    char path[96];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (!fixture)
        return -1;
    strcpy(fixture->folder, "/tmp/fence-api-XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->path, sizeof(fixture->path), "%s/run/a.sock", fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char run[80];

    snprintf(run, sizeof(run), "%s/run", fixture->folder);
    (void)unlink(fixture->path);
    (void)rmdir(run);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static int accept_one(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Two connected ends, as the daemon and a client have them. */
static void connect_pair(const struct fixture *fixture, int *ret_listener, int *ret_server,
                         int *ret_client)
{
    struct fence_err err = {""};

    *ret_listener = fence_api_listen(fixture->path, &err);
    if (*ret_listener < 0)
        fail_msg("%s", err.text);
    *ret_client = fence_api_connect(fixture->path, &err);
    if (*ret_client < 0)
        fail_msg("%s", err.text);
    *ret_server = accept_one(*ret_listener);
    assert_true(*ret_server >= 0);
}

static void test_modes(void **state)
{
    const struct fixture *fixture = *state;
    const mode_t before = umask(0);
    FENCE_CLOSE int listener = fence_api_listen(fixture->path, NULL);
    struct stat info;
    char run[80];

    umask(before);
    assert_true(listener >= 0);
    assert_int_equal(stat(fixture->path, &info), 0);
    assert_true(S_ISSOCK(info.st_mode));
    assert_int_equal(info.st_mode & 0777, 0600);
    snprintf(run, sizeof(run), "%s/run", fixture->folder);
    assert_int_equal(stat(run, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
}

static void test_round_trip(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;
    cJSON *sent = cJSON_Parse("{\"op\":\"status\",\"text\":\"\\u00e4 \\\"\"}");
    cJSON *received = NULL;

    connect_pair(*state, &listener, &server, &client);
    assert_int_equal(fence_api_send(client, sent, NULL), 0);
    assert_int_equal(fence_api_send(client, sent, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fence_api_receive(server, 1000, &received, NULL), 0);
        assert_true(cJSON_Compare(sent, received, true));
        cJSON_Delete(received);
    }
    cJSON_Delete(sent);
}

static void test_no_daemon(void **state)
{
    const struct fixture *fixture = *state;
    struct fence_err err = {""};
    int listener;

    assert_int_equal(fence_api_connect(fixture->path, &err), -ENOENT);
    assert_non_null(strstr(err.text, "podfenced does not run"));
    assert_non_null(strstr(err.text, fixture->path));
    listener = fence_api_listen(fixture->path, NULL);
    assert_true(listener >= 0);
    close(listener);
    assert_int_equal(fence_api_connect(fixture->path, NULL), -ECONNREFUSED);
}

static void test_stale_and_living(void **state)
{
    const struct fixture *fixture = *state;
    struct fence_err err = {""};
    FENCE_CLOSE int first = fence_api_listen(fixture->path, NULL);
    FENCE_CLOSE int second = -1;

    assert_true(first >= 0);
    assert_int_equal(fence_api_listen(fixture->path, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "another podfenced"));
    close(first);
    assert_int_equal(access(fixture->path, F_OK), 0);
    second = fence_api_listen(fixture->path, &err);
    assert_true(second >= 0);
    first = fence_api_connect(fixture->path, NULL);
    assert_true(first >= 0);
}

static void test_stuck_daemon(void **state)
{
    const struct fixture *fixture = *state;
    FENCE_CLOSE int listener = fence_api_listen(fixture->path, NULL);
    const struct rlimit descriptors = {4096, 4096};
    int clients[2048];
    int count = 0, last = 0;

    (void)setrlimit(RLIMIT_NOFILE, &descriptors);
    while (count < 2048 && (last = fence_api_connect(fixture->path, NULL)) >= 0)
        clients[count++] = last;
    assert_int_equal(last, -EAGAIN);
    /* still someone's socket: it must not be taken away */
    assert_int_equal(fence_api_listen(fixture->path, NULL), -EADDRINUSE);
    while (count)
        close(clients[--count]);
}

static void test_foreign_file(void **state)
{
    struct fixture *fixture = *state;
    struct fence_err err = {""};
    FENCE_CLOSE int file = -1;

    snprintf(fixture->path, sizeof(fixture->path), "%s/plain", fixture->folder);
    file = open(fixture->path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    assert_int_equal(fence_api_listen(fixture->path, &err), -EEXIST);
    assert_non_null(strstr(err.text, "is no socket"));
    assert_int_equal(access(fixture->path, F_OK), 0);
}

static void test_path_length(void **state)
{
    struct fence_err err = {""};
    char path[200];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(fence_api_connect(path, &err), -ENAMETOOLONG);
    assert_non_null(strstr(err.text, "107"));
    assert_int_equal(fence_api_listen(path, NULL), -ENAMETOOLONG);
    assert_int_equal(fence_api_listen("", NULL), -EINVAL);
}

static long long ms_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void test_timeouts(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;
    cJSON *message = NULL;
    long long before;

    connect_pair(*state, &listener, &server, &client);
    before = ms_now();
    assert_int_equal(fence_api_receive(server, 0, &message, NULL), -ETIMEDOUT);
    assert_true(ms_now() - before < 1000);
    before = ms_now();
    assert_int_equal(fence_api_receive(server, 50, &message, NULL), -ETIMEDOUT);
    assert_true(ms_now() - before >= 49);
    assert_null(message);
}

static void test_peer_closes(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;
    cJSON *message = cJSON_Parse("{\"op\":\"removed\"}");
    cJSON *received = NULL;

    connect_pair(*state, &listener, &server, &client);
    assert_int_equal(fence_api_send(client, message, NULL), 0);
    close(client);
    client = -1;
    /* what was sent before the end still comes */
    assert_int_equal(fence_api_receive(server, 1000, &received, NULL), 0);
    assert_true(cJSON_Compare(message, received, true));
    cJSON_Delete(received);
    received = NULL;
    assert_int_equal(fence_api_receive(server, 1000, &received, NULL), -ECONNRESET);
    assert_null(received);
    assert_int_equal(fence_api_send(server, message, NULL), -EPIPE);
    cJSON_Delete(message);
}

static void test_peer_does_not_read(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;
    cJSON *message = cJSON_Parse("{\"op\":\"status\"}");
    struct fence_err err = {""};
    int result = 0, sent = 0;

    connect_pair(*state, &listener, &server, &client);
    while (sent < 1000000 && (result = fence_api_send(client, message, &err)) == 0)
        sent++;
    assert_int_equal(result, -EAGAIN);
    assert_non_null(strstr(err.text, "does not read"));
    cJSON_Delete(message);
}

struct bad_message {
    const char *text;
    size_t size; /* 0 = strlen */
};

static const struct bad_message bad_messages[] = {
    {"[]", 0},           {"1", 0},          {"{", 0},    {"{} x", 0},
    {"null", 0},         {"\"op\"", 0},     {"{}{}", 0}, {"{\"op\":\"status\"}\0", 16},
    {"{\"op\":nul}", 0}, {"\xff\xfe{}", 0}, {" ", 0},
};

static void test_bad_messages(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;

    connect_pair(*state, &listener, &server, &client);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(bad_messages); i++) {
        const struct bad_message *bad = &bad_messages[i];
        cJSON *message = NULL;
        struct fence_err err = {""};

        print_message("%s\n", bad->text);
        assert_int_equal(
            fence_api_send_text(client, bad->text, bad->size ? bad->size : strlen(bad->text), NULL),
            0);
        assert_int_equal(fence_api_receive(server, 1000, &message, &err), -EBADMSG);
        assert_null(message);
        assert_non_null(strstr(err.text, "not a JSON object"));
    }
}

/* Without the NUL. */
static void place(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
}

static void test_nesting_bomb(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;
    static char bomb[100000];
    cJSON *message = NULL;

    connect_pair(*state, &listener, &server, &client);
    memset(bomb, '[', sizeof(bomb));
    place(bomb, "{\"a\":");
    assert_int_equal(fence_api_send_text(client, bomb, sizeof(bomb), NULL), 0);
    assert_int_equal(fence_api_receive(server, 1000, &message, NULL), -EBADMSG);
}

/* Largest message, and one byte more. */
static void test_sizes(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;
    static char text[FENCE_API_MESSAGE_MAX + 2];
    cJSON *message = NULL;
    struct fence_err err = {""};

    connect_pair(*state, &listener, &server, &client);
    memset(text, 'x', sizeof(text));
    place(text, "{\"a\":\"");
    place(text + FENCE_API_MESSAGE_MAX - 2, "\"} ");
    assert_int_equal(fence_api_send_text(client, text, FENCE_API_MESSAGE_MAX + 1, &err), -EMSGSIZE);
    assert_int_equal(fence_api_send_text(client, text, FENCE_API_MESSAGE_MAX, NULL), 0);
    assert_int_equal(fence_api_receive(server, 1000, &message, NULL), 0);
    cJSON_Delete(message);
    message = NULL;
    /* past the check of our own sender */
    assert_int_equal(send(client, text, FENCE_API_MESSAGE_MAX + 1, 0), FENCE_API_MESSAGE_MAX + 1);
    assert_int_equal(fence_api_send_text(client, "{}", 2, NULL), 0);
    assert_int_equal(fence_api_receive(server, 1000, &message, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "more than"));
    assert_int_equal(fence_api_receive(server, 1000, &message, NULL), 0);
    cJSON_Delete(message);
}

struct joined {
    const char *parts[4];
    const char *whole;
};

static const struct joined joined[] = {
    {{"{\"ok\":true,\"status\":{\"a\":1}}"}, "{\"ok\":true,\"status\":{\"a\":1}}"},
    {{"{\"ok\":false,\"error\":\"no\"}"}, "{\"ok\":false,\"error\":\"no\"}"},
    {{"{\"ok\":true,\"more\":true,\"policies\":[1,2]}",
      "{\"ok\":true,\"more\":true,\"policies\":[3]}", "{\"ok\":true}"},
     "{\"ok\":true,\"policies\":[1,2,3]}"},
    {{"{\"ok\":true,\"more\":true,\"status\":{\"a\":1,\"n\":{\"m\":1}}}",
      "{\"ok\":true,\"more\":true,\"status\":{\"problems\":[1],\"a\":2}}",
      "{\"ok\":true,\"more\":true,\"status\":{\"problems\":[2],\"notes\":[3],\"n\":4}}",
      "{\"ok\":true}"},
     "{\"ok\":true,\"status\":{\"a\":1,\"n\":{\"m\":1},\"problems\":[1,2],\"notes\":[3]}}"},
};

static void test_request_joins_parts(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;
    cJSON *request = cJSON_Parse("{\"op\":\"status\"}");

    connect_pair(*state, &listener, &server, &client);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(joined); i++) {
        cJSON *whole = cJSON_Parse(joined[i].whole);
        cJSON *answer = NULL;

        for (size_t part = 0; part < 4 && joined[i].parts[part]; part++)
            assert_int_equal(fence_api_send_text(server, joined[i].parts[part],
                                                 strlen(joined[i].parts[part]), NULL),
                             0);
        assert_int_equal(fence_api_request(client, request, 1000, &answer, NULL), 0);
        assert_true(cJSON_Compare(whole, answer, true));
        cJSON_Delete(answer);
        cJSON_Delete(whole);
    }
    cJSON_Delete(request);
}

static void test_request_that_stops_half_way(void **state)
{
    FENCE_CLOSE int listener = -1, server = -1, client = -1;
    const char *part = "{\"ok\":true,\"more\":true,\"policies\":[1]}";
    cJSON *request = cJSON_Parse("{\"op\":\"policies\"}");
    cJSON *answer = NULL;

    connect_pair(*state, &listener, &server, &client);
    assert_int_equal(fence_api_send_text(server, part, strlen(part), NULL), 0);
    assert_int_equal(fence_api_request(client, request, 50, &answer, NULL), -ETIMEDOUT);
    assert_int_equal(fence_api_send_text(server, part, strlen(part), NULL), 0);
    assert_int_equal(shutdown(server, SHUT_WR), 0);
    assert_int_equal(fence_api_request(client, request, 1000, &answer, NULL), -ECONNRESET);
    assert_null(answer);
    cJSON_Delete(request);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_modes),
        TEST(test_round_trip),
        TEST(test_no_daemon),
        TEST(test_stale_and_living),
        TEST(test_stuck_daemon),
        TEST(test_foreign_file),
        TEST(test_path_length),
        TEST(test_timeouts),
        TEST(test_peer_closes),
        TEST(test_peer_does_not_read),
        TEST(test_bad_messages),
        TEST(test_nesting_bomb),
        TEST(test_sizes),
        TEST(test_request_joins_parts),
        TEST(test_request_that_stops_half_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
