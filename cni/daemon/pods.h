/* SPDX-License-Identifier: Apache-2.0 */
/* Which pod or service has an address: for showing only, never for a verdict. */
#pragma once

#include "cni/daemon/locals.h"
#include "lib/api/name.h"
#include "lib/objects/store.h"

/* What was in it is forgotten. Without memory for all, some addresses have no name. */
void fence_pods_fill(struct fence_name_index *index, const struct fence_store *store,
                     const struct fence_locals *locals);
