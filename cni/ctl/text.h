/* SPDX-License-Identifier: Apache-2.0 */
/* Text from the cluster on its way to a terminal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes of the UTF-8 character at `text` and its code point; 0 when it is no valid one. */
size_t ctl_utf8_next(const char *text, unsigned int *ret_point);

/* A copy of `text` as fence_print_safe shows it; NULL when out of memory. */
char *ctl_safe_text(const char *text);

/* Columns that a terminal needs for `text`; wide characters count as two. */
size_t ctl_text_width(const char *text);

/*
 * JSON as cJSON printed it, with everything that fence_print_safe would not show as a \u escape,
 * so that it means the same. Bytes that are no UTF-8 become U+FFFD.
 */
void ctl_print_escaped(FILE *out, const char *json);

/* Messages may begin with "line 12: ": the rest of it, and the number in *line; else untouched. */
const char *ctl_split_line(const char *text, unsigned int *line);

/* Escape sequence for words such as "deny" and "allow", "" for others and without color. */
const char *ctl_color_of(bool color, const char *word);
#define CTL_COLOR_END "\033[0m"
