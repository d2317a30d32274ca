/* SPDX-License-Identifier: Apache-2.0 */
/* Merge patches: RFC 7386, and of kubectl's strategic ones what its labels, applies and patches
 * use. */
#pragma once

#include <stdbool.h>

#include <cjson/cJSON.h>

/* `target` is an object and changed in place; `patch` is only read. -ENOMEM. */
int patch_merge(cJSON *target, const cJSON *patch, bool strategic);
