/* SPDX-License-Identifier: Apache-2.0 */
/* Events as JSON, with the field names of Hubble's flow (cilium api/v1/flow/flow.proto). */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "lib/datapath/pins.h"

struct fence_pod_name {
    char namespace_name[FENCE_NAMESPACE_MAX];
    char pod[FENCE_POD_NAME_MAX];
    bool service; /* that is what has this name */
};

/* Which pod or service has this address? 0, or -ENOENT when nobody knows. */
typedef int (*fence_pod_namer)(void *context, const struct fence_addr *addr,
                               struct fence_pod_name *ret_name);

/* Where the names come from. Zeroed: numbers and addresses only. */
struct fence_event_names {
    const struct fence_pins *pins; /* may be NULL */
    const char *node_name;         /* may be NULL */
    fence_pod_namer namer;         /* may be NULL */
    void *context;                 /* of namer */
};

/*
 * One event as a new object, the caller's to delete; NULL when out of memory. Members: time,
 * verdict (FORWARDED, DROPPED, AUDIT), drop_reason_desc (Hubble's name) and reason (ours), IP, l4,
 * source, destination, Type, node_name, traffic_direction, interface, event (verdict, drop, cut),
 * policy, rule, audit_policy, audit_rule, suppressed, Summary. Members that do not apply are left
 * out.
 */
cJSON *fence_event_json(const struct fence_event *event, const struct fence_event_names *names);
