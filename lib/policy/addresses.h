/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address -> peer for every address of the cluster: a hash table with open addressing, 32 bytes an
 * address, because there are as many of these as there are pods. The hash is keyed: addresses of
 * the cluster are chosen by whoever writes Pod objects.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/addr.h"

#define FENCE_ADDRESS_NONE UINT32_MAX

struct fence_address {
    struct fence_addr addr;
    uintptr_t owner; /* the compiler's; 0 = nobody's */
    uint32_t peer;   /* index; FENCE_ADDRESS_NONE = none (any more) */
    uint32_t told;   /* what whoever applies the plan has made of it; theirs to write */
};

/* Zeroed = empty. */
struct fence_addresses {
    struct fence_address *slots;
    unsigned char *states; /* enum fence_address_state, one for each slot */
    size_t size;
    size_t count;
    size_t used;               /* count, and slots of removed ones */
    struct fence_addr *marked; /* to be looked at: may have moved, may not be there any more */
    size_t marked_count;
    size_t marked_capacity;
};

void fence_addresses_done(struct fence_addresses *addresses);
/* NULL when it is not there. Valid until something is added. */
struct fence_address *fence_addresses_find(const struct fence_addresses *addresses,
                                           const struct fence_addr *addr);
/* The entry, made (without owner and peer) when there is none. NULL when out of memory. */
struct fence_address *fence_addresses_obtain(struct fence_addresses *addresses,
                                             const struct fence_addr *addr);
/* Take one out that is not in the list of those to be looked at. */
void fence_addresses_remove(struct fence_addresses *addresses, struct fence_address *entry);
/* All of them: begin with *position 0; NULL at the end. */
struct fence_address *fence_addresses_next(const struct fence_addresses *addresses,
                                           size_t *position);
/* Put it into the list of those to be looked at, once. -ENOMEM. */
int fence_addresses_mark(struct fence_addresses *addresses, struct fence_address *entry);
/* The marked ones have been seen: those of which the right thing was told are marked no more, and
 * go when they have neither peer nor owner. */
void fence_addresses_told(struct fence_addresses *addresses);
/* Forget what was told: every entry is marked. -ENOMEM. */
int fence_addresses_touch_all(struct fence_addresses *addresses);
