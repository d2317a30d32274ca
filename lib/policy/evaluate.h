/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question, answered from the objects alone, straight from the rules' own text and without
 * the compiled form: the second opinion on the compiler, and the explanation for people.
 */
#pragma once

#include "lib/base/err.h"
#include "lib/policy/world.h"

#define FENCE_EXPLAIN_MAX  512
#define FENCE_SERVICE_MAX  320 /* "namespace/name" */
#define FENCE_BACKENDS_MAX 64

/* An end: "ns/pod" or an address. */
struct fence_query {
    const char *from;
    const char *to;
    unsigned int protocol; /* IP protocol number */
    unsigned int port;     /* ICMP: type << 8 | code */
    int family;            /* 4, 6, or 0: all that both ends have */
};

/* A backend of a service, judged by itself. */
struct fence_backend_verdict {
    struct fence_addr addr;
    uint16_t port;
    uint8_t verdict; /* enum fence_verdict, but never FENCE_DEFER */
    uint8_t shadow;
};

struct fence_side {
    uint8_t verdict; /* enum fence_verdict; FENCE_DEFER: the backends of a service differ */
    uint8_t shadow;
    uint8_t reason;                 /* enum fence_reason */
    bool unknown;                   /* this side could not be asked (not on this node) */
    char policy[FENCE_EXPLAIN_MAX]; /* Kind/namespace/name, "" = null */
    uint32_t rule;                  /* index, FENCE_RULE_NONE = null */
    /* The rule that came closest to allowing it, when denied. nearest_policy "" = none. */
    char nearest_policy[FENCE_EXPLAIN_MAX];
    uint32_t nearest_rule;
    char nearest_failed[FENCE_EXPLAIN_MAX];
    /* Egress to an address of a service, or to a port of a node that leads to one. */
    char service[FENCE_SERVICE_MAX];                           /* namespace/name, "" = none */
    struct fence_backend_verdict backends[FENCE_BACKENDS_MAX]; /* the first of them */
    size_t backend_count;                                      /* all of them */
};

struct fence_answer {
    bool mixed; /* the families differ; sides are those of the first one */
    uint8_t verdict;
    uint8_t shadow;
    struct fence_side sides[FENCE_DIRECTIONS]; /* egress of `from`, ingress of `to` */
};

/* -ENOENT for an end that is neither a known pod nor an address, -EINVAL for a query that makes no
 * sense (families that do not meet). */
int fence_evaluate(const struct fence_world *world, const struct fence_query *query,
                   struct fence_answer *ret_answer, struct fence_err *err);
