/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster of pods and nodes that change, and an API server that keeps address slices. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/slices/packer.h"

#define CLUSTER_PODS  400u
#define CLUSTER_NODES 80u

struct cluster_pod {
    bool exists, has_address, over;
    unsigned int node, labels, address;
};

struct cluster {
    uint64_t seed;
    struct cluster_pod pods[CLUSTER_PODS];
    struct {
        bool exists;
        unsigned int address;
    } nodes[CLUSTER_NODES];
    cJSON *slices; /* by name, as the API server has them */
    unsigned int version;
    unsigned int writes, conflicts;
    size_t bytes; /* of what was written */
    bool complete;
};

void cluster_init(struct cluster *cluster, uint64_t seed);
void cluster_done(struct cluster *cluster);
unsigned int cluster_random(struct cluster *cluster, unsigned int below);
/* As the API server tells it; the caller's. */
cJSON *cluster_pod(const struct cluster *cluster, unsigned int index);
cJSON *cluster_node(const struct cluster *cluster, unsigned int index);
/* Something changes, and the packer (or none) is told. */
void cluster_change(struct cluster *cluster, struct fence_packer *packer);
/* All of it, as three lists; then the packer starts. */
void cluster_list(struct cluster *cluster, struct fence_packer *packer);
/* Does a write as the API server does, tells the packer the answer and what the watch would say. */
void cluster_write(struct cluster *cluster, struct fence_packer *packer,
                   struct fence_packer_write *write);
/* Until the packer has nothing to write. */
void cluster_settle(struct cluster *cluster, struct fence_packer *packer);
/* Do the slices say what is there, each once, in sizes that are allowed? */
void cluster_check(const struct cluster *cluster);
