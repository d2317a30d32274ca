/* SPDX-License-Identifier: Apache-2.0 */
/* A random cluster and the connections that were made in it. */
#pragma once

#include "lib/learn/propose.h"
#include "test/policy/lab.h"
#include "test/policy/rng.h"

#define RANDOM_PODS      10u
#define RANDOM_ADDRESSES 6u /* of the world, behind the pods */
#define RANDOM_ENDS      (RANDOM_PODS + RANDOM_ADDRESSES)
#define RANDOM_PORTS     5u
#define RANDOM_PROTOCOLS 5u
#define RANDOM_FLOWS     60u
#define RANDOM_BASE      8000u

extern const unsigned int random_protocols[RANDOM_PROTOCOLS];

/* A pod, or an address outside. */
struct random_end {
    char name[16]; /* of the pod; else the address */
    const char *namespace_name;
    struct fence_labels labels;
    struct fence_prefix addr;
};

struct random_world {
    struct random_end ends[RANDOM_ENDS];
    struct fence_learn_flow flows[2 * RANDOM_FLOWS];
    size_t flow_count;
    char *objects; /* YAML */
};

/* Connections between the pods, and of them with the world, both hooks telling. */
void random_make(struct rng *rng, struct random_world *world);
void random_done(struct random_world *world);

/* What ICMP has in place of RANDOM_BASE + number. */
unsigned int random_port(unsigned int protocol, unsigned int number);
