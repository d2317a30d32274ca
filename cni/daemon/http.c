/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/metrics.h"
#include "cni/daemon/ready.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

#define NS_PER_SECOND 1000000000ull

#define TICK_MS  1000
#define RETRY_MS 5000

/* From so many connections on, each new one takes the place of the oldest. */
#define CROWDED (FENCE_HTTP_CONNECTIONS * 3 / 4)

#define BACKLOG     128
#define MEMORY_EACH ((size_t)4096)

/* ---- options -------------------------------------------------------------------------------- */

static int parse_port(const char *text, in_port_t *ret_port)
{
    unsigned long port;
    char *end;

    errno = 0;
    port = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || port < 1 || port > 65535)
        return -EINVAL;
    *ret_port = htons((uint16_t)port);
    return 0;
}

/* Without the brackets of an IPv6 address. */
static void copy_host(const char *text, size_t size, char *host, size_t host_size)
{
    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    snprintf(host, host_size, "%.*s", (int)size, text);
}

int fence_http_parse(const char *text, struct fence_http_options *ret_options,
                     struct fence_err *err)
{
    struct fence_http_options options = {.text = text};
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&options.addr;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&options.addr;
    const char *colon = strrchr(text, ':');
    in_port_t port = 0;
    char host[64] = "";

    if (!strcmp(text, "off")) {
        *ret_options = options;
        return 0;
    }
    if (!colon || parse_port(colon + 1, &port) < 0)
        return fence_err_set(err, -EINVAL,
                             "%s is neither off nor ADDRESS:PORT such as 127.0.0.1:9464", text);
    copy_host(text, (size_t)(colon - text), host, sizeof(host));
    if (inet_pton(AF_INET, host, &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = port;
    } else if (!host[0] || inet_pton(AF_INET6, host, &ipv6->sin6_addr) == 1) {
        ipv6->sin6_family = AF_INET6; /* no host: all addresses of both families */
        ipv6->sin6_port = port;
    } else {
        return fence_err_set(err, -EINVAL, "%s is no address of IPv4 or IPv6", host);
    }
    *ret_options = options;
    return 0;
}

/* ---- answers -------------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
                              const char *type, char *text, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned int status,
                                   const char *text)
{
    char copy[128];

    snprintf(copy, sizeof(copy), "%s\n", text);
    return answer(connection, status, "text/plain; charset=utf-8", copy, strlen(copy));
}

static bool is_of_this_node(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *addr = info ? info->client_addr : NULL;
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)addr;
    const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;

    if (!addr)
        return false;
    if (addr->sa_family == AF_INET)
        return ntohl(ipv4->sin_addr.s_addr) >> 24 == 127;
    return addr->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(ipv6) || (IN6_IS_ADDR_V4MAPPED(ipv6) && ipv6->s6_addr[12] == 127));
}

static enum MHD_Result get_metrics(struct fence_daemon *daemon, struct MHD_Connection *connection)
{
    struct fence_http *http = &daemon->http;
    const uint64_t now = fence_clock_boot_ns();

    if (!http->text || now - http->text_ns >= NS_PER_SECOND) {
        free(TAKE_PTR(http->text));
        http->text = fence_metrics_text(daemon, &http->text_size);
        http->text_ns = now;
    }
    if (!http->text)
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", http->text,
                  http->text_size);
}

/* This is answered by the loop: it turns. */
static enum MHD_Result get_healthz(struct fence_daemon *daemon, struct MHD_Connection *connection)
{
    (void)daemon;
    return answer_text(connection, MHD_HTTP_OK, "ok");
}

struct reasons {
    FILE *out;
    size_t count;
};

static void add_reason(void *context, enum fence_log_level level, const char *text)
{
    struct reasons *reasons = context;

    (void)level;
    reasons->count++;
    fence_print_safe(reasons->out, text);
    fputc('\n', reasons->out);
}

static enum MHD_Result get_readyz(struct fence_daemon *daemon, struct MHD_Connection *connection)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    struct reasons reasons = {.out = open_memstream(&text, &size)};
    char count[64];

    if (!reasons.out)
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    fence_ready_each(daemon, add_reason, &reasons);
    if (fclose(reasons.out) != 0)
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    if (!reasons.count)
        return answer_text(connection, MHD_HTTP_OK, "ready");
    if (is_of_this_node(connection))
        return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text,
                      size);
    snprintf(count, sizeof(count), "not ready, %zu reasons: podfencectl status", reasons.count);
    return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, count);
}

static const struct {
    const char *path;
    enum MHD_Result (*get)(struct fence_daemon *daemon, struct MHD_Connection *connection);
} paths[] = {
    {"/metrics", get_metrics},
    {"/healthz", get_healthz},
    {"/readyz", get_readyz},
};

/* libmicrohttpd's type: the second call is when the request is whole.
 * NOLINTBEGIN(readability-function-size) */
static enum MHD_Result request(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **state)
{
    static int seen;
    struct fence_daemon *daemon = context;

    (void)version;
    (void)upload;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        daemon->http.refused++;
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    }
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size) { /* nobody wants it */
        *upload_size = 0;
        return MHD_YES;
    }
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(paths); i++) {
        if (strcmp(url, paths[i].path) != 0)
            continue;
        daemon->http.requests[i]++;
        return paths[i].get(daemon, connection);
    }
    daemon->http.refused++;
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "there is /metrics, /healthz, /readyz");
}
/* NOLINTEND(readability-function-size) */

/* ---- connections ---------------------------------------------------------------------------- */

/* libmicrohttpd sees an end of the stream, and lets it go. */
static void cut_off(struct fence_http *http, struct fence_http_connection *connection)
{
    (void)shutdown(connection->fd, SHUT_RDWR);
    connection->fd = -1;
    http->count--;
    http->cut_off++;
}

static void cut_off_oldest(struct fence_http *http)
{
    struct fence_http_connection *oldest = NULL;

    for (size_t i = 0; i < FENCE_HTTP_CONNECTIONS; i++)
        if (http->connections[i].fd >= 0 &&
            (!oldest || http->connections[i].since_ns < oldest->since_ns))
            oldest = &http->connections[i];
    if (oldest)
        cut_off(http, oldest);
}

static void add_connection(struct fence_http *http, int fd)
{
    if (http->count >= CROWDED)
        cut_off_oldest(http);
    for (size_t i = 0; i < FENCE_HTTP_CONNECTIONS; i++) {
        if (http->connections[i].fd >= 0)
            continue;
        http->connections[i] =
            (struct fence_http_connection){.fd = fd, .since_ns = fence_clock_boot_ns()};
        http->count++;
        return;
    }
}

static void connection_changed(void *context, struct MHD_Connection *connection, void **state,
                               enum MHD_ConnectionNotificationCode code)
{
    struct fence_http *http = &((struct fence_daemon *)context)->http;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    (void)state;
    if (!info)
        return;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        add_connection(http, info->connect_fd);
        return;
    }
    for (size_t i = 0; i < FENCE_HTTP_CONNECTIONS; i++) {
        if (http->connections[i].fd != info->connect_fd)
            continue;
        http->connections[i].fd = -1;
        http->count--;
    }
}

static void cut_off_slow(struct fence_http *http)
{
    const uint64_t now = fence_clock_boot_ns();

    for (size_t i = 0; i < FENCE_HTTP_CONNECTIONS; i++)
        if (http->connections[i].fd >= 0 &&
            now - http->connections[i].since_ns > FENCE_HTTP_SECONDS * NS_PER_SECOND)
            cut_off(http, &http->connections[i]);
}

/* ---- the server ----------------------------------------------------------------------------- */

/* What is left to do without another event is done within a millisecond. */
static void serve(struct fence_http *http)
{
    MHD_UNSIGNED_LONG_LONG wait = 0;
    int ms = TICK_MS;

    (void)MHD_run(http->server);
    if (MHD_get_timeout(http->server, &wait) == MHD_YES && wait < TICK_MS)
        ms = (int)wait + 1;
    fence_timer_after(&http->timer, ms, TICK_MS);
}

static void server_ready(void *context, uint32_t events)
{
    struct fence_daemon *daemon = context;

    (void)events;
    serve(&daemon->http);
}

static void timer_fired(void *context)
{
    struct fence_daemon *daemon = context;

    if (!daemon->http.server)
        return;
    cut_off_slow(&daemon->http);
    serve(&daemon->http);
}

static int listen_at(const struct sockaddr_storage *addr)
{
    const int on = 1, both = 0;
    FENCE_CLOSE int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size =
        addr->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (addr->ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof(both));
    if (bind(fd, (const struct sockaddr *)addr, size) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* In the loop's own thread: epoll, no threads of its own. Takes `fd`. */
static struct MHD_Daemon *start_server(struct fence_daemon *daemon, int fd)
{
    const unsigned int flags = MHD_USE_EPOLL;
    struct MHD_Daemon *server = MHD_start_daemon(
        flags, 0, NULL, NULL, request, daemon, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, FENCE_HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        MEMORY_EACH, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)FENCE_HTTP_SECONDS / 2,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, daemon, MHD_OPTION_END);

    if (!server)
        close(fd);
    return server;
}

static int open_server(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_http *http = &daemon->http;
    const char *text = daemon->options.http.text;
    const union MHD_DaemonInfo *info;
    int fd = listen_at(&daemon->options.http.addr);

    if (fd < 0)
        return fence_err_set(err, fd, "cannot listen at %s: %s", text, strerror(-fd));
    http->server = start_server(daemon, fd);
    info = http->server ? MHD_get_daemon_info(http->server, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return fence_err_set(err, -ENOMEM, "cannot serve at %s", text);
    http->watch =
        (struct fence_fd_watch){.fd = info->epoll_fd, .ready = server_ready, .context = daemon};
    return fence_loop_watch(&daemon->loop, &http->watch, EPOLLIN, err);
}

static void close_server(struct fence_daemon *daemon)
{
    struct fence_http *http = &daemon->http;

    fence_loop_forget(&daemon->loop, &http->watch);
    if (http->server)
        MHD_stop_daemon(http->server);
    http->server = NULL;
}

static void try_to_serve(struct fence_daemon *daemon)
{
    struct fence_http *http = &daemon->http;
    struct fence_err err = {""};

    if (open_server(daemon, &err) == 0) {
        fence_log(FENCE_LOG_INFO, "metrics are served at %s", daemon->options.http.text);
        http->problem_told = false;
        fence_timer_after(&http->timer, TICK_MS, TICK_MS);
        return;
    }
    close_server(daemon);
    if (!http->problem_told)
        fence_log(FENCE_LOG_ERROR, "--metrics: %s; tried again", err.text);
    http->problem_told = true;
    fence_timer_after(&http->retry, RETRY_MS, 0);
}

static void retry_fired(void *context)
{
    try_to_serve(context);
}

int fence_http_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_http *http = &daemon->http;
    int result;

    for (size_t i = 0; i < FENCE_HTTP_CONNECTIONS; i++)
        http->connections[i].fd = -1;
    if (!daemon->options.http.addr.ss_family)
        return 0;
    result = fence_timer_open(&daemon->loop, &http->timer, CLOCK_MONOTONIC, err);
    if (result == 0)
        result = fence_timer_open(&daemon->loop, &http->retry, CLOCK_MONOTONIC, err);
    if (result < 0)
        return result;
    http->timer.fire = timer_fired;
    http->timer.context = daemon;
    http->retry.fire = retry_fired;
    http->retry.context = daemon;
    try_to_serve(daemon);
    return 0;
}

void fence_http_done(struct fence_daemon *daemon)
{
    close_server(daemon);
    fence_timer_close(&daemon->loop, &daemon->http.timer);
    fence_timer_close(&daemon->loop, &daemon->http.retry);
    free(TAKE_PTR(daemon->http.text));
}
