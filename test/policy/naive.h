/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second evaluator, written from the specifications (DESIGN 4.4 and 6, Kubernetes NetworkPolicy,
 * ClusterNetworkPolicy v1alpha2) over the raw JSON of a reachability file. It shares nothing with
 * lib/objects or lib/policy, so that an error in either shows. Plain loops, no cleverness.
 */
#pragma once

#include <cjson/cJSON.h>

#include "lib/policy/evaluate.h"

/* A world made ready: a copy, with every namespace filled in. */
struct naive;

/* NULL when out of memory. */
struct naive *naive_new(const cJSON *world);
void naive_free(struct naive **naive);

struct naive_side {
    bool asked;      /* false: this end is no endpoint, or the packet never leaves the pod */
    uint8_t verdict; /* enum fence_verdict */
    uint8_t shadow;
    const char *why;     /* static text for the enforced verdict */
    const cJSON *policy; /* the one that decided it, NULL = none */
};

struct naive_answer {
    struct naive_side sides[FENCE_DIRECTIONS];
};

/* -ENOENT for an end that is neither a pod with an address of that family nor an address. */
int naive_ask(const struct naive *naive, const struct fence_query *query,
              struct naive_answer *ret_answer);
