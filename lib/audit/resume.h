/* SPDX-License-Identifier: Apache-2.0 */
/* What a file that was written before ends with. */
#pragma once

#include <sys/types.h>

#include "lib/audit/chain.h"

struct fence_audit_end {
    bool empty;   /* the file has no byte */
    bool strange; /* its last whole line is no record: nothing can go on from there */
    bool keyed;   /* as its first line says */
    uint64_t seq; /* of the last record, 0 = there is no whole line */
    char hash[FENCE_AUDIT_HASH_TEXT];
    off_t whole; /* bytes of whole lines */
    size_t torn; /* bytes behind them */
    char torn_text[FENCE_AUDIT_STRING_MAX];
};

/* -errno of reading. */
int fence_audit_end_read(int fd, struct fence_audit_end *ret_end);
