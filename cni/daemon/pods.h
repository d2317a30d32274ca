/* SPDX-License-Identifier: Apache-2.0 */
/* Which pod or service has an address: for showing only, never for a verdict. */
#pragma once

#include "cni/daemon/locals.h"
#include "lib/api/event_json.h"
#include "lib/objects/store.h"
#include "lib/policy/intern.h"

struct fence_pod_entry {
    char *namespace_name;
    char *pod;
    bool service;
};

/* Zeroed = empty. */
struct fence_pod_index {
    struct fence_intern addresses; /* to an index into items */
    struct fence_pod_entry *items;
    size_t count;
    size_t capacity;
};

/* What was in it is forgotten. Without memory for all, some addresses have no name. */
void fence_pod_index_fill(struct fence_pod_index *index, const struct fence_store *store,
                          const struct fence_locals *locals);
/* 0 or -ENOENT. */
int fence_pod_index_find(const struct fence_pod_index *index, const struct fence_addr *addr,
                         struct fence_pod_name *ret_name);
void fence_pod_index_done(struct fence_pod_index *index);
