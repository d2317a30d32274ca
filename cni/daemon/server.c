/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/requests.h"
#include "lib/api/api.h"
#include "lib/api/event_json.h"
#include "lib/base/memory.h"

/* What one client may leave lying about: of events, and of answers that he has asked for. */
#define QUEUE_MAX_BYTES  (8u << 20)
#define ANSWER_MAX_BYTES (64u << 20)

#define TICK_MS    5000
#define IDLE_TICKS 2

static void drop_first(struct fence_client *client)
{
    struct fence_message *message = client->queue;

    client->queue = message->next;
    client->queued -= message->size;
    free(message);
}

/* Whoever was last takes the place. */
static void client_free(struct fence_daemon *daemon, size_t i)
{
    struct fence_server *server = &daemon->server;
    struct fence_client *client = server->clients[i];

    server->clients[i] = server->clients[--server->count];
    server->observers -= client->observing;
    fence_loop_forget(&daemon->loop, &client->watch);
    close(client->fd);
    while (client->queue)
        drop_first(client);
    free(client);
}

static void mark_broken(struct fence_client *client, const char *why)
{
    if (!client->broken)
        fence_log(FENCE_LOG_DEBUG, "socket: a client is let go: %s", why);
    client->broken = true;
}

/* A queue that is not empty stops the reading of requests: who does not read cannot ask on. */
static void watch_for(struct fence_client *client, uint32_t events)
{
    if (client->events == events)
        return;
    client->events = events;
    if (fence_loop_change(&client->daemon->loop, &client->watch, events) < 0)
        mark_broken(client, "cannot be watched");
}

static void flush(struct fence_client *client)
{
    int result = 0;

    while (client->queue && result == 0) {
        result = fence_api_send_text(client->fd, client->queue->text, client->queue->size, NULL);
        if (result < 0)
            break;
        client->idle = 0;
        drop_first(client);
    }
    if (result < 0 && result != -EAGAIN)
        mark_broken(client, strerror(-result));
    watch_for(client, client->queue ? EPOLLOUT : EPOLLIN);
}

static void enqueue(struct fence_client *client, const char *text, size_t size)
{
    const size_t most = client->observing ? QUEUE_MAX_BYTES : ANSWER_MAX_BYTES;
    struct fence_message *message;

    if (client->broken)
        return;
    if (size > FENCE_API_MESSAGE_MAX || client->queued + size > most) {
        fence_log(FENCE_LOG_WARNING, "socket: a client does not read its messages and is dropped");
        mark_broken(client, "does not read");
        return;
    }
    message = malloc(sizeof(*message) + size);
    if (!message) {
        mark_broken(client, "out of memory");
        return;
    }
    message->next = NULL;
    message->size = size;
    memcpy(message->text, text, size);
    if (client->queue)
        client->last->next = message;
    else
        client->queue = message;
    client->last = message;
    client->queued += size;
    flush(client);
}

void fence_client_send(struct fence_client *client, cJSON *message)
{
    FENCE_FREE char *text = message ? cJSON_PrintUnformatted(message) : NULL;

    cJSON_Delete(message);
    if (text)
        enqueue(client, text, strlen(text));
    else
        mark_broken(client, "out of memory");
}

void fence_client_send_text(struct fence_client *client, const char *text, size_t size)
{
    enqueue(client, text, size);
}

void fence_client_refuse(struct fence_client *client, const char *format, ...)
{
    char text[FENCE_ERR_MAX];
    cJSON *answer = cJSON_CreateObject();
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cJSON_AddFalseToObject(answer, "ok");
    cJSON_AddStringToObject(answer, "error", text);
    fence_client_send(client, answer);
}

static void publish(const struct fence_server *server, const char *text, size_t size)
{
    for (size_t i = 0; size && i < server->count; i++)
        if (server->clients[i]->observing)
            enqueue(server->clients[i], text, size);
}

void fence_server_record(struct fence_daemon *daemon, const struct fence_record *record)
{
    char text[FENCE_EVENT_JSON_MAX];

    if (daemon->server.observers)
        publish(&daemon->server, text, fence_event_json(record, text));
}

void fence_server_lost(struct fence_daemon *daemon, const struct fence_lost *lost)
{
    char text[FENCE_EVENT_JSON_MAX];

    if (daemon->server.observers)
        publish(&daemon->server, text, fence_lost_json(lost, text));
}

bool fence_server_wants_records(const struct fence_daemon *daemon)
{
    return daemon->server.observers > 0;
}

/* What is left unread at close() would make the client see an error instead of our answer. */
static void drain(struct fence_client *client)
{
    char none;

    for (int i = 0; i < 64; i++)
        if (recv(client->fd, &none, sizeof(none), MSG_DONTWAIT) <= 0)
            return;
}

static void receive(struct fence_client *client)
{
    struct fence_err err = {""};
    cJSON *request = NULL;
    int result = fence_api_receive(client->fd, 0, &request, &err);

    if (result == 0) {
        fence_requests_handle(client, request);
        cJSON_Delete(request);
    } else if (result == -EBADMSG) {
        fence_client_refuse(client, "%s", err.text);
        client->closing = true;
    } else if (result != -ETIMEDOUT) {
        mark_broken(client, err.text);
    }
    if (client->closing)
        drain(client);
}

static void client_ready(void *context, uint32_t events)
{
    struct fence_client *client = context;

    if (client->broken)
        return;
    if (client->queue)
        flush(client);
    else if (events & EPOLLIN && !client->closing)
        receive(client);
    else if (events & (EPOLLHUP | EPOLLERR))
        mark_broken(client, "closed");
}

/* The file's mode says the same, but a descriptor may have been handed on. */
static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    fence_log(FENCE_LOG_WARNING, "socket: process %d of user %u is refused", (int)peer.pid,
              (unsigned int)peer.uid);
    return false;
}

static void client_new(struct fence_daemon *daemon, int fd)
{
    struct fence_client *client = calloc(1, sizeof(*client));
    int room = 2 * (int)FENCE_API_MESSAGE_MAX;

    if (!client) {
        close(fd);
        return;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    client->daemon = daemon;
    client->fd = fd;
    client->events = EPOLLIN;
    client->watch = (struct fence_fd_watch){.fd = fd, .ready = client_ready, .context = client};
    if (fence_loop_watch(&daemon->loop, &client->watch, EPOLLIN, NULL) < 0) {
        close(fd);
        free(client);
        return;
    }
    daemon->server.clients[daemon->server.count++] = client;
}

static void server_ready(void *context, uint32_t events)
{
    struct fence_daemon *daemon = context;
    int fd = accept4(daemon->server.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    if (daemon->server.count >= FENCE_CLIENTS_MAX) {
        fence_log(FENCE_LOG_WARNING, "socket: more than %d clients: one is refused",
                  FENCE_CLIENTS_MAX);
        close(fd);
    } else if (!is_allowed(fd)) {
        close(fd);
    } else {
        client_new(daemon, fd);
    }
}

static void tick_fired(void *context)
{
    const struct fence_daemon *daemon = context;

    for (size_t i = 0; i < daemon->server.count; i++) {
        struct fence_client *client = daemon->server.clients[i];

        if (client->queue && ++client->idle > IDLE_TICKS)
            mark_broken(client, "does not read");
    }
}

int fence_server_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_server *server = &daemon->server;
    int result;

    server->fd = fence_api_listen(daemon->options.socket, err);
    if (server->fd < 0)
        return server->fd;
    server->watch =
        (struct fence_fd_watch){.fd = server->fd, .ready = server_ready, .context = daemon};
    result = fence_loop_watch(&daemon->loop, &server->watch, EPOLLIN, err);
    if (result == 0)
        result = fence_timer_open(&daemon->loop, &server->tick, CLOCK_MONOTONIC, err);
    if (result < 0)
        return result;
    server->tick.fire = tick_fired;
    server->tick.context = daemon;
    fence_timer_after(&server->tick, TICK_MS, TICK_MS);
    return 0;
}

void fence_server_done(struct fence_daemon *daemon)
{
    struct fence_server *server = &daemon->server;

    while (server->count)
        client_free(daemon, server->count - 1);
    fence_timer_close(&daemon->loop, &server->tick);
    fence_loop_forget(&daemon->loop, &server->watch);
    if (server->fd >= 0) {
        (void)unlink(daemon->options.socket);
        close(server->fd);
    }
    server->fd = -1;
}

void fence_server_reap(struct fence_daemon *daemon)
{
    for (size_t i = daemon->server.count; i-- > 0;) {
        const struct fence_client *client = daemon->server.clients[i];

        if (client->broken || (client->closing && !client->queue))
            client_free(daemon, i);
    }
}

/* 1 = in force, 0 = not yet, -1 = never as things are (ret_why). */
static int look_at(struct fence_daemon *daemon, const struct fence_waiter *waiter,
                   const char **ret_why)
{
    const struct fence_plan_endpoint *planned =
        fence_reconcile_endpoint(&daemon->reconcile, waiter->ifindex);
    struct fence_endpoint_record record;

    if (fence_endpoint_get(&daemon->pins, waiter->ifindex, &record) < 0 ||
        strncmp(record.info.container_id, waiter->container_id, sizeof(waiter->container_id)) !=
            0 ||
        strncmp(record.info.ifname, waiter->ifname, sizeof(waiter->ifname)) != 0) {
        *ret_why = "no such endpoint";
        return -1;
    }
    *ret_why = planned ? fence_reconcile_closed(&daemon->reconcile, planned) : NULL;
    if (*ret_why)
        return -1;
    return record.endpoint.flags & FENCE_EP_PENDING ? 0 : 1;
}

static void answer_waiter(struct fence_client *client)
{
    const char *why = NULL;
    int answer = look_at(client->daemon, &client->waiter, &why);
    cJSON *message;

    if (answer == 0)
        return;
    client->waiter.ifindex = 0;
    if (answer < 0) {
        fence_client_refuse(client, "%s", why);
        return;
    }
    message = cJSON_CreateObject();
    cJSON_AddTrueToObject(message, "ok");
    fence_client_send(client, message);
}

void fence_server_answer_waiters(struct fence_daemon *daemon)
{
    for (size_t i = 0; i < daemon->server.count; i++)
        if (daemon->server.clients[i]->waiter.ifindex && !daemon->server.clients[i]->broken)
            answer_waiter(daemon->server.clients[i]);
}
