/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring buffer. One consumer at a time: the daemon, or podfencectl when there is no daemon.
 *
 * What a consumer does:
 * - fence_events_consume at least every FENCE_EVENTS_CONSUME_MS, by a timer of its own, and
 *   whenever the descriptor is readable. The kernel wakes nobody for a record, which would cost
 *   more than the record, but for a cut (FENCE_EVENT_CUT) and when a quarter of the ring is full.
 *   The ring has room for some 10,000 records.
 * - fence_events_flush each second, so that numbers of drops that were left out are told when no
 *   further record tells them.
 *
 * Drops are told within limits (bpf/event.bpf.h): of equal ones 4 a second, of those of one
 * endpoint, reason and direction 100. All others are counted, none is left out in silence:
 * fence_events_books.
 */
#pragma once

#include "lib/datapath/pins.h"

struct fence_events; /* opaque */

typedef void (*fence_event_handler)(void *context, const struct fence_event *event);

#define FENCE_EVENTS_CONSUME_MS 50

int fence_events_new(const struct fence_pins *pins, fence_event_handler handler, void *context,
                     struct fence_events **ret_events, struct fence_err *err);
void fence_events_free(struct fence_events **events);
int fence_events_fd(const struct fence_events *events); /* epoll descriptor */
/*
 * New connections that are allowed are told only while somebody listens: for the next
 * FENCE_LISTEN_SECONDS from now. Drops, cuts and what audited policies would deny are always told.
 */
#define FENCE_LISTEN_SECONDS 10
int fence_events_listen(const struct fence_pins *pins, enum fence_hearing hearing);
/* Hand over what is there, at most some 1,000; never blocks. Returns how many. */
int fence_events_consume(struct fence_events *events);

#define FENCE_EVENTS_FLUSH_MS 1000
/*
 * A record (FENCE_EVENT_SUPPRESSED) into the ring for each number of drops that were left out and
 * that nothing has told for a second. `ifindex`: of that endpoint alone, and at once; 0 = of all.
 * The kernel walks event_limits once, some 50 microseconds. What does not fit into the ring is told
 * by the next call. Returns how many records, or a negative errno.
 */
int fence_events_flush(const struct fence_pins *pins, __u32 ifindex);

/* Since the data path was loaded; at rest, drops = records of drops + lost + suppressed. */
struct fence_events_books {
    __u64 lost;       /* records that found the ring full, of drops and of allowed connections */
    __u64 suppressed; /* drops that the limits left out */
    __u64 summed;     /* of these, told as a number in a later record */
    __u64 untold;     /* the rest: told by the next flush, or lost with an entry that gave way */
};
int fence_events_books(const struct fence_pins *pins, struct fence_events_books *ret_books);
