/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd: listeners, and requests until they are whole. */
#include "test/kube/server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/memory.h"

#define BODY_MAX    ((size_t)64 << 20)
/* A chunk is as long as what libmicrohttpd has room for: a big event is sent in some of them. */
#define MEMORY_EACH ((size_t)128 << 10)
#define CONNECTIONS 20000
#define STACK       ((size_t)512 << 10)

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- exchanges ------------------------------------------------------------------------------ */

const char *exchange_query(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *exchange_header(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

bool exchange_flag(const struct exchange *exchange, const char *name)
{
    const char *text = exchange_query(exchange, name);

    return text && (!strcmp(text, "1") || !strcmp(text, "true"));
}

enum woken exchange_wait(const struct exchange *exchange, long ms, int event_fd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd fds[] = {
        {.fd = exchange->server->stop_fd, .events = POLLIN},
        {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP},
        {.fd = event_fd, .events = POLLIN},
    };
    const int count = poll(fds, FENCE_ARRAY_SIZE(fds), ms < 0 ? -1 : (int)ms);

    if (count <= 0)
        return WOKEN_TIMEOUT;
    if (fds[0].revents || fds[1].revents)
        return WOKEN_GONE;
    return WOKEN_EVENT;
}

/* Called first of all, with the request line's own text. */
static void *begin_exchange(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (!exchange)
        return NULL;
    exchange->server = context;
    exchange->connection = connection;
    exchange->uri = strdup(uri);
    effect_init(&exchange->effect);
    return exchange;
}

static void end_exchange(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *state;

    (void)context;
    (void)connection;
    (void)code;
    *state = NULL;
    if (!exchange)
        return;
    free(exchange->uri);
    free(exchange->path);
    free(exchange->method);
    free(exchange->body);
    effect_done(&exchange->effect);
    free(exchange);
}

static int keep_body(struct exchange *exchange, const char *data, size_t size)
{
    char *body;

    if (size > BODY_MAX - exchange->size) {
        exchange->too_large = true;
        return 0;
    }
    if (exchange->size + size + 1 > exchange->capacity) {
        exchange->capacity = 2 * (exchange->size + size + 1);
        body = realloc(exchange->body, exchange->capacity);
        if (!body)
            return -ENOMEM;
        exchange->body = body;
    }
    memcpy(exchange->body + exchange->size, data, size);
    exchange->size += size;
    exchange->body[exchange->size] = '\0';
    return 0;
}

/* libmicrohttpd's type: called with the head, with pieces of the body, and when it is whole.
 * NOLINTBEGIN(readability-function-size) */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct exchange *exchange = *state;
    const union MHD_DaemonInfo *info;

    (void)version;
    (void)context;
    if (!exchange || !exchange->uri)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        exchange->path = strdup(path);
        exchange->method = strdup(method);
        return exchange->path && exchange->method ? MHD_YES : MHD_NO;
    }
    if (*upload_size) {
        if (keep_body(exchange, upload, *upload_size) < 0)
            return MHD_NO;
        *upload_size = 0;
        return MHD_YES;
    }
    info =
        MHD_get_daemon_info(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_DAEMON)->daemon,
                            MHD_DAEMON_INFO_FLAGS);
    return info->flags & MHD_USE_TLS ? api_handle(exchange) : control_handle(exchange);
}
/* NOLINTEND(readability-function-size) */

static void count_connections(void *context, struct MHD_Connection *connection, void **state,
                              enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;

    (void)connection;
    (void)state;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        server->connections++;
    else
        server->connections--;
}

/* ---- listeners ------------------------------------------------------------------------------ */

static int bind_to(const char *host, uint16_t port, struct fence_err *err)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const bool is_ipv4 = inet_pton(AF_INET, host, &ipv4.sin_addr) == 1;
    const int on = 1;
    FENCE_CLOSE int fd = -1;
    int result;

    if (!is_ipv4 && inet_pton(AF_INET6, host, &ipv6.sin6_addr) != 1)
        return fence_err_set(err, -EINVAL, "%s is no address", host);
    fd = socket(is_ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fence_err_set(err, -errno, "socket: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    result = is_ipv4 ? bind(fd, (struct sockaddr *)&ipv4, sizeof(ipv4))
                     : bind(fd, (struct sockaddr *)&ipv6, sizeof(ipv6));
    if (result < 0 || listen(fd, SOMAXCONN) < 0)
        return fence_err_set(err, -errno, "cannot listen at %s port %u: %s", host, port,
                             strerror(errno));
    return TAKE_FD(fd);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(addr);

    (void)getsockname(fd, (struct sockaddr *)&addr, &size);
    return ntohs(addr.ss_family == AF_INET ? ((struct sockaddr_in *)&addr)->sin_port
                                           : ((struct sockaddr_in6 *)&addr)->sin6_port);
}

struct MHD_Daemon *server_listen(struct server *server, bool control, uint16_t port,
                                 struct fence_err *err)
{
    const unsigned int flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                               MHD_USE_POLL | MHD_USE_ITC;
    const int fd = bind_to(control ? "127.0.0.1" : server->host, port, err);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls.key},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls.certificate},
        {MHD_OPTION_HTTPS_MEM_TRUST, 0, server->tls.ca},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_Daemon *daemon;

    if (fd < 0)
        return NULL;
    if (control)
        tls[0].option = MHD_OPTION_END;
    /* the counting is of the API's connections */
    daemon = MHD_start_daemon(flags | (control ? 0 : MHD_USE_TLS), 0, NULL, NULL, handle, server,
                              MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK,
                              begin_exchange, server, MHD_OPTION_NOTIFY_COMPLETED, end_exchange,
                              server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_EACH,
                              MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_ARRAY, tls,
                              control ? MHD_OPTION_END : MHD_OPTION_NOTIFY_CONNECTION,
                              count_connections, server, MHD_OPTION_END);
    if (!daemon) {
        close(fd);
        fence_err_set(err, -EIO, "libmicrohttpd cannot serve at port %u", port);
        return NULL;
    }
    if (!port) /* else it is known, and others may be reading it */
        port = port_of(fd);
    if (control && !server->control_port)
        server->control_port = port;
    if (!control && !server->https_port)
        server->https_port = port;
    return daemon;
}

void server_close_listener(struct server *server)
{
    struct MHD_Daemon **retired;
    int fd;

    if (!server->https)
        return;
    retired = realloc(server->retired, (server->retired_count + 1) * sizeof(struct MHD_Daemon *));
    if (!retired)
        return;
    server->retired = retired;
    fd = MHD_quiesce_daemon(server->https);
    if (fd >= 0)
        close(fd);
    server->retired[server->retired_count++] = TAKE_PTR(server->https);
}

int server_open_listener(struct server *server, struct fence_err *err)
{
    if (server->https)
        return 0;
    server->https = server_listen(server, false, server->https_port, err);
    return server->https ? 0 : -EIO;
}
