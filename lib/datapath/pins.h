/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pinned layout <bpffs>/v<N>/{progs,maps,links}: an interface, documented in bpf/README.md.
 * Opened by all three programs, created by load.h only.
 */
#pragma once

#include <stdbool.h>

#include "bpf/abi.h"
#include "lib/base/err.h"

#define FENCE_DEFAULT_BPFFS "/sys/fs/bpf/podfence"

/* X(symbol, pin name) */
#define FENCE_MAPS(X)                                                                              \
    X(ENDPOINTS, "endpoints")                                                                      \
    X(ENDPOINT_INFO, "endpoint_info")                                                              \
    X(LOCALS, "locals")                                                                            \
    X(IDENTITIES, "identities")                                                                    \
    X(CLASSES, "classes")                                                                          \
    X(PEERS, "peers")                                                                              \
    X(ADDRESSES, "addresses")                                                                      \
    X(PREFIXES, "prefixes")                                                                        \
    X(SETS, "sets")                                                                                \
    X(POLICIES, "policies")                                                                        \
    X(INTERVALS, "intervals")                                                                      \
    X(RULES, "rules")                                                                              \
    X(CONNECTIONS, "connections")                                                                  \
    X(USAGE, "usage")                                                                              \
    X(OPENED, "opened")                                                                            \
    X(EPOCHS, "epochs")                                                                            \
    X(PAIRS, "pairs")                                                                              \
    X(ORIGINS, "origins")                                                                          \
    X(FRAGMENTS, "fragments")                                                                      \
    X(FLOWS, "flows")                                                                              \
    X(COUNTERS, "counters")                                                                        \
    X(EVENTS, "events")                                                                            \
    X(EVENT_LIMITS, "event_limits")                                                                \
    X(OBSERVED, "observed")                                                                        \
    X(SETTINGS, "settings")                                                                        \
    X(ABOUT, "about")

/* from_pod and to_pod are attached to the host veth's TC ingress and egress, to_network to TC
 * egress of other devices. */
#define FENCE_PROGS(X)                                                                             \
    X(FROM_POD, "from_pod")                                                                        \
    X(TO_POD, "to_pod")                                                                            \
    X(TO_NETWORK, "to_network")                                                                    \
    X(PROBE_FROM_POD, "probe_from_pod")                                                            \
    X(PROBE_TO_POD, "probe_to_pod")                                                                \
    X(PROBE_CLOCK, "probe_clock")                                                                  \
    X(FLUSH_EVENTS, "flush_events")

enum fence_map {
#define FENCE_MAP_ENUM(symbol, name) FENCE_MAP_##symbol,
    FENCE_MAPS(FENCE_MAP_ENUM)
#undef FENCE_MAP_ENUM
        FENCE_MAP_COUNT,
};

enum fence_prog {
#define FENCE_PROG_ENUM(symbol, name) FENCE_PROG_##symbol,
    FENCE_PROGS(FENCE_PROG_ENUM)
#undef FENCE_PROG_ENUM
        FENCE_PROG_COUNT,
};

const char *fence_map_name(enum fence_map map);
const char *fence_prog_name(enum fence_prog prog);

/* Open pins of one data path; descriptors are -1 where not open. */
struct fence_pins {
    char root[256]; /* <bpffs>/v<N> */
    int maps[FENCE_MAP_COUNT];
    int progs[FENCE_PROG_COUNT];
    struct fence_epochs *epochs; /* in shared memory, see epochs.h */
};

/*
 * Open every map and program. -ENOENT: no data path of this version is pinned here (the daemon has
 * never run since boot); -EACCES, -EPERM: rights; anything else: damaged, the text says what.
 */
int fence_pins_open(const char *bpffs, struct fence_pins *ret_pins, struct fence_err *err);
void fence_pins_close(struct fence_pins *pins);
/* All descriptors -1. */
void fence_pins_init(struct fence_pins *pins);
