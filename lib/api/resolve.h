/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an event's numbers to a record's names. What the pins say is read once and kept, so that the
 * usual record costs neither a system call nor memory of its own.
 */
#pragma once

#include "lib/api/name.h"
#include "lib/api/record.h"
#include "lib/datapath/pins.h"

#define FENCE_RESOLVER_MAX 16384 /* names kept; then it begins anew */

/* An event and its names, by counted references: what a record is made from. */
struct fence_resolved {
    struct fence_event event;
    uint64_t wall_ns;
    uint64_t number; /* from 1, in the order of resolving */
    struct fence_name *endpoint;
    struct fence_name *identity;
    struct fence_name *peer_identity;
    struct fence_name *peer; /* who has the other end's address */
    struct fence_name *rule;
    struct fence_name *shadow_rule;
};

struct fence_resolver_entry {
    struct fence_name *name; /* NULL: there is none */
    uint64_t generation;
    uint64_t read_ns; /* CLOCK_BOOTTIME */
};

/* Which entry a number has led to. */
#define FENCE_RESOLVER_LATEST 256u
struct fence_resolver_latest {
    uint32_t kind;
    uint32_t number;
    uint32_t place; /* in entries, from 1; 0 = nothing is here */
};

/* Zeroed but for the first members = empty. */
struct fence_resolver {
    const struct fence_pins *pins; /* may be NULL: numbers and addresses only */
    const char *node_name;         /* "" = unknown, as the next */
    const char *trust_domain;
    struct fence_name_index addresses; /* the owner's to fill */
    /* raised by the owner when the maps may say something else: every name is looked at again */
    uint64_t generation;
    uint64_t secret;             /* of this process: what makes the UUIDs of records unique */
    uint64_t resolved;           /* how many events so far */
    struct fence_intern numbers; /* to an index into entries */
    struct fence_resolver_latest latest[FENCE_RESOLVER_LATEST];
    struct fence_resolver_entry *entries;
    size_t count;
    size_t capacity;
};

/* Without memory, names are missing. What is resolved refers to names until it is let go. */
void fence_resolve(struct fence_resolver *resolver, const struct fence_event *event,
                   struct fence_resolved *ret_resolved);
void fence_resolved_done(struct fence_resolved *resolved);

/* A view: its texts are those of `resolved` and the resolver, its event is in `resolved`. */
void fence_record_view(const struct fence_resolver *resolver, const struct fence_resolved *resolved,
                       struct fence_record *ret_record);

void fence_resolver_done(struct fence_resolver *resolver);
