/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to claims.c, owners.c and routes.c. A claimant is a tagged pointer: an object (Pod, Node
 * or Service), a subject, or this node's own list of addresses. Most addresses have one claimant,
 * which stands in the entry itself; where there are several, a contest stands there.
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

/* What the claims on an address come to. */
struct fence_ownership {
    const struct fence_addr *addr;
    const struct fence_object *service; /* the first by name */
    const struct fence_subject *local;
    const struct fence_object *pod;
    const struct fence_object *node;
    const struct fence_object *rival_pod;    /* one more */
    const struct fence_subject *rival_local; /* one more */
    bool cluster;                            /* some service has it as a clusterIP */
    bool host;
    bool stated; /* by this node's own object */
};

/* It refers to the entry's address. */
struct fence_ownership fence_ownership_of(const struct fence_compiler *compiler,
                                          const struct fence_address *entry);
/* Does anybody but a service claim it? */
bool fence_ownership_has_base(const struct fence_ownership *ownership);
/* Who has the address where services do not count, without a route. */
int fence_ownership_draft(struct fence_compiler *compiler, const struct fence_ownership *ownership,
                          struct fence_peer_draft *draft);
/* Is it a node's by what a Node object says, whatever services have it too? What the cluster gave
 * to a service is the service's alone, on whatever device of whichever node it is. */
bool fence_ownership_is_node(const struct fence_ownership *ownership);
/* Do ports of the address lead elsewhere: is it a service's, or a node's with ports of its own? */
bool fence_ownership_is_routed(const struct fence_compiler *compiler,
                               const struct fence_ownership *ownership);
/* The address belongs to that peer from now on (or to none); the entry is marked. */
int fence_owner_set(struct fence_compiler *compiler, struct fence_address *entry, uint32_t peer);

/* Has the object this node's name? NULL has not. */
bool fence_is_own_node(const struct fence_compiler *compiler, const struct fence_object *node);
/* The shape that a claiming pod got with its claim. */
bool fence_claim_shape(const struct fence_compiler *compiler, const struct fence_object *pod,
                       uint32_t *ret_shape);
