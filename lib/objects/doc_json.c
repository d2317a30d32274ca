/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON of the API server, which comes by the hundred megabytes: what is on no path of interest is
 * stepped over, never copied, and looked at no further than to find its end.
 *
 * Paths are followed by their rests: at the members of `spec` the path "spec.containers.ports" is
 * "containers.ports".
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/utf8.h"
#include "lib/objects/doc_internal.h"
#include "lib/objects/json.h"

#define PATHS_MAX    32u
#define NO_CHARACTER 0xfffdu
/* etcd takes objects of 1.5 MB at most, which have fewer values than this. */
#define NODES_MAX    1000000u

enum part {
    PART_NONE, /* stepped over */
    PART_TYPE, /* its type, and no content */
    PART_SOME, /* what lies on the paths */
    PART_WHOLE,
};

struct paths {
    enum part part;
    unsigned int count;
    const char *rests[PATHS_MAX];
};

struct reader {
    const char *begin;
    const char *at;
    const char *end; /* where a NUL is, which no value contains */
    unsigned int depth;
    unsigned int nodes;
    struct fence_err *err;
};

/* A string between its quotes. */
struct span {
    const char *text;
    size_t size;
    bool escapes;
};

static int no_memory(const struct reader *reader)
{
    fence_err_set(reader->err, -ENOMEM, "out of memory");
    return -ENOMEM;
}

static int too_much(const struct reader *reader, unsigned int most, const char *what)
{
    fence_err_set(reader->err, -EFBIG, "more than %u %s", most, what);
    return -EFBIG;
}

static int refuse(const struct reader *reader, const char *reason)
{
    fence_err_set(reader->err, -EINVAL, "not valid JSON: byte %zu: %s",
                  (size_t)(reader->at - reader->begin) + 1, reason);
    return -EINVAL;
}

static void skip_space(struct reader *reader)
{
    while (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' || *reader->at == '\r')
        reader->at++;
}

/* ---- what is read --------------------------------------------------------------------------- */

/* What is read of the member with this key. */
static void follow(const struct paths *paths, const struct span *key, struct paths *ret_paths)
{
    ret_paths->part = paths->part == PART_WHOLE ? PART_WHOLE : PART_NONE;
    ret_paths->count = 0;
    if (paths->part != PART_SOME)
        return;
    for (unsigned int i = 0; i < paths->count; i++) {
        const char *rest = paths->rests[i];
        enum part part = PART_NONE;

        if (strcmp(rest, "*") == 0)
            part = PART_TYPE;
        else if (strncmp(rest, key->text, key->size) == 0 && rest[key->size] == '\0')
            part = PART_WHOLE;
        else if (strncmp(rest, key->text, key->size) == 0 && rest[key->size] == '.')
            part = PART_SOME;
        if (part == PART_SOME)
            ret_paths->rests[ret_paths->count++] = rest + key->size + 1;
        if (part > ret_paths->part)
            ret_paths->part = part;
    }
}

/* ---- strings -------------------------------------------------------------------------------- */

/* `at` is behind the opening quote, then behind the closing one. */
static int scan_string(struct reader *reader, struct span *ret_span)
{
    struct span span = {.text = reader->at};

    while (*reader->at != '"') {
        if ((unsigned char)*reader->at < 0x20)
            return refuse(reader, *reader->at ? "a control character in a text" : "a text is cut");
        if (*reader->at == '\\') {
            span.escapes = true;
            reader->at++;
            if (!*reader->at)
                return refuse(reader, "a text is cut");
        }
        reader->at++;
    }
    span.size = (size_t)(reader->at - span.text);
    reader->at++;
    *ret_span = span;
    return 0;
}

static size_t put_point(char *out, uint32_t point)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

/* One escape, which is never shorter than what it stands for. Returns its bytes, 0 when it is none.
 * NUL is no character of a text here: whoever may write an object may have written it, and the
 * decoders judge what stands for it by itself. */
static size_t resolve_escape(const char *text, size_t left, char *out, size_t *ret_size)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const char *name = left > 1 && text[1] ? strchr(names, text[1]) : NULL;
    uint32_t point;
    size_t taken;

    if (name) {
        *out = values[name - names];
        *ret_size = 1;
        return 2;
    }
    taken = fence_json_escape(text, left, &point);
    if (taken)
        *ret_size = put_point(out, point ? point : NO_CHARACTER);
    return taken;
}

static int resolve(const struct reader *reader, const struct span *span, char *text)
{
    size_t used = 0, at = 0;

    while (at < span->size) {
        size_t size = 1, taken = 1;

        if (span->text[at] == '\\')
            taken = resolve_escape(span->text + at, span->size - at, text + used, &size);
        else
            text[used] = span->text[at];
        if (!taken)
            return refuse(reader, "an escape before it that JSON does not have");
        used += size;
        at += taken;
    }
    text[used] = '\0';
    return 0;
}

static int check_utf8(const struct reader *reader, const char *text)
{
    unsigned int point;

    while (*text) {
        size_t size = (unsigned char)*text < 0x80 ? 1 : fence_utf8_next(text, &point);

        if (!size)
            return refuse(reader, "the text before it is not valid UTF-8");
        text += size;
    }
    return 0;
}

/* A new string. */
static int copy_string(const struct reader *reader, const struct span *span, char **ret_text)
{
    FENCE_FREE char *text = malloc(span->size + 1);
    int r = 0;

    if (!text)
        return no_memory(reader);
    if (span->escapes) {
        r = resolve(reader, span, text);
    } else {
        memcpy(text, span->text, span->size);
        text[span->size] = '\0';
    }
    if (r == 0)
        r = check_utf8(reader, text);
    if (r == 0)
        *ret_text = TAKE_PTR(text);
    return r;
}

/* ---- values --------------------------------------------------------------------------------- */

/* To its end, however deep it is. */
static int skip_value(struct reader *reader)
{
    size_t open = 0;
    struct span unused;
    int r = 0;

    do {
        char c = *reader->at;

        if (!c || (!open && strchr(",:}]", c)))
            return refuse(reader, "a value is wanted");
        reader->at++;
        open += c == '{' || c == '[';
        open -= c == '}' || c == ']';
        if (c == '"')
            r = scan_string(reader, &unused);
        else if (!strchr("{}[]", c))
            reader->at += strcspn(reader->at, "\"{}[],: \t\r\n");
    } while (r == 0 && open);
    return r;
}

/* The key of `node` is set, the rest is 0. */
static int read_value(struct reader *reader, const struct paths *paths, struct fence_doc *node);

static int enter(struct reader *reader)
{
    if (++reader->depth > FENCE_DOC_MAX_DEPTH)
        return too_much(reader, FENCE_DOC_MAX_DEPTH, "levels deep");
    reader->at++;
    skip_space(reader);
    return 0;
}

/* `key` NULL: in a list. */
static int add_child(struct reader *reader, struct fence_doc *parent, const struct span *key,
                     struct fence_doc **ret_child)
{
    FENCE_FREE char *text = NULL;
    struct fence_doc *child;
    int r = key ? copy_string(reader, key, &text) : 0;

    if (r == 0 && ++reader->nodes > NODES_MAX)
        r = too_much(reader, NODES_MAX, "values");
    if (r < 0)
        return r;
    child = calloc(1, sizeof(*child));
    if (!child)
        return no_memory(reader);
    child->key = TAKE_PTR(text);
    if (fence_doc_append(parent, child) < 0)
        return no_memory(reader);
    *ret_child = child;
    return 0;
}

static int read_key(struct reader *reader, struct span *ret_key)
{
    int r;

    if (*reader->at != '"')
        return refuse(reader, "a key is wanted");
    reader->at++;
    r = scan_string(reader, ret_key);
    if (r < 0)
        return r;
    skip_space(reader);
    if (*reader->at != ':')
        return refuse(reader, "':' is wanted");
    reader->at++;
    skip_space(reader);
    return 0;
}

/* Names of paths have no escapes; a key that is written with some is looked at without them. */
static int follow_key(const struct reader *reader, const struct paths *paths,
                      const struct span *key, struct paths *ret_paths)
{
    FENCE_FREE char *text = NULL;
    struct span plain;
    int r;

    if (!key->escapes || paths->part != PART_SOME) {
        follow(paths, key, ret_paths);
        return 0;
    }
    r = copy_string(reader, key, &text);
    if (r < 0 || !text)
        return r;
    plain = (struct span){.text = text, .size = strlen(text)};
    follow(paths, &plain, ret_paths);
    return 0;
}

static int read_member(struct reader *reader, const struct paths *paths, struct fence_doc *map)
{
    struct fence_doc *child = NULL;
    struct paths below;
    struct span key;
    int r = read_key(reader, &key);

    if (r == 0)
        r = follow_key(reader, paths, &key, &below);
    if (r == 0 && below.part == PART_NONE)
        return skip_value(reader);
    if (r == 0)
        r = add_child(reader, map, &key, &child);
    return r < 0 ? r : read_value(reader, &below, child);
}

static int read_item(struct reader *reader, const struct paths *paths, struct fence_doc *list)
{
    struct fence_doc *child = NULL;
    int r = add_child(reader, list, NULL, &child);

    return r < 0 ? r : read_value(reader, paths, child);
}

/* A list or a map. */
static int read_inside(struct reader *reader, const struct paths *paths, struct fence_doc *node)
{
    bool map = *reader->at == '{';
    char end = map ? '}' : ']';
    int r;

    node->type = map ? FENCE_DOC_MAP : FENCE_DOC_LIST;
    if (paths->part == PART_TYPE)
        return skip_value(reader);
    r = enter(reader);
    while (r == 0 && *reader->at != end) {
        r = map ? read_member(reader, paths, node) : read_item(reader, paths, node);
        if (r < 0)
            break;
        skip_space(reader);
        if (*reader->at == end)
            break;
        if (*reader->at != ',')
            return refuse(reader, map ? "',' or '}' is wanted" : "',' or ']' is wanted");
        reader->at++;
        skip_space(reader);
        if (*reader->at == end)
            return refuse(reader, "a value is wanted");
    }
    if (r < 0)
        return r;
    reader->at++;
    reader->depth--;
    return map ? fence_doc_check_keys(node, reader->err) : 0;
}

static int read_string(struct reader *reader, const struct paths *paths, struct fence_doc *node)
{
    struct span span;
    int r;

    reader->at++;
    r = scan_string(reader, &span);
    if (r < 0)
        return r;
    node->type = FENCE_DOC_STRING;
    if (paths->part == PART_TYPE)
        span = (struct span){.text = ""};
    return copy_string(reader, &span, &node->text);
}

/* A number, true, false or null. */
static int read_word(struct reader *reader, struct fence_doc *node)
{
    const char *begin = reader->at;
    FENCE_FREE char *text = NULL;
    enum fence_doc_type type = FENCE_DOC_NUMBER;

    while (isalnum((unsigned char)*reader->at) || (*reader->at && strchr("+-.", *reader->at)))
        reader->at++;
    if (reader->at == begin)
        return refuse(reader, "a value is wanted");
    text = strndup(begin, (size_t)(reader->at - begin));
    if (!text)
        return no_memory(reader);
    if (strcmp(text, "null") == 0)
        type = FENCE_DOC_NULL;
    else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        type = FENCE_DOC_BOOL;
    else if (!fence_json_is_number(text))
        return refuse(reader, "no value before it that JSON has");
    node->type = type;
    node->text = TAKE_PTR(text);
    return 0;
}

static int read_value(struct reader *reader, const struct paths *paths, struct fence_doc *node)
{
    if (*reader->at == '{' || *reader->at == '[')
        return read_inside(reader, paths, node);
    if (*reader->at == '"')
        return read_string(reader, paths, node);
    return read_word(reader, node);
}

static int read_root(struct reader *reader, const struct paths *paths, struct fence_doc *root)
{
    int r;

    skip_space(reader);
    if (*reader->at != '{')
        return refuse(reader, "an object is wanted");
    r = read_value(reader, paths, root);
    if (r < 0)
        return r;
    skip_space(reader);
    return reader->at == reader->end ? 0 : refuse(reader, "the end is wanted");
}

int fence_doc_parse_json(const struct fence_json *json, const char *const *read,
                         struct fence_doc **ret_doc, struct fence_err *err)
{
    struct reader reader = {
        .begin = json->text, .at = json->text, .end = json->text + json->size, .err = err};
    struct paths paths = {.part = PART_SOME};
    struct fence_doc *root = calloc(1, sizeof(*root));
    int r;

    if (!root)
        return no_memory(&reader);
    for (; *read && paths.count < PATHS_MAX; read++)
        paths.rests[paths.count++] = *read;
    r = read_root(&reader, &paths, root);
    if (r < 0) {
        fence_doc_free(&root);
        return r;
    }
    *ret_doc = root;
    return 0;
}
