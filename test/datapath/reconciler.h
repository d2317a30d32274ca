/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's engine without the daemon: one live compiler and one data path that follow a
 * changing world, as cni/daemon/reconcile.c has it; and what the kernel then says.
 */
#pragma once

#include <stdbool.h>

#include "lib/datapath/probe.h"
#include "lib/policy/compile.h"

struct reconciler; /* opaque */

/*
 * A network namespace and BPF file system of the test's own, with devices of the indices 2 to
 * RECONCILER_DEVICES, which endpoints need. Once, first. Exits with 77 when not root.
 */
#define RECONCILER_DEVICES 127
int reconciler_setup(struct fence_err *err);

/* Loads a data path. */
int reconciler_new(struct reconciler **ret_reconciler, struct fence_err *err);
void reconciler_free(struct reconciler **reconciler);

/*
 * Follow to this world. Endpoints that are in both go on living; their indices count from 1 and
 * become devices'. The world before must live until this returns, this one until the next.
 */
int reconciler_update(struct reconciler *reconciler, const struct fence_world *world,
                      struct fence_err *err);
/* As a daemon that starts again: it knows what the maps say and has heard of no object. */
int reconciler_restart(struct reconciler *reconciler, struct fence_err *err);
/* Free what is not needed any more, as the daemon does from time to time. */
int reconciler_sweep(struct reconciler *reconciler, struct fence_err *err);
const struct fence_plan *reconciler_plan(const struct reconciler *reconciler);

struct reconciler_query {
    uint32_t ifindex; /* of the world's local */
    enum fence_direction direction;
    enum fence_origin origin;
    struct fence_addr local;
    struct fence_addr remote;
    unsigned int protocol;
    unsigned int port; /* ICMP: type << 8 | code */
};

struct reconciler_answer {
    struct fence_probe_result result;
    struct fence_rule_info rule; /* policy "" and FENCE_RULE_NONE when no rule decided */
};

/* Ask the kernel by a probe program. */
int reconciler_ask(struct reconciler *reconciler, const struct reconciler_query *query,
                   struct reconciler_answer *ret_answer, struct fence_err *err);

/* A frame at a hook of the world's local. */
struct reconciler_frame {
    uint32_t ifindex;
    enum fence_direction direction;
    enum fence_origin origin;
    uint32_t sender; /* whose frame it was: the world's local; 0 = somebody's beside the node */
    const void *bytes;
    size_t size;
};

struct reconciler_passage {
    bool passed;
    unsigned int reason; /* whose counter moved; FENCE_REASON_NONE when none did */
};

/* Run the entry program, which tracks connections. */
int reconciler_run(struct reconciler *reconciler, const struct reconciler_frame *frame,
                   struct reconciler_passage *ret_passage, struct fence_err *err);
/* Leave no room in the connections map; lasts as long as the endpoint does. */
int reconciler_fill_connections(struct reconciler *reconciler, uint32_t ifindex,
                                struct fence_err *err);

extern const unsigned char reconciler_pod_mac[6]; /* of every endpoint */

/*
 * Do the maps say what a fresh plan of the same world says? Every address and prefix, and every
 * interval of every endpoint for each of them, by meaning. 1, or 0 with the difference in `err`.
 */
int reconciler_compare(struct reconciler *reconciler, const struct fence_plan *fresh,
                       struct fence_err *err);
