/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/read.h"

/* At most this many in one go: under a flood the caller has other things to do as well. */
#define CONSUME_MAX 1024

struct fence_events {
    struct ring_buffer *ring;
    fence_event_handler handler;
    void *context;
    int consumed;
};

static int sample(void *context, void *data, size_t size)
{
    struct fence_events *events = context;
    struct fence_event event;

    if (size < sizeof(event))
        return 0;
    memcpy(&event, data, sizeof(event));
    events->handler(events->context, &event);
    events->consumed++;
    /* The record is consumed all the same; this only ends the loop in libbpf. */
    return events->consumed >= CONSUME_MAX ? -EAGAIN : 0;
}

int fence_events_new(const struct fence_pins *pins, fence_event_handler handler, void *context,
                     struct fence_events **ret_events, struct fence_err *err)
{
    struct fence_events *events = calloc(1, sizeof(*events));
    int r;

    if (!events)
        return fence_err_set(err, -ENOMEM, "out of memory");
    events->handler = handler;
    events->context = context;
    events->ring = ring_buffer__new(pins->maps[FENCE_MAP_EVENTS], sample, events, NULL);
    if (!events->ring) {
        r = -errno;
        free(events);
        return fence_err_set(err, r, "opening the event ring: %s", strerror(-r));
    }
    *ret_events = events;
    return 0;
}

void fence_events_free(struct fence_events **events)
{
    if (!*events)
        return;
    ring_buffer__free((*events)->ring);
    free(*events);
    *events = NULL;
}

int fence_events_fd(const struct fence_events *events)
{
    return ring_buffer__epoll_fd(events->ring);
}

int fence_events_listen(const struct fence_pins *pins, enum fence_hearing hearing)
{
    const __u32 index = hearing;
    struct fence_settings settings;
    __u64 until = 0;
    int r = fence_settings_read(pins, &settings);

    if (r == 0)
        r = fence_jiffies(pins, &until);
    if (r < 0)
        return r;
    until += (__u64)FENCE_LISTEN_SECONDS * settings.hz;
    return bpf_map_update_elem(pins->maps[FENCE_MAP_OBSERVED], &index, &until, BPF_ANY);
}

int fence_events_consume(struct fence_events *events)
{
    int r;

    events->consumed = 0;
    r = ring_buffer__consume(events->ring);
    return r < 0 && r != -EAGAIN ? r : events->consumed;
}
