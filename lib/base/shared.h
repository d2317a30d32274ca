/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Immutable strings and label sets that are kept once, however many have them: 100,000 pods have a
 * few thousand label sets. Equal content is one pointer while it lives. Counted references; one
 * thread.
 */
#pragma once

#include "lib/base/labels.h"
#include "lib/base/slots.h"

/* A reference to the one string of this content; NULL when out of memory. */
const char *fence_shared_string(const char *text);
/* One more reference. */
const char *fence_shared_string_ref(const char *shared);
/* Drops the reference and sets *shared to NULL; accepts NULL in it. */
void fence_shared_string_unref(const char **shared);

/* The same for label sets. */
const struct fence_labels *fence_shared_labels(const struct fence_labels *from);
const struct fence_labels *fence_shared_labels_ref(const struct fence_labels *shared);
void fence_shared_labels_unref(const struct fence_labels **shared);
/* The empty one; needs no unref, but bears it. */
const struct fence_labels *fence_shared_labels_none(void);

/*
 * What all of these are made of: bytes that are kept once, behind a header of the pool's kind that
 * `fill` (may be NULL) makes when they are new; `destroy` (may be NULL) is called before they go.
 */
struct fence_shared_pool {
    struct fence_slots entries;
    size_t header_size;
    void (*fill)(void *header, size_t size);
    void (*destroy)(void *header);
};
/* The header, with one reference more; NULL when out of memory. */
const void *fence_shared_get(struct fence_shared_pool *pool, const void *bytes, size_t size);
void fence_shared_ref(const void *header);
void fence_shared_unref(struct fence_shared_pool *pool, const void *header);
