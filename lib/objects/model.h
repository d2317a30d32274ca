/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects that podfence knows, decoded and validated. Pure data: nothing here refers to a
 * map, a file descriptor or another object, so that everything can be compared and copied.
 *
 * Every policy kind decodes into one struct fence_policy: the differences between them are its
 * tier, its actions and its defaults, which are settled here once and for all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/addr.h"
#include "lib/base/err.h"
#include "lib/base/labels.h"
#include "lib/objects/ports.h"

enum fence_kind {
    FENCE_OBJECT_POD,
    FENCE_OBJECT_NAMESPACE,
    FENCE_OBJECT_NODE,
    FENCE_OBJECT_SERVICE,
    FENCE_OBJECT_ENDPOINT_SLICE,
    FENCE_OBJECT_NETWORK_POLICY,
    FENCE_OBJECT_CLUSTER_NETWORK_POLICY,
    FENCE_OBJECT_SEGMENT_POLICY,
    FENCE_OBJECT_CLUSTER_SEGMENT_POLICY,
    FENCE_OBJECT_KINDS,
};

/* "Pod", "NetworkPolicy", ... */
const char *fence_kind_name(enum fence_kind kind);
bool fence_kind_is_policy(enum fence_kind kind);
bool fence_kind_is_namespaced(enum fence_kind kind);

/* ---- selectors ------------------------------------------------------------------------------ */

enum fence_operator {
    FENCE_OP_IN,
    FENCE_OP_NOT_IN,
    FENCE_OP_EXISTS,
    FENCE_OP_DOES_NOT_EXIST,
};

struct fence_requirement {
    const char *key; /* shared, as the values are */
    enum fence_operator op;
    uint32_t value_count;
    const char **values;
};

/* matchLabels is folded in as In with one value. No requirements = matches everything. */
struct fence_selector {
    struct fence_requirement *items;
    uint32_t count;
    uint32_t capacity;
};

void fence_selector_done(struct fence_selector *selector);

/* ---- policies ------------------------------------------------------------------------------- */

struct fence_ip_block {
    struct fence_prefix cidr;
    struct fence_prefix *except;
    uint32_t except_count;
};

/*
 * One peer of a rule. Which members are set says what it is:
 *   block                 addresses, pods among them
 *   nodes                 other nodes by their labels (ClusterNetworkPolicy)
 *   namespaces and/or pods  workloads; pods alone means the policy's own namespace (in a
 *                         cluster-wide policy the decoder adds a namespaces that matches all)
 *   unknown               a peer of a kind that this version does not know
 */
struct fence_peer_spec {
    struct fence_selector *namespaces;
    struct fence_selector *pods;
    struct fence_selector *nodes;
    struct fence_ip_block *block;
    bool unknown;
};

void fence_peer_spec_done(struct fence_peer_spec *peer);
/* -ENOMEM. */
int fence_peer_spec_copy(const struct fence_peer_spec *from, struct fence_peer_spec *ret_peer);

#define FENCE_PROTOCOL_ANY 256u

/*
 * One port of a rule. name set: resolved on each destination pod, first..last unused.
 * For ICMP first..last are type << 8 | code. protocol FENCE_PROTOCOL_ANY goes with 0..65535 or a
 * name (any protocol that the pod declares the name with).
 */
struct fence_port_spec {
    unsigned int protocol;
    uint16_t first;
    uint16_t last;
    char *name;
};

enum fence_action {
    FENCE_ACTION_ALLOW,
    FENCE_ACTION_DENY,
    FENCE_ACTION_PASS, /* leave the tier */
};

struct fence_rule {
    enum fence_action action;
    bool any_peer; /* from/to absent or empty: peers is empty and everything matches */
    bool any_port; /* ports absent or empty: every protocol */
    struct fence_peer_spec *peers;
    uint32_t peer_count;
    uint32_t peer_capacity;
    struct fence_port_spec *ports;
    uint32_t port_count;
    uint32_t port_capacity;
};

void fence_rule_done(struct fence_rule *rule);

/* In the order of judgement. */
enum fence_tier {
    FENCE_TIER_DENYLIST,  /* SegmentPolicy Denylist: rules deny, nothing is isolated */
    FENCE_TIER_ADMIN,     /* ClusterNetworkPolicy Admin: by priority, rules in order */
    FENCE_TIER_ALLOWLIST, /* NetworkPolicy, SegmentPolicy Allowlist: union, isolating */
    FENCE_TIER_BASELINE,  /* ClusterNetworkPolicy Baseline: by priority, rules in order */
    FENCE_TIERS,
};

struct fence_policy {
    enum fence_tier tier;
    int priority;                    /* Admin and Baseline: 0 first */
    bool audit;                      /* counts only in the shadow verdict */
    bool isolates[FENCE_DIRECTIONS]; /* Allowlist tier: this direction is closed by default */
    bool applies[FENCE_DIRECTIONS];  /* its rules of this direction count at all */
    /* Who it applies to: namespaced kinds, its namespace and `pods`; cluster kinds, both. */
    struct fence_selector namespaces;
    struct fence_selector pods;
    struct fence_rule *rules[FENCE_DIRECTIONS];
    uint32_t rule_count[FENCE_DIRECTIONS];
    uint32_t rule_capacity[FENCE_DIRECTIONS];
    int64_t expires_at; /* seconds since 1970; 0 = never */
    int64_t
        generation;   /* metadata.generation, 0 = none; raised without a change of the rest, too */
    uint64_t content; /* hash of its canonical text, the same in every process */
};

/* ---- workloads ------------------------------------------------------------------------------ */

/* A port of the node that leads to a pod (portmap). */
struct fence_host_port {
    struct fence_addr addr; /* 0.0.0.0: all of IPv4, ::: all of IPv6 */
    bool any;               /* on all addresses of the node */
    uint8_t protocol;
    uint16_t port;
    uint16_t target; /* of the pod */
};

struct fence_pod {
    __u64 uid;                         /* fence_hash_text of it; 0 when the object has none */
    const char *node;                  /* shared; spec.nodeName, "" when unknown */
    const char *owner;                 /* shared; name of the controlling owner, "" when none */
    const char *container_id;          /* shared; annotation podfence.io/container-id, or "" */
    const struct fence_labels *labels; /* shared */
    const struct fence_ports *ports;   /* shared; named ones only, of containers and sidecars */
    struct fence_addr *addrs;
    struct fence_host_port *host_ports;
    uint32_t addr_count;
    uint16_t host_port_count;
    bool host_network;
    bool finished; /* phase Succeeded or Failed: owns no address */
};

struct fence_node {
    const struct fence_labels *labels; /* shared */
    struct fence_addr *addrs;
    uint32_t addr_count;
    uint32_t addr_capacity;
    struct fence_prefix *pod_prefixes;
    uint32_t pod_prefix_count;
    uint32_t pod_prefix_capacity;
};

/* ---- services ------------------------------------------------------------------------------- */

struct fence_addr_list {
    struct fence_addr *items;
    uint32_t count;
    uint32_t capacity;
};

struct fence_service_port {
    const char *name; /* shared; "" when it is the only one */
    uint16_t port;
    uint16_t node_port; /* 0 = none */
    uint8_t protocol;
};

/*
 * Where it leads is said by its slices. A headless service and an ExternalName own no address.
 * Traffic policies are not kept: they narrow down the backends that DESIGN section 5 judges all of.
 */
struct fence_service {
    struct fence_addr_list addrs; /* clusterIPs, externalIPs, those of load balancers */
    uint32_t cluster_count;       /* clusterIPs: the first ones of these */
    struct fence_service_port *ports;
    uint32_t port_count;
    uint32_t port_capacity;
};

struct fence_endpoint_slice_port {
    const char *name; /* shared; of the service's port */
    uint16_t port;    /* of the backends */
    uint8_t protocol;
};

/* Backends of the ports of one service. */
struct fence_endpoint_slice {
    const char *service;          /* shared; its name, "" = of none */
    struct fence_addr_list addrs; /* that take connections: ready, or serving while they end */
    struct fence_endpoint_slice_port *ports;
    uint32_t port_count;
    uint32_t port_capacity;
};

/* ---- objects -------------------------------------------------------------------------------- */

/*
 * There may be 100,000 of them. One that has been packed (fence_object_pack) is one piece of memory
 * that is no larger than its kind needs: it is read and freed, and nothing else.
 */
struct fence_object {
    enum fence_kind kind : 8;
    bool packed : 1;
    bool in_force : 1;          /* these four are the store's */
    bool told : 1;              /* in force when the changes were last done with */
    bool listed : 1;            /* in one of its lists */
    bool paired : 1;            /* scratch */
    unsigned int line;          /* where the object begins in its source, from 1 */
    const char *namespace_name; /* shared; "" for cluster-wide kinds */
    char *name;
    union {
        struct fence_pod pod;
        struct fence_node node;
        struct fence_service service;
        struct fence_endpoint_slice slice;
        struct fence_policy policy;
        const struct fence_labels *namespace_labels; /* shared; always with its name's label */
    };
};

void fence_object_free(struct fence_object **object);
/* -ENOMEM, and then it is what it was. */
int fence_object_pack(struct fence_object **object);
/* By kind, namespace and name. */
int fence_object_compare(const struct fence_object *a, const struct fence_object *b);
/* Kind/namespace/name or Kind/name. New string or NULL. */
char *fence_object_id(const struct fence_object *object);

/* An object came (`before` NULL), changed, or went (`after` NULL). */
struct fence_change {
    const struct fence_object *before;
    const struct fence_object *after;
};
