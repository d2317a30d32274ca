/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the API are read another way than files; what comes out must be the same. */
#pragma once

#include <stdbool.h>

/*
 * Decode one object both ways: equal object, text, id, reason, warning, but for the lines. NULL
 * when they agree; else what differs, a new string. *ret_read is false when it is none of the kinds
 * that are read.
 */
char *same_decoding(const char *json, bool *ret_read);
