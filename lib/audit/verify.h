/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads an audit log record by record and checks the chain (chain.h). Files are given in the order
 * of their records (fence_audit_first_seq); where the first of them is not the first of all, what
 * was before it is not known, and said so.
 */
#pragma once

#include <stdio.h>

#include "lib/audit/chain.h"

/* The first thing that is wrong. */
enum fence_audit_break {
    FENCE_AUDIT_INTACT,
    FENCE_AUDIT_MALFORMED,    /* a line that is no record */
    FENCE_AUDIT_CHANGED,      /* its hash is not that of its text */
    FENCE_AUDIT_MISSING,      /* records before it are missing, or are others */
    FENCE_AUDIT_NO_BEGINNING, /* the file does not begin with its record `file` */
    FENCE_AUDIT_NOT_KEYED,    /* a key was given, and the file is not sealed with one */
    FENCE_AUDIT_CUT_OFF,      /* a line without its end in a file that others follow */
    FENCE_AUDIT_BREAKS,
};
/* "changed", ... */
const char *fence_audit_break_name(enum fence_audit_break kind);
/* A sentence. */
const char *fence_audit_break_text(enum fence_audit_break kind);

struct fence_audit_verdict {
    enum fence_audit_break kind;
    size_t file;      /* number of the file, from 0, where it is broken */
    uint64_t line;    /* from 1 */
    uint64_t records; /* that hold, as all that follows: up to the break */
    size_t files;     /* looked at */
    uint64_t first_seq, last_seq;
    char from[FENCE_AUDIT_TIME_TEXT], to[FENCE_AUDIT_TIME_TEXT];
    char last_hash[FENCE_AUDIT_HASH_TEXT];
    bool unfinished;        /* the last file ends with a part of a line: it is being written, or a
                               crash has torn it and nobody has gone on since */
    uint64_t torn;          /* lines that crashes had torn, by the records that say so */
    uint64_t gaps, missing; /* records `gap`, and the records that they count */
    uint64_t unclean;       /* starts without a stop before them */
};

/* Zeroed but for what is said; 64 KiB, whatever the files hold. */
struct fence_audit_verify {
    const struct fence_audit_key *key; /* keyed = false: none was given */
    struct fence_audit_verdict verdict;
    /* NULL, or called for each record that holds */
    void (*visit)(void *context, const struct fence_audit_line *line);
    void *context;
    char prev[FENCE_AUDIT_HASH_TEXT]; /* that the next record must have */
    bool running;                     /* a start without a stop yet */
    char line[FENCE_AUDIT_LINE_MAX];
};

/*
 * Check one more file; `last`: none follows. Stops at the first break (and a file after a break is
 * not looked at). -ENOKEY: the file is sealed with a key and none was given; -errno of reading.
 */
int fence_audit_verify_file(struct fence_audit_verify *verify, FILE *file, bool last,
                            struct fence_err *err);

/* The number of the first record, to sort files by; 0 when its first line is no record. The file
 * stands at its beginning afterwards. */
uint64_t fence_audit_first_seq(FILE *file);
