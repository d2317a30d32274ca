/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that go into objects of the API: bounded, and UTF-8 whatever they were. */
#pragma once

#include <stddef.h>

/* As snprintf's "%s", but whole characters alone; what is no UTF-8 becomes '?'. */
void fence_report_copy(char *to, size_t size, const char *from);
