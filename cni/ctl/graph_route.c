/* SPDX-License-Identifier: Apache-2.0 */
/* The way of an arrow: from side to side, in small pictures round the nodes in between. */
#include <math.h>

#include "cni/ctl/graph_draw.h"
#include "lib/base/memory.h"

#define SMALL_EDGES 48
#define SMALL_NODES 32
#define SAMPLES     24
#define CLEARANCE   6.0
#define APART       7.0   /* arrows of one edge with several verdicts */
#define AWAY        5.0   /* an arrow and the one back */
#define SPREAD      8.0   /* between arrows at one side of a node */
#define SPREAD_MAX  2000u /* edges in a picture, beyond which arrows may lie on each other */

bool ctl_graph_is_small(const struct ctl_graph *graph)
{
    return graph->edge_count <= SMALL_EDGES && graph->node_count <= SMALL_NODES;
}

struct ctl_graph_point ctl_graph_curve_at(const struct ctl_graph_curve *curve, double t)
{
    const struct ctl_graph_point *p = curve->points;
    double s = 1 - t;
    double a = s * s * s, b = 3 * s * s * t, c = 3 * s * t * t, d = t * t * t;

    return (struct ctl_graph_point){
        .x = a * p[0].x + b * p[1].x + c * p[2].x + d * p[3].x,
        .y = a * p[0].y + b * p[1].y + c * p[2].y + d * p[3].y,
    };
}

static bool has_way_back(const struct ctl_graph *graph, const struct ctl_graph_edge *edge)
{
    for (size_t i = 0; i < graph->edge_count; i++)
        if (graph->edges[i].source == edge->destination &&
            graph->edges[i].destination == edge->source)
            return true;
    return false;
}

/* How far this arrow is moved aside, so that none lies on another one. */
static double offset_of(const struct ctl_graph *graph, const struct ctl_graph_edge *edge,
                        unsigned int verdict)
{
    int arrows = 0, number = 0;
    double offset = 0;

    for (unsigned int i = 0; i < FENCE_FLOW_VERDICTS; i++) {
        if (i == verdict)
            number = arrows;
        arrows += edge->counts[i] != 0;
    }
    if (arrows > 1)
        offset = (number - (arrows - 1) / 2.0) * APART;
    if (edge->source != edge->destination && has_way_back(graph, edge))
        offset += edge->source < edge->destination ? -AWAY : AWAY;
    return offset;
}

static struct ctl_graph_curve loop_of(const struct ctl_graph_box *box)
{
    const double right = box->x + box->width, middle = box->y + box->height / 2;

    return (struct ctl_graph_curve){{{right - 34, box->y},
                                     {right - 30, box->y - 26},
                                     {right + 34, middle - 26},
                                     {right, middle - 4}}};
}

/* Does an arrow between the two touch the left side of `own`? */
static bool is_left(const struct ctl_graph_box *own, const struct ctl_graph_box *other)
{
    return other->x + other->width <= own->x;
}

static double middle_of(const struct ctl_graph_box *box)
{
    return box->y + box->height / 2;
}

/* Where on its side of a node an arrow begins or ends: in the order of where the others lie. */
static double spread_of(const struct ctl_graph *graph, uint32_t node, uint32_t other)
{
    const struct ctl_graph_box *box = &graph->nodes[node].box;
    const struct ctl_graph_box *away = &graph->nodes[other].box;
    bool left = is_left(box, away);
    double above = 0, all = 0, gap;

    for (size_t i = 0; i < graph->edge_count && graph->edge_count <= SPREAD_MAX; i++) {
        const struct ctl_graph_edge *edge = &graph->edges[i];
        uint32_t end = edge->source == node ? edge->destination : edge->source;
        const struct ctl_graph_box *there = &graph->nodes[end].box;

        if ((edge->source != node && edge->destination != node) ||
            edge->source == edge->destination || is_left(box, there) != left)
            continue;
        all++;
        above += middle_of(there) < middle_of(away) ||
                 (middle_of(there) == middle_of(away) && end < other);
    }
    if (all < 2)
        return 0;
    gap = (box->height - 10) / (all - 1);
    return (above - (all - 1) / 2) * (gap < SPREAD ? gap : SPREAD);
}

/* Where an arrow meets its two nodes, from their middle. */
struct ends {
    double start;
    double end;
};

static double within(double offset, const struct ctl_graph_box *box)
{
    double most = box->height / 2 - 4;

    return offset > most ? most : offset < -most ? -most : offset;
}

/* Straight from side to side; `bend` moves its middle up or down. */
static struct ctl_graph_curve curve_of(const struct ctl_graph_box *from,
                                       const struct ctl_graph_box *to, const struct ends *ends,
                                       double bend)
{
    const struct ctl_graph_point start = {from->x, middle_of(from) + within(ends->start, from)};
    const struct ctl_graph_point end = {to->x, middle_of(to) + within(ends->end, to)};
    struct ctl_graph_curve curve;
    bool forth = to->x >= from->x + from->width, back = to->x + to->width <= from->x;
    double begin_x = back ? from->x : from->x + from->width;
    double end_x = forth ? to->x : to->x + to->width;
    double reach = fabs(end_x - begin_x) * 0.42;

    if (!forth && !back)
        reach = 30 + fabs(end.y - start.y) * 0.16; /* one above the other: round their right side */
    reach = reach < 26 ? 26 : reach;
    curve.points[0] = (struct ctl_graph_point){begin_x, start.y};
    curve.points[1] = (struct ctl_graph_point){begin_x + (back ? -reach : reach), start.y + bend};
    curve.points[2] = (struct ctl_graph_point){end_x + (forth ? -reach : reach), end.y + bend};
    curve.points[3] = (struct ctl_graph_point){end_x, end.y};
    return curve;
}

static bool is_on(const struct ctl_graph_box *box, const struct ctl_graph_point *point)
{
    return point->x > box->x - CLEARANCE && point->x < box->x + box->width + CLEARANCE &&
           point->y > box->y - CLEARANCE && point->y < box->y + box->height + CLEARANCE;
}

/* Points of it that lie on other nodes. */
static unsigned int hits_of(const struct ctl_graph *graph, const struct ctl_graph_edge *edge,
                            const struct ctl_graph_curve *curve)
{
    unsigned int hits = 0;

    for (unsigned int i = 1; i < SAMPLES; i++) {
        struct ctl_graph_point point = ctl_graph_curve_at(curve, (double)i / SAMPLES);

        for (uint32_t n = 0; n < graph->node_count; n++)
            if (n != edge->source && n != edge->destination && is_on(&graph->nodes[n].box, &point))
                hits++;
    }
    return hits;
}

struct ctl_graph_curve ctl_graph_route(const struct ctl_graph *graph,
                                       const struct ctl_graph_edge *edge, unsigned int verdict)
{
    static const double bends[] = {0, -44, 44, -64, 64, -92, 92, -128, 128, -176, 176, -240, 240};
    const struct ctl_graph_box *from = &graph->nodes[edge->source].box;
    const struct ctl_graph_box *to = &graph->nodes[edge->destination].box;
    double offset = offset_of(graph, edge, verdict);
    struct ends ends = {spread_of(graph, edge->source, edge->destination) + offset,
                        spread_of(graph, edge->destination, edge->source) + offset};
    struct ctl_graph_curve best;
    unsigned int least = ~0u;

    if (edge->source == edge->destination)
        return loop_of(from);
    best = curve_of(from, to, &ends, 0);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(bends) && least && ctl_graph_is_small(graph); i++) {
        struct ctl_graph_curve curve;

        if (bends[i] != 0) /* a bow leaves on its own side */
            ends = (struct ends){copysign(ends.start, bends[i]), copysign(ends.end, bends[i])};
        curve = curve_of(from, to, &ends, bends[i]);
        unsigned int hits = hits_of(graph, edge, &curve);

        if (hits >= least)
            continue;
        least = hits;
        best = curve;
    }
    return best;
}
