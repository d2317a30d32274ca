/* SPDX-License-Identifier: Apache-2.0 */
/* Moments in the answers of the socket: RFC 3339 in UTC. */
#pragma once

#include <stdint.h>

#include <cjson/cJSON.h>

/* Milliseconds since 1970. */
int64_t fence_time_now_ms(void);

/* To the second; null for 0. */
void fence_time_add(cJSON *object, const char *name, int64_t seconds);
/* To the millisecond; null for 0. */
void fence_time_add_ms(cJSON *object, const char *name, int64_t ms);
