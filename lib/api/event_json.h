/* SPDX-License-Identifier: Apache-2.0 */
/* Events as JSON, with the field names of Hubble's flow (cilium api/v1/flow/flow.proto). */
#pragma once

#include <stddef.h>

#include "lib/api/record.h"

/* With the longest names that there can be, each of their bytes escaped. */
#define FENCE_EVENT_JSON_MAX 49152u

/*
 * One record as a line without its end, safe to show on a terminal (lib/api/json_text.h). Returns
 * its length; 0 and no text when it does not fit. Members that do not apply are left out. Hubble's:
 * time, uuid, verdict (FORWARDED, DROPPED, AUDIT), drop_reason_desc, IP, l4, source and destination
 * (identity, namespace, labels, pod_name, workloads), source_service and destination_service, Type,
 * node_name, event_type, traffic_direction, is_reply, interface, egress_allowed_by and its like,
 * Summary. Ours: reason and audit_reason, event (verdict, drop, cut), policy, rule, audit_policy,
 * audit_rule, policy_set, suppressed (equal ones that were left out before this one), and of an end
 * app, node and spiffe.
 */
size_t fence_event_json(const struct fence_record *record, char text[FENCE_EVENT_JSON_MAX]);

/* As Hubble says it: {"lost_events":{"source":"...","num_events_lost":12},...}. */
size_t fence_lost_json(const struct fence_lost *lost, char text[FENCE_EVENT_JSON_MAX]);

/* "FORWARDED", "DROPPED" or "AUDIT". */
const char *fence_event_verdict(const struct fence_event *event);
