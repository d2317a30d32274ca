/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 of texts that somebody else chose. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the sequence at `text`, its code point in *ret_point; 0 when it is invalid. */
size_t fence_utf8_next(const char *text, unsigned int *ret_point);

/* Shows as itself: no control character (C0, DEL, C1), no directional mark, embedding, override or
 * isolate, no line or paragraph separator. */
bool fence_utf8_is_harmless(unsigned int point);
