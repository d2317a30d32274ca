/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster of any size, the same for the same numbers: JSON as the API server gives it. Pods come
 * from workloads, a workload is one label set in one namespace; policies have the usual shapes in
 * usual shares (world.c lists them).
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct bench_size {
    unsigned int pods;
    unsigned int label_sets;
    unsigned int policies;
    unsigned int locals; /* pods of this node, node-0, spread over all namespaces */
};

#define BENCH_NAMESPACES 200u

/* Items of a List, comma-separated, without the brackets. */
void bench_namespaces(FILE *out);
void bench_nodes(FILE *out, const struct bench_size *size);

/* What tells one pod from another of the same size of cluster. */
struct bench_pod {
    unsigned int number;
    unsigned int label_set;
    unsigned int extra;   /* 0, or a label that no other set has */
    unsigned int address; /* low 24 bits of 10.0.0.0/8 */
};
struct bench_pod bench_pod_of(const struct bench_size *size, unsigned int number);
void bench_pod_write(FILE *out, const struct bench_size *size, const struct bench_pod *pod);
void bench_pod_name(const struct bench_pod *pod, char *text, size_t size);
unsigned int bench_namespace_of(const struct bench_pod *pod);
/* Is the pod one of this node's? */
int bench_is_local(const struct bench_size *size, unsigned int number);

/* `version` changes a port of it. */
void bench_policy_write(FILE *out, unsigned int number, unsigned int version);
