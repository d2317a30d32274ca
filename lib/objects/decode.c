/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decode_internal.h"
#include "lib/objects/decoders.h"
#include "lib/objects/object.h"

static struct fence_decode_options options;

void fence_decode_set_options(const struct fence_decode_options *wanted)
{
    options = *wanted;
}

const struct fence_decode_options *fence_decode_options(void)
{
    return &options;
}

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

void fence_decoded_done(struct fence_decoded *decoded)
{
    fence_object_free(&decoded->object);
    free(decoded->id);
    free(decoded->error);
    free(decoded->warning);
    *decoded = (struct fence_decoded){0};
}

void fence_decoded_list_done(struct fence_decoded_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        fence_decoded_done(&list->items[i]);
    free(list->items);
    fence_texts_done(&list->texts);
    *list = (struct fence_decoded_list){0};
}

char *fence_decoded_id(const struct fence_decoded *decoded)
{
    return decoded->object ? fence_object_id(decoded->object) : strdup(decoded->id);
}

/* ---- what kind of object -------------------------------------------------------------------- */

/* The text of a member, "" when it is none. */
static const char *text_of(const struct fence_doc *doc, const char *key)
{
    const struct fence_doc *member = fence_doc_get(doc, key);

    return member && member->type == FENCE_DOC_STRING ? member->text : "";
}

/* ---- one object ----------------------------------------------------------------------------- */

int fence_reader_id(struct fence_doc *doc, const struct fence_object_kind *kind, char **ret_id)
{
    const struct fence_doc *metadata = fence_doc_get(doc, "metadata");
    const char *name = text_of(metadata, "name");
    const char *namespace_name = text_of(metadata, "namespace");
    const char *kind_name = text_of(doc, "kind");

    if (kind && !fence_kind_is_namespaced(fence_object_kind_number(kind)))
        namespace_name = "";
    else if (kind && !*namespace_name)
        namespace_name = "default";
    return asprintf(ret_id, "%.80s/%.80s%s%.260s", *kind_name ? kind_name : "?", namespace_name,
                    *namespace_name ? "/" : "", *name ? name : "?");
}

/* Whom a refused object may stand for. Only readable names narrow it down. */
static enum fence_refused refused_scope(struct fence_doc *doc, const struct fence_object_kind *kind)
{
    const struct fence_doc *metadata = fence_doc_get(doc, "metadata");
    const struct fence_doc *namespace_name = fence_doc_get(metadata, "namespace");
    bool readable = !namespace_name || namespace_name->type == FENCE_DOC_NULL;

    if (namespace_name && namespace_name->type == FENCE_DOC_STRING)
        readable = !*namespace_name->text || fence_name_is_label(namespace_name->text);
    if (!readable || !fence_name_is_subdomain(text_of(metadata, "name")))
        return FENCE_REFUSED_ANYONE;
    if (kind)
        return FENCE_REFUSED_ONE;
    return strchr(text_of(doc, "kind"), '/') ? FENCE_REFUSED_ANYONE : FENCE_REFUSED_NAMED;
}

/* NULL when out of memory. */
static struct fence_decoded *add_decoded(struct fence_reader *reader, const struct fence_doc *doc)
{
    struct fence_decoded_list *list = &reader->list;

    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return NULL;
    list->items[list->count] = (struct fence_decoded){.line = doc->line};
    return &list->items[list->count++];
}

/* All texts in one piece: a cluster's pods are read in a row, and what is freed between those that
 * stay would be lost. */
static int add_line(struct fence_reader *reader, const char *text)
{
    size_t size = strlen(text);
    size_t needed = reader->lines_size + size + 1;
    size_t wanted = needed > reader->lines_capacity * 2 ? needed : reader->lines_capacity * 2;
    char *grown;

    if (needed > reader->lines_capacity) {
        grown = realloc(reader->lines, wanted);
        if (!grown)
            return -ENOMEM;
        reader->lines = grown;
        reader->lines_capacity = wanted;
    }
    memcpy(reader->lines + reader->lines_size, text, size);
    reader->lines[needed - 1] = '\n';
    reader->lines_size = needed;
    return 0;
}

static int add_refused(struct fence_reader *reader, struct fence_doc *doc,
                       const struct fence_object_kind *kind, const struct fence_err *reason,
                       struct fence_err *err)
{
    struct fence_decoded *decoded = add_decoded(reader, doc);

    if (!decoded)
        return no_memory(err);
    decoded->refused = refused_scope(doc, kind);
    decoded->error = strdup(reason->text);
    if (!decoded->error || fence_reader_id(doc, kind, &decoded->id) < 0) {
        decoded->id = NULL;
        return no_memory(err);
    }
    return add_line(reader, "") < 0 ? no_memory(err) : 0;
}

/* 0 when it is no whole number above 0. */
static int64_t generation_of(const struct fence_doc *doc)
{
    const struct fence_doc *member = fence_doc_get(fence_doc_get(doc, "metadata"), "generation");
    char *end = NULL;
    long long number;

    if (!member || member->type != FENCE_DOC_NUMBER)
        return 0;
    errno = 0;
    number = strtoll(member->text, &end, 10);
    return errno || *end || number < 0 ? 0 : number;
}

/* By what waits for a version of a policy knows it. */
static void set_version(struct fence_object *object, const struct fence_doc *doc, const char *text)
{
    static const __u64 key[2];

    if (!fence_kind_is_policy(object->kind))
        return;
    object->policy.generation = generation_of(doc);
    object->policy.content = fence_hash_bytes(key, text, strlen(text)).words[0];
}

static int finish_object(struct fence_reader *reader, struct fence_doc *doc,
                         const struct fence_object_kind *kind, struct fence_err *err)
{
    FENCE_FREE char *text = fence_object_canonical(doc, kind);
    struct fence_decoded *decoded;

    if (!text || add_line(reader, text) < 0)
        return no_memory(err);
    decoded = &reader->list.items[reader->list.count - 1];
    decoded->text = fence_hash_text(text);
    set_version(decoded->object, doc, text);
    return 0;
}

/* An object without a namespace is one of "default". */
static int set_namespace(struct fence_doc *doc, const struct fence_object_kind *kind)
{
    int r = 0;

    for (size_t i = 0; i < doc->count; i++)
        if (strcmp(doc->items[i]->key, "metadata") == 0 && doc->items[i]->type == FENCE_DOC_MAP &&
            fence_kind_is_namespaced(fence_object_kind_number(kind)))
            r = fence_doc_set_default(doc->items[i], "namespace", "default");
    return r;
}

int fence_reader_object(struct fence_reader *reader, struct fence_doc *doc,
                        const struct fence_object_kind *kind, struct fence_err *err)
{
    struct fence_warnings warnings = {0};
    struct fence_field root = {
        .doc = doc, .null_is_value = fence_object_kind_is_custom(kind), .warnings = &warnings};
    struct fence_decoded *decoded;
    struct fence_err reason;
    int r = set_namespace(doc, kind);

    decoded = r < 0 ? NULL : add_decoded(reader, doc);
    if (!decoded)
        return no_memory(err);
    r = fence_object_decode(&root, kind, &decoded->object, &reason);
    decoded->warning = warnings.text;
    free(warnings.refused);
    if (r == 0)
        return finish_object(reader, doc, kind, err);
    if (r == -ENOMEM)
        return no_memory(err);
    free(decoded->warning);
    reader->list.count--;
    return add_refused(reader, doc, kind, &reason, err);
}

/* ---- lists, ConfigMaps, streams ------------------------------------------------------------- */

static int read_document(struct fence_reader *reader, struct fence_doc *doc, struct fence_err *err);

int fence_reader_name(struct fence_doc *item, const char *api_version, const char *name)
{
    int r;

    if (!name || item->type != FENCE_DOC_MAP)
        return 0;
    r = fence_doc_set_default(item, "kind", name);
    return r < 0 ? r : fence_doc_set_default(item, "apiVersion", api_version);
}

/* `name` is the kind of the items, NULL when they are of any kind. */
static int read_list(struct fence_reader *reader, struct fence_doc *doc, const char *api_version,
                     const char *name, struct fence_err *err)
{
    struct fence_field root = {.doc = doc};
    struct fence_field items = fence_field_get(&root, "items");
    struct fence_err reason;
    int r = 0;

    if (fence_field_allow(&items, FENCE_DOC_LIST, &reason) < 0)
        return add_refused(reader, doc, NULL, &reason, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&items); i++) {
        r = fence_reader_name(items.doc->items[i], api_version, name);
        if (r < 0)
            return no_memory(err);
        r = read_document(reader, items.doc->items[i], err);
    }
    return r;
}

static int prefix_text(char **text, const char *key)
{
    char *longer = NULL;

    if (!*text)
        return 0;
    if (asprintf(&longer, "data[\"%.100s\"]: %s", key, *text) < 0)
        return -ENOMEM;
    free(*text);
    *text = longer;
    return 0;
}

/* Tell where those from `first` on came from. */
static int place_values(struct fence_reader *reader, size_t first, const struct fence_doc *value,
                        struct fence_err *err)
{
    for (size_t i = first; i < reader->list.count; i++) {
        struct fence_decoded *decoded = &reader->list.items[i];

        decoded->line = value->line;
        if (decoded->object)
            decoded->object->line = value->line;
        if (prefix_text(&decoded->error, value->key) < 0 ||
            prefix_text(&decoded->warning, value->key) < 0)
            return no_memory(err);
    }
    return 0;
}

static int read_stream(struct fence_reader *reader, const char *data, size_t size,
                       struct fence_err *err)
{
    struct fence_docs docs = {0};
    int r = fence_docs_parse(data, size, &docs, err);

    for (size_t i = 0; r == 0 && i < docs.count; i++)
        r = read_document(reader, docs.items[i], err);
    fence_docs_done(&docs);
    return r;
}

/* It or a value of it: what that held before must not be taken for deleted. */
static int refuse_config_map(struct fence_reader *reader, struct fence_doc *config_map,
                             const struct fence_err *reason, struct fence_err *err)
{
    int r = add_refused(reader, config_map, NULL, reason, err);

    if (r == 0)
        reader->list.items[reader->list.count - 1].refused = FENCE_REFUSED_ANYONE;
    return r;
}

/* One that does not parse withholds nothing of the values beside it. */
static int read_value(struct fence_reader *reader, struct fence_doc *config_map,
                      const struct fence_doc *value, struct fence_err *err)
{
    size_t first = reader->list.count;
    struct fence_err reason;
    int r;

    reader->inside_config_map = true;
    r = read_stream(reader, value->text, strlen(value->text), &reason);
    reader->inside_config_map = false;
    if (r == -ENOMEM)
        return no_memory(err);
    if (r < 0)
        r = refuse_config_map(reader, config_map, &reason, err);
    return r < 0 ? r : place_values(reader, first, value, err);
}

static int check_config_map(const struct fence_reader *reader, const struct fence_field *root,
                            const struct fence_field *data, struct fence_err *err)
{
    int r = fence_field_allow(data, FENCE_DOC_MAP, err);

    if (reader->inside_config_map)
        return fence_field_refuse(root, err, "a ConfigMap inside a ConfigMap is not read");
    for (size_t i = 0; r == 0 && i < fence_field_count(data); i++) {
        struct fence_field value = fence_field_get(data, data->doc->items[i]->key);

        r = fence_field_allow(&value, FENCE_DOC_STRING, err);
    }
    return r;
}

int fence_reader_config_map(struct fence_reader *reader, struct fence_doc *doc,
                            struct fence_err *err)
{
    struct fence_field root = {.doc = doc};
    struct fence_field data = fence_field_get(&root, "data");
    struct fence_err reason;
    int r = check_config_map(reader, &root, &data, &reason);

    if (r < 0)
        return refuse_config_map(reader, doc, &reason, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&data); i++) {
        struct fence_field value = fence_field_get(&data, data.doc->items[i]->key);

        if (value.doc)
            r = read_value(reader, doc, value.doc, err);
    }
    return r;
}

static int read_unknown(struct fence_reader *reader, struct fence_doc *doc, struct fence_err *err)
{
    struct fence_field root = {.doc = doc};
    struct fence_field api_version = fence_field_get(&root, "apiVersion");
    struct fence_field kind = fence_field_get(&root, "kind");
    struct fence_err reason;
    int r;

    if (doc->type != FENCE_DOC_MAP)
        r = fence_field_refuse(&root, &reason,
                               "an object must begin with apiVersion and kind, "
                               "this is %s",
                               fence_doc_type_name(doc->type));
    else
        r = fence_field_expect(&kind, FENCE_DOC_STRING, &reason);
    if (r == 0)
        r = fence_field_expect(&api_version, FENCE_DOC_STRING, &reason);
    if (r == 0)
        fence_object_kind_refuse(&kind, api_version.doc->text, kind.doc->text, &reason);
    return add_refused(reader, doc, NULL, &reason, err);
}

/* "Pod" for "PodList" and so on; NULL when it is no list of ours. */
static const char *kind_in_list(const char *api_version, const char *name)
{
    const char *tail = strstr(name, "List");
    const struct fence_object_kind *kind;

    if (!tail || strcmp(tail, "List") != 0)
        return NULL;
    if (strcmp(api_version, "v1") == 0 && strcmp(name, "ConfigMapList") == 0)
        return "ConfigMap";
    kind = fence_object_kind_find(api_version, name, (size_t)(tail - name));
    return kind ? fence_kind_name(fence_object_kind_number(kind)) : NULL;
}

static int read_document(struct fence_reader *reader, struct fence_doc *doc, struct fence_err *err)
{
    const char *api_version = text_of(doc, "apiVersion");
    const char *name = text_of(doc, "kind");
    const char *in_list = kind_in_list(api_version, name);
    const struct fence_object_kind *kind = fence_object_kind_find(api_version, name, strlen(name));

    if (kind)
        return fence_reader_object(reader, doc, kind, err);
    if (in_list)
        return read_list(reader, doc, api_version, in_list, err);
    if (strcmp(api_version, "v1") == 0 && strcmp(name, "List") == 0)
        return read_list(reader, doc, NULL, NULL, err);
    if (strcmp(api_version, "v1") == 0 && strcmp(name, "ConfigMap") == 0)
        return fence_reader_config_map(reader, doc, err);
    return read_unknown(reader, doc, err);
}

int fence_reader_end(struct fence_reader *reader, int r, struct fence_decoded_list *ret_list,
                     struct fence_err *err)
{
    if (r == 0 && fence_texts_make(reader->lines, reader->lines_size, &reader->list.texts) < 0)
        r = no_memory(err);
    free(reader->lines);
    if (r < 0)
        fence_decoded_list_done(&reader->list);
    else
        *ret_list = reader->list;
    *reader = (struct fence_reader){0};
    return r;
}

int fence_decode_stream(const char *data, size_t size, struct fence_decoded_list *ret_list,
                        struct fence_err *err)
{
    struct fence_reader reader = {0};
    int r = read_stream(&reader, data, size, err);

    return fence_reader_end(&reader, r, ret_list, err);
}
