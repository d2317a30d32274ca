/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/observers.h"

#include <errno.h>
#include <string.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define NS_PER_SECOND 1000000000.0

/* Records that are looked at for one client in one go. */
#define GO_MAX 64

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool view(struct fence_daemon *daemon, const struct fence_observer *observer,
                 uint64_t number, struct fence_record *ret_record)
{
    fence_record_view(&daemon->observe.resolver, fence_recent_get(&daemon->observe.recent, number),
                      ret_record);
    return ret_record->wall_ns >= observer->since_ns &&
           fence_filter_fits(&observer->filter, ret_record);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void send_lost(struct fence_client *client, const char *source, uint64_t count)
{
    const struct fence_lost lost = {
        .source = source,
        .count = count,
        .wall_ns = fence_clock_wall_ns(),
        .node_name = client->daemon->options.node_name,
    };
    char text[FENCE_EVENT_JSON_MAX];

    fence_client_send_text(client, text, fence_lost_json(&lost, text));
}

static void send_record(struct fence_client *client, const struct fence_record *record)
{
    size_t size;
    const char *text = fence_observe_text(client->daemon, record, &size);

    if (size)
        fence_client_send_text(client, text, size);
}

static void go_one(struct fence_client *client)
{
    struct fence_observer *observer = &client->observer;
    const uint64_t oldest = fence_recent_oldest(&client->daemon->observe.recent);
    struct fence_record record;

    if (observer->lost) {
        send_lost(client, FENCE_LOST_BY_KERNEL, observer->lost);
        observer->lost = 0;
    } else if (observer->next < oldest) {
        send_lost(client, FENCE_LOST_BY_CONSUMER, oldest - observer->next);
        observer->next = oldest;
    } else if (view(client->daemon, observer, observer->next++, &record)) {
        send_record(client, &record);
    }
}

void fence_observer_go_on(struct fence_client *client)
{
    struct fence_observer *observer = &client->observer;
    const uint64_t end = smaller(client->daemon->observe.recent.newest, observer->until);

    for (unsigned int i = 0; i < GO_MAX && !client->queue && !client->broken; i++) {
        if (observer->next > end && !observer->lost)
            break;
        go_one(client);
    }
    observer->behind = observer->next <= end;
    if (observer->next > observer->until)
        client->closing = true;
}

void fence_observers_record(struct fence_daemon *daemon, const struct fence_record *record)
{
    const struct fence_server *server = &daemon->server;

    (void)record; /* is the newest one of those that are kept */
    for (size_t i = 0; server->observers.count && i < server->count; i++) {
        struct fence_client *client = server->clients[i];

        if (client->observer.on && !client->observer.behind && !client->queue && !client->closing)
            fence_client_go_on(client);
    }
}

void fence_observers_lost(struct fence_daemon *daemon, const struct fence_lost *lost)
{
    const struct fence_server *server = &daemon->server;

    for (size_t i = 0; server->observers.count && i < server->count; i++) {
        struct fence_client *client = server->clients[i];

        if (!client->observer.follows)
            continue;
        client->observer.lost += lost->count;
        if (!client->observer.behind && !client->queue)
            fence_client_go_on(client);
    }
}

bool fence_observers_wanted(const struct fence_daemon *daemon)
{
    const struct fence_server *server = &daemon->server;

    for (size_t i = 0; server->observers.count && i < server->count; i++)
        if (server->clients[i]->observer.follows &&
            fence_filter_lets_forwarded(&server->clients[i]->observer.filter))
            return true;
    return false;
}

void fence_observer_done(struct fence_client *client)
{
    client->daemon->server.observers.count -= client->observer.on;
    fence_filter_done(&client->observer.filter);
    client->observer = (struct fence_observer){0};
}

/* ---- the request ----------------------------------------------------------------------------- */

static int take_value(struct fence_filter *filter, enum fence_filter_key key, const cJSON *value,
                      struct fence_err *err)
{
    if (!cJSON_IsString(value))
        return fence_err_set(err, -EINVAL, "%s must be a text or a list of texts",
                             fence_filter_key_name(key));
    return fence_filter_add(filter, key, value->valuestring, err);
}

static int take_values(struct fence_filter *filter, enum fence_filter_key key, const cJSON *values,
                       struct fence_err *err)
{
    const cJSON *value;
    int result = 0;

    if (!cJSON_IsArray(values))
        return values ? take_value(filter, key, values, err) : 0;
    cJSON_ArrayForEach(value, values)
    {
        result = take_value(filter, key, value, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int take_filter(struct fence_filter *filter, const cJSON *members, struct fence_err *err)
{
    for (unsigned int i = 0; members && i < FENCE_FILTER_KEYS; i++) {
        const enum fence_filter_key key = (enum fence_filter_key)i;
        int result =
            take_values(filter, key,
                        cJSON_GetObjectItemCaseSensitive(members, fence_filter_key_name(key)), err);

        if (result < 0)
            return result;
    }
    return 0;
}

/* What is asked for of the past. */
struct past {
    bool wanted;
    double since; /* seconds since 1970 */
    double last;
};

static int take_past(const cJSON *request, struct past *past, struct fence_err *err)
{
    const cJSON *since = cJSON_GetObjectItemCaseSensitive(request, "since");
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(request, "last");

    *past = (struct past){.wanted = since || last, .last = FENCE_RECENT_MAX};
    if (since && (!cJSON_IsNumber(since) || !(since->valuedouble >= 0)))
        return fence_err_set(err, -EINVAL, "since must be a number of seconds since 1970");
    if (last && (!cJSON_IsNumber(last) || !(last->valuedouble >= 0)))
        return fence_err_set(err, -EINVAL, "last must be a number of events");
    if (since && since->valuedouble < (double)(UINT64_MAX / 2) / NS_PER_SECOND)
        past->since = since->valuedouble;
    else if (since)
        past->since = (double)(UINT64_MAX / 2) / NS_PER_SECOND;
    if (last && last->valuedouble < FENCE_RECENT_MAX)
        past->last = last->valuedouble;
    return 0;
}

/* How many of what is kept fit, from `from` on. */
static uint64_t count_fits(struct fence_daemon *daemon, const struct fence_observer *observer,
                           uint64_t from)
{
    struct fence_record record;
    uint64_t count = 0;

    for (uint64_t i = from; i <= daemon->observe.recent.newest; i++)
        count += view(daemon, observer, i, &record);
    return count;
}

/* The first of the last `last` of `matched` that fit. */
static uint64_t find_first(struct fence_daemon *daemon, const struct fence_observer *observer,
                           uint64_t matched, uint64_t last)
{
    uint64_t number = fence_recent_oldest(&daemon->observe.recent);
    struct fence_record record;

    while (matched > last && number <= daemon->observe.recent.newest)
        matched -= view(daemon, observer, number++, &record);
    return number;
}

static void answer(struct fence_client *client, uint64_t matched, uint64_t sent)
{
    const struct fence_recent *recent = &client->daemon->observe.recent;
    const uint64_t oldest = fence_recent_oldest(recent);
    cJSON *message = cJSON_CreateObject();

    cJSON_AddTrueToObject(message, "ok");
    cJSON_AddNumberToObject(message, "matched", (double)matched);
    cJSON_AddNumberToObject(message, "sent", (double)sent);
    cJSON_AddNumberToObject(message, "kept", (double)(recent->newest + 1 - oldest));
    if (oldest <= recent->newest)
        cJSON_AddNumberToObject(message, "keptSince",
                                (double)fence_recent_get(recent, oldest)->wall_ns / NS_PER_SECOND);
    fence_client_send(client, message);
}

static void begin(struct fence_client *client, struct fence_observer *observer,
                  const struct past *past)
{
    struct fence_daemon *daemon = client->daemon;
    const uint64_t newest = daemon->observe.recent.newest;
    uint64_t matched = 0, sent = 0;

    observer->next = newest + 1;
    if (past->wanted) {
        observer->since_ns = (uint64_t)(past->since * NS_PER_SECOND);
        matched = count_fits(daemon, observer, fence_recent_oldest(&daemon->observe.recent));
        sent = smaller(matched, (uint64_t)past->last);
        observer->next = find_first(daemon, observer, matched, sent);
    }
    observer->until = observer->follows ? UINT64_MAX : newest;
    observer->on = true;
    daemon->server.observers.count++;
    client->observer = *observer;
    answer(client, matched, sent);
    if (observer->follows)
        fence_observe_listen(daemon);
    if (!client->queue)
        fence_client_go_on(client);
}

void fence_observers_handle(struct fence_client *client, const cJSON *request)
{
    const cJSON *follow = cJSON_GetObjectItemCaseSensitive(request, "follow");
    struct fence_observer observer = {.follows = !follow || cJSON_IsTrue(follow)};
    struct fence_err err = {""};
    struct past past;
    int result = 0;

    if (client->observer.on)
        result = fence_err_set(&err, -EBUSY, "observes already: open another connection");
    else if (client->daemon->server.observers.count >= FENCE_OBSERVERS_MAX)
        result = fence_err_set(&err, -EBUSY, "%d observe already", FENCE_OBSERVERS_MAX);
    if (result == 0)
        result = take_past(request, &past, &err);
    if (result == 0)
        result = take_filter(&observer.filter, cJSON_GetObjectItemCaseSensitive(request, "filter"),
                             &err);
    if (result == 0) {
        begin(client, &observer, &past);
        return;
    }
    fence_filter_done(&observer.filter);
    fence_client_refuse(client, "%s", err.text);
    client->closing = true;
}
