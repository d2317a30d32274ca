/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text that is put together in memory of the caller's, without allocation: one line of the audit
 * log. What does not fit is left out, and `full` says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fence_audit_text {
    char *data;
    size_t size;     /* used */
    size_t capacity; /* of data */
    bool full;
};

/* As it is. */
void fence_audit_put(struct fence_audit_text *text, const char *piece, size_t size);
/* A string literal or any other string, as it is. */
void fence_audit_puts(struct fence_audit_text *text, const char *piece);
void fence_audit_put_number(struct fence_audit_text *text, uint64_t number);
/*
 * A JSON string with its quotes: quotes and backslashes escaped, and what would steer a terminal;
 * bytes that are no UTF-8 replaced by U+FFFD. At most FENCE_AUDIT_STRING_MAX bytes of `value` are
 * taken.
 */
#define FENCE_AUDIT_STRING_MAX 4096u
void fence_audit_put_string(struct fence_audit_text *text, const char *value);
void fence_audit_put_bytes(struct fence_audit_text *text, const char *value, size_t size);
/* JSON as cJSON printed it, which leaves such bytes in its strings as they are: they become \u
 * escapes here. At most FENCE_AUDIT_ESCAPED times as long. */
#define FENCE_AUDIT_ESCAPED 6
void fence_audit_put_json(struct fence_audit_text *text, const char *json, size_t size);
/* ,"key":"value" and ,"key":number. The key is ours. */
void fence_audit_member(struct fence_audit_text *text, const char *key, const char *value);
void fence_audit_member_number(struct fence_audit_text *text, const char *key, uint64_t number);
