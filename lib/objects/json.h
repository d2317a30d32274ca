/* SPDX-License-Identifier: Apache-2.0 */
/* Where JSON is not a subset of what libyaml reads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/*
 * JSON writes characters beyond U+FFFF as two \uXXXX escapes (a surrogate pair), which libyaml
 * refuses. When `data` is JSON and has such escapes, *ret_text is the same text with them written
 * as \UXXXXXXXX, half pairs as U+FFFD (as Go reads them); else NULL. Lines stay the same.
 */
int fence_json_convert(const char *data, size_t size, char **ret_text, struct fence_err *err);

/*
 * The \uXXXX at `text`, or two of them that are a pair; half of a pair is U+FFFD. Returns the bytes
 * it takes; 0 when there is none.
 */
size_t fence_json_escape(const char *text, size_t left, uint32_t *ret_point);

/* By JSON's grammar. */
bool fence_json_is_number(const char *text);
