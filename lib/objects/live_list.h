/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of all objects of a kind while it comes in: the names of all that it had, eight bytes
 * each, and the objects that are not in force as they are.
 */
#pragma once

#include "lib/objects/decode.h"

struct fence_live_item {
    uint64_t name;
    size_t place; /* a later one of the same name counts */
    struct fence_decoded decoded;
};

/* Zeroed = empty. */
struct fence_live_list {
    struct fence_live_item *items;
    size_t count;
    size_t capacity;
    uint64_t *names; /* open addressing, 0 = free; the lowest bit says that there is an item */
    size_t name_size;
    size_t name_count;
};

void fence_live_list_done(struct fence_live_list *list);
/* By what an object is known here: a hash that nobody outside can foresee. */
uint64_t fence_live_name(const char *id);
/* The list had it. -ENOMEM. */
int fence_live_list_tell(struct fence_live_list *list, uint64_t name);
bool fence_live_list_told(const struct fence_live_list *list, uint64_t name);
/* Does one of this name wait for the end? */
bool fence_live_list_waits(const struct fence_live_list *list, uint64_t name);
/* Let it wait, out of the caller's hands. -ENOMEM, and it is still the caller's. */
int fence_live_list_keep(struct fence_live_list *list, uint64_t name,
                         struct fence_decoded *decoded);
/* In the order of their names, one of each. */
void fence_live_list_sort(struct fence_live_list *list);
