/* SPDX-License-Identifier: Apache-2.0 */
/* Where the boxes of a graph stand: what is no workload in a strip at the left, namespaces in rows,
 * those that talk to each other close together. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cni/ctl/graph_draw.h"
#include "lib/base/memory.h"

#define ASPECT 1.9 /* of the whole picture */

bool ctl_graph_is_boxed(const struct ctl_graph_group *group)
{
    return group->kind != FENCE_FLOW_RESERVED;
}

static bool is_in_strip(const struct ctl_graph_group *group)
{
    return group->kind != FENCE_FLOW_WORKLOAD;
}

/* How much two groups have to do with each other. */
static double affinity(const struct ctl_graph *graph, const bool *placed, uint32_t group)
{
    double sum = 0;

    for (size_t i = 0; i < graph->edge_count; i++) {
        uint32_t source = graph->nodes[graph->edges[i].source].group;
        uint32_t destination = graph->nodes[graph->edges[i].destination].group;

        if (source != destination &&
            ((source == group && placed[destination]) || (destination == group && placed[source])))
            sum += 1;
    }
    return sum;
}

/* The group that has most to do with those that are placed; UINT32_MAX when all are. */
static uint32_t closest(const struct ctl_graph *graph, const bool *placed)
{
    uint32_t best = UINT32_MAX;
    double most = -1;

    for (uint32_t i = 0; i < graph->group_count; i++) {
        double sum = placed[i] ? -1 : affinity(graph, placed, i);

        if (sum <= most)
            continue;
        most = sum;
        best = i;
    }
    return best;
}

/* The namespaces, each next to those that it talks to. */
static size_t order_boxes(const struct ctl_graph *graph, uint32_t *order, bool *placed)
{
    size_t count = 0;

    for (uint32_t i = 0; i < graph->group_count; i++)
        placed[i] = is_in_strip(&graph->groups[i]);
    for (uint32_t next; (next = closest(graph, placed)) != UINT32_MAX;) {
        placed[next] = true;
        order[count++] = next;
    }
    return count;
}

static double target_width(const struct ctl_graph *graph, const uint32_t *order, size_t count,
                           double gap)
{
    double area = 0, widest = 0, width;

    for (size_t i = 0; i < count; i++) {
        const struct ctl_graph_box *box = &graph->groups[order[i]].box;

        area += (box->width + gap) * (box->height + gap);
        widest = box->width > widest ? box->width : widest;
    }
    width = sqrt(area * ASPECT);
    return width > widest ? width : widest;
}

/* Room that is left goes between the columns. */
static void widen(struct ctl_graph *graph, struct ctl_graph_group *group, double slack)
{
    double last = 0;

    for (uint32_t i = group->first; i < group->first + group->count; i++)
        if (graph->nodes[i].box.x > last)
            last = graph->nodes[i].box.x;
    for (uint32_t i = group->first; i < group->first + group->count; i++) {
        struct ctl_graph_box *box = &graph->nodes[i].box;

        box->x += last > CTL_GRAPH_PADDING
                      ? slack * (box->x - CTL_GRAPH_PADDING) / (last - CTL_GRAPH_PADDING)
                      : slack / 2;
    }
    group->box.width += slack;
}

/* A row is as high as its highest box, and as wide as the others where little is missing. */
static void settle_row(struct ctl_graph *graph, const uint32_t *row, size_t count, double slack)
{
    double highest = 0, wide = 0;

    for (size_t i = 0; i < count; i++) {
        const struct ctl_graph_box *box = &graph->groups[row[i]].box;

        highest = box->height > highest ? box->height : highest;
        wide += box->width;
    }
    slack = slack > 0 && slack < wide * 0.4 ? slack / (double)count : 0;
    for (size_t i = 0; i < count; i++) {
        struct ctl_graph_box *box = &graph->groups[row[i]].box;

        box->height = highest;
        box->x += slack * (double)i;
        widen(graph, &graph->groups[row[i]], slack);
    }
}

static void place_boxes(struct ctl_graph *graph, const uint32_t *order, size_t count, double left,
                        double gap)
{
    const double target = target_width(graph, order, count, gap);
    double x = 0, y = 0;
    size_t first = 0;

    for (size_t i = 0; i <= count; i++) {
        struct ctl_graph_box *box = i < count ? &graph->groups[order[i]].box : NULL;

        if (i > first && (!box || x + box->width > target)) {
            settle_row(graph, order + first, i - first, target - (x - gap));
            y += graph->groups[order[first]].box.height + gap;
            first = i;
            x = 0;
        }
        if (!box)
            break;
        box->x = left + x;
        box->y = y;
        x += box->width + gap;
    }
    graph->height = y > gap ? y - gap : 0;
}

/* What is no workload, at the left. Its width. */
static double strip_width(const struct ctl_graph *graph)
{
    double width = 0;

    for (size_t i = 0; i < graph->group_count; i++)
        if (is_in_strip(&graph->groups[i]) && graph->groups[i].box.width > width)
            width = graph->groups[i].box.width;
    return width;
}

static void place_strip(struct ctl_graph *graph, double width, double gap)
{
    double height = 0, y;

    for (size_t i = 0; i < graph->group_count; i++)
        if (is_in_strip(&graph->groups[i]))
            height += graph->groups[i].box.height + gap / 2;
    height -= height > 0 ? gap / 2 : 0;
    if (height > graph->height)
        graph->height = height;
    y = (graph->height - height) / 2;
    for (size_t i = 0; i < graph->group_count; i++) {
        struct ctl_graph_box *box = &graph->groups[i].box;

        if (!is_in_strip(&graph->groups[i]))
            continue;
        box->x = (width - box->width) / 2;
        box->y = y;
        y += box->height + gap / 2;
    }
}

/* From places in their box to places in the picture, which has a margin. */
static void move_into_place(struct ctl_graph *graph)
{
    double right = 0, bottom = graph->height;

    for (size_t i = 0; i < graph->group_count; i++) {
        struct ctl_graph_group *group = &graph->groups[i];
        double title = ctl_graph_is_boxed(group) ? CTL_GRAPH_TITLE : 0,
               foot = ctl_graph_is_boxed(group) ? CTL_GRAPH_PADDING / 2 : 0;
        double middle = group->box.y + title + (group->box.height - title - foot) / 2;

        for (uint32_t n = group->first; n < group->first + group->count; n++) {
            graph->nodes[n].box.x += group->box.x + CTL_GRAPH_MARGIN;
            graph->nodes[n].box.y += middle + CTL_GRAPH_MARGIN;
        }
        right = group->box.x + group->box.width > right ? group->box.x + group->box.width : right;
        group->box.x += CTL_GRAPH_MARGIN;
        group->box.y += CTL_GRAPH_MARGIN;
    }
    graph->width = right + 2 * CTL_GRAPH_MARGIN;
    graph->height = bottom + 2 * CTL_GRAPH_MARGIN;
}

int ctl_graph_place_boxes(struct ctl_graph *graph, double gap)
{
    FENCE_FREE uint32_t *order = calloc(graph->group_count + 1, sizeof(*order));
    FENCE_FREE bool *placed = calloc(graph->group_count + 1, sizeof(*placed));
    double strip = strip_width(graph);
    size_t count;

    if (!order || !placed)
        return -ENOMEM;
    count = order_boxes(graph, order, placed);
    place_boxes(graph, order, count, strip > 0 ? strip + 1.6 * gap : 0, gap);
    place_strip(graph, strip, gap);
    move_into_place(graph);
    return 0;
}
