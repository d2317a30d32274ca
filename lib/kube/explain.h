/* SPDX-License-Identifier: Apache-2.0 */
/* What the API server says, as a text for people: in one line, whatever it says. */
#pragma once

#include <stddef.h>

#include "lib/base/err.h"

/* "HTTP 403: pods is forbidden ...": the message of a Status, or the first line of another text.
 * `body` may be cut anywhere. */
void fence_kube_explain(long status, const char *body, struct fence_err *ret_err);
/* Append to `text`, of which `room` bytes are there in all, as much as fits. */
void fence_kube_collect(char *text, size_t room, const char *data, size_t size);
/* Control characters become blanks. */
void fence_kube_make_printable(char *text);
