/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the kernel tells every connection, because somebody else wants them all, alarms look at as
 * few of them as they would hear of alone (FENCE_HEARING_ALIKE): one a second of those that are of
 * one identity to another's address and port, with the number of the others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

#define FENCE_ALIKE_SLOTS 1024u

struct fence_alike_slot {
    uint64_t key;
    uint64_t taken_ns; /* boot time of the one that was taken last */
    uint64_t more;     /* since then */
};

/* Zeroed = empty. */
struct fence_alike {
    uint64_t secret;
    struct fence_alike_slot slots[FENCE_ALIKE_SLOTS];
};

/*
 * False: one like it was taken less than a second ago, and it is counted. True: *ret_event is the
 * event, with the number of those that were counted since. What is not simply allowed is always
 * taken. A number is lost when its slot is taken by others.
 */
bool fence_alike_take(struct fence_alike *alike, const struct fence_event *event,
                      struct fence_event *ret_event);
