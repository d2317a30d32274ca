/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors, blocks and peers: the rules of matching, shared by the compiler and the evaluator. */
#pragma once

#include "lib/objects/model.h"

/* Kubernetes' rules: NotIn and DoesNotExist hold for an absent key; "" is a value. */
bool fence_selector_matches(const struct fence_selector *selector,
                            const struct fence_labels *labels);

enum fence_peer_view_kind {
    FENCE_VIEW_POD,
    FENCE_VIEW_NODE, /* another node */
    FENCE_VIEW_HOST, /* this node */
    FENCE_VIEW_WORLD,
    FENCE_VIEW_MASQUERADED,
    FENCE_VIEW_PENDING,
    FENCE_VIEW_SERVICE, /* a service's alone: rules judge where it leads, not this */
};

/* Length of a `where` that no block holds. */
#define FENCE_WHERE_NONE 255u

/* The other end of a connection. */
struct fence_peer_view {
    enum fence_peer_view_kind kind;
    const char *namespace_name;                  /* POD */
    const struct fence_labels *namespace_labels; /* POD */
    const struct fence_labels *labels;           /* POD, NODE, HOST */
    const struct fence_ports *ports;             /* POD; NULL = none */
    /* Some Service names the address as its own too: that takes nothing from what denies whoever
     * has it, and gives what allows him to nobody. Any kind but SERVICE. */
    bool service;
    /*
     * The address with full length, or the most specific block that holds it: either answers every
     * block, because blocks nest. MASQUERADED: 0.0.0.0/0 or ::/0.
     * Length FENCE_WHERE_NONE: in no block.
     */
    struct fence_prefix where;
};

/* Does this peer of a rule mean that end? `policy_namespace` is "" for cluster-wide kinds.
 * For a deny rule a view of kind PENDING matches every selector, for any other action none. A peer
 * of an unknown kind matches everything for a deny rule and nothing otherwise. No other peer
 * matches an address that is a service's alone (but see fence_peer_cuts), and none but a deny
 * rule's one that services have too.
 */
bool fence_peer_matches(const struct fence_peer_spec *spec, const char *policy_namespace,
                        enum fence_action action, const struct fence_peer_view *view);

/* Does this peer of a Denylist cut the address of a service off? */
bool fence_peer_cuts(const struct fence_peer_spec *spec, const struct fence_peer_view *view);

/* Has the service been given the address by the cluster? Others are what somebody has written. */
bool fence_service_has_cluster_ip(const struct fence_object *service,
                                  const struct fence_addr *addr);

/* Does this policy select the pod? */
bool fence_policy_selects(const struct fence_object *policy, const char *namespace_name,
                          const struct fence_labels *namespace_labels,
                          const struct fence_labels *pod_labels);

/*
 * Is this Pod object the pod behind a local endpoint? By namespace and name, and by uid where both
 * have one. A pod on the host's network or a finished one never is.
 */
bool fence_pod_is(const struct fence_object *pod, const char *namespace_name, const char *name,
                  const char *uid);
