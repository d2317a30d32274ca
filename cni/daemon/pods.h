/* SPDX-License-Identifier: Apache-2.0 */
/* Which pod has an address: for showing only, never for a verdict. */
#pragma once

#include "cni/daemon/locals.h"
#include "lib/api/event_json.h"
#include "lib/objects/store.h"

struct fence_pod_entry; /* opaque */

/* Zeroed = empty. */
struct fence_pod_index {
    struct fence_pod_entry *table;
};

/* What was in it is forgotten. Without memory for all, some addresses have no name. */
void fence_pod_index_fill(struct fence_pod_index *index, const struct fence_store *store,
                          const struct fence_locals *locals);
/* 0 or -ENOENT. */
int fence_pod_index_find(const struct fence_pod_index *index, const struct fence_addr *addr,
                         struct fence_pod_name *ret_name);
void fence_pod_index_done(struct fence_pod_index *index);
