/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/graph.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"

struct request {
    struct ctl_flows_wanted wanted;
    const char *format;
    const char *file; /* NULL = standard output */
    bool verdicts[FENCE_FLOW_VERDICTS];
};

static int write_dot(FILE *out, struct ctl_graph *graph)
{
    ctl_graph_dot(out, graph);
    return 0;
}

static int write_mermaid(FILE *out, struct ctl_graph *graph)
{
    ctl_graph_mermaid(out, graph);
    return 0;
}

static int write_svg(FILE *out, struct ctl_graph *graph)
{
    int r = ctl_graph_layout(graph);

    if (r == 0)
        ctl_graph_svg(out, graph);
    return r;
}

static int write_html(FILE *out, struct ctl_graph *graph)
{
    int r = ctl_graph_layout(graph);

    return r == 0 ? ctl_graph_html(out, graph) : r;
}

static int write_json(FILE *out, struct ctl_graph *graph)
{
    cJSON *value = ctl_graph_json(graph, 0);
    int r = value ? ctl_json_print(out, value) : -ENOMEM;

    cJSON_Delete(value);
    return r;
}

static int write_yaml(FILE *out, struct ctl_graph *graph)
{
    cJSON *value = ctl_graph_json(graph, 0);

    if (value)
        ctl_yaml_print(out, value);
    cJSON_Delete(value);
    return value ? 0 : -ENOMEM;
}

static const struct format {
    const char *name;
    int (*write)(FILE *out, struct ctl_graph *graph);
} formats[] = {
    {"dot", write_dot},   {"mermaid", write_mermaid}, {"svg", write_svg},
    {"html", write_html}, {"json", write_json},       {"yaml", write_yaml},
};

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

/* A whole document first: a file is not touched unless there is one. */
static int put(const struct ctl *ctl, const struct request *request, const struct format *format,
               struct ctl_graph *graph)
{
    FENCE_FREE char *text = NULL;
    struct fence_err err = {""};
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int r = out ? format->write(out, graph) : -ENOMEM;

    if (out && fclose(out) != 0)
        r = -ENOMEM;
    if (r < 0)
        return ctl_fail(ctl, "out of memory");
    if (!request->file)
        fwrite(text, 1, size, stdout);
    else if (fence_file_write(request->file, text, size, 0600, &err) < 0)
        return ctl_fail(ctl, "%s", err.text);
    return CTL_DONE;
}

static int show(const struct ctl *ctl, const struct request *request, const struct format *format)
{
    /* verdicts are left out behind the counting, which needs them all */
    struct ctl_flows_wanted wanted = {
        .files = request->wanted.files,
        .since = request->wanted.since,
        .namespace_name = request->wanted.namespace_name,
    };
    struct ctl_flows flows = {0};
    struct ctl_graph graph = {0};
    struct fence_err err = {""};
    int r;

    if (ctl_flows_read(ctl, &wanted, &flows, &err) < 0)
        return ctl_fail(ctl, "%s", err.text);
    if (ctl_graph_make(&flows, request->verdicts, &graph) == 0)
        r = put(ctl, request, format, &graph);
    else
        r = ctl_fail(ctl, "out of memory");
    ctl_graph_done(&graph);
    ctl_flows_done(&flows);
    return r;
}

static int run(const struct ctl *ctl, struct request *request)
{
    const struct format *format = NULL;
    struct fence_err err = {""};
    uint64_t ignored;

    if (request->format)
        format = find_format(request->format);
    else if (ctl->output.format != CTL_TEXT)
        format = find_format(ctl->output.format == CTL_JSON ? "json" : "yaml");
    if (!format && request->format)
        return ctl_misuse(ctl, "graph", "-o %s: there are dot, mermaid, svg, html, json and yaml",
                          request->format);
    if (!format)
        return ctl_misuse(ctl, "graph", "-o is missing: dot, mermaid, svg, html, json or yaml");
    if (ctl_verdicts_parse(&request->wanted.verdicts, request->verdicts, &err) < 0 ||
        (request->wanted.since && ctl_since_parse(request->wanted.since, 0, &ignored, &err) < 0))
        return ctl_misuse(ctl, "graph", "%s", err.text);
    return show(ctl, request, format);
}

int ctl_graph(struct ctl *ctl, int argc, char **argv)
{
    struct request request = {0};
    const struct ctl_option options[] = {
        CTL_FLOWS_OPTIONS(request.wanted),
        {.name = "output",
         .letter = 'o',
         .argument = "FORMAT",
         .values = "dot mermaid svg html json yaml",
         .help = "dot, mermaid, svg, html, json or yaml",
         .text = &request.format},
        {.name = "file",
         .argument = "FILE",
         .help = "write it there, whole or not at all",
         .text = &request.file},
    };
    const struct ctl_usage usage = {
        .verb = "graph",
        .arguments = "",
        .about =
            "Draws which workload talks to which: by namespace, with the world and the nodes,\n"
            "an arrow for what was forwarded, dropped, or would be dropped by an Audit policy.\n"
            "html is one file for a browser: search, filters, ports and policies on a click.",
        .example = "  podfencectl graph -o html --file flows.html\n"
                   "  podfencectl graph -o svg --namespace shop --since 1h > shop.svg\n"
                   "  podfencectl graph -o html --flows node1.json --flows node2.json > all.html",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r == CTL_GO_ON)
        r = run(ctl, &request);
    ctl_texts_done(&request.wanted.files);
    ctl_texts_done(&request.wanted.verdicts);
    return r;
}
