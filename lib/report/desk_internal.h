/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/report: what lies on the desk. */
#pragma once

/* uthash ends the process when memory does, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lib/report/desk.h"

#define DESK_DIGESTS 1024u
#define DESK_FAILING 20u

struct desk_policy {
    UT_hash_handle hh;
    char *id;
    /* what the API server has */
    bool present;
    bool marked; /* of the list that is being told */
    enum fence_desk_kind kind;
    int64_t generation;
    struct fence_report_status has;
    /* what the store says */
    bool viewed;
    bool viewed_now; /* scratch of fence_desk_see */
    int64_t view_generation;
    uint64_t content;
    bool over, kept;
    char *refused;     /* NULL: valid */
    uint64_t sequence; /* of the first digest with it as it is */
    bool fresh;        /* it has become as it is since it was last looked at */
    uint64_t fresh_ns; /* when that was */
    /* what nodes say */
    const char *failing_node, *failing_text;
    uint64_t failing;
    /* writing */
    bool waiting; /* for the answer */
    uint64_t again_ns, written_ns;
    uint64_t checked; /* desk->version for which nothing is to be written */
};

struct desk_failure {
    char *policy, *text;
};

struct desk_node {
    UT_hash_handle hh;
    char *name;
    bool marked;
    uint64_t sum, count;
    uint64_t sequence; /* the last digest of ours that is its one; 0 = none */
    struct desk_failure failures[DESK_FAILING];
    size_t failure_count;
};

struct fence_desk {
    struct desk_policy *policies; /* by id */
    struct desk_node *nodes;      /* by name */
    bool listing[FENCE_DESK_KINDS];
    struct {
        uint64_t sum, count;
    } digests[DESK_DIGESTS];  /* that of number n at n % DESK_DIGESTS */
    uint64_t sequence;        /* of the last; 0 = none */
    uint64_t version;         /* of all of the above */
    uint64_t ordered;         /* version for which the next are right */
    struct desk_node **order; /* by sequence: who lags comes first */
    size_t order_count, order_capacity;
    struct desk_policy *cursor; /* where fence_desk_next goes on; NULL: from the first */
};

struct desk_policy *desk_policy_find(const struct fence_desk *desk, const char *id);
