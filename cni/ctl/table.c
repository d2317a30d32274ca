/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/output.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"

#define GAP 2

static void value_write(FILE *out, const cJSON *value)
{
    const cJSON *child;
    const char *between = "";

    if (cJSON_IsString(value)) {
        fputs(*value->valuestring ? value->valuestring : "-", out);
    } else if (cJSON_IsBool(value)) {
        fputs(cJSON_IsTrue(value) ? "yes" : "no", out);
    } else if (cJSON_IsNumber(value)) {
        fprintf(out, "%.15g", value->valuedouble);
    } else if (cJSON_IsArray(value) && value->child) {
        cJSON_ArrayForEach(child, value)
        {
            fputs(between, out);
            value_write(out, child);
            between = ",";
        }
    } else {
        fputc('-', out);
    }
}

/* address:port, with brackets around an IPv6 address */
static void cell_write(FILE *out, const cJSON *row, const struct ctl_column *column)
{
    const cJSON *value = ctl_member(row, column->member);
    const cJSON *port = column->port_member ? ctl_member(row, column->port_member) : NULL;
    bool with_port = port && cJSON_IsNumber(port);
    bool brackets = with_port && cJSON_IsString(value) && strchr(value->valuestring, ':');

    if (brackets)
        fputc('[', out);
    value_write(out, value);
    if (brackets)
        fputc(']', out);
    if (with_port)
        fprintf(out, ":%.0f", port->valuedouble);
}

static void cut(char *text, size_t max)
{
    static const char ellipsis[] = "...";
    char *at = text;

    if (ctl_text_width(text) <= max)
        return;
    for (size_t i = sizeof(ellipsis); i <= max; i++) {
        unsigned int point;
        size_t length = ctl_utf8_next(at, &point);

        at += length ? length : 1;
    }
    if (strlen(at) >= sizeof(ellipsis))
        memcpy(at, ellipsis, sizeof(ellipsis));
}

char *ctl_cell_text(const cJSON *row, const struct ctl_column *column)
{
    FENCE_FREE char *raw = NULL;
    char *safe;
    size_t size;
    FILE *out = open_memstream(&raw, &size);

    if (!out)
        return NULL;
    cell_write(out, row, column);
    if (fclose(out) != 0)
        return NULL;
    safe = ctl_safe_text(raw);
    if (safe && column->max)
        cut(safe, column->max);
    return safe;
}

static void print_cell(FILE *out, const char *text, const char *color, size_t fill)
{
    fprintf(out, "%s%s%s%*s", color, text, *color ? CTL_COLOR_END : "", (int)fill, "");
}

static void widen(size_t *widths, const cJSON *row, const struct ctl_column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FENCE_FREE char *text = ctl_cell_text(row, &columns[i]);
        size_t width = text ? ctl_text_width(text) : 0;

        if (width > widths[i])
            widths[i] = width;
    }
}

void ctl_table_print(FILE *out, bool color, const cJSON *rows, const struct ctl_column *columns,
                     size_t count)
{
    size_t widths[CTL_COLUMNS_MAX] = {0};
    const cJSON *row;

    if (count > CTL_COLUMNS_MAX)
        count = CTL_COLUMNS_MAX;
    if (!cJSON_GetArraySize(rows)) {
        fputs("(none)\n", out);
        return;
    }
    for (size_t i = 0; i < count; i++)
        widths[i] = strlen(columns[i].title);
    cJSON_ArrayForEach(row, rows) widen(widths, row, columns, count);
    for (size_t i = 0; i < count; i++)
        print_cell(out, columns[i].title, "",
                   i + 1 < count ? widths[i] + GAP - strlen(columns[i].title) : 0);
    fputc('\n', out);
    cJSON_ArrayForEach(row, rows)
    {
        for (size_t i = 0; i < count; i++) {
            FENCE_FREE char *text = ctl_cell_text(row, &columns[i]);
            size_t width = text ? ctl_text_width(text) : 0;

            print_cell(out, text ? text : "", ctl_color_of(color, text ? text : ""),
                       i + 1 < count ? widths[i] + GAP - width : 0);
        }
        fputc('\n', out);
    }
}
