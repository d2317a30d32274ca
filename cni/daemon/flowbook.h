/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow book (lib/flows/book.h) of this node: filled from the kernel's map, kept in --state as
 * `flows.jsonl`. Writing it is a child's work, so that no disk holds up the loop. Whatever happens
 * to it, enforcement goes on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <cjson/cJSON.h>

#include "cni/daemon/loop.h"
#include "lib/flows/book.h"

struct fence_client;
struct fence_daemon;
struct fence_record;

struct fence_flowbook {
    struct fence_flow_book *book; /* NULL = out of memory at the start: there is none */
    struct fence_timer timer;
    char boot[128];         /* this boot, and the place of the pins */
    uint64_t saved_version; /* of the book, when it was written last */
    uint64_t saved_ns;      /* CLOCK_BOOTTIME */
    uint64_t writing_version;
    pid_t writer;     /* a child that writes it now; 0 = none */
    bool cannot_look; /* has been said */
    bool cannot_save;
    uint64_t looked_us; /* how long the last look took */
};

/* A file that cannot be read is named, set aside (`flows.jsonl.broken`) and replaced. */
int fence_flowbook_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_flowbook_done(struct fence_daemon *daemon);

/* Count what the kernel has counted until now. Also before numbers of identities are freed. */
void fence_flowbook_look(struct fence_daemon *daemon);

/* A record tells an address of the world. */
void fence_flowbook_record(struct fence_daemon *daemon, const struct fence_record *record);
/* Would records of allowed connections tell it something? */
bool fence_flowbook_wants_records(const struct fence_daemon *daemon);

/* Member `flows` of the status. */
void fence_flowbook_add_status(cJSON *status, const struct fence_daemon *daemon);

/* {"op":"flows"}: lib/api/README.md. */
void fence_flowbook_answer(struct fence_client *client, const cJSON *request);
