/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the audit log: records are sealed into a buffer of fixed size, and the buffer goes to the
 * file when it is full, once a second (fence_audit_writer_tick), or at once where it matters.
 *
 * The file rotates when it has reached its size: FILE becomes FILE.1, that FILE.2, and so on; the
 * chain goes on. Each file begins with a record `file`. A writer that starts goes on with the chain
 * of the file that is there; a line that a crash has torn is taken out and kept as text of a record
 * `torn`.
 *
 * Nothing here waits for a disk that is full: what cannot be written stays in the buffer; when that
 * is full too, records are counted instead, and a record `gap` says how many as soon as there is
 * room again. So the chain in the file is whole, whatever happened.
 */
#pragma once

#include "lib/audit/chain.h"

struct fence_audit_writer; /* opaque */

struct fence_audit_writer_options {
    const char *path; /* borrowed, as the rest */
    const char *node_name;
    const struct fence_audit_key *key;
    size_t file_max;    /* bytes: rotate from there on; one buffer more is possible */
    unsigned int files; /* kept, the present one among them; at least 1 */
    /* Have the kernel bring this file to the disk. The descriptor may be closed afterwards. */
    void (*sync)(void *context, int fd);
    void *context;
};

/* What the file is now, and since the start. */
struct fence_audit_stats {
    uint64_t seq; /* of the last record that was sealed */
    const char *hash;
    uint64_t records; /* sealed */
    uint64_t missing; /* not recorded for want of room: told by records `gap`, or going to be */
    uint64_t errors;  /* tries to write that failed */
    int failing;      /* errno while that is so, 0 = all is well */
    bool resumed;     /* there was a chain to go on with */
    bool torn;        /* and its last line was torn */
};

/*
 * -ELOOP, -EINVAL: what is there is no regular file; -EBUSY: somebody else writes it. A disk that
 * is full or fails is no error: it is `failing` then, and tried again.
 */
int fence_audit_writer_new(const struct fence_audit_writer_options *options,
                           struct fence_audit_writer **ret_writer, struct fence_err *err);
/* Writes what is left and waits for the disk. */
void fence_audit_writer_free(struct fence_audit_writer **writer);

/*
 * Begin a record of at most `size` bytes (FENCE_AUDIT_LINE_MAX is the most); fence_audit_writer_end
 * seals it. NULL: there is no room, and it is counted as missing.
 */
struct fence_audit_text *fence_audit_writer_begin(struct fence_audit_writer *writer,
                                                  uint64_t wall_ns, const char *type, size_t size);
void fence_audit_writer_end(struct fence_audit_writer *writer);

/* Write the buffer and have it synced: for what must not be lost. */
void fence_audit_writer_flush(struct fence_audit_writer *writer);
/* Once a second: the same, when there is something, and a look whether the file is still there. */
void fence_audit_writer_tick(struct fence_audit_writer *writer);

struct fence_audit_stats fence_audit_writer_stats(const struct fence_audit_writer *writer);
