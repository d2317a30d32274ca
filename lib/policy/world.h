/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy engine looks at: the objects, the endpoints of this node, the node's own
 * addresses, and the operator's choices. All pointers are borrowed; strings are never NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/objects/model.h"

/* A pod interface of this node, as the plugin recorded it. */
struct fence_local {
    uint32_t ifindex;
    uint64_t created_ns;        /* when it was enrolled (boot time): tells a reused index apart */
    const char *namespace_name; /* "" when the runtime gave none */
    const char *pod;
    const char *uid;
    const char *container_id;
    const char *ifname;
    /* From the runtime (args.cni.labels and the like); used when no Pod object is there. */
    const struct fence_labels *labels; /* NULL = none given */
    const struct fence_addr *addrs;
    size_t addr_count;
    bool exempt; /* let through by the operator's exemptNamespaces; still a peer of others */
};

struct fence_world {
    const struct fence_object *const *objects; /* sorted as fence_store_objects gives them */
    size_t object_count;
    const struct fence_local *locals;
    size_t local_count;
    /*
     * Name of this node, NULL when unknown. The evaluator without a kernel (trace --objects) also
     * passes NULL and takes each pod to be on the node of its spec.nodeName.
     */
    const char *node_name;
    const struct fence_addr *host_addrs; /* local addresses of this node, 127/8 and ::1 left out */
    size_t host_addr_count;
    const char *const *required_labels;
    size_t required_label_count;
    bool own_node_egress_is_policy; /* pod to its own node is ordinary egress */
    int64_t now;                    /* seconds since 1970, for expiresAt */
};
