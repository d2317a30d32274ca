/* SPDX-License-Identifier: Apache-2.0 */
/* Without a daemon: the ring buffer, and names from the pins. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "cni/ctl/observe.h"
#include "lib/api/api.h"
#include "lib/api/event_json.h"
#include "lib/api/resolve.h"
#include "lib/base/memory.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/events.h"
#include "lib/datapath/read.h"

#define MOMENT_MS 1000 /* how long to listen without -f, and how often to look for the daemon */

struct ring {
    struct ctl_observation *observation;
    struct fence_resolver resolver;
};

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void on_event(void *context, const struct fence_event *event)
{
    struct ring *ring = context;
    struct fence_resolved resolved;
    struct fence_record record;
    char text[FENCE_EVENT_JSON_MAX];
    size_t size;

    fence_resolve(&ring->resolver, event, &resolved);
    fence_record_view(&ring->resolver, &resolved, &record);
    if (fence_filter_fits(&ring->observation->filter, &record) &&
        record.wall_ns >= ring->observation->since_ns) {
        size = fence_event_json(&record, text);
        ctl_observe_show(ring->observation, text, size);
    }
    fence_resolved_done(&resolved);
}

static bool daemon_runs(const struct ctl *ctl)
{
    FENCE_CLOSE int fd = fence_api_connect(ctl->socket, NULL);

    return fd >= 0;
}

static void name_addresses(struct fence_name_index *index,
                           const struct fence_endpoint_record *record)
{
    const struct fence_endpoint *endpoint = &record->endpoint;
    const struct fence_name name = {.namespace_name = record->info.namespace_name,
                                    .pod = record->info.pod};

    for (size_t i = 0; *name.pod && i < endpoint->addr_count && i < FENCE_ENDPOINT_ADDRS; i++)
        fence_name_index_add(index, &endpoint->addrs[i], &name);
}

/* The pods may have changed since the last look. */
static void refresh(struct fence_resolver *resolver)
{
    struct fence_endpoint_list endpoints = {0};

    resolver->generation++;
    fence_name_index_done(&resolver->addresses);
    (void)fence_endpoints_list(resolver->pins, &endpoints, NULL);
    for (size_t i = 0; i < endpoints.count; i++)
        name_addresses(&resolver->addresses, &endpoints.items[i]);
    fence_endpoint_list_done(&endpoints);
}

/* All that comes within a moment. */
static int drain_moment(struct fence_events *events)
{
    struct pollfd ready = {.fd = fence_events_fd(events), .events = POLLIN};
    long long end = now_ms() + MOMENT_MS;

    while (now_ms() < end) {
        int r = fence_events_consume(events);

        if (r < 0)
            return r;
        r = poll(&ready, 1, FENCE_EVENTS_CONSUME_MS);
        if (r < 0 && errno != EINTR)
            return -errno;
    }
    return 0;
}

/* What is in the ring and comes within a moment; when following, until the daemon is there and
 * reads it. */
static int drain(struct ring *ring, struct fence_events *events)
{
    int r;

    do {
        refresh(&ring->resolver);
        r = fence_events_listen(ring->resolver.pins, FENCE_HEARING_ALL);
        if (r == 0)
            r = fence_events_flush(ring->resolver.pins, 0);
        if (r >= 0)
            r = drain_moment(events);
        if (r < 0)
            return r;
        fflush(stdout);
    } while (ring->observation->follow && !daemon_runs(ring->observation->ctl));
    r = fence_events_consume(events);
    return r < 0 ? r : 0;
}

int ctl_observe_ring(struct ctl_observation *observation)
{
    struct ring ring = {.observation = observation};
    struct ctl *ctl = observation->ctl;
    struct fence_settings settings = {0};
    struct fence_events *events = NULL;
    struct fence_pins pins;
    struct fence_err err = {0};
    int r = ctl_open_pins(ctl, &pins);

    if (r != CTL_DONE)
        return r;
    (void)fence_settings_read(&pins, &settings);
    ring.resolver = (struct fence_resolver){
        .pins = &pins, .node_name = "", .trust_domain = settings.trust_domain};
    r = fence_events_new(&pins, on_event, &ring, &events, &err);
    if (r == 0)
        r = drain(&ring, events);
    if (r < 0)
        ctl_fail(ctl, "cannot read the events: %s", *err.text ? err.text : strerror(-r));
    fence_events_free(&events);
    fence_resolver_done(&ring.resolver);
    fence_pins_close(&pins);
    return r < 0 ? CTL_FAILED : CTL_DONE;
}
