/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON straight into a buffer, for what is written thousands of times a second. Texts are hostile:
 * what a terminal would obey comes out as \\u escapes, and bytes that are no UTF-8 as U+FFFD, so
 * the result is valid JSON that is safe to show as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

struct fence_json_text {
    char *at;
    char *end; /* of the buffer; what does not fit is not written, and `full` */
    bool full;
};

/* As it is. */
void fence_json_raw(struct fence_json_text *json, const char *text, size_t size);
#define FENCE_JSON_LITERAL(json, literal) fence_json_raw((json), literal, sizeof(literal) - 1)

/* With its quotes. */
void fence_json_string(struct fence_json_text *json, const char *text);
/* `size` bytes without quotes. */
void fence_json_escaped(struct fence_json_text *json, const char *text, size_t size);
void fence_json_number(struct fence_json_text *json, uint64_t number);
/* As `digits` digits, with leading zeros. */
void fence_json_digits(struct fence_json_text *json, uint64_t number, unsigned int digits);
/* With its quotes, as the next. */
void fence_json_addr(struct fence_json_text *json, const struct fence_addr *addr);
/* "2026-01-02T03:04:05.123456789Z" of nanoseconds since 1970. */
void fence_json_time(struct fence_json_text *json, uint64_t wall_ns);
