/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --audit-log: who talked to whom, what was refused, and every change of policy, in a hash-chained
 * file (lib/audit). Connections are written once a second, everything else at once; both are then
 * synced by a thread that does nothing else, so that no disk makes the daemon wait. What goes wrong
 * with the file is logged once, counted, and changes nothing else.
 *
 * Without --audit-log none of this does anything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "cni/daemon/audit_sync.h"
#include "cni/daemon/loop.h"
#include "lib/api/record.h"
#include "lib/audit/writer.h"

struct fence_daemon;
struct fence_audit_known;
struct fence_audit_refused;

/* Of options_audit.c; texts are borrowed from argv. */
struct fence_audit_options {
    const char *path; /* NULL: no audit log */
    const char *key;  /* file, NULL: the chain has none */
    uint64_t size;
    unsigned int files;
};

struct fence_audit {
    struct fence_audit_writer *writer; /* NULL: no audit log */
    struct fence_audit_key key;
    struct fence_audit_sync sync;
    struct fence_timer tick;
    struct fence_audit_known *policies;  /* uthash: where the policies in force came from */
    struct fence_audit_refused *refused; /* uthash: problems that were told, at most 4096 */
    int failing;                         /* as last logged */
    bool begun;                          /* the first policies have been written */
};

/* A step of the daemon's start. */
int fence_audit_init(struct fence_daemon *daemon, struct fence_err *err);
/* With a last record `stop`. */
void fence_audit_done(struct fence_daemon *daemon);

/* As a consumer of records (observe.h). */
void fence_audit_record(struct fence_daemon *daemon, const struct fence_record *record);
void fence_audit_lost(struct fence_daemon *daemon, const struct fence_lost *lost);
bool fence_audit_wanted(const struct fence_daemon *daemon);

/*
 * Write a record of this type (a-z and -) at once; takes `details`, an object, whose members are
 * the record's (NULL: none). What is longer than a line can be is left out, and its size told.
 */
void fence_audit_note(struct fence_daemon *daemon, const char *type, cJSON *details);

/* The changes of policies that the store has (fence_store_changes) are in force. */
void fence_audit_policies(struct fence_daemon *daemon);
/* What is refused may be something else than before. */
void fence_audit_refusals(struct fence_daemon *daemon);
/* Frees what these two keep. */
void fence_audit_policies_done(struct fence_audit *audit);

/* "audit" of status: null, or where the chain ends and what is wrong. */
cJSON *fence_audit_json(const struct fence_daemon *daemon);
