/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster of any size as JSON text, the same at every run: each object is worked out from its
 * number, so the generator holds nothing and the memory measured is that of the engine.
 *
 * A label set is a workload: one namespace, app, tier, version and pod-template-hash. Namespace 0
 * is kube-system with the DNS server, 1 is monitoring with prometheus. Node 0 is this node.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/addr.h"

#define BENCH_NODES      100u
#define BENCH_NAMESPACES 200u
#define BENCH_LABEL_SETS 5000u
#define BENCH_APPS       20u
#define BENCH_NODE_NAME  "node-000"

struct bench_world {
    unsigned int pods;
    unsigned int policies;
    unsigned int locals;     /* pods 0 to locals - 1 run on node 0 */
    unsigned int label_sets; /* in use */
    unsigned int services;   /* each with a slice */
    bool dual_stack;
    /*
     * What will be changed is a unit of its own, as an object of the API is, and in no file: the
     * last loose_pods pods, policies whose element is true, and all namespaces.
     */
    unsigned int loose_pods;
    const bool *loose_policies;
};

/* A pod as it should be written; changing label_set relabels it. */
struct bench_pod {
    unsigned int index; /* names it */
    unsigned int label_set;
    unsigned int node;
    unsigned int slot; /* of the node's addresses, from 0 */
};

/* A policy as it should be written; the steps change its port and its peer. */
struct bench_policy {
    unsigned int index;
    unsigned int port_step;
    unsigned int peer_step;
};

/* Apps that have pods in every namespace. */
unsigned int bench_apps(const struct bench_world *world);
/* Which of them the local pod of a namespace is, where there is one. */
unsigned int bench_local_app(const struct bench_world *world, unsigned int space);
struct bench_pod bench_pod_at(const struct bench_world *world, unsigned int index);
/* The local pod that is this app in this namespace; world->locals when there is none. */
unsigned int bench_local_of(const struct bench_world *world, unsigned int space, unsigned int app);
unsigned int bench_namespace_of(unsigned int label_set);
unsigned int bench_app_of(unsigned int label_set);
const char *bench_namespace_name(unsigned int number, char text[32]);
const char *bench_app_name(unsigned int app);
void bench_pod_name(const struct bench_pod *pod, char text[64]);
void bench_pod_uid(const struct bench_pod *pod, char text[40]);
struct fence_addr bench_pod_addr(const struct bench_pod *pod, int family);

/* What a policy of the shape "app from app of the same namespace on a port" says. */
struct bench_app_rule {
    unsigned int space;
    unsigned int app;
    unsigned int peer; /* app */
    unsigned int port;
};
/* false: it has another shape. */
bool bench_policy_app_rule(const struct bench_world *world, const struct bench_policy *policy,
                           struct bench_app_rule *ret_rule);

void bench_pod_write(FILE *out, const struct bench_world *world, const struct bench_pod *pod);
void bench_node_write(FILE *out, const struct bench_world *world, unsigned int number);
/* `step` moves the namespace to another team. */
void bench_namespace_write(FILE *out, unsigned int number, unsigned int step);
void bench_policy_write(FILE *out, const struct bench_world *world,
                        const struct bench_policy *policy);
/* A policy of label set `label_set` that lets in block `number`, a /24 with pods of a node. */
void bench_block_policy_write(FILE *out, unsigned int number, unsigned int label_set);

/* Of a label set: its first pod is the backend, and in one of 20 services one of another set too.
 */
void bench_service_write(FILE *out, const struct bench_world *world, unsigned int number);
void bench_slice_write(FILE *out, const struct bench_world *world, unsigned int number);

/* All that is not loose, into files of 500 objects. 0 or -errno. */
int bench_world_write(const struct bench_world *world, const char *folder);

/* A number that looks random and depends on nothing but `value`. */
unsigned int bench_mix(unsigned int value);
