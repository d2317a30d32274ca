/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A graph as one HTML file that needs nothing from outside. Its scripts and styles run by a nonce
 * that is new in each file: whatever else a name could bring along is not run. The data are JSON in
 * which nothing can end the element that they are in.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "cni/ctl/graph_draw.h"
#include "cni/ctl/graph_style.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"

#define PORTS_MAX 60 /* of one edge in the panel */

struct page {
    const struct ctl_graph *graph;
    char nonce[33];
};

static void make_nonce(char nonce[33])
{
    unsigned char bytes[16] = {0};

    /* what is too short is only less random */
    (void)!getrandom(bytes, sizeof(bytes), 0);
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
}

/* JSON inside of a script element: what means something to HTML or JavaScript as \u escapes. */
static int print_data(FILE *out, const struct ctl_graph *graph)
{
    cJSON *value = ctl_graph_json(graph, PORTS_MAX);
    char *json = value ? cJSON_PrintUnformatted(value) : NULL, *escaped = NULL;
    size_t size = 0;
    FILE *memory = json ? open_memstream(&escaped, &size) : NULL;

    cJSON_Delete(value);
    if (memory)
        ctl_print_escaped(memory, json);
    cJSON_free(json);
    if (!memory || fclose(memory) != 0) {
        free(escaped);
        return -ENOMEM;
    }
    for (const char *at = escaped; *at; at++) {
        bool is_line_end =
            strncmp(at, "\xe2\x80\xa8", 3) == 0 || strncmp(at, "\xe2\x80\xa9", 3) == 0;

        if (strchr("<>&", *at))
            fprintf(out, "\\u%04x", (unsigned char)*at);
        else if (is_line_end)
            fprintf(out, "\\u20%02x", (unsigned char)at[2] - 0x80);
        else
            fputc(*at, out);
        at += is_line_end ? 2 : 0;
    }
    free(escaped);
    return 0;
}

static int print_place(FILE *out, const struct page *page, const char *name, size_t length)
{
    static const struct {
        const char *name;
        const char *text;
    } texts[] = {{"GRAPH_STYLE", ctl_graph_style_svg},
                 {"PAGE_STYLE", ctl_graph_style_page},
                 {"SCRIPT", ctl_graph_script}};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++)
        if (strlen(texts[i].name) == length && strncmp(texts[i].name, name, length) == 0)
            fputs(texts[i].text, out);
    if (strncmp(name, "NONCE", length) == 0)
        fputs(page->nonce, out);
    if (strncmp(name, "SIZE", length) == 0)
        fputs(ctl_graph_is_small(page->graph) ? "small" : "large", out);
    if (strncmp(name, "WIDTH", length) == 0)
        fprintf(out, "%.0f", page->graph->width);
    if (strncmp(name, "HEIGHT", length) == 0)
        fprintf(out, "%.0f", page->graph->height);
    if (strncmp(name, "GRAPH", length) == 0 && length == strlen("GRAPH"))
        ctl_graph_svg_body(out, page->graph, true);
    return strncmp(name, "DATA", length) == 0 ? print_data(out, page->graph) : 0;
}

int ctl_graph_html(FILE *out, const struct ctl_graph *graph)
{
    struct page page = {.graph = graph};
    const char *at = ctl_graph_page;
    int r = 0;

    make_nonce(page.nonce);
    while (*at && r == 0) {
        const char *place = strstr(at, "@@"), *end = place ? strstr(place + 2, "@@") : NULL;

        if (!place || !end) {
            fputs(at, out);
            return 0;
        }
        fwrite(at, 1, (size_t)(place - at), out);
        r = print_place(out, &page, place + 2, (size_t)(end - place - 2));
        at = end + 2;
    }
    return r;
}
