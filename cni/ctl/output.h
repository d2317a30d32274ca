/* SPDX-License-Identifier: Apache-2.0 */
/* Showing a cJSON value: as JSON, as YAML, or as a table. Nothing in it can steer a terminal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cjson/cJSON.h>

enum ctl_format {
    CTL_TEXT,
    CTL_JSON,
    CTL_YAML,
};

struct ctl_output {
    enum ctl_format format;
    bool color;
    bool documents; /* one of several YAML documents has been printed */
};

/* "text", "json", "yaml"; -EINVAL. */
int ctl_format_parse(const char *text, enum ctl_format *ret_format);

/* One line of JSON; what could steer a terminal is \uXXXX, so that the value stays the same. */
int ctl_json_print(FILE *out, const cJSON *value);

/* A YAML document without its "---". */
void ctl_yaml_print(FILE *out, const cJSON *value);

/* JSON or YAML as asked for (a "---" between documents). Not for CTL_TEXT. 0 or -ENOMEM. */
int ctl_print_value(struct ctl_output *output, const cJSON *value);

/*
 * A column shows a member of each row: text as it is, numbers, "yes" and "no", a list joined by
 * commas, "-" when it is absent. `member` may be a path with dots. `port_member` (may be NULL) is
 * shown behind it as address:port.
 */
struct ctl_column {
    const char *title;
    const char *member;
    const char *port_member;
    size_t max; /* cut longer texts to so many characters and an ellipsis; 0 = never */
};

#define CTL_COLUMNS_MAX 16

/* `rows` is an array of objects. Without rows it prints "(none)". */
void ctl_table_print(FILE *out, bool color, const cJSON *rows, const struct ctl_column *columns,
                     size_t count);

/* The text of one cell, made safe; the caller frees it. NULL when out of memory. */
char *ctl_cell_text(const cJSON *row, const struct ctl_column *column);

/* Member by a path such as "lastApply.writes"; NULL when it is not there. */
const cJSON *ctl_member(const cJSON *object, const char *path);
/* The same as text or number; "" and 0 when it is none. */
const char *ctl_member_text(const cJSON *object, const char *path);
double ctl_member_number(const cJSON *object, const char *path);
