/* SPDX-License-Identifier: Apache-2.0 */
/* podfencectl audit: files of the audit log, verified, and what they say about a time. */
#pragma once

#include "cni/ctl/ctl.h"
#include "lib/audit/verify.h"

/* The files of one log in the order of their records. */
struct ctl_audit_files {
    struct ctl_audit_file {
        const char *path; /* borrowed */
        FILE *stream;
        uint64_t first; /* number of the first record, 0 = it has none */
    } * items;
    size_t count;
};

/* Returns an exit status when a file cannot be opened, else CTL_DONE. */
int ctl_audit_open(const struct ctl *ctl, char **paths, size_t count,
                   struct ctl_audit_files *ret_files);
void ctl_audit_close(struct ctl_audit_files *files);

/* Verify all of them; `visit` (may be NULL) gets each record that holds. Exit status of trouble
 * that is not a break of the chain, else CTL_DONE. */
int ctl_audit_verify(const struct ctl *ctl, const struct ctl_audit_files *files,
                     struct fence_audit_verify *verify);

/* What the verification says, as JSON. */
cJSON *ctl_audit_verdict(const struct ctl_audit_files *files,
                         const struct fence_audit_verdict *verdict);
/* The same for people. */
void ctl_audit_show_verdict(const cJSON *verdict);

int ctl_audit_report(struct ctl *ctl, int argc, char **argv);

/* ---- the report ----------------------------------------------------------------------------- */

/* Of equal connections one is kept, and of more different ones than these a count. */
#define CTL_AUDIT_PAIRS_MAX   65536u
#define CTL_AUDIT_CHANGES_MAX 65536u

struct ctl_audit_pair;

struct ctl_audit_book {
    char from[20], to[20];        /* as the times of records begin; "" = no limit */
    const char *app;              /* NS/APP of one end, NULL = all */
    struct ctl_audit_pair *pairs; /* uthash */
    cJSON *changes;               /* array: policies, refusals, cuts, alarms, starts and stops */
    size_t change_count;
    uint64_t records; /* in the time, of that app */
    uint64_t omitted; /* connections and changes beyond these limits */
};

/* A record of the log; what is not in the time, or not of the app, is passed over. */
void ctl_audit_book_add(struct ctl_audit_book *book, const struct fence_audit_line *line);
/* {"connections":[...],"changes":[...],...}; takes the changes out of the book. NULL: no memory. */
cJSON *ctl_audit_book_json(struct ctl_audit_book *book);
void ctl_audit_book_done(struct ctl_audit_book *book);

/* "2026-11-27", "2026-11-27T09:30:00Z", or how long ago: "90s", "30m", "2h", "7d". -EINVAL. */
int ctl_audit_time_parse(const char *text, int64_t now, char ret_time[20]);
