/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to claims.c and owners.c. A claimant is a tagged pointer: an object (Pod or Node), a
 * subject, or this node's own list of addresses. Most addresses have one claimant, which stands in
 * the entry itself; where there are several, a contest stands there.
 */
#pragma once

#include "lib/policy/compiler.h"

#define TAG_MASK    UINT64_C(3)
#define TAG_SUBJECT UINT64_C(1)
#define TAG_CONTEST UINT64_C(2) /* index of a contest << 2 */
#define OWNER_HOST  UINT64_C(3)

union fence_claimant {
    uintptr_t tagged;
    const struct fence_object *object;
    const struct fence_subject *subject;
};

static inline const struct fence_object *object_of(uintptr_t owner)
{
    union fence_claimant claimant = {.tagged = owner};

    return (owner & TAG_MASK) == 0 ? claimant.object : NULL;
}

static inline const struct fence_subject *subject_of(uintptr_t owner)
{
    union fence_claimant claimant = {.tagged = owner - TAG_SUBJECT};

    return (owner & TAG_MASK) == TAG_SUBJECT ? claimant.subject : NULL;
}

static inline bool is_contest(uintptr_t owner)
{
    return (owner & TAG_MASK) == TAG_CONTEST;
}

static inline struct fence_contest *contest_of(const struct fence_compiler *compiler,
                                               uintptr_t owner)
{
    return is_contest(owner) ? &compiler->contests[owner >> 2] : NULL;
}

/* Has the object this node's name? NULL has not. */
bool fence_is_own_node(const struct fence_compiler *compiler, const struct fence_object *node);
/* The shape that a claiming pod got with its claim. */
bool fence_claim_shape(const struct fence_compiler *compiler, const struct fence_object *pod,
                       uint32_t *ret_shape);
