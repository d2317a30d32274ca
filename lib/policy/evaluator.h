/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the evaluator: ends.c says who an end is, reach.c where a port leads, evaluate.c
 * judges, side.c asks for one side, explain.c says why not.
 */
#pragma once

#include "lib/policy/evaluate.h"
#include "lib/policy/match.h"

/* A pod as the objects and the endpoints of this node show it. */
struct fence_end_pod {
    const struct fence_object *object; /* NULL: known by the runtime only */
    const struct fence_local *local;   /* NULL: no endpoint of this node */
    const char *namespace_name;        /* NULL: there is no pod at this end */
    const char *node;                  /* "" when unknown */
    const struct fence_labels *labels; /* NULL: pending */
    const struct fence_object *namespace_object;
    struct fence_labels bare_namespace; /* owned; its labels when there is no such object */
    bool endpoint;                      /* judged: neither finished nor on the host's network */
    bool incomplete;                    /* misses a required label */
};

/* One end of the question. */
struct fence_end {
    struct fence_end_pod pod; /* whom the question names; whose policies count at this end */

    /* what its address leads to */
    struct fence_addr addr;
    enum fence_peer_view_kind kind;     /* NODE also for the other end's own node */
    struct fence_end_pod owner;         /* POD */
    const struct fence_object *service; /* that has the address, the first by name */
    const struct fence_object *node_object;
    const char *node; /* whose address it is, "" when it is no node's or the name is unknown */
    bool this_host;   /* an address of the node that the world is seen from */
    bool shared;      /* a service has it too, and no Node object says that it is the node's */
};

/* Zeroed `end` in; fence_end_done afterwards, whatever the result. */
int fence_end_find(const struct fence_world *world, const char *text, struct fence_end *end,
                   struct fence_err *err);
/* The first address of the family; false when the end has none. */
bool fence_end_address(const struct fence_end *end, const char *text, int family,
                       struct fence_addr *ret_addr);
/* Where the address leads to when `viewer` looks at it (it may be no pod at all). */
int fence_end_locate(const struct fence_world *world, const struct fence_addr *addr,
                     const struct fence_end_pod *viewer, struct fence_end *end,
                     struct fence_err *err);
/* The same where services do not count. */
int fence_end_locate_backend(const struct fence_world *world, const struct fence_addr *addr,
                             const struct fence_end_pod *viewer, struct fence_end *end,
                             struct fence_err *err);
void fence_end_done(struct fence_end *end);
const struct fence_labels *fence_end_namespace_labels(const struct fence_end_pod *pod);
/* Is `other` the node that this pod runs on? */
bool fence_end_is_own_node(const struct fence_world *world, const struct fence_end_pod *pod,
                           const struct fence_end *other);
bool fence_end_has_addr(const struct fence_end_pod *pod, const struct fence_addr *addr);
bool fence_end_same_pod(const struct fence_end_pod *a, const struct fence_end_pod *b);
/* How the pod sees the other end. */
struct fence_peer_view fence_end_view(const struct fence_world *world,
                                      const struct fence_end_pod *pod,
                                      const struct fence_end *other);

/* One side of the question: a pod's policies against the other end. */
struct fence_ask {
    const struct fence_world *world;
    const struct fence_query *query;
    enum fence_direction direction;
    const struct fence_end_pod *subject;
    const struct fence_end *other;
    struct fence_peer_view view; /* other's, as the subject sees it */
    bool itself;                 /* the packet never leaves its sender */
    bool martian;                /* such a packet passes no filter */
    /* The policies that select the subject, in the order of judgement. */
    const struct fence_object **policies;
    size_t policy_count;
    size_t policy_capacity;
};

/* The policies that select the subject. -ENOMEM. */
int fence_ask_collect(struct fence_ask *ask);
bool fence_ask_peer_matches(const struct fence_ask *ask, const struct fence_object *policy,
                            const struct fence_rule *rule);
bool fence_ask_port_matches(const struct fence_ask *ask, const struct fence_rule *rule);

/* What decided: `policy` NULL when no policy did. */
struct fence_finding {
    uint8_t verdict;
    uint8_t reason;
    const struct fence_object *policy;
    uint32_t rule;
};
struct fence_finding fence_ask_judge(const struct fence_ask *ask, bool shadow);
/* Do the Denylists alone settle it? */
bool fence_ask_is_cut(const struct fence_ask *ask, bool shadow, struct fence_finding *finding);

/* Policies settle nothing before this. */
int fence_ask_side(struct fence_ask *ask, struct fence_side *side, struct fence_err *err);

/* Which allow rule came closest, into nearest_* of the side. */
int fence_explain(const struct fence_ask *ask, struct fence_side *side, struct fence_err *err);

/* ---- reach.c -------------------------------------------------------------------------------- */

struct fence_backend {
    struct fence_addr addr;
    uint16_t port;
};

/* Where one port of an address leads. */
struct fence_backend_list {
    bool leads; /* elsewhere: the address itself is not what is judged, be there backends or not */
    const struct fence_object *service; /* the first that has the port; NULL: a host port */
    struct fence_backend *items;        /* by address, then port */
    size_t count;
    size_t capacity;
};

/* The service that owns an address, the first by name, or NULL. */
const struct fence_object *fence_service_at(const struct fence_world *world,
                                            const struct fence_addr *addr);
bool fence_service_has_cluster_ip_at(const struct fence_world *world,
                                     const struct fence_addr *addr);
/* Zeroed list in. -ENOMEM. */
int fence_backends_find(const struct fence_ask *ask, struct fence_backend_list *list);
void fence_backends_free(struct fence_backend_list *list);
