/* SPDX-License-Identifier: Apache-2.0 */
/* The ring buffer. One consumer at a time: the daemon, or podfencectl when there is no daemon. */
#pragma once

#include "lib/datapath/pins.h"

struct fence_events; /* opaque */

typedef void (*fence_event_handler)(void *context, const struct fence_event *event);

int fence_events_new(const struct fence_pins *pins, fence_event_handler handler, void *context,
                     struct fence_events **ret_events, struct fence_err *err);
void fence_events_free(struct fence_events **events);
int fence_events_fd(const struct fence_events *events); /* epoll descriptor */
/*
 * New connections that are allowed are told only while somebody listens: for the next
 * FENCE_LISTEN_SECONDS from now. Drops, cuts and what audited policies would deny are always told.
 */
#define FENCE_LISTEN_SECONDS 10
int fence_events_listen(const struct fence_pins *pins);
/* Hand over what is there; never blocks. Returns how many. */
int fence_events_consume(struct fence_events *events);
