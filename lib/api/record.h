/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event with everything that was known when it was read: names instead of numbers. What is
 * shown, logged, audited and watched is made from this.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

/* One end. Texts are never NULL, "" where nothing is known, and valid while the record is. */
struct fence_record_end {
    uint32_t identity;
    bool is_endpoint; /* the pod of this node whose hook judged */
    struct fence_addr addr;
    const char *reserved; /* "world", "host", ... for reserved identities */
    const char *node;     /* name, where a node is this end */
    const char *namespace_name;
    const char *app; /* shown name of the workload */
    const char *pod;
    const char *service; /* of the address, in namespace_name */
    const char *labels;  /* "key=value,..." */
    const char *spiffe;  /* spiffe://<trust domain>/ns/<ns>/app/<app> */
};

struct fence_record {
    const struct fence_event *event;
    uint64_t wall_ns; /* since 1970 */
    uint64_t uuid[2]; /* of this record, wherever it is shown */
    const char *node_name;
    const char *interface; /* host side */
    struct fence_record_end source;
    struct fence_record_end destination;
    const char *policy;       /* Kind/namespace/name or "" */
    uint32_t rule;            /* from 0, or FENCE_RULE_NONE */
    const char *audit_policy; /* the same of the shadow verdict, where another rule decided it */
    uint32_t audit_rule;
};

/* Events that could not be told. */
struct fence_lost {
    const char *source; /* Hubble's LostEventSource: one of these */
    uint64_t count;
    uint64_t wall_ns;
    const char *node_name; /* "" = unknown */
};
#define FENCE_LOST_BY_KERNEL   "PERF_EVENT_RING_BUFFER" /* its ring was full */
#define FENCE_LOST_BY_CONSUMER "OBSERVER_EVENTS_QUEUE"  /* who asked for them was too slow */
