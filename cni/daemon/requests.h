/* SPDX-License-Identifier: Apache-2.0 */
/* What a message to the daemon asks for: lib/api/README.md. */
#pragma once

#include <cjson/cJSON.h>

struct fence_client;

void fence_requests_handle(struct fence_client *client, const cJSON *request);
