/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the naive evaluator hand to each other. */
#pragma once

#include <stdbool.h>

#include "test/policy/naive.h"

struct naive {
    cJSON *world;
    const cJSON **cluster; /* ClusterNetworkPolicies by priority, then name */
    size_t cluster_count;
};

struct naive_addr {
    int family; /* 4 or 6 */
    unsigned char bytes[16];
};

enum naive_who {
    NAIVE_POD,
    NAIVE_HOST, /* the subject's own node */
    NAIVE_NODE, /* another one */
    NAIVE_PENDING,
    NAIVE_WORLD,
    NAIVE_SERVICE, /* an address that the cluster gave to a service */
};

/* What an address means to a pod that looks at it. */
struct naive_peer {
    enum naive_who who;
    const cJSON *object; /* POD, HOST, NODE; NULL for a node without a Node object */
    struct naive_addr addr;
    bool shared; /* services have it too: who it is counts for what denies */
};

/* One side of one connection. */
struct naive_trial {
    const struct naive *naive;
    const cJSON *pod; /* the subject */
    enum fence_direction direction;
    struct naive_peer peer;
    unsigned int protocol;
    unsigned int port;
    bool shadow;
};

/* naive_match.c */
const cJSON *naive_get(const cJSON *object, const char *key);
const char *naive_text(const cJSON *object, const char *key);    /* "" when absent */
unsigned int naive_number(const cJSON *object, const char *key); /* 0 when absent */
unsigned int naive_protocol(const char *name);                   /* TCP when it says nothing */
bool naive_addr_parse(const char *text, struct naive_addr *ret_addr);
bool naive_in_prefix(const struct naive_addr *addr, const char *prefix);
bool naive_selects(const cJSON *selector, const cJSON *labels);
const cJSON *naive_namespace(const struct naive *naive, const cJSON *pod); /* its labels */
/* Does a rule in NetworkPolicy's vocabulary match? `deny`: it is a Denylist's. */
bool naive_rule_matches(const struct naive_trial *trial, const cJSON *policy, const cJSON *rule);
enum naive_action {
    NAIVE_NO_MATCH,
    NAIVE_ACCEPT,
    NAIVE_DENY,
    NAIVE_PASS,
};
/* What a ClusterNetworkPolicy's rule does with it. */
enum naive_action naive_cluster_rule(const struct naive_trial *trial, const cJSON *rule);

/* naive_world.c */
bool naive_find_end(const struct naive *naive, const char *text, int family, const cJSON **ret_pod,
                    struct naive_addr *ret_addr);
bool naive_has_addr(const cJSON *pod, const struct naive_addr *addr); /* pod may be NULL */
struct naive_peer naive_resolve(const struct naive *naive, const cJSON *subject,
                                const struct naive_addr *addr);
/* The same where services do not count. */
struct naive_peer naive_resolve_backend(const struct naive *naive, const cJSON *subject,
                                        const struct naive_addr *addr);
bool naive_is_incomplete(const struct naive *naive, const cJSON *pod);

/* naive_services.c */
bool naive_is_service(const struct naive *naive, const struct naive_addr *addr);
bool naive_is_cluster_ip(const struct naive *naive, const struct naive_addr *addr);

struct naive_backend {
    struct naive_addr addr;
    unsigned int port;
};

#define NAIVE_BACKENDS 128

struct naive_backends {
    struct naive_backend items[NAIVE_BACKENDS];
    unsigned int count;
};

/* Is it a port that leads elsewhere, and where to? It may lead nowhere. */
bool naive_leads(const struct naive_trial *trial, struct naive_backends *backends);
