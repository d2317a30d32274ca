/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that observe. Each has a place in the latest records (recent.h) and is sent what fits his
 * filter as fast as he takes it: who is slow holds no memory but is told how many he has missed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/api/event_json.h"
#include "lib/api/filter.h"

struct fence_client;
struct fence_daemon;

#define FENCE_OBSERVERS_MAX 64

/* Of one client. Zeroed = does not observe. */
struct fence_observer {
    bool on;
    bool follows; /* goes on with what comes */
    bool behind;  /* there is more than was sent in one go */
    struct fence_filter filter;
    uint64_t next;     /* number of the record to look at */
    uint64_t until;    /* of the last one, or UINT64_MAX */
    uint64_t since_ns; /* older ones do not fit */
    uint64_t lost;     /* by the kernel, not told yet */
};

/* Of all of them. */
struct fence_observers {
    size_t count;
};

/* The request {"op":"observe",...}: lib/api/README.md. */
void fence_observers_handle(struct fence_client *client, const cJSON *request);
/* The client has taken all that it was sent. */
void fence_observer_go_on(struct fence_client *client);
void fence_observer_done(struct fence_client *client);

/* As a consumer of records (observe.h). */
void fence_observers_record(struct fence_daemon *daemon, const struct fence_record *record);
void fence_observers_lost(struct fence_daemon *daemon, const struct fence_lost *lost);
bool fence_observers_wanted(const struct fence_daemon *daemon);
