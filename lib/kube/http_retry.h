/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * Value of a Retry-After header, seconds or a date (RFC 9110, 10.2.3), in ms from now: at most a
 * day, 0 for what is past, -1 when it is neither.
 */
long fence_http_retry_after_ms(const char *data, size_t size);
