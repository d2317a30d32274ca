/* SPDX-License-Identifier: Apache-2.0 */
/* Events as JSON, with the field names of Hubble's flow (cilium api/v1/flow/flow.proto). */
#pragma once

#include <cjson/cJSON.h>

#include "lib/api/record.h"

/*
 * One record as a new object, the caller's to delete; NULL when out of memory. Members: time,
 * verdict (FORWARDED, DROPPED, AUDIT), drop_reason_desc (Hubble's name) and reason (ours), IP, l4,
 * source, destination, Type, node_name, traffic_direction, interface, event (verdict, drop, cut),
 * policy, rule, audit_policy, audit_rule, suppressed, Summary. Members that do not apply are left
 * out.
 */
cJSON *fence_event_json(const struct fence_record *record);
