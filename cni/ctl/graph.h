/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows as a graph: workloads by name and namespace, whatever labels or identities they have, and
 * between two of them one edge with its ports. Sorted, so that the same flows always give the same
 * graph.
 *
 * Two hooks judge a connection between pods of one node, and it is counted once: what the sender's
 * hook refused never came to the receiver's, and of what passed the receiver's says how it ended.
 */
#pragma once

#include <stdio.h>

#include "cni/ctl/flows.h"

/* Who decided at one hook, and when it did last. Texts are the flows'. */
struct ctl_graph_ruling {
    uint64_t last_ns; /* 0 = this hook did not */
    struct fence_flow_rule rule;
    struct fence_flow_rule audit_rule;
    uint8_t reason;
    uint8_t audit_reason;
};

struct ctl_graph_cell {
    uint64_t count; /* 0 = there is nothing */
    uint64_t first_ns;
    uint64_t last_ns;
    struct ctl_graph_ruling rulings[FENCE_DIRECTIONS];
};

/* What goes from one workload to another at a port. */
struct ctl_graph_port {
    uint8_t protocol;
    uint16_t port;
    struct ctl_graph_cell cells[FENCE_FLOW_VERDICTS];
    uint64_t counted[FENCE_DIRECTIONS][FENCE_FLOW_VERDICTS]; /* by each hook */
};

struct ctl_graph_edge {
    uint32_t source; /* index in nodes */
    uint32_t destination;
    uint64_t counts[FENCE_FLOW_VERDICTS];
    uint64_t first_ns;
    uint64_t last_ns;
    struct ctl_graph_port *ports; /* by protocol and port */
    size_t port_count;
    size_t port_capacity;
};

struct ctl_graph_box {
    double x, y, width, height;
};

struct ctl_graph_node {
    struct fence_flow_end end; /* without labels */
    uint32_t group;
    uint32_t column; /* layout: in its group */
    struct ctl_graph_box box;
};

/* A namespace, "nodes", or what is alone: "world", "host", ... */
struct ctl_graph_group {
    const char *name;
    enum fence_flow_end_kind kind;
    uint32_t first; /* index of its first node */
    uint32_t count;
    struct ctl_graph_box box;
};

struct ctl_graph {
    struct ctl_graph_node *nodes; /* by group, then by name */
    size_t node_count;
    struct ctl_graph_group *groups;
    size_t group_count;
    struct ctl_graph_edge *edges; /* by source, then by destination */
    size_t edge_count;
    uint64_t since_ns;
    uint64_t lost;
    double width; /* layout */
    double height;
};

/* `flows` must live as long. `verdicts` (NULL: all) are those that are kept. -ENOMEM. */
int ctl_graph_make(const struct ctl_flows *flows, const bool verdicts[FENCE_FLOW_VERDICTS],
                   struct ctl_graph *ret_graph);
void ctl_graph_done(struct ctl_graph *graph);

/* "shop/api", "node:n1", "reserved:world": no two nodes have the same. */
#define CTL_GRAPH_ID 640
const char *ctl_graph_id(const struct ctl_graph_node *node, char text[CTL_GRAPH_ID]);
/* "shop/api", "node/n1", "world": for people. */
const char *ctl_graph_name(const struct ctl_graph_node *node, char text[CTL_GRAPH_ID]);
/* "5432/TCP", "ICMP 8/0", "47" */
#define CTL_GRAPH_PORT 32
const char *ctl_graph_port_name(const struct ctl_graph_port *port, char text[CTL_GRAPH_PORT]);
/* "80/TCP, 443/TCP +3" of those with that verdict. */
#define CTL_GRAPH_PORTS 96
const char *ctl_graph_ports_name(const struct ctl_graph_edge *edge, unsigned int verdict,
                                 char text[CTL_GRAPH_PORTS]);

/* Of a cell, the hook whose word counts: of an allowed connection the receiver's. NULL = none. */
const struct ctl_graph_ruling *ctl_graph_ruling(const struct ctl_graph_cell *cell);

/* Give every group and node its place. -ENOMEM. */
int ctl_graph_layout(struct ctl_graph *graph);

/* As JSON (cni/ctl/README.md). `ports_max`: ports of an edge, 0 = all. NULL when out of memory. */
cJSON *ctl_graph_json(const struct ctl_graph *graph, size_t ports_max);

/* Each writes one whole document; names are escaped as its language wants it. */
void ctl_graph_dot(FILE *out, const struct ctl_graph *graph);
void ctl_graph_mermaid(FILE *out, const struct ctl_graph *graph);
/* With layout. */
void ctl_graph_svg(FILE *out, const struct ctl_graph *graph);
/* -ENOMEM. */
int ctl_graph_html(FILE *out, const struct ctl_graph *graph);
