/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that may be larger than a message. */
#pragma once

#include <cjson/cJSON.h>

struct fence_client;

/*
 * Send {"ok":true, name: content}, in parts where it must be (lib/api/README.md). `content` is a
 * list, or an object whose large members are lists. Takes `content`; NULL = out of memory.
 */
void fence_answer_send(struct fence_client *client, const char *name, cJSON *content);
