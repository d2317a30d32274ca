/* SPDX-License-Identifier: Apache-2.0 */
/* Policies in the audit log: what their content is, and what has changed of it. */
#pragma once

#include <stdbool.h>

#include "lib/audit/chain.h"
#include "lib/objects/model.h"

/*
 * SHA-256 of all that is judged by, as the decoder understood it: equal hash, equal policy, however
 * the file is written. For objects that are policies.
 */
void fence_audit_policy_hash(const struct fence_object *policy,
                             char ret_hash[FENCE_AUDIT_HASH_TEXT]);

/*
 * Names of what differs, in the words of the objects: "enforcement", "appliesTo", "ingress[2]",
 * "egress: 2 to 3 rules". At most FENCE_AUDIT_PARTS_MAX names, "..." being the last if there are
 * more.
 */
#define FENCE_AUDIT_PARTS_MAX 32
void fence_audit_policy_difference(const struct fence_object *before,
                                   const struct fence_object *after,
                                   void (*part)(void *context, const char *name), void *context);
