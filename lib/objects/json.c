/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/doc.h"

#define PATH_MAX_ 256u

struct writer {
    FILE *out;
    const char *const *kept; /* NULL = everything, in the order of the source */
    char path[PATH_MAX_];
};

/* ---- reading -------------------------------------------------------------------------------- */

/* The unit of a \uXXXX at `text`, or -1. */
static int32_t escape_unit(const char *text, size_t left)
{
    int32_t unit = 0;

    if (left < 6 || text[0] != '\\' || text[1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        int32_t value;

        if (!digit)
            return -1;
        value = (int32_t)(digit - digits);
        unit = unit * 16 + (value < 16 ? value : value - 6);
    }
    return unit;
}

static bool is_surrogate(int32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdfff;
}

size_t fence_json_escape(const char *text, size_t left, uint32_t *ret_point)
{
    int32_t unit = escape_unit(text, left), low;

    if (unit < 0)
        return 0;
    *ret_point = (uint32_t)unit;
    if (!is_surrogate(unit))
        return 6;
    low = escape_unit(text + 6, left - 6);
    *ret_point = 0xfffd;
    if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 6;
    *ret_point = (uint32_t)(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
    return 12;
}

/* Write what stands for the escape of a surrogate; returns the bytes of input it took. */
static size_t put_surrogate(FILE *out, const char *text, size_t left)
{
    uint32_t point = 0xfffd;
    size_t taken = fence_json_escape(text, left, &point);

    fprintf(out, point > 0xffff ? "\\U%08X" : "\\u%04X", point);
    return taken;
}

static void copy_converted(FILE *out, const char *data, size_t size)
{
    size_t at = 0;

    while (at < size) {
        int32_t unit = escape_unit(data + at, size - at);

        if (is_surrogate(unit)) {
            at += put_surrogate(out, data + at, size - at);
            continue;
        }
        /* an escaped backslash must not be taken for the start of an escape */
        if (data[at] == '\\' && at + 1 < size)
            putc_unlocked(data[at++], out);
        putc_unlocked(data[at++], out);
    }
}

int fence_json_convert(const char *data, size_t size, char **ret_text, struct fence_err *err)
{
    char *text = NULL;
    size_t length = 0, at = 0;
    FILE *out;

    while (at < size && isspace((unsigned char)data[at]))
        at++;
    *ret_text = NULL;
    if (at == size || (data[at] != '{' && data[at] != '['))
        return 0;
    if (!memmem(data, size, "\\ud", 3) && !memmem(data, size, "\\uD", 3))
        return 0;
    out = open_memstream(&text, &length);
    if (!out)
        return fence_err_set(err, -ENOMEM, "out of memory");
    copy_converted(out, data, size);
    if (fclose(out) != 0) {
        free(text);
        return fence_err_set(err, -ENOMEM, "out of memory");
    }
    *ret_text = text;
    return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* The code point at `text`, which is valid UTF-8. */
static uint32_t next_point(const unsigned char **text)
{
    const unsigned char *at = *text;
    unsigned int more = at[0] < 0x80 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
    uint32_t point = more ? at[0] & (0x3fu >> more) : at[0];

    at++;
    while (more-- && *at)
        point = point << 6 | (*at++ & 0x3fu);
    *text = at;
    return point;
}

/* All but ASCII is escaped, so that no reader takes a character for a line break or a mark. */
static void put_string(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    putc_unlocked('"', out);
    while (*at) {
        uint32_t point = next_point(&at);

        if (point == '"' || point == '\\')
            fprintf(out, "\\%c", (int)point);
        else if (point >= 0x20 && point < 0x7f)
            putc_unlocked((int)point, out);
        else if (point < 0x10000)
            fprintf(out, "\\u%04x", point);
        else
            fprintf(out, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
                    0xdc00 + ((point - 0x10000) & 0x3ff));
    }
    putc_unlocked('"', out);
}

/* A number of YAML that JSON does not know (0x1f, .inf, 1_000) is written as a text. */
bool fence_json_is_number(const char *text)
{
    size_t whole;

    text += *text == '-';
    whole = strspn(text, "0123456789");
    if (whole == 0 || (text[0] == '0' && whole > 1))
        return false;
    text += whole;
    if (*text == '.') {
        size_t fraction = strspn(text + 1, "0123456789");

        if (fraction == 0)
            return false;
        text += 1 + fraction;
    }
    if (*text == 'e' || *text == 'E') {
        text += 1 + (text[1] == '+' || text[1] == '-');
        if (!isdigit((unsigned char)*text))
            return false;
        text += strspn(text, "0123456789");
    }
    return *text == '\0';
}

static void put_scalar(FILE *out, const struct fence_doc *doc)
{
    if (doc->type == FENCE_DOC_NULL)
        fputs("null", out);
    else if (doc->type == FENCE_DOC_BOOL)
        fputs(fence_doc_is_true(doc) ? "true" : "false", out);
    else if (doc->type == FENCE_DOC_NUMBER && fence_json_is_number(doc->text))
        fputs(doc->text, out);
    else
        put_string(out, doc->text);
}

enum kept {
    KEPT_NOT,
    KEPT_PART, /* something below it */
    KEPT_WHOLE,
};

static enum kept path_is_kept(const struct writer *writer)
{
    size_t length = strlen(writer->path);
    enum kept answer = KEPT_NOT;

    for (const char *const *rule = writer->kept; *rule; rule++) {
        if (strcmp(*rule, writer->path) == 0)
            return KEPT_WHOLE;
        if (strncmp(*rule, writer->path, length) == 0 && (*rule)[length] == '.')
            answer = KEPT_PART;
    }
    return answer;
}

static int compare_keys(const void *a, const void *b)
{
    const struct fence_doc *const *left = a;
    const struct fence_doc *const *right = b;

    return strcmp((*left)->key, (*right)->key);
}

static int put_value(struct writer *writer, const struct fence_doc *doc, bool filter);

static int put_member(struct writer *writer, const struct fence_doc *doc, bool filter, bool *first)
{
    size_t used = strlen(writer->path);
    enum kept kept = KEPT_WHOLE;
    int r = 0;

    if (filter) {
        int length = snprintf(writer->path + used, sizeof(writer->path) - used, "%s%s",
                              used ? "." : "", doc->key);

        /* a key that long is in no list of kept paths */
        kept = (size_t)length < sizeof(writer->path) - used ? path_is_kept(writer) : KEPT_NOT;
    }
    if (kept != KEPT_NOT) {
        if (!*first)
            putc_unlocked(',', writer->out);
        *first = false;
        put_string(writer->out, doc->key);
        putc_unlocked(':', writer->out);
        r = put_value(writer, doc, kept == KEPT_PART);
    }
    writer->path[used] = '\0';
    return r;
}

static int put_map(struct writer *writer, const struct fence_doc *doc, bool filter)
{
    FENCE_FREE struct fence_doc **sorted = calloc(doc->count + 1, sizeof(void *));
    bool first = true;
    int r = 0;

    if (!sorted)
        return -ENOMEM;
    if (doc->count)
        memcpy(sorted, doc->items, doc->count * sizeof(void *));
    if (writer->kept)
        qsort(sorted, doc->count, sizeof(void *), compare_keys);
    putc_unlocked('{', writer->out);
    for (size_t i = 0; i < doc->count && r == 0; i++)
        r = put_member(writer, sorted[i], filter, &first);
    putc_unlocked('}', writer->out);
    return r;
}

static int put_value(struct writer *writer, const struct fence_doc *doc, bool filter)
{
    int r = 0;

    if (doc->type == FENCE_DOC_MAP)
        return put_map(writer, doc, filter);
    if (doc->type != FENCE_DOC_LIST) {
        put_scalar(writer->out, doc);
        return 0;
    }
    putc_unlocked('[', writer->out);
    for (size_t i = 0; i < doc->count && r == 0; i++) {
        if (i)
            putc_unlocked(',', writer->out);
        r = put_value(writer, doc->items[i], filter);
    }
    putc_unlocked(']', writer->out);
    return r;
}

char *fence_doc_to_json_kept(const struct fence_doc *doc, const char *const *kept)
{
    struct writer writer = {.kept = kept};
    char *text = NULL;
    size_t size = 0;
    int r;

    writer.out = open_memstream(&text, &size);
    if (!writer.out)
        return NULL;
    r = put_value(&writer, doc, kept != NULL);
    if (fclose(writer.out) != 0 || r < 0) {
        free(text);
        return NULL;
    }
    return text;
}

char *fence_doc_to_json(const struct fence_doc *doc)
{
    return fence_doc_to_json_kept(doc, NULL);
}
