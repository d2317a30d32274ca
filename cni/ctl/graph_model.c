/* SPDX-License-Identifier: Apache-2.0 */
/* Flows to nodes, edges and ports. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/graph.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

/* A flow with the ends that it will be found by. */
struct item {
    const struct fence_flow_seen *seen;
    uint32_t source;
    uint32_t destination;
};

/* ---- nodes ---------------------------------------------------------------------------------- */

/* World and host first, nodes, then the namespaces. */
static int group_rank(const struct fence_flow_end *end)
{
    static const int ranks[FENCE_FLOW_END_KINDS] = {
        [FENCE_FLOW_RESERVED] = 0, [FENCE_FLOW_NODE] = 1, [FENCE_FLOW_WORKLOAD] = 2};

    return ranks[end->kind];
}

static const char *group_name(const struct fence_flow_end *end)
{
    if (end->kind == FENCE_FLOW_WORKLOAD)
        return end->namespace_name;
    return end->kind == FENCE_FLOW_NODE ? "nodes" : end->name;
}

static int compare_ends(const struct fence_flow_end *a, const struct fence_flow_end *b)
{
    int r = group_rank(a) - group_rank(b);

    if (r == 0)
        r = strcmp(group_name(a), group_name(b));
    return r ? r : strcmp(a->name, b->name);
}

static int by_end(const void *a, const void *b)
{
    return compare_ends(&((const struct ctl_graph_node *)a)->end,
                        &((const struct ctl_graph_node *)b)->end);
}

static int make_nodes(const struct ctl_flows *flows, struct ctl_graph *graph)
{
    size_t count = 0;

    graph->nodes = calloc(2 * flows->count + 1, sizeof(*graph->nodes));
    if (!graph->nodes)
        return -ENOMEM;
    for (size_t i = 0; i < flows->count; i++) {
        graph->nodes[count++].end = flows->items[i].seen.source;
        graph->nodes[count++].end = flows->items[i].seen.destination;
    }
    qsort(graph->nodes, count, sizeof(*graph->nodes), by_end);
    for (size_t i = 0; i < count; i++) {
        if (graph->node_count &&
            by_end(&graph->nodes[graph->node_count - 1], &graph->nodes[i]) == 0)
            continue;
        graph->nodes[graph->node_count++] = graph->nodes[i];
    }
    return 0;
}

static uint32_t find_node(const struct ctl_graph *graph, const struct fence_flow_end *end)
{
    const struct ctl_graph_node wanted = {.end = *end};
    const struct ctl_graph_node *found =
        bsearch(&wanted, graph->nodes, graph->node_count, sizeof(wanted), by_end);

    return found ? (uint32_t)(found - graph->nodes) : 0;
}

static bool is_same_group(const struct fence_flow_end *a, const struct fence_flow_end *b)
{
    return a->kind == b->kind && strcmp(group_name(a), group_name(b)) == 0;
}

static int make_groups(struct ctl_graph *graph)
{
    graph->groups = calloc(graph->node_count + 1, sizeof(*graph->groups));
    if (!graph->groups)
        return -ENOMEM;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        struct ctl_graph_node *node = &graph->nodes[i];

        if (!i || !is_same_group(&node->end, &graph->nodes[i - 1].end))
            graph->groups[graph->group_count++] = (struct ctl_graph_group){
                .name = group_name(&node->end), .kind = node->end.kind, .first = i};
        node->group = (uint32_t)graph->group_count - 1;
        graph->groups[node->group].count++;
    }
    return 0;
}

/* ---- edges ---------------------------------------------------------------------------------- */

static int by_position(const void *a_item, const void *b_item)
{
    const struct item *a = a_item, *b = b_item;

    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    if (a->destination != b->destination)
        return a->destination < b->destination ? -1 : 1;
    if (a->seen->protocol != b->seen->protocol)
        return a->seen->protocol < b->seen->protocol ? -1 : 1;
    return (a->seen->port > b->seen->port) - (a->seen->port < b->seen->port);
}

static struct ctl_graph_edge *edge_get(struct ctl_graph *graph, const struct item *item)
{
    struct ctl_graph_edge *last = graph->edge_count ? &graph->edges[graph->edge_count - 1] : NULL;

    if (last && last->source == item->source && last->destination == item->destination)
        return last;
    graph->edges[graph->edge_count] =
        (struct ctl_graph_edge){.source = item->source, .destination = item->destination};
    return &graph->edges[graph->edge_count++];
}

static struct ctl_graph_port *port_get(struct ctl_graph_edge *edge,
                                       const struct fence_flow_seen *seen)
{
    struct ctl_graph_port *last = edge->port_count ? &edge->ports[edge->port_count - 1] : NULL;

    if (last && last->protocol == seen->protocol && last->port == seen->port)
        return last;
    if (FENCE_GROW(edge->ports, edge->port_capacity, edge->port_count) < 0)
        return NULL;
    last = &edge->ports[edge->port_count++];
    *last = (struct ctl_graph_port){.protocol = seen->protocol, .port = seen->port};
    return last;
}

static void widen(uint64_t *first_ns, uint64_t *last_ns, uint64_t first, uint64_t last)
{
    if (!*last_ns || first < *first_ns)
        *first_ns = first;
    if (last > *last_ns)
        *last_ns = last;
}

static void port_add(struct ctl_graph_port *port, const struct fence_flow_seen *seen)
{
    struct ctl_graph_cell *cell = &port->cells[seen->verdict];
    struct ctl_graph_ruling *ruling = &cell->rulings[seen->direction];

    port->counted[seen->direction][seen->verdict] += seen->count;
    widen(&cell->first_ns, &cell->last_ns, seen->first_ns, seen->last_ns);
    if (seen->last_ns < ruling->last_ns)
        return;
    *ruling = (struct ctl_graph_ruling){
        .last_ns = seen->last_ns ? seen->last_ns : 1,
        .rule = seen->rule,
        .audit_rule = seen->audit_rule,
        .reason = seen->reason,
        .audit_reason = seen->audit_reason,
    };
}

/* See the head of graph.h. What came in from another node only the receiver's hook has counted. */
static void port_settle(struct ctl_graph_port *port)
{
    const uint64_t *sent = port->counted[FENCE_EGRESS], *got = port->counted[FENCE_INGRESS];
    uint64_t dropped = sent[FENCE_FLOW_DROPPED] + got[FENCE_FLOW_DROPPED];
    uint64_t left = sent[FENCE_FLOW_FORWARDED] + sent[FENCE_FLOW_AUDIT];
    uint64_t came = got[FENCE_FLOW_FORWARDED] + got[FENCE_FLOW_AUDIT];
    uint64_t passed, audit;

    left -= left < got[FENCE_FLOW_DROPPED] ? left : got[FENCE_FLOW_DROPPED];
    passed = left > came ? left : came;
    audit = sent[FENCE_FLOW_AUDIT] > got[FENCE_FLOW_AUDIT] ? sent[FENCE_FLOW_AUDIT]
                                                           : got[FENCE_FLOW_AUDIT];
    port->cells[FENCE_FLOW_DROPPED].count = dropped;
    port->cells[FENCE_FLOW_AUDIT].count = audit;
    port->cells[FENCE_FLOW_FORWARDED].count = passed > audit ? passed - audit : 0;
}

static bool port_has_something(struct ctl_graph_port *port, const bool *verdicts)
{
    bool something = false;

    for (size_t i = 0; i < FENCE_FLOW_VERDICTS; i++) {
        if (verdicts && !verdicts[i])
            port->cells[i].count = 0;
        something = something || port->cells[i].count;
    }
    return something;
}

static void edge_settle(struct ctl_graph_edge *edge, const bool *verdicts)
{
    size_t kept = 0;

    for (size_t i = 0; i < edge->port_count; i++) {
        port_settle(&edge->ports[i]);
        if (port_has_something(&edge->ports[i], verdicts))
            edge->ports[kept++] = edge->ports[i];
    }
    edge->port_count = kept;
    for (size_t i = 0; i < kept; i++)
        for (size_t v = 0; v < FENCE_FLOW_VERDICTS; v++) {
            const struct ctl_graph_cell *cell = &edge->ports[i].cells[v];

            edge->counts[v] += cell->count;
            if (cell->count)
                widen(&edge->first_ns, &edge->last_ns, cell->first_ns, cell->last_ns);
        }
}

static int make_edges(struct ctl_graph *graph, const struct item *items, size_t count)
{
    graph->edges = calloc(count + 1, sizeof(*graph->edges));
    if (!graph->edges)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct ctl_graph_edge *edge = edge_get(graph, &items[i]);
        struct ctl_graph_port *port = port_get(edge, items[i].seen);

        if (!port)
            return -ENOMEM;
        port_add(port, items[i].seen);
    }
    return 0;
}

static int sort_into_edges(struct ctl_graph *graph, const struct ctl_flows *flows)
{
    FENCE_FREE struct item *items = calloc(flows->count + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < flows->count; i++) {
        const struct fence_flow_seen *seen = &flows->items[i].seen;

        items[i] = (struct item){seen, find_node(graph, &seen->source),
                                 find_node(graph, &seen->destination)};
    }
    qsort(items, flows->count, sizeof(*items), by_position);
    return make_edges(graph, items, flows->count);
}

/* Edges of which nothing is left, and then nodes without any. */
static int drop_the_empty(struct ctl_graph *graph)
{
    FENCE_FREE uint32_t *places = calloc(graph->node_count + 1, sizeof(*places));
    size_t kept = 0;

    if (!places)
        return -ENOMEM;
    for (size_t i = 0; i < graph->edge_count; i++) {
        if (!graph->edges[i].port_count) {
            free(graph->edges[i].ports);
            continue;
        }
        places[graph->edges[i].source] = places[graph->edges[i].destination] = 1;
        graph->edges[kept++] = graph->edges[i];
    }
    graph->edge_count = kept;
    kept = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (!places[i])
            continue;
        places[i] = (uint32_t)kept;
        graph->nodes[kept++] = graph->nodes[i];
    }
    graph->node_count = kept;
    for (size_t i = 0; i < graph->edge_count; i++) {
        graph->edges[i].source = places[graph->edges[i].source];
        graph->edges[i].destination = places[graph->edges[i].destination];
    }
    return 0;
}

static int fill(const struct ctl_flows *flows, const bool *verdicts, struct ctl_graph *graph)
{
    int r = make_nodes(flows, graph);

    if (r == 0)
        r = sort_into_edges(graph, flows);
    for (size_t i = 0; i < graph->edge_count && r == 0; i++)
        edge_settle(&graph->edges[i], verdicts);
    if (r == 0)
        r = drop_the_empty(graph);
    return r == 0 ? make_groups(graph) : r;
}

int ctl_graph_make(const struct ctl_flows *flows, const bool verdicts[FENCE_FLOW_VERDICTS],
                   struct ctl_graph *ret_graph)
{
    struct ctl_graph graph = {.since_ns = flows->since_ns, .lost = flows->lost};
    int r = fill(flows, verdicts, &graph);

    if (r < 0)
        ctl_graph_done(&graph);
    else
        *ret_graph = graph;
    return r;
}

void ctl_graph_done(struct ctl_graph *graph)
{
    for (size_t i = 0; i < graph->edge_count; i++)
        free(graph->edges[i].ports);
    free(graph->nodes);
    free(graph->groups);
    free(graph->edges);
    *graph = (struct ctl_graph){0};
}

/* ---- names ---------------------------------------------------------------------------------- */

const char *ctl_graph_id(const struct ctl_graph_node *node, char text[CTL_GRAPH_ID])
{
    const struct fence_flow_end *end = &node->end;

    if (end->kind == FENCE_FLOW_WORKLOAD)
        snprintf(text, CTL_GRAPH_ID, "%s/%s", end->namespace_name, end->name);
    else
        snprintf(text, CTL_GRAPH_ID, "%s:%s", end->kind == FENCE_FLOW_NODE ? "node" : "reserved",
                 end->name);
    return text;
}

const char *ctl_graph_name(const struct ctl_graph_node *node, char text[CTL_GRAPH_ID])
{
    const struct fence_flow_end *end = &node->end;

    if (end->kind == FENCE_FLOW_RESERVED)
        snprintf(text, CTL_GRAPH_ID, "%s", end->name);
    else
        snprintf(text, CTL_GRAPH_ID, "%s/%s",
                 end->kind == FENCE_FLOW_NODE ? "node" : end->namespace_name, end->name);
    return text;
}

const char *ctl_graph_port_name(const struct ctl_graph_port *port, char text[CTL_GRAPH_PORT])
{
    char number[8];
    const char *protocol = fence_protocol_name(port->protocol, number);

    if (fence_flow_is_icmp(port->protocol))
        snprintf(text, CTL_GRAPH_PORT, "%s %d/%d", protocol, port->port >> 8, port->port & 0xff);
    else if (fence_flow_has_port(port->protocol))
        snprintf(text, CTL_GRAPH_PORT, "%d/%s", port->port, protocol);
    else
        snprintf(text, CTL_GRAPH_PORT, "protocol %s", protocol);
    return text;
}

const char *ctl_graph_ports_name(const struct ctl_graph_edge *edge, unsigned int verdict,
                                 char text[CTL_GRAPH_PORTS])
{
    char one[CTL_GRAPH_PORT];
    size_t shown = 0, left = 0, length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < edge->port_count; i++) {
        if (!edge->ports[i].cells[verdict].count)
            continue;
        if (shown == 2) {
            left++;
            continue;
        }
        snprintf(text + length, CTL_GRAPH_PORTS - length, "%s%s", shown ? ", " : "",
                 ctl_graph_port_name(&edge->ports[i], one));
        length = strlen(text);
        shown++;
    }
    if (left)
        snprintf(text + length, CTL_GRAPH_PORTS - length, " +%zu", left);
    return text;
}

const struct ctl_graph_ruling *ctl_graph_ruling(const struct ctl_graph_cell *cell)
{
    for (size_t i = FENCE_DIRECTIONS; i > 0; i--)
        if (cell->rulings[i - 1].last_ns)
            return &cell->rulings[i - 1];
    return NULL;
}
