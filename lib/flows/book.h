/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow book: what the kernel's map `flows` has counted, by the names that the ends had at that
 * time, added up for longer than the kernel keeps it.
 *
 * The map's keys have numbers of identities, which are given to something else later; and an entry
 * may vanish (it is an LRU) and begin anew. So the book is shown the whole map again and again
 * (begin, count for each entry, end), keeps of each entry what it has counted so far (a cursor),
 * and adds the difference to the flow of the names. When a number has got another name since the
 * last look nobody can tell whose the difference was: it is lost, and counted as such.
 *
 * Bounded: FENCE_FLOWS_MAX flows, of which the one unseen for longest goes, and FENCE_FLOWS_SHARE
 * of one source, so that somebody who tries every port pushes out his own only;
 * FENCE_FLOW_CURSORS_MAX entries of the kernel's map. With them go the ends and texts that they
 * name: 5 MB for 16,384 flows among 1,000 workloads.
 */
#pragma once

#include <stdbool.h>

#include "lib/flows/flow.h"

#define FENCE_FLOWS_MAX        16384u
#define FENCE_FLOWS_SHARE      4096u
#define FENCE_FLOW_CURSORS_MAX 262144u

struct fence_flow_book; /* opaque */

struct fence_flow_losses {
    uint64_t pushed_out; /* flows that went for others */
    uint64_t unnamed;    /* connections of which nobody can tell whose they were */
    uint64_t vanished;   /* entries that the kernel let go of: what they counted since the last look
                          */
};

/* `wall_ns`: since when it has records. */
int fence_flow_book_new(uint64_t wall_ns, struct fence_flow_book **ret_book);
void fence_flow_book_free(struct fence_flow_book **book);

/* ---- what the kernel has counted ------------------------------------------------------------ */

/* Names of the kernel's numbers, as they are now. Texts must last until the next call. */
struct fence_flow_names {
    /* 0, or -ENOENT when the number has no name (any more) */
    int (*end)(void *context, uint32_t identity, struct fence_flow_end *ret_end);
    int (*rule)(void *context, uint32_t number, struct fence_flow_rule *ret_rule);
    void *context;
};

/* One moment by both clocks. */
struct fence_flow_moment {
    uint64_t jiffies;
    uint32_t hz;
    uint64_t wall_ns;
};

/* A look at the whole map: `names` must last until the end. */
void fence_flow_book_begin(struct fence_flow_book *book, const struct fence_flow_moment *moment,
                           const struct fence_flow_names *names);
/* One entry. -ENOMEM: not counted, the next look tries again. */
int fence_flow_book_count(struct fence_flow_book *book, const struct fence_flow_key *key,
                          const struct fence_flow *flow);
void fence_flow_book_end(struct fence_flow_book *book);

/*
 * An event tells the address of an end that is no workload; other events are passed over. The flow
 * may be one that the map has not told yet.
 */
int fence_flow_book_remote(struct fence_flow_book *book, const struct fence_event *event,
                           const struct fence_flow_names *names);
/* Are there connections with such ends of which too few addresses were told? Then it is worth
 * hearing of allowed connections (fence_events_listen). */
bool fence_flow_book_wants_remotes(const struct fence_flow_book *book);

/* ---- what is in it -------------------------------------------------------------------------- */

uint64_t fence_flow_book_since(const struct fence_flow_book *book);
struct fence_flow_losses fence_flow_book_losses(const struct fence_flow_book *book);
size_t fence_flow_book_size(const struct fence_flow_book *book);
/* Raised by whatever changes what fence_flow_book_save() would write. */
uint64_t fence_flow_book_version(const struct fence_flow_book *book);

/* Those seen since `since_ns` (0: all), the one unseen for longest first; stops when `visit`
 * returns non-zero and returns that. What it gets is the book's. */
int fence_flow_book_each(const struct fence_flow_book *book, uint64_t since_ns,
                         int (*visit)(void *context, const struct fence_flow_seen *flow),
                         void *context);

/* ---- kept on disk --------------------------------------------------------------------------- */

/*
 * Lines of JSON, a new text; NULL when out of memory. `boot` says whose counts the cursors are of:
 * the boot and the place of the pins.
 */
char *fence_flow_book_save(const struct fence_flow_book *book, const char *boot, size_t *ret_size);
/* The book back. Cursors of another `boot` are left out. -EINVAL names the line. */
int fence_flow_book_load(const char *text, const char *boot, struct fence_flow_book **ret_book,
                         struct fence_err *err);
