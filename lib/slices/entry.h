/* SPDX-License-Identifier: Apache-2.0 */
/* What an address slice says of one pod or one node, from the object as the API server has it. */
#pragma once

#include <stdbool.h>

#include <cjson/cJSON.h>

/* All strings are the caller's. */
struct fence_slice_entry {
    char *key;   /* namespace/name of a pod, name of a node */
    char *group; /* JSON of what pods have in common, without the last brace; NULL of a node */
    char *text; /* JSON of the rest; NULL: it has no place in a slice (no node, no address, over) */
};

/* -ENOMEM; -EINVAL: it has no name. */
int fence_slice_entry_of_pod(const cJSON *pod, struct fence_slice_entry *ret_entry);
int fence_slice_entry_of_node(const cJSON *node, struct fence_slice_entry *ret_entry);
void fence_slice_entry_done(struct fence_slice_entry *entry);
