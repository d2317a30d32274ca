/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"

enum fence_address_state {
    ADDRESS_FREE,
    ADDRESS_REMOVED, /* a search goes on behind it */
    ADDRESS_USED,
    ADDRESS_MARKED, /* used, and in the list of those to be looked at */
};

#define SIZE_MIN 64

/* Where a search begins. The size is no power of two: memory is what counts here. */
static size_t begin_of(const struct fence_addresses *addresses, const struct fence_addr *addr)
{
    uint64_t hash = fence_hash_secret(addr->bytes, sizeof(addr->bytes));

    return (size_t)(hash * addresses->size >> 32);
}

static size_t after(const struct fence_addresses *addresses, size_t slot)
{
    return slot + 1 == addresses->size ? 0 : slot + 1;
}

void fence_addresses_done(struct fence_addresses *addresses)
{
    free(addresses->slots);
    free(addresses->states);
    free(addresses->marked);
    *addresses = (struct fence_addresses){0};
}

struct fence_address *fence_addresses_find(const struct fence_addresses *addresses,
                                           const struct fence_addr *addr)
{
    if (!addresses->size)
        return NULL;
    for (size_t i = begin_of(addresses, addr);; i = after(addresses, i)) {
        if (addresses->states[i] == ADDRESS_FREE)
            return NULL;
        if (addresses->states[i] != ADDRESS_REMOVED &&
            fence_addr_equal(&addresses->slots[i].addr, addr))
            return &addresses->slots[i];
    }
}

/* A slot for an address that is not there. */
static size_t free_slot(const struct fence_addresses *addresses, const struct fence_addr *addr)
{
    size_t i = begin_of(addresses, addr);

    while (addresses->states[i] == ADDRESS_USED || addresses->states[i] == ADDRESS_MARKED)
        i = after(addresses, i);
    return i;
}

static int resize(struct fence_addresses *addresses, size_t size)
{
    struct fence_addresses bigger = {.size = size};

    bigger.slots = malloc(size * sizeof(*bigger.slots));
    bigger.states = calloc(size, sizeof(*bigger.states));
    if (!bigger.slots || !bigger.states) {
        free(bigger.slots);
        free(bigger.states);
        return -ENOMEM;
    }
    for (size_t i = 0; i < addresses->size; i++) {
        size_t slot;

        if (addresses->states[i] == ADDRESS_FREE || addresses->states[i] == ADDRESS_REMOVED)
            continue;
        slot = free_slot(&bigger, &addresses->slots[i].addr);
        bigger.slots[slot] = addresses->slots[i];
        bigger.states[slot] = addresses->states[i];
    }
    free(addresses->slots);
    free(addresses->states);
    addresses->slots = bigger.slots;
    addresses->states = bigger.states;
    addresses->size = size;
    addresses->used = addresses->count;
    return 0;
}

/* Four fifths full at most; removed ones make room first. */
static int reserve(struct fence_addresses *addresses)
{
    size_t wanted = (addresses->count + 1) / 2 * 3;

    if ((addresses->used + 1) * 5 <= addresses->size * 4)
        return 0;
    return resize(addresses, wanted > SIZE_MIN ? wanted : SIZE_MIN);
}

struct fence_address *fence_addresses_obtain(struct fence_addresses *addresses,
                                             const struct fence_addr *addr)
{
    struct fence_address *entry = fence_addresses_find(addresses, addr);
    size_t slot;

    if (entry)
        return entry;
    if (reserve(addresses) < 0)
        return NULL;
    slot = free_slot(addresses, addr);
    if (addresses->states[slot] == ADDRESS_FREE)
        addresses->used++;
    addresses->states[slot] = ADDRESS_USED;
    addresses->count++;
    addresses->slots[slot] = (struct fence_address){
        .addr = *addr, .peer = FENCE_ADDRESS_NONE, .told = FENCE_ADDRESS_NONE};
    return &addresses->slots[slot];
}

void fence_addresses_remove(struct fence_addresses *addresses, struct fence_address *entry)
{
    addresses->states[entry - addresses->slots] = ADDRESS_REMOVED;
    addresses->count--;
}

struct fence_address *fence_addresses_next(const struct fence_addresses *addresses,
                                           size_t *position)
{
    while (*position < addresses->size) {
        size_t i = (*position)++;

        if (addresses->states[i] == ADDRESS_USED || addresses->states[i] == ADDRESS_MARKED)
            return &addresses->slots[i];
    }
    return NULL;
}

int fence_addresses_mark(struct fence_addresses *addresses, struct fence_address *entry)
{
    size_t slot = (size_t)(entry - addresses->slots);

    if (addresses->states[slot] == ADDRESS_MARKED)
        return 0;
    if (FENCE_GROW(addresses->marked, addresses->marked_capacity, addresses->marked_count) < 0)
        return -ENOMEM;
    addresses->marked[addresses->marked_count++] = entry->addr;
    addresses->states[slot] = ADDRESS_MARKED;
    return 0;
}

void fence_addresses_told(struct fence_addresses *addresses)
{
    size_t kept = 0;

    for (size_t i = 0; i < addresses->marked_count; i++) {
        struct fence_address *entry = fence_addresses_find(addresses, &addresses->marked[i]);
        size_t slot;

        if (!entry)
            continue;
        if (entry->told != entry->peer) {
            addresses->marked[kept++] = entry->addr;
            continue;
        }
        slot = (size_t)(entry - addresses->slots);
        addresses->states[slot] = ADDRESS_USED;
        if (entry->peer != FENCE_ADDRESS_NONE || entry->owner)
            continue;
        addresses->states[slot] = ADDRESS_REMOVED;
        addresses->count--;
    }
    addresses->marked_count = kept;
    /* the list of a first compile is as long as the cluster is large */
    if (!kept && addresses->marked_capacity > SIZE_MIN) {
        free(TAKE_PTR(addresses->marked));
        addresses->marked_capacity = 0;
    }
}

int fence_addresses_touch_all(struct fence_addresses *addresses)
{
    struct fence_address *entry;
    size_t position = 0;
    int r = 0;

    while (r == 0 && (entry = fence_addresses_next(addresses, &position))) {
        entry->told = FENCE_ADDRESS_NONE;
        r = fence_addresses_mark(addresses, entry);
    }
    return r;
}
