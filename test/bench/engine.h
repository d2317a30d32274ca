/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that the bench asks of the policy engine, as cni/daemon/reconcile.c does it: the one file to
 * change when the engine's interface does.
 */
#pragma once

#include <stdint.h>

#include "lib/datapath/pins.h"
#include "lib/objects/store.h"
#include "lib/policy/world.h"

struct engine; /* opaque */

struct engine_parts {
    const struct fence_pins *pins;
    struct fence_store *store;
    const char *node_name;
    const struct fence_addr *host_addrs;
    size_t host_addr_count;
};

/* What one update took and did. */
struct engine_cost {
    uint64_t compile_ns; /* taking the changes out of the store included */
    uint64_t apply_ns;
    size_t writes;
    size_t failures;
    char failure[256]; /* the first one */
};

/* `parts` and what it points to outlive the engine; it starts with all that the store has. */
int engine_begin(const struct engine_parts *parts, struct engine **ret_engine,
                 struct fence_err *err);
/* Bring in force what the store and the endpoints are now. */
int engine_update(struct engine *engine, const struct fence_local *locals, size_t count,
                  struct engine_cost *ret_cost, struct fence_err *err);
/* What the daemon does from time to time. */
int engine_sweep(struct engine *engine, uint64_t *ret_ns, struct fence_err *err);
void engine_end(struct engine **engine);
