/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log's records: one JSON object a line, each sealed by a hash that covers the record
 * before it.
 *
 *   {"seq":7,"time":"2026-11-27T09:32:30.123456789Z","type":"policy",...,"prev":"<64
 * hex>","hash":"<64 hex>"}
 *
 * `hash` is SHA-256 (FIPS 180-4), or with a key HMAC-SHA-256 (RFC 2104), of the line without it:
 * {"seq":7,...,"prev":"..."}, byte by byte as it stands there. `prev` is the hash of the record
 * before, zeros for the first of all. `prev` and `hash` are always the last members.
 *
 * What this proves: that nobody changed, removed, inserted or reordered records without making
 * every later hash anew. Without a key, whoever may write the file can do just that. With one, only
 * who has the key can. In neither case does the file itself show that records are missing at its
 * very end: for that, seq and hash of the last one have to be known from elsewhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nettle/hmac.h>

#include "lib/audit/text.h"
#include "lib/base/err.h"

#define FENCE_AUDIT_HASH_TEXT 65 /* hex and NUL */
#define FENCE_AUDIT_TIME_TEXT 31 /* RFC 3339 with nanoseconds, UTC, and NUL */

/* A line with its newline is never longer. */
#define FENCE_AUDIT_LINE_MAX ((size_t)65536)

/* How records are sealed. */
struct fence_audit_key {
    bool keyed; /* false: plain SHA-256 */
    struct hmac_sha256_ctx hmac;
};

/* "sha256" or "hmac-sha256". */
const char *fence_audit_algorithm(const struct fence_audit_key *key);

/*
 * The key is the content of the file, of 16 to 4096 bytes, which nobody but its owner may read and
 * which is ours. Refused else, with what to do.
 */
int fence_audit_key_read(const char *path, struct fence_audit_key *ret_key, struct fence_err *err);

/* Where the chain ends. Zeroed, then fence_audit_chain_init. */
struct fence_audit_chain {
    struct fence_audit_key key;
    uint64_t seq; /* of the last record, 0 = none yet */
    char last[FENCE_AUDIT_HASH_TEXT];
    int64_t second; /* that `day` is the text of */
    char day[20];
};

void fence_audit_chain_init(struct fence_audit_chain *chain, const struct fence_audit_key *key);

/*
 * Begin the next record, {"seq":N,"time":"...","type":"..."; members follow (fence_audit_member).
 * fence_audit_seal ends it with prev, hash and a newline; only then is it the last one. Returns
 * -EMSGSIZE when the text was not large enough for it, and then the chain ends where it did.
 */
void fence_audit_begin(struct fence_audit_chain *chain, struct fence_audit_text *text,
                       uint64_t wall_ns, const char *type);
int fence_audit_seal(struct fence_audit_chain *chain, struct fence_audit_text *text);

/* What a line says of itself. */
struct fence_audit_line {
    uint64_t seq;
    char time[FENCE_AUDIT_TIME_TEXT];
    char type[32];
    char prev[FENCE_AUDIT_HASH_TEXT];
    char hash[FENCE_AUDIT_HASH_TEXT];
    const char *text; /* not terminated */
    size_t size;
};

/* `text` without its newline, borrowed. -EINVAL when this is no record. The hash is not checked. */
int fence_audit_line_parse(const char *text, size_t size, struct fence_audit_line *ret_line);
/* Is its hash what it should be? */
bool fence_audit_line_holds(const struct fence_audit_line *line, const struct fence_audit_key *key);
/* The member that follows `type` in records of ours that begin with a number:
 * "type":"gap","missing":5. 0 when it is not there. */
uint64_t fence_audit_line_number(const struct fence_audit_line *line, const char *key);
