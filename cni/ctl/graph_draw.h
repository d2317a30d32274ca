/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the drawing of graphs: layout, arrows, SVG. */
#pragma once

#include "cni/ctl/graph.h"

#define CTL_GRAPH_MARGIN  28.0
#define CTL_GRAPH_PADDING 18.0 /* of a box */
#define CTL_GRAPH_TITLE   34.0

/* So small that something is written on the arrows, and that they go round nodes. */
bool ctl_graph_is_small(const struct ctl_graph *graph);

/* Is it drawn with a box round it, which has a title? */
bool ctl_graph_is_boxed(const struct ctl_graph_group *group);

/* Place the boxes, `gap` apart, whose sizes are known and whose nodes lie in them: x from their
 * left side, y from the middle. Gives all their places in the picture. -ENOMEM. */
int ctl_graph_place_boxes(struct ctl_graph *graph, double gap);

struct ctl_graph_point {
    double x, y;
};

/* A cubic curve. */
struct ctl_graph_curve {
    struct ctl_graph_point points[4];
};

/* The arrow of an edge for one of its verdicts. */
struct ctl_graph_curve ctl_graph_route(const struct ctl_graph *graph,
                                       const struct ctl_graph_edge *edge, unsigned int verdict);
struct ctl_graph_point ctl_graph_curve_at(const struct ctl_graph_curve *curve, double t);

/* Inside of an <svg> element: boxes, arrows, nodes. `for_page`: with what the page's script needs.
 */
void ctl_graph_svg_body(FILE *out, const struct ctl_graph *graph, bool for_page);

/* Text of XML and HTML, in elements and in attributes; `max` > 0: cut to so many columns. */
void ctl_graph_xml(FILE *out, const char *text, size_t max);
