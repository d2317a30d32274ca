/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/doc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "lib/base/memory.h"
#include "lib/objects/doc_internal.h"
#include "lib/objects/json.h"

/* Up to here duplicate keys are looked for one by one, above by sorting. */
#define FEW_KEYS 8u

struct builder {
    struct fence_docs docs;
    struct fence_doc *open[FENCE_DOC_MAX_DEPTH]; /* lists and maps from the root inwards */
    unsigned int depth;
    struct fence_doc *root;
    char *key; /* read, its value not yet */
    size_t nodes;
};

static int grow(struct fence_doc ***items, size_t *capacity, size_t count)
{
    return fence_array_grow((void **)items, capacity, count, sizeof(void *));
}

void fence_doc_free(struct fence_doc **doc)
{
    struct fence_doc *node = *doc;

    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++)
        fence_doc_free(&node->items[i]);
    free(node->items);
    free(node->key);
    free(node->text);
    free(node);
    *doc = NULL;
}

void fence_docs_done(struct fence_docs *docs)
{
    for (size_t i = 0; i < docs->count; i++)
        fence_doc_free(&docs->items[i]);
    free(docs->items);
    *docs = (struct fence_docs){0};
}

const struct fence_doc *fence_doc_get(const struct fence_doc *doc, const char *key)
{
    if (!doc || doc->type != FENCE_DOC_MAP)
        return NULL;
    for (size_t i = 0; i < doc->count; i++)
        if (strcmp(doc->items[i]->key, key) == 0)
            return doc->items[i];
    return NULL;
}

int fence_doc_append(struct fence_doc *parent, struct fence_doc *child)
{
    if (grow(&parent->items, &parent->capacity, parent->count) < 0) {
        fence_doc_free(&child);
        return -ENOMEM;
    }
    parent->items[parent->count++] = child;
    return 0;
}

int fence_doc_set_default(struct fence_doc *map, const char *key, const char *text)
{
    FENCE_FREE char *copy = strdup(text);
    struct fence_doc *member;

    if (map->type != FENCE_DOC_MAP)
        return -EINVAL;
    member = NULL;
    for (size_t i = 0; i < map->count && !member; i++)
        if (strcmp(map->items[i]->key, key) == 0)
            member = map->items[i];
    if (member && member->type != FENCE_DOC_NULL)
        return 0;
    if (!copy || grow(&map->items, &map->capacity, map->count) < 0)
        return -ENOMEM;
    if (!member) {
        member = calloc(1, sizeof(*member));
        if (!member || !(member->key = strdup(key))) {
            free(member);
            return -ENOMEM;
        }
        member->line = map->line;
        map->items[map->count++] = member;
    }
    free(member->text);
    member->text = TAKE_PTR(copy);
    member->type = FENCE_DOC_STRING;
    return 0;
}

static void builder_done(struct builder *builder)
{
    fence_docs_done(&builder->docs);
    fence_doc_free(&builder->root);
    free(builder->key);
}

static unsigned int event_line(const yaml_event_t *event)
{
    return (unsigned int)event->start_mark.line + 1;
}

/* The list or map that the parser is in, NULL at the top. */
static struct fence_doc *innermost(const struct builder *builder)
{
    return builder->depth ? builder->open[builder->depth - 1] : NULL;
}

static bool wants_key(const struct builder *builder)
{
    const struct fence_doc *parent = innermost(builder);

    return parent && parent->type == FENCE_DOC_MAP && !builder->key;
}

/* Put a node where the parser stands: takes it, also when it fails. */
static int attach(struct builder *builder, struct fence_doc *node, struct fence_err *err)
{
    struct fence_doc *parent = innermost(builder);

    if (!parent) {
        builder->root = node;
        return 0;
    }
    node->key = TAKE_PTR(builder->key);
    if (fence_doc_append(parent, node) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return 0;
}

/* Takes the text of `value`. */
static int add_node(struct builder *builder, const yaml_event_t *event,
                    const struct fence_doc *value, struct fence_doc **ret_node,
                    struct fence_err *err)
{
    struct fence_doc *node;
    int r;

    if (++builder->nodes > FENCE_DOC_MAX_NODES) {
        free(value->text);
        return fence_err_set(err, -EFBIG, "line %u: more than %u values in one file",
                             event_line(event), FENCE_DOC_MAX_NODES);
    }
    node = malloc(sizeof(*node));
    if (!node) {
        free(value->text);
        return fence_err_set(err, -ENOMEM, "out of memory");
    }
    *node = *value;
    node->line = event_line(event);
    r = attach(builder, node, err);
    if (r == 0 && ret_node)
        *ret_node = node;
    return r;
}

static int refuse_extras(const yaml_event_t *event, const yaml_char_t *anchor,
                         const yaml_char_t *tag, struct fence_err *err)
{
    if (anchor)
        return fence_err_set(err, -EINVAL,
                             "line %u: anchors are not supported, write the value out",
                             event_line(event));
    if (tag)
        return fence_err_set(err, -EINVAL, "line %u: tags are not supported, remove %.60s",
                             event_line(event), (const char *)tag);
    return 0;
}

static int on_scalar(struct builder *builder, const yaml_event_t *event, struct fence_err *err)
{
    const char *data = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct fence_doc value = {.type = FENCE_DOC_STRING};
    FENCE_FREE char *text = NULL;
    int r = refuse_extras(event, event->data.scalar.anchor, event->data.scalar.tag, err);

    if (r < 0)
        return r;
    if (memchr(data, '\0', length))
        return fence_err_set(err, -EINVAL, "line %u: a text contains the character NUL",
                             event_line(event));
    text = strndup(data, length);
    if (!text)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (wants_key(builder)) {
        if (plain && strcmp(text, "<<") == 0)
            return fence_err_set(err, -EINVAL,
                                 "line %u: merge keys are not supported, write the values out",
                                 event_line(event));
        builder->key = TAKE_PTR(text);
        return 0;
    }
    if (plain)
        value.type = fence_doc_plain_type(text);
    value.text = TAKE_PTR(text);
    return add_node(builder, event, &value, NULL, err);
}

static int on_start(struct builder *builder, const yaml_event_t *event, enum fence_doc_type type,
                    struct fence_err *err)
{
    bool map = type == FENCE_DOC_MAP;
    const yaml_char_t *anchor =
        map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag = map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    struct fence_doc value = {.type = type};
    struct fence_doc *node = NULL;
    int r = refuse_extras(event, anchor, tag, err);

    if (r < 0)
        return r;
    if (wants_key(builder))
        return fence_err_set(err, -EINVAL, "line %u: the key of an object must be a text",
                             event_line(event));
    if (builder->depth == FENCE_DOC_MAX_DEPTH)
        return fence_err_set(err, -EFBIG, "line %u: nested more than %u levels deep",
                             event_line(event), FENCE_DOC_MAX_DEPTH);
    r = add_node(builder, event, &value, &node, err);
    if (r == 0 && node)
        builder->open[builder->depth++] = node;
    return r;
}

static int compare_keys(const void *a, const void *b)
{
    const struct fence_doc *const *left = a;
    const struct fence_doc *const *right = b;
    int order = strcmp((*left)->key, (*right)->key);

    if (order)
        return order;
    return (*left)->line < (*right)->line ? -1 : (*left)->line > (*right)->line;
}

static int duplicate(const struct fence_doc *first, const struct fence_doc *second,
                     struct fence_err *err)
{
    if (!second->line)
        return fence_err_set(err, -EINVAL, "the key %.80s is given twice", second->key);
    return fence_err_set(err, -EINVAL, "line %u: the key %.80s is given twice, first in line %u",
                         second->line, second->key, first->line);
}

static int check_few_keys(const struct fence_doc *map, struct fence_err *err)
{
    for (size_t i = 1; i < map->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(map->items[i]->key, map->items[j]->key) == 0)
                return duplicate(map->items[j], map->items[i], err);
    return 0;
}

int fence_doc_check_keys(const struct fence_doc *map, struct fence_err *err)
{
    FENCE_FREE struct fence_doc **sorted = NULL;

    if (map->count <= FEW_KEYS)
        return check_few_keys(map, err);
    sorted = malloc(map->count * sizeof(void *));
    if (!sorted)
        return fence_err_set(err, -ENOMEM, "out of memory");
    memcpy(sorted, map->items, map->count * sizeof(void *));
    qsort(sorted, map->count, sizeof(void *), compare_keys);
    for (size_t i = 1; i < map->count; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            return duplicate(sorted[i - 1], sorted[i], err);
    return 0;
}

static int on_end(struct builder *builder, struct fence_err *err)
{
    const struct fence_doc *node = innermost(builder);

    if (!node)
        return 0;
    builder->depth--;
    return node->type == FENCE_DOC_MAP ? fence_doc_check_keys(node, err) : 0;
}

static int on_document_end(struct builder *builder, struct fence_err *err)
{
    struct fence_docs *docs = &builder->docs;

    if (builder->root && builder->root->type == FENCE_DOC_NULL)
        fence_doc_free(&builder->root);
    if (!builder->root)
        return 0;
    if (grow(&docs->items, &docs->capacity, docs->count) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    docs->items[docs->count++] = TAKE_PTR(builder->root);
    return 0;
}

static int on_event(struct builder *builder, const yaml_event_t *event, struct fence_err *err)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(builder, event, err);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(builder, event, FENCE_DOC_LIST, err);
    case YAML_MAPPING_START_EVENT:
        return on_start(builder, event, FENCE_DOC_MAP, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(builder, err);
    case YAML_DOCUMENT_END_EVENT:
        return on_document_end(builder, err);
    case YAML_ALIAS_EVENT:
        return fence_err_set(err, -EINVAL,
                             "line %u: aliases are not supported, write the value out",
                             event_line(event));
    default:
        return 0;
    }
}

struct place {
    unsigned int line;
    unsigned int column; /* both from 1; in characters */
};

static struct place place_of_offset(const char *data, size_t offset)
{
    struct place place = {1, 1};

    for (size_t i = 0; i < offset; i++) {
        bool inside_character = ((unsigned char)data[i] & 0xc0) == 0x80;

        place.column = data[i] == '\n' ? 1 : place.column + !inside_character;
        place.line += data[i] == '\n';
    }
    return place;
}

static int parser_error(const yaml_parser_t *parser, const char *data, size_t size,
                        struct fence_err *err)
{
    struct place place = {(unsigned int)parser->problem_mark.line + 1,
                          (unsigned int)parser->problem_mark.column + 1};
    char began[32] = "";

    if (parser->error == YAML_MEMORY_ERROR)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (parser->error == YAML_READER_ERROR)
        place =
            place_of_offset(data, parser->problem_offset < size ? parser->problem_offset : size);
    else if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        snprintf(began, sizeof(began), " from line %zu on", parser->context_mark.line + 1);
    return fence_err_set(err, -EINVAL, "line %u: not valid YAML: column %u: %s%s%s%s", place.line,
                         place.column, parser->problem ? parser->problem : "cannot be parsed",
                         parser->context ? " " : "", parser->context ? parser->context : "", began);
}

static int build(struct builder *builder, const char *data, size_t size, struct fence_err *err)
{
    yaml_parser_t parser;
    bool more = true;
    int r = 0;

    if (!yaml_parser_initialize(&parser))
        return fence_err_set(err, -ENOMEM, "out of memory");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)data, size);
    while (r == 0 && more) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            r = parser_error(&parser, data, size, err);
            break;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        r = on_event(builder, &event, err);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return r;
}

/* Without a byte order mark; in JSON also without what YAML would take for an indentation. */
static const char *skip_head(const char *data, size_t *size)
{
    size_t at = 0, spaces;

    if (*size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        at = 3;
    spaces = at;
    while (spaces < *size && strchr(" \t\r", data[spaces]))
        spaces++;
    if (spaces < *size && (data[spaces] == '{' || data[spaces] == '['))
        at = spaces;
    *size -= at;
    return data + at;
}

int fence_docs_parse(const char *data, size_t size, struct fence_docs *ret_docs,
                     struct fence_err *err)
{
    FENCE_FREE char *converted = NULL;
    struct builder builder = {0};
    const char *nul;
    int r;

    if (size > FENCE_DOC_MAX_BYTES)
        return fence_err_set(err, -EFBIG, "%zu bytes, more than the %u that are read", size,
                             FENCE_DOC_MAX_BYTES);
    nul = memchr(data, '\0', size);
    if (nul)
        return fence_err_set(err, -EINVAL, "line %u: the file contains the character NUL",
                             place_of_offset(data, (size_t)(nul - data)).line);
    data = skip_head(data, &size);
    r = fence_json_convert(data, size, &converted, err);
    if (r < 0)
        return r;
    r = build(&builder, converted ? converted : data, converted ? strlen(converted) : size, err);
    if (r == 0) {
        *ret_docs = builder.docs;
        builder.docs = (struct fence_docs){0};
    }
    builder_done(&builder);
    return r;
}
