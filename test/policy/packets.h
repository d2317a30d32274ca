/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with `packets`: a sequence of packets through one pod's hooks, the entry programs with all
 * that they remember (form: README.md of the collection).
 */
#pragma once

#include "test/policy/cases.h"

/* Zeroed = nothing loaded. */
struct packets {
    struct reconciler *reconciler; /* follows from file to file */
    struct case_file world;        /* the one that it has followed to */
};

/* What became of a packet. */
struct packets_outcome {
    const cJSON *packet;
    bool as_expected;
    const char *text; /* when it is not: why */
};

struct packets_visitor {
    void (*visit)(void *context, const struct packets_outcome *outcome);
    void *context;
};

/* Negative when the file cannot be set up. */
int packets_run(struct packets *packets, const cJSON *file, const struct packets_visitor *visitor,
                struct fence_err *err);
void packets_done(struct packets *packets);

/* Why the file cannot come out as written yet, NULL when it must. */
const char *packets_known_gap(const cJSON *file);
