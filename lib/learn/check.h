/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy against what was seen: rules that no connection used, and rules wider than what used
 * them. Connections of the pod's own node use no rule: they are always allowed.
 */
#pragma once

#include "lib/learn/links.h"

enum fence_learn_finding_kind {
    FENCE_LEARN_UNSEEN, /* nothing at all of the pods that the policy selects, in this direction */
    FENCE_LEARN_UNUSED, /* a rule, a peer or a port that no connection used */
    FENCE_LEARN_WIDER,  /* a peer, a block or a port that holds more than was seen */
    FENCE_LEARN_FINDINGS,
};

/* "unseen", "unused", "wider". */
const char *fence_learn_finding_name(enum fence_learn_finding_kind kind);

struct fence_learn_finding {
    const struct fence_object *policy;
    unsigned int direction;
    uint32_t rule; /* FENCE_RULE_NONE: the direction */
    enum fence_learn_finding_kind kind;
    char *text;
};

struct fence_learn_findings {
    struct fence_learn_finding *items;
    size_t count;
    size_t capacity;
};
void fence_learn_findings_done(struct fence_learn_findings *findings);

/* What a policy is checked against. */
struct fence_learn_seen {
    const struct fence_learn_flows *flows;
    const struct fence_learn_links *links; /* of these flows and this world */
    const struct fence_world *world;
};

/* -ENOMEM. */
int fence_learn_check(const struct fence_learn_seen *seen, const struct fence_object *policy,
                      struct fence_learn_findings *findings);

/* The parts of it. */

/* What used one rule. Addresses are kept up to FENCE_LEARN_ADDRESSES_MAX. */
struct fence_learn_use {
    uint64_t flows;
    uint64_t *peers; /* for each peer of the rule: flows */
    uint8_t (
        *ports)[8192]; /* for each port of the rule, or one for all: a bit for each port seen */
    bool *workloads;   /* for each peer and each workload: it came */
    struct fence_prefix addrs[FENCE_LEARN_ADDRESSES_MAX];
    size_t addr_count;
    bool unknown_addrs; /* there were others */
};

/* Where a rule stands. */
struct fence_learn_rule_at {
    const struct fence_object *policy;
    unsigned int direction;
    uint32_t number;
};

/* Flows with an end that the policy selects; the indices are the caller's to free. */
struct fence_learn_selection {
    uint32_t *items;
    size_t count;
    size_t capacity;
};

/* -ENOMEM. */
int fence_learn_selection_find(const struct fence_learn_seen *seen,
                               const struct fence_object *policy, unsigned int direction,
                               struct fence_learn_selection *selection);

/* Gather what used the rule (uses.c). -ENOMEM; fence_learn_use_done afterwards, whatever the
 * result. */
int fence_learn_use_find(const struct fence_learn_seen *seen, const struct fence_learn_rule_at *at,
                         const struct fence_learn_selection *selection,
                         struct fence_learn_use *use);
void fence_learn_use_done(struct fence_learn_use *use);

/* Does this peer of a rule hold pods of the workload? */
bool fence_learn_peer_holds(const struct fence_learn_seen *seen, const struct fence_object *policy,
                            const struct fence_peer_spec *spec, uint32_t workload);
