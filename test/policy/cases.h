/* SPDX-License-Identifier: Apache-2.0 */
/* One reachability file (its form: README.md of the collection) as worlds, one for each node. */
#pragma once

#include <cjson/cJSON.h>

#include "test/datapath/reconciler.h"
#include "test/policy/lab.h"

/* The file as one of its nodes sees it; the first one is nobody's, for the evaluator. */
struct case_node {
    const char *name; /* "" for pods whose node does not matter */
    struct fence_addr *host_addrs;
    size_t host_addr_count;
    size_t host_addr_capacity;
    struct fence_world world;
    struct fence_local *locals;
    size_t local_count;
    size_t local_capacity;
    struct fence_plan *plan;
    struct reconciler *live; /* the kernel's leg; NULL: not asked */
};

struct case_file {
    cJSON *json;
    struct lab lab;
    struct case_node *nodes;
    size_t node_count;
    size_t node_capacity;
    const char **required_labels;
    struct lab *before; /* objects that it has too are kept (lab_keep); NULL: none are */
};

/* Zeroed `file` in, but for `before`; case_done afterwards, whatever the result. */
int case_load(struct case_file *file, const char *text, struct fence_err *err);
/* The same without compiling: the nodes have worlds and no plans. */
int case_read(struct case_file *file, const char *text, struct fence_err *err);
void case_done(struct case_file *file);
