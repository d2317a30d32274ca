/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worlds from a seed, in the form of the reachability files: small, valid and nasty. Everything is
 * drawn from tiny alphabets, so that policies meet pods and rules meet questions.
 */
#pragma once

#include <cjson/cJSON.h>

#include "test/policy/rng.h"

/* The moment at which these worlds are looked at. */
#define RANDOM_NOW 1700000000

/* A world without `expect`. The caller deletes it. */
cJSON *random_world(struct rng *rng);

/* One change to the world: a pod, a namespace, a node, a policy or the time. Static text: what. */
const char *random_change(struct rng *rng, cJSON *world);
