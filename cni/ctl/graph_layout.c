/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything stands. A namespace is a box; in it, who opens connections stands left of whom
 * he opens them to (columns), as far as connections do not go round in circles. What is no
 * workload stands in a strip at the left (graph_boxes.c). Boxes fill rows, those that talk to each
 * other close together. Nothing is random: the same graph always looks the same.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/graph.h"
#include "cni/ctl/graph_draw.h"
#include "lib/base/memory.h"

#define NODE_HEIGHT 30.0
#define COLUMNS_MAX 6u
#define LAYERED_MAX 2000u /* a box with more nodes has no columns by who opens to whom */
#define SWEEPS      4
#define ROWS_LEAST  5.0
#define ROWS_MOST   14.0

/* Small pictures have room for what is written on the arrows. */
struct metrics {
    double node_width;
    double column_gap;
    double row;
    double box_gap;
};

struct layout {
    struct ctl_graph *graph;
    struct metrics metrics;
    uint32_t *order; /* nodes of a group, in the order of columns */
    double *rank;    /* of a node among those of its column */
    double *weights; /* for sorting */
};

/* What is only refused says nothing about who belongs where. */
static bool is_leading(const struct ctl_graph_edge *edge)
{
    return edge->counts[FENCE_FLOW_FORWARDED] || edge->counts[FENCE_FLOW_AUDIT];
}

/* ---- columns -------------------------------------------------------------------------------- */

static bool is_inside(const struct ctl_graph *graph, const struct ctl_graph_edge *edge,
                      uint32_t group)
{
    return graph->nodes[edge->source].group == group &&
           graph->nodes[edge->destination].group == group && edge->source != edge->destination &&
           is_leading(edge);
}

/* Of a node that is not placed yet: edges to others that are not, and from them. */
static void count_open(const struct layout *layout, uint32_t group, const bool *placed,
                       int *ret_balance, bool *ret_has_in)
{
    const struct ctl_graph *graph = layout->graph;

    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct ctl_graph_edge *edge = &graph->edges[i];

        if (!is_inside(graph, edge, group) || placed[edge->source] || placed[edge->destination])
            continue;
        ret_balance[edge->source]++;
        ret_balance[edge->destination]--;
        ret_has_in[edge->destination] = true;
    }
}

/* The next in line: without an arrow to it if there is one, else with most arrows from it. */
static uint32_t next_of(const struct ctl_graph_group *group, const bool *placed, const int *balance,
                        const bool *has_in)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t i = group->first; i < group->first + group->count; i++) {
        if (placed[i])
            continue;
        if (!has_in[i])
            return i;
        if (best == UINT32_MAX || balance[i] > balance[best])
            best = i;
    }
    return best;
}

/* One column behind the last of those that open connections to it and stand before it in line. */
static void set_column(struct layout *layout, uint32_t group, uint32_t node, const bool *placed)
{
    struct ctl_graph *graph = layout->graph;
    uint32_t column = 0;

    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct ctl_graph_edge *edge = &graph->edges[i];

        if (edge->destination == node && placed[edge->source] && is_inside(graph, edge, group) &&
            graph->nodes[edge->source].column + 1 > column)
            column = graph->nodes[edge->source].column + 1;
    }
    graph->nodes[node].column = column < COLUMNS_MAX ? column : COLUMNS_MAX - 1;
}

static int make_columns(struct layout *layout, uint32_t number)
{
    const struct ctl_graph *graph = layout->graph;
    const struct ctl_graph_group *group = &graph->groups[number];
    FENCE_FREE bool *placed = calloc(graph->node_count + 1, sizeof(*placed));
    FENCE_FREE bool *has_in = calloc(graph->node_count + 1, sizeof(*has_in));
    FENCE_FREE int *balance = calloc(graph->node_count + 1, sizeof(*balance));

    if (!placed || !has_in || !balance)
        return -ENOMEM;
    for (uint32_t i = 0; i < group->count && group->count <= LAYERED_MAX; i++) {
        uint32_t node;

        memset(balance, 0, graph->node_count * sizeof(*balance));
        memset(has_in, 0, graph->node_count * sizeof(*has_in));
        count_open(layout, number, placed, balance, has_in);
        node = next_of(group, placed, balance, has_in);
        set_column(layout, number, node, placed);
        placed[node] = true;
    }
    return 0;
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Mean rank of the neighbours: those that it has arrows from, or to. */
static double mean_rank(const struct layout *layout, uint32_t node, bool from)
{
    const struct ctl_graph *graph = layout->graph;
    double sum = 0;
    size_t count = 0;

    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct ctl_graph_edge *edge = &graph->edges[i];
        uint32_t own = from ? edge->destination : edge->source;
        uint32_t other = from ? edge->source : edge->destination;

        if (own != node || graph->nodes[other].group != graph->nodes[node].group)
            continue;
        sum += layout->rank[other];
        count++;
    }
    return count ? sum / (double)count : layout->rank[node];
}

/* Insertion: stable, and columns are short. */
static void sort_column(struct layout *layout, uint32_t *nodes, size_t count, bool from)
{
    for (size_t i = 0; i < count; i++)
        layout->weights[nodes[i]] = mean_rank(layout, nodes[i], from);
    for (size_t i = 1; i < count; i++) {
        uint32_t node = nodes[i];
        size_t at = i;

        for (; at > 0 && layout->weights[nodes[at - 1]] > layout->weights[node]; at--)
            nodes[at] = nodes[at - 1];
        nodes[at] = node;
    }
    for (size_t i = 0; i < count; i++)
        layout->rank[nodes[i]] = (double)i - (double)(count - 1) / 2;
}

/* Nodes of a group by column into layout->order; where each column begins. */
static void order_columns(struct layout *layout, const struct ctl_graph_group *group,
                          size_t starts[COLUMNS_MAX + 1])
{
    size_t count = 0;

    for (uint32_t column = 0; column < COLUMNS_MAX; column++) {
        starts[column] = count;
        for (uint32_t i = group->first; i < group->first + group->count; i++)
            if (layout->graph->nodes[i].column == column)
                layout->order[count++] = i;
    }
    starts[COLUMNS_MAX] = count;
    for (size_t i = 0; i < count; i++)
        layout->rank[layout->order[i]] = 0;
    for (uint32_t column = 0; column < COLUMNS_MAX; column++)
        sort_column(layout, layout->order + starts[column], starts[column + 1] - starts[column],
                    true);
    /* to and fro, so that neighbours come to lie beside each other */
    for (unsigned int sweep = 0; sweep < SWEEPS && count <= LAYERED_MAX; sweep++)
        for (uint32_t i = 0; i < COLUMNS_MAX; i++) {
            uint32_t column = sweep % 2 ? i : COLUMNS_MAX - 1 - i;

            sort_column(layout, layout->order + starts[column], starts[column + 1] - starts[column],
                        sweep % 2);
        }
}

/* How many rows a column of so many takes, where it may be so high. */
static size_t height_of(size_t count, size_t rows)
{
    size_t columns = (count + rows - 1) / rows;

    return columns ? (count + columns - 1) / columns : 0;
}

/* The nodes of one column, which takes several where it is high, from the place `at` in the box;
 * in large pictures from the top of the `high` rows, else in the middle of them. */
static double place_column(struct layout *layout, const uint32_t *nodes, size_t count,
                           const size_t high[2], double at)
{
    const double step = layout->metrics.node_width + layout->metrics.column_gap;
    const size_t each = height_of(count, high[0]);
    size_t columns;

    if (!each)
        return at;
    columns = (count + each - 1) / each;
    for (size_t i = 0; i < count; i++) {
        size_t column = i / each, row = i % each;
        size_t here = column + 1 < columns ? each : count - each * (columns - 1);
        double first = -(double)(ctl_graph_is_small(layout->graph) ? here : high[1]) / 2;

        /* y is from the middle of the box */
        layout->graph->nodes[nodes[i]].box = (struct ctl_graph_box){
            .x = at + (double)column * step,
            .y = (first + (double)row) * layout->metrics.row +
                 (layout->metrics.row - NODE_HEIGHT) / 2,
            .width = layout->metrics.node_width,
            .height = NODE_HEIGHT,
        };
    }
    return at + (double)columns * step;
}

static size_t rows_of(const struct ctl_graph_group *group)
{
    double rows = ceil(sqrt((double)group->count) * 1.6);

    return (size_t)(rows < ROWS_LEAST ? ROWS_LEAST : rows > ROWS_MOST ? ROWS_MOST : rows);
}

/* Large pictures have no room for columns with two nodes: the same order, in full ones. */
static void fill_columns(const struct layout *layout, const struct ctl_graph_group *group,
                         size_t rows)
{
    size_t columns = (group->count + rows - 1) / rows;
    size_t count = 0, each;

    columns = columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
    each = columns ? (group->count + columns - 1) / columns : 1;
    for (uint32_t column = 0; column < COLUMNS_MAX; column++)
        for (uint32_t i = group->first; i < group->first + group->count; i++)
            if (layout->graph->nodes[i].column == column)
                layout->order[count++] = i;
    for (size_t i = 0; i < count; i++)
        layout->graph->nodes[layout->order[i]].column = (uint32_t)(i / each);
}

static int place_nodes(struct layout *layout, uint32_t number)
{
    struct ctl_graph_group *group = &layout->graph->groups[number];
    size_t starts[COLUMNS_MAX + 1], high[2] = {rows_of(group), 0};
    double at = ctl_graph_is_boxed(group) ? CTL_GRAPH_PADDING : 0;
    int r = make_columns(layout, number);

    if (r < 0)
        return r;
    if (!ctl_graph_is_small(layout->graph))
        fill_columns(layout, group, high[0]);
    order_columns(layout, group, starts);
    for (uint32_t column = 0; column < COLUMNS_MAX; column++) {
        size_t rows = height_of(starts[column + 1] - starts[column], high[0]);

        high[1] = rows > high[1] ? rows : high[1];
    }
    for (uint32_t column = 0; column < COLUMNS_MAX; column++)
        at = place_column(layout, layout->order + starts[column],
                          starts[column + 1] - starts[column], high, at);
    group->box.width =
        at - layout->metrics.column_gap + (ctl_graph_is_boxed(group) ? CTL_GRAPH_PADDING : 0);
    group->box.height = (double)high[1] * layout->metrics.row;
    if (ctl_graph_is_boxed(group))
        group->box.height += CTL_GRAPH_TITLE + CTL_GRAPH_PADDING / 2;
    return 0;
}

static int place_all(struct layout *layout)
{
    int r = 0;

    for (uint32_t i = 0; i < layout->graph->group_count && r == 0; i++)
        r = place_nodes(layout, i);
    return r == 0 ? ctl_graph_place_boxes(layout->graph, layout->metrics.box_gap) : r;
}

int ctl_graph_layout(struct ctl_graph *graph)
{
    FENCE_FREE uint32_t *nodes = calloc(graph->node_count + 1, sizeof(*nodes));
    FENCE_FREE double *rank = calloc(graph->node_count + 1, sizeof(*rank));
    FENCE_FREE double *weights = calloc(graph->node_count + 1, sizeof(*weights));
    struct layout layout = {.graph = graph, .order = nodes, .rank = rank, .weights = weights};

    if (!nodes || !rank || !weights)
        return -ENOMEM;
    layout.metrics =
        ctl_graph_is_small(graph)
            ? (struct metrics){.node_width = 152, .column_gap = 128, .row = 76, .box_gap = 72}
            : (struct metrics){.node_width = 130, .column_gap = 30, .row = 39, .box_gap = 40};
    return place_all(&layout);
}
