/* SPDX-License-Identifier: Apache-2.0 */
/* A graph as JSON: what `graph -o json` prints, and what the HTML page looks things up in. */
#include <string.h>

#include "cni/ctl/graph.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

static const char *const keys[FENCE_FLOW_VERDICTS] = {
    [FENCE_FLOW_FORWARDED] = "forwarded",
    [FENCE_FLOW_DROPPED] = "dropped",
    [FENCE_FLOW_AUDIT] = "audit",
};

static void add_time(cJSON *object, const char *name, uint64_t wall_ns)
{
    char text[FENCE_FLOW_TIME];

    cJSON_AddStringToObject(object, name, fence_flow_time_format(wall_ns, text));
}

static void add_node(cJSON *list, const struct ctl_graph *graph, const struct ctl_graph_node *node)
{
    static const char *const kinds[FENCE_FLOW_END_KINDS] = {
        [FENCE_FLOW_RESERVED] = "reserved",
        [FENCE_FLOW_WORKLOAD] = "workload",
        [FENCE_FLOW_NODE] = "node",
    };
    cJSON *object = cJSON_CreateObject();
    char text[CTL_GRAPH_ID];

    cJSON_AddStringToObject(object, "id", ctl_graph_id(node, text));
    cJSON_AddStringToObject(object, "kind", kinds[node->end.kind]);
    cJSON_AddStringToObject(object, "group", graph->groups[node->group].name);
    cJSON_AddStringToObject(object, "name", node->end.name);
    cJSON_AddItemToArray(list, object);
}

static void add_rule(cJSON *object, const char *policy, const char *index,
                     const struct fence_flow_rule *rule)
{
    if (*rule->policy)
        cJSON_AddStringToObject(object, policy, rule->policy);
    else
        cJSON_AddNullToObject(object, policy);
    if (*rule->policy && rule->index != FENCE_RULE_NONE)
        cJSON_AddNumberToObject(object, index, rule->index);
    else
        cJSON_AddNullToObject(object, index);
}

static void add_rulings(cJSON *object, const struct ctl_graph_cell *cell, unsigned int verdict)
{
    static const char *const names[FENCE_DIRECTIONS] = {
        [FENCE_EGRESS] = "egress", [FENCE_INGRESS] = "ingress"};

    for (size_t i = 0; i < FENCE_DIRECTIONS; i++) {
        const struct ctl_graph_ruling *ruling = &cell->rulings[i];
        cJSON *said;

        if (!ruling->last_ns)
            continue;
        said = cJSON_AddObjectToObject(object, names[i]);
        add_rule(said, "policy", "rule", &ruling->rule);
        cJSON_AddStringToObject(said, "reason", fence_reason_name(ruling->reason));
        if (verdict != FENCE_FLOW_AUDIT)
            continue;
        add_rule(said, "auditPolicy", "auditRule", &ruling->audit_rule);
        cJSON_AddStringToObject(said, "auditReason", fence_reason_name(ruling->audit_reason));
    }
}

static void add_cell(cJSON *list, const struct ctl_graph_port *port, unsigned int verdict)
{
    const struct ctl_graph_cell *cell = &port->cells[verdict];
    cJSON *object = cJSON_CreateObject();
    char text[CTL_GRAPH_PORT];

    cJSON_AddStringToObject(object, "port", ctl_graph_port_name(port, text));
    cJSON_AddStringToObject(object, "verdict", fence_flow_verdict_name(verdict));
    cJSON_AddNumberToObject(object, "count", (double)cell->count);
    add_time(object, "firstSeen", cell->first_ns);
    add_time(object, "lastSeen", cell->last_ns);
    add_rulings(object, cell, verdict);
    cJSON_AddItemToArray(list, object);
}

static void add_ports(cJSON *object, const struct ctl_graph_edge *edge, size_t ports_max)
{
    cJSON *list = cJSON_AddArrayToObject(object, "ports");
    size_t left = 0;

    for (size_t i = 0; i < edge->port_count; i++) {
        if (ports_max && i >= ports_max) {
            left++;
            continue;
        }
        for (unsigned int v = 0; v < FENCE_FLOW_VERDICTS; v++)
            if (edge->ports[i].cells[v].count)
                add_cell(list, &edge->ports[i], v);
    }
    if (left)
        cJSON_AddNumberToObject(object, "portsOmitted", (double)left);
}

static void add_edge(cJSON *list, const struct ctl_graph *graph, const struct ctl_graph_edge *edge,
                     size_t ports_max)
{
    cJSON *object = cJSON_CreateObject();
    char text[CTL_GRAPH_ID];

    cJSON_AddStringToObject(object, "source", ctl_graph_id(&graph->nodes[edge->source], text));
    cJSON_AddStringToObject(object, "destination",
                            ctl_graph_id(&graph->nodes[edge->destination], text));
    for (size_t v = 0; v < FENCE_FLOW_VERDICTS; v++)
        cJSON_AddNumberToObject(object, keys[v], (double)edge->counts[v]);
    add_time(object, "firstSeen", edge->first_ns);
    add_time(object, "lastSeen", edge->last_ns);
    add_ports(object, edge, ports_max);
    cJSON_AddItemToArray(list, object);
}

cJSON *ctl_graph_json(const struct ctl_graph *graph, size_t ports_max)
{
    cJSON *value = cJSON_CreateObject(), *list;

    if (graph->since_ns)
        add_time(value, "since", graph->since_ns);
    else
        cJSON_AddNullToObject(value, "since");
    cJSON_AddNumberToObject(value, "lost", (double)graph->lost);
    list = cJSON_AddArrayToObject(value, "nodes");
    for (size_t i = 0; i < graph->node_count; i++)
        add_node(list, graph, &graph->nodes[i]);
    list = cJSON_AddArrayToObject(value, "edges");
    for (size_t i = 0; i < graph->edge_count; i++)
        add_edge(list, graph, &graph->edges[i], ports_max);
    if (list)
        return value;
    cJSON_Delete(value);
    return NULL;
}
