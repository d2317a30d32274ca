/* SPDX-License-Identifier: Apache-2.0 */
/* A graph as SVG: a file of its own, or the inside of the HTML page. */
#include <math.h>
#include <string.h>

#include "cni/ctl/graph_draw.h"
#include "cni/ctl/graph_style.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"

#define NODE_LETTER   7.0 /* width of one in a node */
#define LABEL_HEIGHT  14.0
#define LABEL_LETTER  6.1
#define LABELS_MAX    256
#define TITLE_LETTER  8.0
#define CURVES_MAX    192 /* of a small picture: edges and verdicts */
#define SAMPLES       40
#define LEGEND_HEIGHT 44.0

static const char *const names[FENCE_FLOW_VERDICTS] = {
    [FENCE_FLOW_FORWARDED] = "forwarded",
    [FENCE_FLOW_DROPPED] = "dropped",
    [FENCE_FLOW_AUDIT] = "audit",
};

/* ---- text ----------------------------------------------------------------------------------- */

static void xml_character(FILE *out, const char *at, size_t length, unsigned int point)
{
    switch (point) {
    case '&':
        fputs("&amp;", out);
        break;
    case '<':
        fputs("&lt;", out);
        break;
    case '>':
        fputs("&gt;", out);
        break;
    case '"':
        fputs("&quot;", out);
        break;
    case '\'':
        fputs("&#39;", out);
        break;
    case 0xfffe: /* which XML does not have */
    case 0xffff:
        fputs("\xef\xbf\xbd", out);
        break;
    default:
        fwrite(at, 1, length, out);
    }
}

static size_t columns_of(const char *at, size_t length)
{
    char one[8] = "";

    memcpy(one, at, length < sizeof(one) ? length : 0);
    return ctl_text_width(one);
}

void ctl_graph_xml(FILE *out, const char *text, size_t max)
{
    FENCE_FREE char *safe = ctl_safe_text(text);
    bool whole = !safe || !max || ctl_text_width(safe) <= max;
    size_t used = 0;

    for (const char *at = safe ? safe : ""; *at;) {
        unsigned int point = 0xfffd;
        size_t length = ctl_utf8_next(at, &point);

        length = length ? length : 1;
        used += columns_of(at, length);
        if (!whole && used >= max) {
            fputs("\xe2\x80\xa6", out);
            return;
        }
        xml_character(out, at, length, point);
        at += length;
    }
}

/* ---- parts ---------------------------------------------------------------------------------- */

static void print_defs(FILE *out)
{
    fputs("<defs>"
          "<marker id=\"m-forwarded\" viewBox=\"0 0 10 10\" refX=\"9.5\" refY=\"5\" "
          "markerWidth=\"9\" markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">"
          "<path class=\"head forwarded\" d=\"M0.5 1 L9.5 5 L0.5 9 Z\"/></marker>"
          "<marker id=\"m-dropped\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" "
          "markerWidth=\"10\" markerHeight=\"10\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">"
          "<path class=\"cross\" d=\"M1.5 1.5 L8.5 8.5 M8.5 1.5 L1.5 8.5\"/></marker>"
          "<marker id=\"m-audit\" viewBox=\"0 0 10 10\" refX=\"9.5\" refY=\"5\" "
          "markerWidth=\"10\" markerHeight=\"10\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">"
          "<path class=\"open\" d=\"M1 1.2 L9 5 L1 8.8 Z\"/></marker>"
          "</defs>\n",
          out);
}

static void print_rect(FILE *out, const struct ctl_graph_box *box, double radius)
{
    fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%.0f\"/>", box->x,
            box->y, box->width, box->height, radius);
}

static void print_boxes(FILE *out, const struct ctl_graph *graph)
{
    fputs("<g class=\"boxes\">\n", out);
    for (size_t i = 0; i < graph->group_count; i++) {
        const struct ctl_graph_group *group = &graph->groups[i];

        if (group->kind == FENCE_FLOW_RESERVED)
            continue;
        fputs("<g class=\"box\"><title>", out);
        ctl_graph_xml(out, group->name, 0);
        fputs("</title>", out);
        print_rect(out, &group->box, 10);
        fputs("</g>\n", out);
    }
    fputs("</g>\n", out);
}

/* Above the arrows, so that they can be read. */
static void print_titles(FILE *out, const struct ctl_graph *graph)
{
    fputs("<g class=\"titles\">\n", out);
    for (size_t i = 0; i < graph->group_count; i++) {
        const struct ctl_graph_group *group = &graph->groups[i];

        if (group->kind == FENCE_FLOW_RESERVED)
            continue;
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">", group->box.x + 18, group->box.y + 23);
        ctl_graph_xml(out, group->name, (size_t)((group->box.width - 36) / TITLE_LETTER));
        fputs("</text>\n", out);
    }
    fputs("</g>\n", out);
}

static void print_node(FILE *out, const struct ctl_graph *graph, uint32_t number, bool for_page)
{
    const struct ctl_graph_node *node = &graph->nodes[number];
    const struct ctl_graph_box *box = &node->box;
    char name[CTL_GRAPH_ID];
    bool reserved = node->end.kind == FENCE_FLOW_RESERVED;

    ctl_graph_name(node, name);
    fprintf(out, "<g class=\"node%s\"", reserved ? " reserved" : "");
    if (for_page) {
        fprintf(out, " data-node=\"%u\" tabindex=\"0\" role=\"button\" aria-label=\"", number);
        ctl_graph_xml(out, name, 0);
        fputc('"', out);
    }
    fputs("><title>", out);
    ctl_graph_xml(out, name, 0);
    fputs("</title>", out);
    print_rect(out, box, reserved ? 15 : 6);
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">", box->x + box->width / 2, box->y + 19.5);
    ctl_graph_xml(out, node->end.name, (size_t)((box->width - 14) / NODE_LETTER));
    fputs("</text></g>\n", out);
}

/* ---- arrows --------------------------------------------------------------------------------- */

/* What is written already. */
struct labels {
    const struct ctl_graph *graph;
    struct ctl_graph_curve curves[CURVES_MAX]; /* all, so that none goes through a text */
    size_t curve_count;
    struct ctl_graph_box boxes[LABELS_MAX];
    size_t count;
};

static bool do_overlap(const struct ctl_graph_box *a, const struct ctl_graph_box *b)
{
    return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height &&
           b->y < a->y + a->height;
}

static bool is_free(const struct labels *labels, const struct ctl_graph_box *box)
{
    for (size_t i = 0; i < labels->count; i++)
        if (do_overlap(box, &labels->boxes[i]))
            return false;
    for (size_t i = 0; i < labels->graph->node_count; i++)
        if (do_overlap(box, &labels->graph->nodes[i].box))
            return false;
    for (size_t i = 0; i < labels->graph->group_count; i++) {
        struct ctl_graph_box title = labels->graph->groups[i].box;

        title.height = 30;
        title.width = 160;
        if (labels->graph->groups[i].kind != FENCE_FLOW_RESERVED && do_overlap(box, &title))
            return false;
    }
    return true;
}

/* Points of other arrows in a box. */
static unsigned int crossings(const struct labels *labels, const struct ctl_graph_curve *own,
                              const struct ctl_graph_box *box)
{
    unsigned int count = 0;

    for (size_t i = 0; i < labels->curve_count; i++)
        for (unsigned int s = 0; s <= SAMPLES; s++) {
            struct ctl_graph_point at = ctl_graph_curve_at(&labels->curves[i], (double)s / SAMPLES);
            const struct ctl_graph_box point = {at.x, at.y, 1, 1};

            count += do_overlap(&point, box);
        }
    for (unsigned int s = 0; s <= SAMPLES; s++) {
        struct ctl_graph_point at = ctl_graph_curve_at(own, (double)s / SAMPLES);
        const struct ctl_graph_box point = {at.x, at.y, 1, 1};

        count -= do_overlap(&point, box);
    }
    return count;
}

/* Near the middle of the arrow, where nothing else is; else it is left out. */
static void print_label(FILE *out, struct labels *labels, const struct ctl_graph_curve *curve,
                        const char *text)
{
    static const double places[] = {0.5,  0.44, 0.56, 0.38, 0.62, 0.32, 0.68,
                                    0.26, 0.74, 0.2,  0.8,  0.14, 0.86};
    double width = (double)strlen(text) * LABEL_LETTER + 8;
    struct ctl_graph_box best = {0};
    unsigned int least = ~0u;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(places) && labels->count < LABELS_MAX && least; i++) {
        struct ctl_graph_point at = ctl_graph_curve_at(curve, places[i]);
        struct ctl_graph_box box = {at.x - width / 2, at.y - LABEL_HEIGHT / 2, width, LABEL_HEIGHT};
        unsigned int count = is_free(labels, &box) ? crossings(labels, curve, &box) : ~0u;

        if (count >= least)
            continue;
        least = count;
        best = box;
    }
    if (least == ~0u)
        return;
    labels->boxes[labels->count++] = best;
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">%s</text>", best.x + width / 2,
            best.y + LABEL_HEIGHT / 2 + 3.8, text);
}

static void print_curve(FILE *out, const char *class, const struct ctl_graph_curve *curve)
{
    const struct ctl_graph_point *p = curve->points;

    fprintf(out, "<path class=\"%s\" d=\"M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f\"", class,
            p[0].x, p[0].y, p[1].x, p[1].y, p[2].x, p[2].y, p[3].x, p[3].y);
}

static double stroke_of(uint64_t count)
{
    double width = 1.2 + 0.55 * log10((double)count);

    return width < 5 ? width : 5;
}

static void print_arrow(FILE *out, struct labels *labels, size_t number, unsigned int verdict,
                        bool for_page)
{
    const struct ctl_graph *graph = labels->graph;
    const struct ctl_graph_edge *edge = &graph->edges[number];
    struct ctl_graph_curve curve = ctl_graph_route(graph, edge, verdict);
    char name[CTL_GRAPH_ID], ports[CTL_GRAPH_PORTS];

    fprintf(out, "<g class=\"edge %s\"", names[verdict]);
    if (for_page)
        fprintf(out, " data-edge=\"%zu\"", number);
    fputs("><title>", out);
    ctl_graph_xml(out, ctl_graph_name(&graph->nodes[edge->source], name), 0);
    fputs(" \xe2\x86\x92 ", out);
    ctl_graph_xml(out, ctl_graph_name(&graph->nodes[edge->destination], name), 0);
    ctl_graph_ports_name(edge, verdict, ports);
    fprintf(out, ": %llu %s, %s</title>", (unsigned long long)edge->counts[verdict], names[verdict],
            ports);
    if (for_page) {
        print_curve(out, "hit", &curve);
        fputs("/>", out);
    }
    print_curve(out, "line", &curve);
    fprintf(out, " stroke-width=\"%.1f\" marker-end=\"url(#m-%s)\"/>",
            stroke_of(edge->counts[verdict]), names[verdict]);
    if (ctl_graph_is_small(graph))
        print_label(out, labels, &curve, ports);
    fputs("</g>\n", out);
}

static void collect_curves(struct labels *labels)
{
    const struct ctl_graph *graph = labels->graph;

    for (size_t i = 0; i < graph->edge_count && ctl_graph_is_small(graph); i++)
        for (unsigned int v = 0; v < FENCE_FLOW_VERDICTS; v++)
            if (graph->edges[i].counts[v] && labels->curve_count < CURVES_MAX)
                labels->curves[labels->curve_count++] = ctl_graph_route(graph, &graph->edges[i], v);
}

static void print_arrows(FILE *out, const struct ctl_graph *graph, bool for_page)
{
    static const enum fence_flow_verdict order[FENCE_FLOW_VERDICTS] = {
        FENCE_FLOW_FORWARDED, FENCE_FLOW_AUDIT, FENCE_FLOW_DROPPED};
    struct labels labels = {.graph = graph};

    collect_curves(&labels);
    fputs("<g class=\"edges\">\n", out);
    for (size_t v = 0; v < FENCE_FLOW_VERDICTS; v++)
        for (size_t i = 0; i < graph->edge_count; i++)
            if (graph->edges[i].counts[order[v]])
                print_arrow(out, &labels, i, order[v], for_page);
    fputs("</g>\n", out);
}

void ctl_graph_svg_body(FILE *out, const struct ctl_graph *graph, bool for_page)
{
    print_defs(out);
    print_boxes(out, graph);
    print_arrows(out, graph, for_page);
    print_titles(out, graph);
    fputs("<g class=\"nodes\">\n", out);
    for (uint32_t i = 0; i < graph->node_count; i++)
        print_node(out, graph, i, for_page);
    fputs("</g>\n", out);
}

/* ---- a file of its own ---------------------------------------------------------------------- */

static void print_legend(FILE *out, const struct ctl_graph *graph)
{
    static const char *const texts[FENCE_FLOW_VERDICTS] = {
        [FENCE_FLOW_FORWARDED] = "forwarded",
        [FENCE_FLOW_DROPPED] = "dropped",
        [FENCE_FLOW_AUDIT] = "an Audit policy would drop it",
    };
    double x = CTL_GRAPH_MARGIN, y = graph->height + 12;

    for (size_t i = 0; i < FENCE_FLOW_VERDICTS; i++) {
        fprintf(out,
                "<g class=\"edge %s\"><path class=\"line\" d=\"M%.1f %.1f h40\" "
                "stroke-width=\"1.8\" marker-end=\"url(#m-%s)\"/></g>"
                "<text class=\"legend\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                names[i], x, y, names[i], x + 50, y + 4, texts[i]);
        x += 50 + (double)strlen(texts[i]) * 6.6 + 28;
    }
}

void ctl_graph_svg(FILE *out, const struct ctl_graph *graph)
{
    double width = graph->width > 460 ? graph->width : 460;
    double height = graph->height + LEGEND_HEIGHT;

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
            "height=\"%.0f\" role=\"img\"%s>\n<title>Flows between workloads</title>\n<style>%s"
            "</style>\n<rect class=\"ground\" width=\"100%%\" height=\"100%%\"/>\n",
            width, height, width, height, ctl_graph_is_small(graph) ? "" : " class=\"large\"",
            ctl_graph_style_svg);
    ctl_graph_svg_body(out, graph, false);
    print_legend(out, graph);
    fputs("</svg>\n", out);
}
