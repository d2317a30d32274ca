/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/observe.h"

#include <sys/epoll.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "lib/api/event_json.h"

#define LISTEN_MS (FENCE_LISTEN_SECONDS * 1000 / 3)

static int name_pod(void *context, const struct fence_addr *addr, struct fence_pod_name *ret_name)
{
    return fence_pod_index_find(context, addr, ret_name);
}

static void event_seen(void *context, const struct fence_event *event)
{
    struct fence_daemon *daemon = context;
    struct fence_observe *observe = &daemon->observe;
    cJSON *json;

    observe->seen++;
    if (!daemon->server.observers)
        return;
    if (observe->pods_of != daemon->reconcile.applies) {
        fence_pod_index_fill(&observe->pods, daemon->store, &daemon->reconcile.locals);
        observe->pods_of = daemon->reconcile.applies;
    }
    json = fence_event_json(event, &(struct fence_event_names){
                                       .pins = &daemon->pins,
                                       .node_name = daemon->options.node_name,
                                       .namer = name_pod,
                                       .context = &observe->pods,
                                   });
    if (json)
        fence_server_publish(daemon, json);
    cJSON_Delete(json);
}

void fence_observe_listen(struct fence_daemon *daemon)
{
    if (daemon->server.observers)
        (void)fence_events_listen(&daemon->pins);
}

static void listen_on(void *context)
{
    fence_observe_listen(context);
}

static void consume(void *context)
{
    struct fence_daemon *daemon = context;

    (void)fence_events_consume(daemon->observe.events);
}

static void flush(void *context)
{
    struct fence_daemon *daemon = context;

    (void)fence_events_flush(&daemon->pins, 0);
}

static void events_ready(void *context, uint32_t events)
{
    (void)events;
    consume(context);
}

static int start(struct fence_daemon *daemon, struct fence_timer *timer,
                 void (*fire)(void *context), int period_ms, struct fence_err *err)
{
    int result = fence_timer_open(&daemon->loop, timer, CLOCK_MONOTONIC, err);

    if (result < 0)
        return result;
    timer->fire = fire;
    timer->context = daemon;
    return fence_timer_after(timer, period_ms, period_ms);
}

int fence_observe_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_observe *observe = &daemon->observe;
    int result = fence_events_new(&daemon->pins, event_seen, daemon, &observe->events, err);

    if (result < 0)
        return fence_err_prefix(err, result, "events");
    observe->watch = (struct fence_fd_watch){
        .fd = fence_events_fd(observe->events), .ready = events_ready, .context = daemon};
    result = fence_loop_watch(&daemon->loop, &observe->watch, EPOLLIN, err);
    if (result == 0)
        result = start(daemon, &observe->timer, listen_on, LISTEN_MS, err);
    if (result == 0)
        result = start(daemon, &observe->consume, consume, FENCE_EVENTS_CONSUME_MS, err);
    return result < 0 ? result : start(daemon, &observe->flush, flush, FENCE_EVENTS_FLUSH_MS, err);
}

void fence_observe_done(struct fence_daemon *daemon)
{
    fence_timer_close(&daemon->loop, &daemon->observe.timer);
    fence_timer_close(&daemon->loop, &daemon->observe.consume);
    fence_timer_close(&daemon->loop, &daemon->observe.flush);
    fence_loop_forget(&daemon->loop, &daemon->observe.watch);
    fence_events_free(&daemon->observe.events);
    fence_pod_index_done(&daemon->observe.pods);
}
