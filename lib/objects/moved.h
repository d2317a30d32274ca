/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that left their unit: until the changes are done with, another unit that has such an
 * object and had to refuse it can take it as its last good version (fence_store_keep_moved).
 * Private to the store.
 */
#pragma once

#include "lib/objects/store_internal.h"

/* Note that entries of a unit are about to leave it: their places in it, NULL for the first of
 * them. Its texts are still theirs. -ENOMEM: nothing is noted. */
int fence_moved_note(struct fence_store *store, const struct fence_unit *unit, const size_t *places,
                     size_t count);
void fence_moved_forget(struct fence_store *store);
