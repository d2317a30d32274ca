/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes between two sets of objects. Pods that no rule of either set can tell apart are one
 * workload, addresses outside the cluster that no block can tell apart are another, and so is each
 * address of a service; each pair of these is asked once for each range of ports that no rule can
 * tell apart. So the answer is complete, and it does not grow with the number of pods.
 */
#pragma once

#include "cni/ctl/trace.h"

enum diff_side {
    DIFF_OLD,
    DIFF_NEW,
    DIFF_SIDES,
};

#define DIFF_BOTH ((1u << DIFF_OLD) | (1u << DIFF_NEW))

/* One pod, as each side has it; NULL where it is not there. */
struct diff_pod {
    const struct fence_object *object[DIFF_SIDES];
};

struct diff_policies {
    const struct fence_object **items; /* in the order of the world */
    size_t count;
    size_t capacity;
};

struct diff_workload {
    char *name;            /* "shop/web"; a block for addresses outside */
    struct diff_pod *pods; /* all there on the same sides; none for addresses */
    size_t count;
    size_t capacity;
    char address[FENCE_ADDR_TEXT];             /* one for all, of a workload without pods */
    struct diff_policies policies[DIFF_SIDES]; /* that select it */
    bool host_network;
    bool service; /* an address of services */
};

struct diff_owner {
    struct fence_addr addr;
    const struct fence_object *object;
};

struct diff_owners {
    struct diff_owner *items; /* by address */
    size_t count;
    size_t capacity;
};

/* Who is at which address, and where that leads. */
struct diff_reach {
    struct diff_owners pods;
    struct diff_owners services;
    struct diff_owners
        of_nodes; /* services with node ports and pods with host ports, in no order */
};

struct diff {
    struct trace_objects *objects[DIFF_SIDES];
    const struct fence_world *worlds[DIFF_SIDES];
    struct diff_reach reach[DIFF_SIDES];
    struct diff_workload *workloads;
    size_t count;
    size_t capacity;
};

/* All blocks of both worlds and the two that hold everything; sorted, each once. */
struct diff_blocks {
    struct fence_prefix *items;
    size_t count;
    size_t capacity;
};
/* -ENOMEM; the items are the caller's either way. */
int diff_blocks_find(const struct diff *diff, struct diff_blocks *ret_blocks);
/* A workload for each block that has addresses of its own outside the cluster. -ENOMEM. */
int diff_addresses_add(struct diff *diff, const struct diff_blocks *blocks);

/* Fill in diff->reach; diff_reach_done afterwards, whatever the result. -ENOMEM. */
int diff_services_find(struct diff *diff);
void diff_reach_done(struct diff_reach *reach);
/* A workload for each address of a service of either side. -ENOMEM. */
int diff_services_add(struct diff *diff);
bool diff_is_service(const struct diff *diff, enum diff_side side, const struct fence_addr *addr);

struct diff_object_visitor {
    int (*visit)(void *context, const struct fence_object *object);
    void *context;
};
/* All objects that say where ports of this end lead, some of them twice. What `visit` returned. */
int diff_reach_visit(const struct diff *diff, enum diff_side side,
                     const struct diff_workload *workload,
                     const struct diff_object_visitor *visitor);

/* Find the workloads of both worlds. -ENOMEM. */
int diff_workloads_find(struct diff *diff);
void diff_done(struct diff *diff);
void diff_workload_done(struct diff_workload *workload);

/* Has this side such pods (or is it an address, which every side has)? */
bool diff_workload_on(const struct diff_workload *workload, enum diff_side side);

/* A range of ports of a protocol that all have the same answers. */
struct diff_span {
    unsigned int protocol; /* IP protocol number; DIFF_OTHER stands for all that are not named */
    unsigned int first;
    unsigned int last;
    struct trace_answer answers[DIFF_SIDES];
};

/* All ports that the protocol has. */
bool diff_span_is_whole(const struct diff_span *span);

#define DIFF_OTHER 47u /* GRE, which no rule can name */

struct diff_question {
    const struct diff_workload *from;
    const struct diff_workload *to;
    unsigned int sides; /* bits 1 << enum diff_side */
};

/*
 * Ask for every port. A protocol that the ends cannot speak (ICMP without IPv4) is left out.
 * Returns 1, or 0 when there are no two different ends to ask (a workload of one pod and itself);
 * -ENOMEM or what `visit` returned below 0.
 */
int diff_ask(const struct diff *diff, const struct diff_question *question,
             int (*visit)(void *context, const struct diff_span *span), void *context,
             struct fence_err *err);

/* The ends that were asked, for people: "shop/web-1", or an address. A new string, NULL when out of
 * memory. */
char *diff_end_text(const struct diff_question *question, enum diff_side side, bool to);

/* "443", "1-79", "type 8", "all". */
void diff_ports_text(const struct diff_span *span, char text[64]);
const char *diff_protocol_text(unsigned int protocol, char buffer[8]);

/*
 * Lines that must hold in the new world; --help tells their form. `ret_broken` counts those that do
 * not; each becomes an object {line,text,holds,why} in `list`. -EINVAL for a line that cannot be
 * understood, with its number.
 */
int diff_expect(const struct diff *diff, const char *path, cJSON *list, size_t *ret_broken,
                struct fence_err *err);
