/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's leg: one live reconciler for each node, which follow from file to file. */
#pragma once

#include "test/policy/cases.h"

/* The most nodes that a file has. */
#define LIVE_NODES_MAX 8

/* Zeroed = nothing loaded. */
struct live {
    struct reconciler *nodes[LIVE_NODES_MAX];
    size_t steps;
};

/*
 * Every node's data path follows to the file, and its maps say what a fresh compile says; those
 * that it does not need have nothing. The file before lives until this returns.
 */
int live_follow(struct live *live, struct case_file *file, struct fence_err *err);
/* Every daemon starts again. */
int live_restart(struct live *live, struct fence_err *err);
/* Every data path frees what it needs no more. */
int live_sweep(struct live *live, struct fence_err *err);
/* The last file may go. */
int live_leave(struct live *live, struct fence_err *err);
void live_done(struct live *live);
