/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/field.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"

#define PATH_TEXT    512u
#define MAX_WARNINGS 20u

struct fence_field fence_field_get(const struct fence_field *map, const char *key)
{
    struct fence_field field = *map;

    field.up = map;
    field.key = key;
    field.doc = fence_doc_get(map->doc, key);
    if (field.doc && field.doc->type == FENCE_DOC_NULL && !map->null_is_value)
        field.doc = NULL;
    return field;
}

struct fence_field fence_field_item(const struct fence_field *list, size_t index)
{
    struct fence_field field = *list;

    field.up = list;
    field.key = NULL;
    field.index = index;
    field.doc = list->doc->items[index];
    return field;
}

size_t fence_field_count(const struct fence_field *field)
{
    return field->doc ? field->doc->count : 0;
}

/* ---- messages ------------------------------------------------------------------------------- */

static bool is_plain_key(const char *key)
{
    for (const char *at = key; *at; at++)
        if (!isalnum((unsigned char)*at))
            return false;
    return *key != '\0';
}

/* Append the path to `path`; returns what is in it. */
static size_t put_path(const struct fence_field *field, char path[PATH_TEXT])
{
    size_t used;

    if (!field->up) {
        path[0] = '\0';
        return 0;
    }
    used = put_path(field->up, path);
    if (!field->key)
        snprintf(path + used, PATH_TEXT - used, "[%zu]", field->index);
    else if (is_plain_key(field->key))
        snprintf(path + used, PATH_TEXT - used, "%s%.100s", used ? "." : "", field->key);
    else
        snprintf(path + used, PATH_TEXT - used, "[\"%.100s\"]", field->key);
    return strlen(path);
}

/* Of the field, or of what should contain it; 0 when nobody knows. */
static unsigned int line_of(const struct fence_field *field)
{
    while (field && !field->doc)
        field = field->up;
    return field ? field->doc->line : 1;
}

static void put_place(const struct fence_field *field, char *place, size_t size)
{
    unsigned int line = line_of(field);
    char path[PATH_TEXT];

    put_path(field, path);
    if (line)
        snprintf(place, size, "line %u%s%s", line, *path ? ": " : "", path);
    else
        snprintf(place, size, "%s", path);
}

int fence_field_prefix(const struct fence_field *field, int code, struct fence_err *err)
{
    char place[PATH_TEXT + 32];

    put_place(field, place, sizeof(place));
    return *place ? fence_err_prefix(err, code, "%s", place) : code;
}

int fence_field_refuse(const struct fence_field *field, struct fence_err *err, const char *format,
                       ...)
{
    va_list args;

    if (!err)
        return -EINVAL;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return fence_field_prefix(field, -EINVAL, err);
}

static void add_warning(struct fence_warnings *warnings, const char *text)
{
    char *joined = NULL;

    if (asprintf(&joined, "%s%s%s", warnings->text ? warnings->text : "",
                 warnings->text ? "; " : "", text) < 0)
        return;
    free(warnings->text);
    warnings->text = joined;
}

void fence_field_warn(const struct fence_field *field, const char *format, ...)
{
    struct fence_err text;
    va_list args;

    if (++field->warnings->count > MAX_WARNINGS)
        return;
    va_start(args, format);
    vsnprintf(text.text, sizeof(text.text), format, args);
    va_end(args);
    fence_field_prefix(field, 0, &text);
    add_warning(field->warnings,
                field->warnings->count == MAX_WARNINGS ? "further warnings left out" : text.text);
}

bool fence_field_is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static void unknown_member(const struct fence_field *field)
{
    struct fence_warnings *warnings = field->warnings;
    struct fence_err text;

    warnings->unknown++;
    if (!warnings->strict) {
        fence_field_warn(field, "unknown field, ignored");
        return;
    }
    fence_field_refuse(field, &text, "unknown field");
    if (!warnings->refused)
        warnings->refused = strdup(text.text);
}

void fence_field_warn_unknown(const struct fence_field *map, const char *const *known)
{
    for (size_t i = 0; i < fence_field_count(map); i++) {
        const struct fence_doc *member = map->doc->items[i];

        if (member->key && !fence_field_is_one_of(member->key, known)) {
            struct fence_field field = fence_field_get(map, member->key);

            field.doc = member;
            unknown_member(&field);
        }
    }
}

/* ---- values --------------------------------------------------------------------------------- */

static int wrong_type(const struct fence_field *field, enum fence_doc_type wanted,
                      struct fence_err *err)
{
    const struct fence_doc *doc = field->doc;
    bool quotes = wanted == FENCE_DOC_STRING &&
                  (doc->type == FENCE_DOC_BOOL || doc->type == FENCE_DOC_NUMBER);

    if (quotes)
        return fence_field_refuse(field, err, "must be a text, and %.60s is %s: put it in quotes",
                                  doc->text, fence_doc_type_name(doc->type));
    return fence_field_refuse(field, err, "must be %s, not %s", fence_doc_type_name(wanted),
                              fence_doc_type_name(doc->type));
}

int fence_field_allow(const struct fence_field *field, enum fence_doc_type type,
                      struct fence_err *err)
{
    return field->doc && field->doc->type != type ? wrong_type(field, type, err) : 0;
}

int fence_field_expect(const struct fence_field *field, enum fence_doc_type type,
                       struct fence_err *err)
{
    if (!field->doc)
        return fence_field_refuse(field, err, "is missing");
    return fence_field_allow(field, type, err);
}

int fence_field_string(const struct fence_field *field, const char **ret_text,
                       struct fence_err *err)
{
    int r = fence_field_allow(field, FENCE_DOC_STRING, err);

    if (r == 0 && field->doc)
        *ret_text = field->doc->text;
    return r;
}

int fence_field_bool(const struct fence_field *field, bool *ret_value, struct fence_err *err)
{
    int r = fence_field_allow(field, FENCE_DOC_BOOL, err);

    if (r == 0 && field->doc)
        *ret_value = fence_doc_is_true(field->doc);
    return r;
}

int fence_field_number(const struct fence_field *field, const struct fence_range *range,
                       long *ret_value, struct fence_err *err)
{
    const char *text;
    char *end = NULL;
    long value;
    int r = fence_field_expect(field, FENCE_DOC_NUMBER, err);

    if (r < 0)
        return r;
    text = field->doc->text;
    /* 010 is 8 in YAML 1.1 and 10 in 1.2: whoever means either must say so */
    if ((text[0] == '0' && text[1]) || text[0] == '+')
        return fence_field_refuse(field, err, "%.60s must be written as a plain decimal number",
                                  text);
    errno = 0;
    value = strtol(text, &end, 10);
    if (*end)
        return fence_field_refuse(field, err, "%.60s is not a whole number", text);
    if (errno || value < range->low || value > range->high)
        return fence_field_refuse(field, err, "%.60s is not %s (%ld to %ld)", text, range->what,
                                  range->low, range->high);
    *ret_value = value;
    return 0;
}

static int refuse_choice(const struct fence_field *field, const char *const *choices,
                         struct fence_err *err)
{
    char list[256] = "";

    for (const char *const *choice = choices; *choice; choice++) {
        size_t used = strlen(list);

        snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", *choice);
    }
    return fence_field_refuse(field, err, "\"%.80s\" is not one of %s", field->doc->text, list);
}

int fence_field_choice(const struct fence_field *field, const char *const *choices,
                       unsigned int *ret_choice, struct fence_err *err)
{
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    for (unsigned int i = 0; choices[i]; i++) {
        if (strcmp(field->doc->text, choices[i]) == 0) {
            *ret_choice = i;
            return 0;
        }
    }
    return refuse_choice(field, choices, err);
}

static int add_label(const struct fence_field *field, struct fence_labels *labels,
                     struct fence_err *err)
{
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    r = fence_label_key_check(field->key, err);
    if (r == 0)
        r = fence_label_value_check(field->doc->text, err);
    if (r < 0)
        return fence_field_prefix(field, r, err);
    r = fence_labels_set(labels, field->key, field->doc->text);
    return r < 0 ? fence_err_set(err, r, "out of memory") : 0;
}

int fence_field_labels(const struct fence_field *field, struct fence_labels *labels,
                       struct fence_err *err)
{
    int r = fence_field_allow(field, FENCE_DOC_MAP, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field label = fence_field_get(field, field->doc->items[i]->key);

        /* null is no text, also where it counts as absent elsewhere */
        label.doc = field->doc->items[i];
        r = add_label(&label, labels, err);
    }
    return r;
}

int fence_field_shared_labels(const struct fence_field *field,
                              const struct fence_labels **ret_labels, struct fence_err *err)
{
    FENCE_CLEANUP(fence_labels_done) struct fence_labels labels = {0};
    const struct fence_labels *shared;
    int r = fence_field_labels(field, &labels, err);

    if (r < 0)
        return r;
    shared = fence_shared_labels(&labels);
    if (!shared)
        return fence_err_set(err, -ENOMEM, "out of memory");
    *ret_labels = shared;
    return 0;
}
