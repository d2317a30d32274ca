/* SPDX-License-Identifier: Apache-2.0 */
/* A graph as Graphviz's dot and as Mermaid's flowchart. */
#include <math.h>
#include <string.h>

#include "cni/ctl/graph.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"

/* How an edge with that verdict looks: not by its colour alone. */
static const struct {
    const char *name;
    const char *color;
    const char *dot_style;
    const char *dot_head;
    const char *mermaid;
} styles[FENCE_FLOW_VERDICTS] = {
    [FENCE_FLOW_FORWARDED] = {"forwarded", "#3d7a5f", "solid", "normal", "-->"},
    [FENCE_FLOW_DROPPED] = {"dropped", "#c0362c", "dashed", "tee", "--x"},
    [FENCE_FLOW_AUDIT] = {"audit", "#b86e00", "dotted", "empty", "-.->"},
};

/* A quoted string of dot, whose backslashes mean something. */
static void dot_text(FILE *out, const char *text)
{
    FENCE_FREE char *safe = ctl_safe_text(text);

    fputc('"', out);
    for (const char *at = safe ? safe : ""; *at; at++) {
        if (*at == '"' || *at == '\\')
            fputc('\\', out);
        fputc(*at, out);
    }
    fputc('"', out);
}

static void dot_nodes(FILE *out, const struct ctl_graph *graph, const struct ctl_graph_group *group)
{
    for (uint32_t i = group->first; i < group->first + group->count; i++) {
        const struct ctl_graph_node *node = &graph->nodes[i];

        fprintf(out, "    n%u [label=", i);
        dot_text(out, node->end.name);
        fputs(node->end.kind == FENCE_FLOW_RESERVED ? ", style=\"filled,rounded\"];\n" : "];\n",
              out);
    }
}

static void dot_groups(FILE *out, const struct ctl_graph *graph)
{
    for (size_t i = 0; i < graph->group_count; i++) {
        const struct ctl_graph_group *group = &graph->groups[i];

        if (group->kind == FENCE_FLOW_RESERVED) {
            dot_nodes(out, graph, group);
            continue;
        }
        fprintf(out, "  subgraph cluster_%zu {\n    label=", i);
        dot_text(out, group->name);
        fputs(";\n", out);
        dot_nodes(out, graph, group);
        fputs("  }\n", out);
    }
}

static void dot_edge(FILE *out, const struct ctl_graph_edge *edge, unsigned int verdict)
{
    char ports[CTL_GRAPH_PORTS], label[CTL_GRAPH_PORTS + 64];

    snprintf(label, sizeof(label), "%s %s %llu", ctl_graph_ports_name(edge, verdict, ports),
             styles[verdict].name, (unsigned long long)edge->counts[verdict]);
    fprintf(out, "  n%u -> n%u [label=", edge->source, edge->destination);
    dot_text(out, label);
    fprintf(out, ", color=\"%s\", fontcolor=\"%s\", style=%s, arrowhead=%s, penwidth=%.1f];\n",
            styles[verdict].color, styles[verdict].color, styles[verdict].dot_style,
            styles[verdict].dot_head, 1 + log10((double)edge->counts[verdict]));
}

void ctl_graph_dot(FILE *out, const struct ctl_graph *graph)
{
    fputs("digraph flows {\n"
          "  rankdir=LR;\n"
          "  graph [fontname=\"sans-serif\", color=\"#c9cfd8\"];\n"
          "  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
          "  edge [fontname=\"sans-serif\", fontsize=10];\n",
          out);
    dot_groups(out, graph);
    for (size_t i = 0; i < graph->edge_count; i++)
        for (unsigned int v = 0; v < FENCE_FLOW_VERDICTS; v++)
            if (graph->edges[i].counts[v])
                dot_edge(out, &graph->edges[i], v);
    fputs("}\n", out);
}

/* In quotes; whatever could mean something to Mermaid or to HTML is an entity code. */
static void mermaid_text(FILE *out, const char *text)
{
    static const char plain[] = "./_:-+, ";
    FENCE_FREE char *safe = ctl_safe_text(text);

    fputc('"', out);
    for (const char *at = safe ? safe : ""; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                         (byte >= '0' && byte <= '9') || byte >= 0x80;

        if (is_letter || strchr(plain, byte))
            fputc(byte, out);
        else
            fprintf(out, "#%u;", byte);
    }
    fputc('"', out);
}

static void mermaid_nodes(FILE *out, const struct ctl_graph *graph,
                          const struct ctl_graph_group *group)
{
    for (uint32_t i = group->first; i < group->first + group->count; i++) {
        bool round = graph->nodes[i].end.kind == FENCE_FLOW_RESERVED;

        fprintf(out, "    n%u%s", i, round ? "([" : "[");
        mermaid_text(out, graph->nodes[i].end.name);
        fputs(round ? "])\n" : "]\n", out);
    }
}

static void mermaid_groups(FILE *out, const struct ctl_graph *graph)
{
    for (size_t i = 0; i < graph->group_count; i++) {
        const struct ctl_graph_group *group = &graph->groups[i];

        if (group->kind != FENCE_FLOW_RESERVED) {
            fprintf(out, "  subgraph g%zu[", i);
            mermaid_text(out, group->name);
            fputs("]\n", out);
        }
        mermaid_nodes(out, graph, group);
        if (group->kind != FENCE_FLOW_RESERVED)
            fputs("  end\n", out);
    }
}

static void mermaid_edge(FILE *out, const struct ctl_graph_edge *edge, unsigned int verdict,
                         size_t number)
{
    char ports[CTL_GRAPH_PORTS], label[CTL_GRAPH_PORTS + 64];

    snprintf(label, sizeof(label), "%s %s %llu", ctl_graph_ports_name(edge, verdict, ports),
             styles[verdict].name, (unsigned long long)edge->counts[verdict]);
    fprintf(out, "  n%u %s|", edge->source, styles[verdict].mermaid);
    mermaid_text(out, label);
    fprintf(out, "| n%u\n  linkStyle %zu stroke:%s,stroke-width:%.1fpx\n", edge->destination,
            number, styles[verdict].color, 1 + log10((double)edge->counts[verdict]));
}

void ctl_graph_mermaid(FILE *out, const struct ctl_graph *graph)
{
    size_t number = 0;

    fputs("flowchart LR\n", out);
    mermaid_groups(out, graph);
    for (size_t i = 0; i < graph->edge_count; i++)
        for (unsigned int v = 0; v < FENCE_FLOW_VERDICTS; v++)
            if (graph->edges[i].counts[v])
                mermaid_edge(out, &graph->edges[i], v, number++);
}
