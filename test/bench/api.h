/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a world (bench_world_write) as an API server would tell them: one list a kind. */
#pragma once

#include "lib/objects/store.h"

int bench_api_read(struct fence_store *store, const char *folder, struct fence_err *err);
