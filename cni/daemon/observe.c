/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/observe.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/pods.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"

#define DRAIN_MAX 10
#define LISTEN_MS (FENCE_LISTEN_SECONDS * 1000 / 3)

/* One row each. Every record goes to all, in this order. */
static const struct fence_consumer consumers[] = {
    {fence_observers_record, fence_observers_lost, fence_observers_wanted, FENCE_HEARING_ALL},
    {fence_event_log_record, fence_event_log_lost, fence_event_log_wanted, FENCE_HEARING_ALL},
    {fence_flowbook_record, NULL, fence_flowbook_wants_records, FENCE_HEARING_ALL},
    {fence_audit_record, fence_audit_lost, fence_audit_wanted, FENCE_HEARING_ALL},
    {fence_alarms_record, fence_alarms_lost, fence_alarms_wanted, FENCE_HEARING_ALIKE},
};

/* The maps and objects may have other names since the last apply. */
static void look_again(struct fence_daemon *daemon)
{
    struct fence_resolver *resolver = &daemon->observe.resolver;

    if (resolver->generation == daemon->reconcile.applies)
        return;
    resolver->generation = daemon->reconcile.applies;
    fence_pods_fill(&resolver->addresses, daemon->store, &daemon->reconcile.locals);
}

static void event_seen(void *context, const struct fence_event *event)
{
    struct fence_daemon *daemon = context;
    struct fence_observe *observe = &daemon->observe;
    struct fence_resolved resolved;
    struct fence_record record;

    observe->seen++;
    look_again(daemon);
    fence_resolve(&observe->resolver, event, &resolved);
    fence_recent_add(&observe->recent, &resolved);
    fence_record_view(&observe->resolver,
                      fence_recent_get(&observe->recent, observe->recent.newest), &record);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(consumers); i++)
        consumers[i].record(daemon, &record);
}

static uint64_t lost_by_kernel(const struct fence_daemon *daemon)
{
    uint64_t lost = 0;

    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct fence_counter counter = {0};

        (void)fence_counter_read(&daemon->pins, FENCE_REASON_EVENT_LOST, direction, &counter);
        lost += counter.packets;
    }
    return lost;
}

static void tell_lost(struct fence_daemon *daemon)
{
    struct fence_observe *observe = &daemon->observe;
    const uint64_t now = lost_by_kernel(daemon);
    const struct fence_lost lost = {
        .source = FENCE_LOST_BY_KERNEL,
        .count = now - observe->lost,
        .wall_ns = fence_clock_wall_ns(),
        .node_name = daemon->options.node_name,
    };

    if (now <= observe->lost)
        return;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(consumers); i++)
        if (consumers[i].lost)
            consumers[i].lost(daemon, &lost);
    observe->lost_told += lost.count;
    observe->lost = now;
}

const char *fence_observe_text(struct fence_daemon *daemon, const struct fence_record *record,
                               size_t *ret_size)
{
    struct fence_observe_text *text = &daemon->observe.text;

    if (text->number != record->uuid[1]) {
        text->size = fence_event_json(record, text->text);
        text->number = record->uuid[1];
    }
    *ret_size = text->size;
    return text->text;
}

void fence_observe_drain(struct fence_daemon *daemon)
{
    /* the ring has room for some ten times as many as are consumed in one go */
    for (int i = 0; i < DRAIN_MAX && daemon->observe.events; i++)
        if (fence_events_consume(daemon->observe.events) <= 0)
            return;
}

void fence_observe_listen(struct fence_daemon *daemon)
{
    bool wanted[FENCE_HEARINGS] = {false};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(consumers); i++)
        if (consumers[i].wanted && consumers[i].wanted(daemon))
            wanted[consumers[i].hearing] = true;
    for (unsigned int hearing = 0; hearing < FENCE_HEARINGS; hearing++)
        if (wanted[hearing])
            (void)fence_events_listen(&daemon->pins, (enum fence_hearing)hearing);
}

static void timer_fired(void *context)
{
    struct fence_daemon *daemon = context;

    fence_observe_listen(daemon);
    tell_lost(daemon);
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
    if (fence_recent_init(&observe->recent) < 0)
        return fence_err_set(err, -ENOMEM, "events: out of memory");
    observe->resolver.pins = &daemon->pins;
    observe->resolver.node_name = daemon->options.node_name;
    observe->resolver.trust_domain = daemon->options.trust_domain;
    observe->lost = lost_by_kernel(daemon);
    observe->watch = (struct fence_fd_watch){
        .fd = fence_events_fd(observe->events), .ready = events_ready, .context = daemon};
    result = fence_loop_watch(&daemon->loop, &observe->watch, EPOLLIN, err);
    if (result == 0)
        result = start(daemon, &observe->timer, timer_fired, LISTEN_MS, err);
    if (result == 0)
        result = start(daemon, &observe->consume, consume, FENCE_EVENTS_CONSUME_MS, err);
    if (result == 0)
        result = start(daemon, &observe->flush, flush, FENCE_EVENTS_FLUSH_MS, err);
    if (result == 0)
        fence_observe_listen(daemon);
    return result;
}

cJSON *fence_observe_json(const struct fence_daemon *daemon)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "seen", (double)daemon->observe.seen);
    cJSON_AddNumberToObject(json, "lost", (double)daemon->observe.lost_told);
    cJSON_AddNumberToObject(json, "observers", (double)daemon->server.observers.count);
    cJSON_AddItemToObject(json, "log", fence_event_log_json(daemon));
    return json;
}

void fence_observe_done(struct fence_daemon *daemon)
{
    fence_timer_close(&daemon->loop, &daemon->observe.timer);
    fence_timer_close(&daemon->loop, &daemon->observe.consume);
    fence_timer_close(&daemon->loop, &daemon->observe.flush);
    fence_loop_forget(&daemon->loop, &daemon->observe.watch);
    fence_events_free(&daemon->observe.events);
    fence_recent_done(&daemon->observe.recent);
    fence_resolver_done(&daemon->observe.resolver);
}
