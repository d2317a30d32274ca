/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/ctl/graph.h"
#include "cni/ctl/text.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

#define ROWS_DEFAULT 20
#define ROWS_MAX     100000

struct top {
    struct ctl *ctl;
    struct ctl_flows_wanted wanted;
    const char *by;
    const char *limit;
    bool follow;
    bool by_last;
    long rows;
    bool verdicts[FENCE_FLOW_VERDICTS];
};

/* One look. */
struct look {
    struct ctl_flows flows;
    struct ctl_graph graph;
    uint64_t at_ns; /* CLOCK_BOOTTIME */
};

/* A line of the table: an edge at one port. */
struct line {
    const struct ctl_graph_edge *edge;
    const struct ctl_graph_port *port;
    uint64_t count;
    uint64_t last_ns;
    double rate; /* a second; < 0 = nobody looked twice */
};

static void look_done(struct look *look)
{
    ctl_graph_done(&look->graph);
    ctl_flows_done(&look->flows);
}

static int take_look(const struct top *top, struct look *ret_look, struct fence_err *err)
{
    /* verdicts are left out behind the counting, which needs them all */
    const struct ctl_flows_wanted wanted = {
        .files = top->wanted.files,
        .since = top->wanted.since,
        .namespace_name = top->wanted.namespace_name,
    };
    struct look look = {.at_ns = fence_clock_boot_ns()};
    int r = ctl_flows_read(top->ctl, &wanted, &look.flows, err);

    if (r < 0)
        return r;
    r = ctl_graph_make(&look.flows, top->verdicts, &look.graph);
    if (r < 0) {
        look_done(&look);
        return fence_err_set(err, r, "out of memory");
    }
    *ret_look = look;
    return 0;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static int by_count(const void *a_line, const void *b_line)
{
    const struct line *a = a_line, *b = b_line;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    if (a->edge != b->edge)
        return a->edge < b->edge ? -1 : 1;
    return (a->port > b->port) - (a->port < b->port);
}

static int by_last(const void *a_line, const void *b_line)
{
    const struct line *a = a_line, *b = b_line;

    return a->last_ns == b->last_ns ? by_count(a, b) : (a->last_ns < b->last_ns ? 1 : -1);
}

static void sum_port(const struct ctl_graph_port *port, struct line *line)
{
    for (size_t i = 0; i < FENCE_FLOW_VERDICTS; i++) {
        line->count += port->cells[i].count;
        if (port->cells[i].count && port->cells[i].last_ns > line->last_ns)
            line->last_ns = port->cells[i].last_ns;
    }
}

static const struct ctl_graph_port *find_port(const struct ctl_graph_edge *edge,
                                              const struct ctl_graph_port *wanted)
{
    for (size_t i = 0; i < edge->port_count; i++)
        if (edge->ports[i].protocol == wanted->protocol && edge->ports[i].port == wanted->port)
            return &edge->ports[i];
    return NULL;
}

/* What the look before had counted of that line. */
static uint64_t count_before(const struct look *before, const struct look *now,
                             const struct line *line)
{
    char id[CTL_GRAPH_ID], other[CTL_GRAPH_ID], to[CTL_GRAPH_ID];

    ctl_graph_id(&now->graph.nodes[line->edge->source], id);
    ctl_graph_id(&now->graph.nodes[line->edge->destination], to);
    for (size_t i = 0; i < before->graph.edge_count; i++) {
        const struct ctl_graph_edge *edge = &before->graph.edges[i];
        const struct ctl_graph_port *port;
        struct line found = {0};

        if (strcmp(ctl_graph_id(&before->graph.nodes[edge->source], other), id) != 0 ||
            strcmp(ctl_graph_id(&before->graph.nodes[edge->destination], other), to) != 0)
            continue;
        port = find_port(edge, line->port);
        if (port)
            sum_port(port, &found);
        return found.count;
    }
    return 0;
}

static double rate_of(const struct look *before, const struct look *now, const struct line *line)
{
    uint64_t count = count_before(before, now, line);
    double seconds = (double)(now->at_ns - before->at_ns) / 1e9;

    return line->count > count && seconds > 0 ? (double)(line->count - count) / seconds : 0;
}

/* All lines, sorted. NULL when out of memory. */
static struct line *make_lines(const struct top *top, const struct look *look, size_t *ret_count)
{
    size_t count = 0, i = 0;
    struct line *lines;

    for (size_t e = 0; e < look->graph.edge_count; e++)
        count += look->graph.edges[e].port_count;
    lines = calloc(count + 1, sizeof(*lines));
    if (!lines)
        return NULL;
    for (size_t e = 0; e < look->graph.edge_count; e++)
        for (size_t p = 0; p < look->graph.edges[e].port_count; p++) {
            struct line *line = &lines[i++];

            *line = (struct line){
                .edge = &look->graph.edges[e], .port = &look->graph.edges[e].ports[p], .rate = -1};
            sum_port(line->port, line);
        }
    qsort(lines, count, sizeof(*lines), top->by_last ? by_last : by_count);
    *ret_count = count;
    return lines;
}

/* ---- text ----------------------------------------------------------------------------------- */

static void add_age(cJSON *row, uint64_t last_ns)
{
    uint64_t now_ns = fence_clock_wall_ns();
    uint64_t seconds = now_ns > last_ns ? (now_ns - last_ns) / 1000000000ull : 0;
    char text[32];

    if (seconds < 120)
        snprintf(text, sizeof(text), "%llus ago", (unsigned long long)seconds);
    else if (seconds < 7200)
        snprintf(text, sizeof(text), "%llum ago", (unsigned long long)seconds / 60);
    else if (seconds < 172800)
        snprintf(text, sizeof(text), "%lluh ago", (unsigned long long)seconds / 3600);
    else
        snprintf(text, sizeof(text), "%llud ago", (unsigned long long)seconds / 86400);
    cJSON_AddStringToObject(row, "last", text);
}

static void add_count(cJSON *row, const char *name, uint64_t count)
{
    if (count)
        cJSON_AddNumberToObject(row, name, (double)count);
    else
        cJSON_AddNullToObject(row, name);
}

/* Who decided: of what is dropped first, then of what would be. */
static void add_policy(cJSON *row, const struct ctl_graph_port *port)
{
    static const enum fence_flow_verdict order[] = {FENCE_FLOW_DROPPED, FENCE_FLOW_AUDIT,
                                                    FENCE_FLOW_FORWARDED};
    const struct ctl_graph_ruling *ruling = NULL;
    const struct fence_flow_rule *rule;
    char text[640];
    size_t i;

    for (i = 0; i < FENCE_ARRAY_SIZE(order) && !ruling; i++)
        if (port->cells[order[i]].count)
            ruling = ctl_graph_ruling(&port->cells[order[i]]);
    if (!ruling)
        return;
    rule = order[i - 1] == FENCE_FLOW_AUDIT ? &ruling->audit_rule : &ruling->rule;
    if (!*rule->policy)
        snprintf(text, sizeof(text), "(%s)", fence_reason_name(ruling->reason));
    else if (rule->index == FENCE_RULE_NONE)
        snprintf(text, sizeof(text), "%s", rule->policy);
    else
        snprintf(text, sizeof(text), "%s rule %u", rule->policy, rule->index);
    cJSON_AddStringToObject(row, "policy", text);
}

static cJSON *make_row(const struct look *look, const struct line *line)
{
    cJSON *row = cJSON_CreateObject();
    char text[CTL_GRAPH_ID], port[CTL_GRAPH_PORT], rate[32];
    const struct ctl_graph_cell *cells = line->port->cells;

    cJSON_AddStringToObject(row, "source",
                            ctl_graph_name(&look->graph.nodes[line->edge->source], text));
    cJSON_AddStringToObject(row, "destination",
                            ctl_graph_name(&look->graph.nodes[line->edge->destination], text));
    cJSON_AddStringToObject(row, "port", ctl_graph_port_name(line->port, port));
    add_count(row, "forwarded", cells[FENCE_FLOW_FORWARDED].count);
    add_count(row, "dropped", cells[FENCE_FLOW_DROPPED].count);
    add_count(row, "audit", cells[FENCE_FLOW_AUDIT].count);
    snprintf(rate, sizeof(rate), "%.1f", line->rate);
    if (line->rate >= 0)
        cJSON_AddStringToObject(row, "rate", rate);
    add_age(row, line->last_ns);
    add_policy(row, line->port);
    return row;
}

static void print_rows(const struct ctl *ctl, const cJSON *rows, bool with_rate)
{
    static const struct ctl_column columns[] = {
        {"SOURCE", "source", NULL, 48},  {"DESTINATION", "destination", NULL, 48},
        {"PORT", "port", NULL, 0},       {"FORWARDED", "forwarded", NULL, 0},
        {"DROPPED", "dropped", NULL, 0}, {"AUDIT", "audit", NULL, 0},
        {"LAST SEEN", "last", NULL, 0},  {"POLICY", "policy", NULL, 72},
    };
    static const struct ctl_column with[] = {
        {"SOURCE", "source", NULL, 48},      {"DESTINATION", "destination", NULL, 48},
        {"PORT", "port", NULL, 0},           {"NEW/S", "rate", NULL, 0},
        {"FORWARDED", "forwarded", NULL, 0}, {"DROPPED", "dropped", NULL, 0},
        {"AUDIT", "audit", NULL, 0},         {"LAST SEEN", "last", NULL, 0},
        {"POLICY", "policy", NULL, 72},
    };

    ctl_table_print(stdout, ctl->output.color, rows, with_rate ? with : columns,
                    with_rate ? FENCE_ARRAY_SIZE(with) : FENCE_ARRAY_SIZE(columns));
}

static void print_foot(const struct look *look, size_t left)
{
    char since[FENCE_FLOW_TIME];

    if (left)
        printf("and %zu more: -l %zu shows them\n", left, left + ROWS_DEFAULT);
    if (look->flows.lost)
        printf("%llu may be missing since %s: see \"lost\" of -o json\n",
               (unsigned long long)look->flows.lost,
               fence_flow_time_format(look->flows.since_ns, since));
}

/* `before` may be NULL. */
static int print_look(const struct top *top, const struct look *look, const struct look *before)
{
    size_t count = 0, shown;
    FENCE_FREE struct line *lines = make_lines(top, look, &count);
    cJSON *rows = cJSON_CreateArray();

    if (!lines || !rows) {
        cJSON_Delete(rows);
        return -ENOMEM;
    }
    shown = count < (size_t)top->rows ? count : (size_t)top->rows;
    for (size_t i = 0; i < shown; i++) {
        if (before)
            lines[i].rate = rate_of(before, look, &lines[i]);
        cJSON_AddItemToArray(rows, make_row(look, &lines[i]));
    }
    print_rows(top->ctl, rows, before != NULL);
    print_foot(look, count - shown);
    cJSON_Delete(rows);
    return 0;
}

/* ---- the command ---------------------------------------------------------------------------- */

/* As the daemon gave them, so that they can be saved and read again by --flows. */
static cJSON *as_json(const struct ctl_flows *flows)
{
    char *text = NULL, since[FENCE_FLOW_TIME];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cJSON *value = NULL;

    if (!out)
        return NULL;
    fprintf(out, "{\"since\":\"%s\",\"lost\":%llu,\"flows\":[",
            fence_flow_time_format(flows->since_ns, since), (unsigned long long)flows->lost);
    for (size_t i = 0; i < flows->count; i++) {
        fputs(i ? "," : "", out);
        fence_flow_print(out, &flows->items[i].seen);
    }
    fputs("]}", out);
    if (fclose(out) == 0)
        value = cJSON_ParseWithLength(text, size);
    free(text);
    return value;
}

static int show_json(const struct top *top)
{
    struct ctl_flows flows = {0};
    struct fence_err err = {""};
    int r = ctl_flows_read(top->ctl, &top->wanted, &flows, &err);

    if (r < 0)
        return ctl_fail(top->ctl, "%s", err.text);
    r = ctl_show(top->ctl, as_json(&flows), NULL);
    ctl_flows_done(&flows);
    return r;
}

static int show_once(const struct top *top)
{
    struct look look = {0};
    struct fence_err err = {""};
    int r = take_look(top, &look, &err);

    if (r < 0)
        return ctl_fail(top->ctl, "%s", err.text);
    r = print_look(top, &look, NULL);
    look_done(&look);
    return r < 0 ? ctl_fail(top->ctl, "out of memory") : CTL_DONE;
}

/* On a terminal each look takes the place of the one before. */
static int show_next(const struct top *top, struct look *before)
{
    struct look now = {0};
    struct fence_err err = {""};
    int r;

    sleep(1);
    r = take_look(top, &now, &err);
    if (r < 0)
        return ctl_fail(top->ctl, "%s", err.text);
    fputs(isatty(STDOUT_FILENO) ? "\033[H\033[J" : "", stdout);
    r = print_look(top, &now, before);
    putchar('\n');
    look_done(before);
    *before = now;
    if (r < 0)
        return ctl_fail(top->ctl, "out of memory");
    return fflush(stdout) == 0 ? CTL_GO_ON : CTL_FAILED;
}

static int show_again_and_again(const struct top *top)
{
    struct look before = {0};
    struct fence_err err = {""};
    int r = take_look(top, &before, &err);

    if (r < 0)
        return ctl_fail(top->ctl, "%s", err.text);
    do
        r = show_next(top, &before);
    while (r == CTL_GO_ON);
    look_done(&before);
    return r;
}

/* CTL_GO_ON or the exit status. */
static int check(struct top *top)
{
    struct fence_err err = {""};
    uint64_t ignored;
    char *end = NULL;

    if (top->by && strcmp(top->by, "count") != 0 && strcmp(top->by, "last") != 0)
        return ctl_misuse(top->ctl, "top", "--by %s: there are count and last", top->by);
    top->by_last = top->by && strcmp(top->by, "last") == 0;
    top->rows = top->limit ? strtol(top->limit, &end, 10) : ROWS_DEFAULT;
    if (top->limit && (!*top->limit || *end || top->rows < 1 || top->rows > ROWS_MAX))
        return ctl_misuse(top->ctl, "top", "-l %s: a number from 1 to %d is needed", top->limit,
                          ROWS_MAX);
    if (top->wanted.since && ctl_since_parse(top->wanted.since, 0, &ignored, &err) < 0)
        return ctl_misuse(top->ctl, "top", "%s", err.text);
    if (ctl_verdicts_parse(&top->wanted.verdicts, top->verdicts, &err) < 0)
        return ctl_misuse(top->ctl, "top", "%s", err.text);
    if (top->follow && (top->wanted.files.count || top->ctl->output.format != CTL_TEXT))
        return ctl_misuse(top->ctl, "top", "-f follows the daemon, and as text only");
    return CTL_GO_ON;
}

static int run(struct top *top)
{
    int r = check(top);

    if (r != CTL_GO_ON)
        return r;
    if (top->ctl->output.format != CTL_TEXT)
        return show_json(top);
    return top->follow ? show_again_and_again(top) : show_once(top);
}

int ctl_top(struct ctl *ctl, int argc, char **argv)
{
    struct top top = {.ctl = ctl};
    const struct ctl_option options[] = {
        CTL_FLOWS_OPTIONS(top.wanted),
        {.name = "by",
         .argument = "ORDER",
         .values = "count last",
         .help = "count or last (seen) [count]",
         .text = &top.by},
        {.name = "lines",
         .letter = 'l',
         .argument = "N",
         .help = "so many lines [20]",
         .text = &top.limit},
        {.name = "follow",
         .letter = 'f',
         .help = "look each second, with new connections a second",
         .flag = &top.follow},
    };
    const struct ctl_usage usage = {
        .verb = "top",
        .arguments = "",
        .about =
            "Shows which workload talks to which, at what port, and what became of it: new\n"
            "connections by verdict, when it was seen last, and the policy that decided. The\n"
            "daemon keeps it beyond the life of pods and its own. -o json is what --flows reads.",
        .example = "  podfencectl top --namespace shop --since 1h\n"
                   "  podfencectl top --verdict dropped --by last\n"
                   "  podfencectl top -o json > node1.json",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r == CTL_GO_ON)
        r = run(&top);
    ctl_texts_done(&top.wanted.files);
    ctl_texts_done(&top.wanted.verdicts);
    return r;
}
