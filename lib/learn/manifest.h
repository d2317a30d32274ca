/* SPDX-License-Identifier: Apache-2.0 */
/* A proposed policy as an object that Kubernetes and podfenced take. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/learn/propose.h"

/*
 * A new object, the caller's; NULL when out of memory. Annotations hold what it was learned from:
 * podfence.io/learned, podfence.io/evidence-<direction>-<rule> with first, last and count, and
 * podfence.io/left-out-<direction> with what was seen and is not allowed.
 */
cJSON *fence_learn_manifest(const struct fence_learn_proposal *proposal,
                            const struct fence_learn_policy *policy,
                            const struct fence_learn_options *options,
                            const struct fence_learn_flows *flows);
