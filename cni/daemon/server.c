/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/server.h"

#include <errno.h>
#include <limits.h>
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
#include "lib/base/memory.h"

/* What one client may leave lying about of answers that he has asked for, and all of them. */
#define QUEUE_MAX_BYTES  (64u << 20)
#define QUEUES_MAX_BYTES (128u << 20)

#define TICK_MS    5000
#define IDLE_TICKS 2

static void drop_first(struct fence_client *client)
{
    struct fence_message *message = client->queue;

    client->queue = message->next;
    client->queued -= message->size;
    client->daemon->server.queued -= message->size;
    free(message);
}

/* Whoever was last takes the place. */
static void client_free(struct fence_daemon *daemon, size_t i)
{
    struct fence_server *server = &daemon->server;
    struct fence_client *client = server->clients[i];

    server->clients[i] = server->clients[--server->count];
    server->readers -= !client->is_root;
    fence_observer_done(client);
    fence_inforce_forget(client);
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
    watch_for(client, client->queue || client->observer.behind ? EPOLLOUT : EPOLLIN);
}

void fence_client_send_text(struct fence_client *client, const char *text, size_t size)
{
    struct fence_message *message;

    if (client->broken)
        return;
    if (size > FENCE_API_MESSAGE_MAX || client->queued + size > QUEUE_MAX_BYTES ||
        client->daemon->server.queued + size > QUEUES_MAX_BYTES) {
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
    client->daemon->server.queued += size;
    flush(client);
}

void fence_client_send(struct fence_client *client, cJSON *message)
{
    FENCE_FREE char *text = message ? cJSON_PrintUnformatted(message) : NULL;

    cJSON_Delete(message);
    if (text)
        fence_client_send_text(client, text, strlen(text));
    else
        mark_broken(client, "out of memory");
}

void fence_client_go_on(struct fence_client *client)
{
    if (client->observer.on && !client->broken && !client->closing)
        fence_observer_go_on(client);
    watch_for(client, client->queue || client->observer.behind ? EPOLLOUT : EPOLLIN);
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

/* What is left unread at close() would make the client see an error instead of our answer. */
static void drain(int fd)
{
    char none;

    for (int i = 0; i < 64; i++)
        if (recv(fd, &none, sizeof(none), MSG_DONTWAIT) <= 0)
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
        drain(client->fd);
}

static void client_ready(void *context, uint32_t events)
{
    struct fence_client *client = context;

    if (client->broken)
        return;
    if (client->queue || client->observer.behind) {
        flush(client);
        if (!client->queue)
            fence_client_go_on(client);
    } else if (events & EPOLLIN && !client->closing) {
        receive(client);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        mark_broken(client, "closed");
    }
}

/* In the place of words: for a client that is not let in. */
__attribute__((format(printf, 2, 3))) static void turn_away(int fd, const char *format, ...)
{
    char text[256], message[512];
    va_list args;
    int size;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fence_log(FENCE_LOG_WARNING, "socket: one is refused: %s", text);
    size = snprintf(message, sizeof(message), "{\"ok\":false,\"error\":\"%s\"}", text);
    (void)fence_api_send_text(fd, message, (size_t)size, NULL);
    drain(fd);
    close(fd);
}

static bool is_member(int fd, gid_t wanted)
{
    gid_t groups[NGROUPS_MAX / 64]; /* who has more is asked to have the group as the first one */
    socklen_t size = sizeof(groups);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof(*groups); i++)
        if (groups[i] == wanted)
            return true;
    return false;
}

enum peer {
    PEER_STRANGER,
    PEER_READER,
    PEER_ROOT,
};

/* The file's mode says the same, but a descriptor may have been handed on. */
static enum peer look_at_peer(const struct fence_daemon *daemon, int fd, struct ucred *ret_peer)
{
    const int64_t group = daemon->options.socket_group;
    socklen_t size = sizeof(*ret_peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_peer, &size) < 0)
        return PEER_STRANGER;
    if (ret_peer->uid == 0 || ret_peer->uid == geteuid())
        return PEER_ROOT;
    if (group >= 0 && (ret_peer->gid == (gid_t)group || is_member(fd, (gid_t)group)))
        return PEER_READER;
    return PEER_STRANGER;
}

static void client_new(struct fence_daemon *daemon, int fd, bool is_root)
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
    client->is_root = is_root;
    client->number = ++daemon->server.numbers;
    client->events = EPOLLIN;
    client->watch = (struct fence_fd_watch){.fd = fd, .ready = client_ready, .context = client};
    if (fence_loop_watch(&daemon->loop, &client->watch, EPOLLIN, NULL) < 0) {
        close(fd);
        free(client);
        return;
    }
    daemon->server.clients[daemon->server.count++] = client;
    daemon->server.readers += !is_root;
}

static bool wants_nothing(const struct fence_client *client)
{
    return !client->queue && !client->waiter.ifindex && !client->observer.on && !client->closing &&
           !client->broken;
}

/* Its turn to go is at the end of this turn of the loop: until then there is one place less. */
static bool make_place(struct fence_daemon *daemon)
{
    struct fence_client *oldest = NULL;

    for (size_t i = 0; i < daemon->server.count; i++) {
        struct fence_client *client = daemon->server.clients[i];

        if (wants_nothing(client) && (!oldest || client->number < oldest->number))
            oldest = client;
    }
    if (oldest)
        mark_broken(oldest, "another one needs the place");
    return oldest != NULL;
}

static void let_in(struct fence_daemon *daemon, int fd)
{
    struct ucred who = {.pid = 0};
    const enum peer peer = look_at_peer(daemon, fd, &who);

    if (peer == PEER_STRANGER)
        turn_away(fd, "user %u (process %d) is neither root nor of the group of --socket-group",
                  (unsigned int)who.uid, (int)who.pid);
    else if (peer == PEER_READER && daemon->server.readers >= FENCE_READERS_MAX)
        turn_away(fd, "%d clients that are not root are served already", FENCE_READERS_MAX);
    else if (daemon->server.count >= FENCE_CLIENTS_MAX)
        turn_away(fd, "%d clients are served already; try again", FENCE_CLIENTS_MAX);
    else
        client_new(daemon, fd, peer == PEER_ROOT);
}

/* One in each turn of the loop, so that whoever has asked is heard before he has to make place. */
static void server_ready(void *context, uint32_t events)
{
    struct fence_daemon *daemon = context;
    int fd;

    (void)events;
    /* a place is free at the end of the turn; whoever comes waits in the kernel's queue until then
     */
    if (daemon->server.count >= FENCE_CLIENTS_MAX && make_place(daemon))
        return;
    fd = accept4(daemon->server.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        let_in(daemon, fd);
}

static void tick_fired(void *context)
{
    const struct fence_daemon *daemon = context;

    for (size_t i = 0; i < daemon->server.count; i++) {
        struct fence_client *client = daemon->server.clients[i];
        const bool is_silent = !client->asked && !client->closing;

        if ((client->queue || is_silent) && ++client->idle > IDLE_TICKS)
            mark_broken(client, client->queue ? "does not read" : "asks nothing");
    }
}

static int share_with_group(const struct fence_daemon *daemon, struct fence_err *err)
{
    if (daemon->options.socket_group < 0)
        return 0;
    return fence_api_share(daemon->options.socket, (gid_t)daemon->options.socket_group, err);
}

int fence_server_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_server *server = &daemon->server;
    int result;

    server->fd = fence_api_listen(daemon->options.socket, err);
    if (server->fd < 0)
        return server->fd;
    result = share_with_group(daemon, err);
    if (result < 0)
        return result;
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
