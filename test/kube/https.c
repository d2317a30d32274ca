/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/https.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/cmocka.h"

#define PATIENCE_MS 10000u

static char folder[] = "/tmp/podfence-kube-https-XXXXXX";
static char ports[512];
static pid_t server = -1;
static int hold = -1; /* the server ends when it is closed */

/* ---- the server -------------------------------------------------------------------------------
 */

static void become_server(int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execlp("python3", "python3", "-W", "ignore", FENCE_SOURCE_DIR "/test/kube/https.py", folder,
           (char *)NULL);
    _exit(127);
}

int https_start(void **state)
{
    int in[2], out[2];
    size_t size = 0;
    ssize_t got;

    (void)state;
    if (!mkdtemp(folder) || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    server = fork();
    if (server == 0)
        become_server(in[0], out[1]);
    close(in[0]);
    close(out[1]);
    hold = in[1];
    while (!strchr(ports, '\n') && size < sizeof(ports) - 1 &&
           (got = read(out[0], ports + size, sizeof(ports) - 1 - size)) > 0)
        size += (size_t)got;
    close(out[0]);
    return strchr(ports, '\n') ? 0 : -1;
}

int https_stop(void **state)
{
    FENCE_FREE char *command = NULL;

    (void)state;
    close(hold);
    waitpid(server, NULL, 0);
    if (asprintf(&command, "rm -r %s", folder) < 0)
        return -1;
    return system(command);
}

int https_port(const char *name)
{
    char key[32];
    const char *at;

    snprintf(key, sizeof(key), "%s=", name);
    at = strstr(ports, key);
    assert_non_null(at);
    return atoi(at + strlen(key));
}

const char *https_path(const char *name)
{
    static char paths[4][256];
    static unsigned int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

char *https_text(const char *name)
{
    struct fence_err err = {0};
    char *text = NULL;
    size_t size;

    if (fence_file_read(AT_FDCWD, https_path(name), 1 << 20, &text, &size, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

void https_write(const char *name, const char *text)
{
    struct fence_err err = {0};

    if (fence_file_write(https_path(name), text, strlen(text), 0600, &err) < 0)
        fail_msg("%s", err.text);
}

struct fence_kube_config *https_config(const char *host, const char *port)
{
    static struct fence_kube_config config;
    static char origin[] = "a test", address[128], authority[256];

    snprintf(address, sizeof(address), "https://%s:%d", host ? host : "127.0.0.1",
             https_port(port));
    snprintf(authority, sizeof(authority), "%s", https_path("authority.pem"));
    config = (struct fence_kube_config){.origin = origin, .server = address, .ca_file = authority};
    return &config;
}

/* ---- exchanges --------------------------------------------------------------------------------
 */

static void act(struct https_answer *answer, bool cancel, struct https_answer *start)
{
    if (start)
        https_get(answer->http, "/ok", start);
    if (answer->cancel_other)
        fence_http_cancel(answer->http, &answer->cancel_other->exchange);
    if (cancel)
        fence_http_cancel(answer->http, &answer->exchange);
}

static int take_head(void *context, const struct fence_http_head *head)
{
    struct https_answer *answer = context;

    assert_int_equal(answer->heads++, 0);
    assert_int_equal(answer->ends, 0);
    answer->head = *head;
    snprintf(answer->content_type, sizeof(answer->content_type), "%s", head->content_type);
    answer->head.content_type = answer->content_type;
    act(answer, answer->cancel_in_head, NULL);
    return answer->refuse_head ? -1 : 0;
}

static int take_body(void *context, const char *data, size_t size)
{
    struct https_answer *answer = context;
    size_t room = sizeof(answer->body) - 1;

    assert_int_equal(answer->heads, 1);
    assert_int_equal(answer->ends, 0);
    if (answer->size < room)
        memcpy(answer->body + answer->size, data,
               size < room - answer->size ? size : room - answer->size);
    answer->size += size;
    if (size > answer->largest)
        answer->largest = size;
    answer->pieces++;
    act(answer, answer->cancel_in_body, answer->pieces == 1 ? answer->start_in_body : NULL);
    return answer->refuse_body ? -1 : 0;
}

static void take_end(void *context, const struct fence_http_end *end)
{
    struct https_answer *answer = context;

    assert_int_equal(answer->ends++, 0);
    answer->end = *end;
    snprintf(answer->message, sizeof(answer->message), "%s", end->message);
    assert_int_equal(end->code == 0, *end->message == '\0');
    act(answer, answer->cancel_in_end, answer->start_in_end);
    answer->exchange = NULL;
}

const struct fence_http_ops https_ops = {take_head, take_body, take_end};

struct fence_http *https_open(const struct fence_kube_config *config)
{
    struct fence_http *http = NULL;
    struct fence_err err = {0};

    if (fence_http_new(config, "podfenced-test", &http, &err) < 0)
        fail_msg("%s", err.text);
    return http;
}

void https_begin(struct fence_http *http, const struct fence_http_request *request,
                 struct https_answer *answer)
{
    struct fence_err err = {0};

    answer->http = http;
    if (fence_http_start(http, request, &https_ops, answer, &answer->exchange, &err) < 0)
        fail_msg("%s", err.text);
}

void https_get(struct fence_http *http, const char *path, struct https_answer *answer)
{
    const struct fence_http_request request = {
        .method = "GET", .path = path, .accept = "application/json"};

    https_begin(http, &request, answer);
}

/* Once: false when nothing came in time. */
static bool turn(struct fence_http *http, int ms)
{
    struct pollfd wait = {.fd = fence_http_fd(http), .events = POLLIN};
    int count = poll(&wait, 1, ms);

    fence_http_handle(http);
    return count > 0;
}

void https_wait(struct fence_http *http, const struct https_answer *answer)
{
    uint64_t until = fence_clock_boot_ns() + PATIENCE_MS * 1000000ull;

    while (answer->ends == 0) {
        if (fence_clock_boot_ns() > until)
            fail_msg("no end in %u ms", PATIENCE_MS);
        turn(http, 1000);
    }
}

void https_run_for(struct fence_http *http, unsigned int ms)
{
    uint64_t until = fence_clock_boot_ns() + ms * 1000000ull;

    while (fence_clock_boot_ns() < until)
        turn(http, 10);
}

void https_ask(const struct fence_kube_config *config, const char *path,
               struct https_answer *answer)
{
    struct fence_http *http = https_open(config);

    https_get(http, path, answer);
    https_wait(http, answer);
    fence_http_free(&http);
}

void https_expect(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in: %s", part, text);
}
