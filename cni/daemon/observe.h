/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring buffer: always read, so that nothing is lost for want of a reader. Each event becomes a
 * record, with names, and is handed to the consumers of the table in observe.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "cni/daemon/loop.h"
#include "cni/daemon/recent.h"
#include "lib/api/event_json.h"
#include "lib/api/record.h"
#include "lib/api/resolve.h"
#include "lib/datapath/events.h"

struct fence_daemon;

/* A part of the daemon that looks at records. None may block, or keep texts of a record. */
struct fence_consumer {
    void (*record)(struct fence_daemon *daemon, const struct fence_record *record);
    /* Some events could not be told. NULL: it does not matter. */
    void (*lost)(struct fence_daemon *daemon, const struct fence_lost *lost);
    /* Does it have to hear of new connections that are allowed? NULL: never. */
    bool (*wanted)(const struct fence_daemon *daemon);
    enum fence_hearing hearing; /* of which of them, then */
};

/* The record that was wanted as JSON last. */
struct fence_observe_text {
    uint64_t number; /* 0 = none */
    size_t size;
    char text[FENCE_EVENT_JSON_MAX];
};

struct fence_observe {
    struct fence_events *events;
    struct fence_fd_watch watch;
    struct fence_timer timer;   /* to go on listening */
    struct fence_timer consume; /* see lib/datapath/events.h */
    struct fence_timer flush;
    struct fence_resolver resolver;
    struct fence_recent recent;
    struct fence_observe_text text;
    uint64_t seen;
    uint64_t lost;      /* of the kernel's counter, as last looked at */
    uint64_t lost_told; /* since the start */
};

int fence_observe_init(struct fence_daemon *daemon, struct fence_err *err);
/* Take what is in the ring: before the maps have other names for its numbers. */
void fence_observe_drain(struct fence_daemon *daemon);
/* Go on hearing of allowed connections as long as they are wanted: at least every
 * FENCE_LISTEN_SECONDS, and at once when somebody begins to want them. */
void fence_observe_listen(struct fence_daemon *daemon);
/* A record as lib/api/event_json.h has it, made once for all who want it: valid until another one
 * is asked for. *ret_size is 0 when it does not fit. */
const char *fence_observe_text(struct fence_daemon *daemon, const struct fence_record *record,
                               size_t *ret_size);
/* For the status: {"seen":12,"lost":0,"observers":1,"log":null}. */
cJSON *fence_observe_json(const struct fence_daemon *daemon);
void fence_observe_done(struct fence_daemon *daemon);
