/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bearer token: given as it is, or in a file that the kubelet replaces as it runs out. It
 * stands in no message.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/base/err.h"

struct fence_token {
    char *file; /* NULL: `text` never changes */
    char *text; /* NULL: none, or not read yet */
    bool stale;
    uint64_t looked_ns; /* boot time of the last look at the file */
    struct stat seen;   /* the file that `text` is of */
};

/* Copies; both may be NULL. The file is not read yet. -EINVAL: no token that a header can hold. */
int fence_token_init(struct fence_token *token, const char *text, const char *file,
                     struct fence_err *err);
void fence_token_done(struct fence_token *token);

/*
 * Borrowed, until the next call; NULL when there is none. The file is read again when it was called
 * stale, and when it has changed, looked at once a minute at most. One that cannot be read is an
 * error only as long as no token is known.
 */
int fence_token_get(struct fence_token *token, const char **ret_text, struct fence_err *err);
void fence_token_renew(struct fence_token *token);

/* Can a header hold it? Refused: empty, spaces within, control characters. */
bool fence_token_is_valid(const char *text);
