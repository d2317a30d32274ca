/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a JSON value ends, byte by byte: strings, escapes and brackets, and nothing else of its
 * grammar, as the decoder of the object checks the rest. A NUL byte is refused, as what is handed
 * over ends with one; invalid UTF-8 is handed on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define FENCE_KUBE_DEPTH_MAX 64u

/* Zeroed = in front of a value. */
struct fence_kube_scan {
    uint64_t objects; /* a bit a level: it is an object, not an array */
    unsigned int depth;
    bool string;
    bool escaped;
    bool scalar; /* a number or a word */
};

enum fence_kube_scanned {
    FENCE_KUBE_SCAN_BEFORE, /* blanks in front of it */
    FENCE_KUBE_SCAN_INSIDE,
    FENCE_KUBE_SCAN_LAST, /* this byte is its last */
    FENCE_KUBE_SCAN_PAST, /* this byte is behind it: of numbers and words */
};

/* One of fence_kube_scanned, or -EBADMSG. */
int fence_kube_scan_byte(struct fence_kube_scan *scan, char byte, struct fence_err *err);
bool fence_kube_is_blank(char byte);

/* `value` points into the JSON; NULL when there is none of this name. */
struct fence_kube_member {
    const char *name;
    char *value;
    size_t size;
};

/* Find members of the object `json`. -EBADMSG: no object, or a member of `members` twice. */
int fence_kube_members(char *json, size_t size, struct fence_kube_member *members, size_t count,
                       struct fence_err *err);

/* Bytes that grow, ended by NUL. Zeroed = empty. */
struct fence_kube_text {
    char *data;
    size_t size;
    size_t capacity;
};

/* -ENOMEM; -EMSGSIZE when it would have more than `max`. */
int fence_kube_text_add(struct fence_kube_text *text, const char *data, size_t size, size_t max,
                        struct fence_err *err);
