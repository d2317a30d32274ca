/* SPDX-License-Identifier: Apache-2.0 */
/* Named ports of a pod, kept once for all pods that have the same (lib/base/shared.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fence_container_port {
    const char *name;
    unsigned int protocol;
    uint16_t port;
};

/* Sorted by name, protocol and port. */
struct fence_ports {
    size_t count;
    struct fence_container_port items[];
};

/* A reference to the one list of these ports, in whatever order; `items` is sorted by it. NULL when
 * out of memory. */
const struct fence_ports *fence_ports_shared(struct fence_container_port *items, size_t count);
const struct fence_ports *fence_ports_ref(const struct fence_ports *shared);
/* Accepts NULL in it. */
void fence_ports_unref(const struct fence_ports **shared);
/* The empty one; needs no unref, but bears it. */
const struct fence_ports *fence_ports_none(void);
