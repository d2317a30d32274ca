/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node: namespaces of its own, data paths in a BPF file system of its own, its pods' devices
 * (nothing behind them: probes need something to run at) and endpoints. All of it ends with the
 * process.
 */
#pragma once

#include "lib/datapath/endpoints.h"
#include "lib/policy/world.h"
#include "test/bench/world.h"

#define BENCH_FOLDER      "/run/bench"
#define BENCH_OBJECTS     BENCH_FOLDER "/objects"
#define BENCH_STATE       BENCH_FOLDER "/state"
#define BENCH_FIRST_INDEX 1000u

/* The endpoints, as the engine is told of them; `records` holds what they point to. */
struct bench_locals {
    struct fence_endpoint_record *records;
    struct fence_local *items;
    size_t count;
    size_t capacity;
};

struct bench_maps {
    struct {
        size_t used;
        size_t most;
        double megabytes; /* of kernel memory */
    } items[FENCE_MAP_COUNT];
};

/* Enter it, with `devices` pod devices. Exits with 77 when not root. */
int bench_node_enter(unsigned int devices, struct fence_err *err);
/* A data path of its own under this name. */
int bench_node_load(const char *name, struct fence_pins *ret_pins, struct fence_err *err);
/* Entries and kernel memory of every map. */
void bench_maps_read(const struct fence_pins *pins, struct bench_maps *ret_maps);

/* Addresses of `locals` stay where they are up to `capacity` endpoints. */
int bench_locals_new(size_t capacity, struct bench_locals *ret_locals);
void bench_locals_done(struct bench_locals *locals);
/* A pod's endpoint as the plugin writes it: pending. */
int bench_locals_add(struct bench_locals *locals, const struct fence_pins *pins,
                     const struct bench_world *world, const struct bench_pod *pod,
                     struct fence_err *err);
/* The last one goes. */
int bench_locals_remove(struct bench_locals *locals, const struct fence_pins *pins,
                        struct fence_err *err);
