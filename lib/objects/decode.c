/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decoders.h"

typedef int decode_fn(const struct fence_field *field, struct fence_object *object,
                      struct fence_err *err);

#define KEPT_METADATA "apiVersion", "kind", "metadata.name", "metadata.namespace"

static const char *const kept_of_named[] = {KEPT_METADATA, NULL};
static const char *const kept_of_policy[] = {
    KEPT_METADATA, "metadata.annotations.podfence.io/enforcement", "spec", NULL};
static const char *const kept_of_namespace[] = {KEPT_METADATA, "metadata.labels", NULL};
static const char *const kept_of_node[] = {KEPT_METADATA,   "metadata.labels",  "spec.podCIDR",
                                           "spec.podCIDRs", "status.addresses", NULL};
static const char *const kept_of_pod[] = {KEPT_METADATA,
                                          "metadata.labels",
                                          "metadata.uid",
                                          "metadata.annotations.podfence.io/container-id",
                                          "metadata.ownerReferences",
                                          "spec.nodeName",
                                          "spec.hostNetwork",
                                          "spec.containers.ports",
                                          "spec.initContainers.ports",
                                          "spec.initContainers.restartPolicy",
                                          "status.phase",
                                          "status.podIP",
                                          "status.podIPs",
                                          NULL};

static const struct kind {
    const char *api_version;
    const char *const *kept; /* for the canonical text */
    decode_fn *decode;       /* NULL = kept by name only */
    bool custom;             /* a custom resource: null is a value there */
} kinds[] = {
    [FENCE_OBJECT_POD] = {"v1", kept_of_pod, fence_decode_pod, false},
    [FENCE_OBJECT_NAMESPACE] = {"v1", kept_of_namespace, fence_decode_namespace, false},
    [FENCE_OBJECT_NODE] = {"v1", kept_of_node, fence_decode_node, false},
    [FENCE_OBJECT_SERVICE] = {"v1", kept_of_named, NULL, false},
    [FENCE_OBJECT_ENDPOINT_SLICE] = {"discovery.k8s.io/v1", kept_of_named, NULL, false},
    [FENCE_OBJECT_NETWORK_POLICY] = {"networking.k8s.io/v1", kept_of_policy,
                                     fence_decode_network_policy, false},
    [FENCE_OBJECT_CLUSTER_NETWORK_POLICY] = {"policy.networking.k8s.io/v1alpha2", kept_of_policy,
                                             fence_decode_cluster_network_policy, true},
    [FENCE_OBJECT_SEGMENT_POLICY] = {"podfence.io/v1alpha1", kept_of_policy,
                                     fence_decode_segment_policy, true},
    [FENCE_OBJECT_CLUSTER_SEGMENT_POLICY] = {"podfence.io/v1alpha1", kept_of_policy,
                                             fence_decode_segment_policy, true},
};

_Static_assert(FENCE_ARRAY_SIZE(kinds) == FENCE_OBJECT_KINDS, "a row for every kind");

/* One stream on its way into a list. */
struct reader {
    struct fence_decoded_list list;
    bool inside_config_map;
};

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

static void decoded_done(struct fence_decoded *decoded)
{
    fence_object_free(&decoded->object);
    free(decoded->id);
    free(decoded->error);
    free(decoded->warning);
    free(decoded->json);
}

void fence_decoded_list_done(struct fence_decoded_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        decoded_done(&list->items[i]);
    free(list->items);
    *list = (struct fence_decoded_list){0};
}

/* ---- what kind of object -------------------------------------------------------------------- */

/* The text of a member, "" when it is none. */
static const char *text_of(const struct fence_doc *doc, const char *key)
{
    const struct fence_doc *member = fence_doc_get(doc, key);

    return member && member->type == FENCE_DOC_STRING ? member->text : "";
}

static const struct kind *find_kind(const char *api_version, const char *name, size_t length)
{
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        if (strlen(fence_kind_name(kind)) == length &&
            strncmp(fence_kind_name(kind), name, length) == 0 &&
            (!api_version || strcmp(kinds[kind].api_version, api_version) == 0))
            return &kinds[kind];
    return NULL;
}

static enum fence_kind number_of(const struct kind *kind)
{
    return (enum fence_kind)(kind - kinds);
}

static int refuse_kind(const struct fence_field *field, const char *api_version, const char *name,
                       struct fence_err *err)
{
    const struct kind *near = find_kind(NULL, name, strlen(name));
    char list[512] = "ConfigMap and List (v1)";

    if (near)
        return fence_field_refuse(field, err, "%s is read in apiVersion %s, not \"%.80s\"", name,
                                  near->api_version, api_version);
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++) {
        size_t used = strlen(list);

        snprintf(list + used, sizeof(list) - used, ", %s (%s)", fence_kind_name(kind),
                 kinds[kind].api_version);
    }
    return fence_field_refuse(field, err,
                              "\"%.80s\" of apiVersion \"%.80s\" is not read; known: %s", name,
                              api_version, list);
}

/* ---- metadata ------------------------------------------------------------------------------- */

static int check_name(const struct fence_field *field, enum fence_kind kind, struct fence_err *err)
{
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    if (kind == FENCE_OBJECT_NAMESPACE && !fence_name_is_label(field->doc->text))
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not a DNS label: 1 to 63 lower case letters, "
                                  "digits and '-' between them",
                                  field->doc->text);
    if (!fence_name_is_subdomain(field->doc->text))
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not a DNS subdomain: lower case letters, digits, "
                                  "'-' and '.', at most 253",
                                  field->doc->text);
    return 0;
}

static int check_namespace(const struct fence_field *field, enum fence_kind kind,
                           struct fence_err *err)
{
    const char *text = "";
    int r = fence_field_string(field, &text, err);

    if (r < 0 || !*text)
        return r;
    if (!fence_kind_is_namespaced(kind))
        return fence_field_refuse(field, err, "must be absent: a %s belongs to no namespace",
                                  fence_kind_name(kind));
    if (!fence_name_is_label(text))
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not a DNS label: 1 to 63 lower case letters, "
                                  "digits and '-' between them",
                                  text);
    return 0;
}

static int check_annotations(const struct fence_field *field, struct fence_err *err)
{
    int r = fence_field_allow(field, FENCE_DOC_MAP, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field value = fence_field_get(field, field->doc->items[i]->key);

        r = fence_field_allow(&value, FENCE_DOC_STRING, err);
    }
    return r;
}

static int check_labels(const struct fence_field *field, struct fence_err *err)
{
    struct fence_labels labels = {0};
    int r = fence_field_labels(field, &labels, err);

    fence_labels_done(&labels);
    return r;
}

/* Null is nothing in metadata, of whatever kind the object is. */
static struct fence_field get_metadata(const struct fence_field *root)
{
    struct fence_field metadata = fence_field_get(root, "metadata");

    metadata.null_is_value = false;
    return metadata;
}

/* Check the metadata and name the object by it. */
static int decode_metadata(const struct fence_field *root, struct fence_object *object,
                           struct fence_err *err)
{
    struct fence_field metadata = get_metadata(root);
    struct fence_field name = fence_field_get(&metadata, "name");
    struct fence_field namespace_name = fence_field_get(&metadata, "namespace");
    struct fence_field labels = fence_field_get(&metadata, "labels");
    struct fence_field annotations = fence_field_get(&metadata, "annotations");
    const char *namespace_text = "";
    int r = fence_field_expect(&metadata, FENCE_DOC_MAP, err);

    if (r == 0)
        r = check_name(&name, object->kind, err);
    if (r == 0)
        r = check_namespace(&namespace_name, object->kind, err);
    if (r == 0)
        r = check_labels(&labels, err);
    if (r == 0)
        r = check_annotations(&annotations, err);
    if (r < 0)
        return r;
    if (fence_kind_is_namespaced(object->kind))
        namespace_text = "default";
    if (namespace_name.doc && *namespace_name.doc->text)
        namespace_text = namespace_name.doc->text;
    object->name = strdup(name.doc->text);
    object->namespace_name = strdup(namespace_text);
    return object->name && object->namespace_name ? 0 : no_memory(err);
}

/* ---- one object ----------------------------------------------------------------------------- */

static int decode_object(const struct fence_field *root, const struct kind *kind,
                         struct fence_decoded *decoded, struct fence_err *err)
{
    static const char *const known[] = {"apiVersion", "kind", "metadata", "spec", "status", NULL};
    struct fence_object *object = calloc(1, sizeof(*object));
    int r;

    if (!object)
        return no_memory(err);
    object->kind = number_of(kind);
    object->line = root->doc->line;
    r = decode_metadata(root, object, err);
    if (r == 0 && fence_kind_is_policy(object->kind))
        fence_field_warn_unknown(root, known);
    if (r == 0 && kind->decode)
        r = kind->decode(root, object, err);
    if (r < 0) {
        fence_object_free(&object);
        return r;
    }
    decoded->object = object;
    return 0;
}

/* As fence_object_id would have it, as far as that can be read. */
static int refused_id(struct fence_doc *doc, const struct kind *kind, char **ret_id)
{
    const struct fence_doc *metadata = fence_doc_get(doc, "metadata");
    const char *name = text_of(metadata, "name");
    const char *namespace_name = text_of(metadata, "namespace");
    const char *kind_name = text_of(doc, "kind");

    if (kind && !fence_kind_is_namespaced(number_of(kind)))
        namespace_name = "";
    else if (kind && !*namespace_name)
        namespace_name = "default";
    return asprintf(ret_id, "%.80s/%.80s%s%.260s", *kind_name ? kind_name : "?", namespace_name,
                    *namespace_name ? "/" : "", *name ? name : "?");
}

/* Whom a refused object may stand for. Only readable names narrow it down. */
static enum fence_refused refused_scope(struct fence_doc *doc, const struct kind *kind)
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

static int add_decoded(struct reader *reader, struct fence_doc *doc,
                       struct fence_decoded **ret_decoded, struct fence_err *err)
{
    struct fence_decoded_list *list = &reader->list;

    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return no_memory(err);
    list->items[list->count] = (struct fence_decoded){.line = doc->line};
    *ret_decoded = &list->items[list->count++];
    return 0;
}

static int add_refused(struct reader *reader, struct fence_doc *doc, const struct kind *kind,
                       const struct fence_err *reason, struct fence_err *err)
{
    struct fence_decoded *decoded;
    int r = add_decoded(reader, doc, &decoded, err);

    if (r < 0)
        return r;
    decoded->refused = refused_scope(doc, kind);
    decoded->error = strdup(reason->text);
    if (!decoded->error || refused_id(doc, kind, &decoded->id) < 0) {
        decoded->id = NULL;
        return no_memory(err);
    }
    return 0;
}

static int finish_object(struct fence_doc *doc, const struct kind *kind,
                         struct fence_decoded *decoded, struct fence_err *err)
{
    decoded->id = fence_object_id(decoded->object);
    decoded->json = fence_doc_to_json_kept(doc, kind->kept);
    return decoded->id && decoded->json ? 0 : no_memory(err);
}

/* An object without a namespace is one of "default". */
static int set_namespace(struct fence_doc *doc, const struct kind *kind)
{
    int r = 0;

    for (size_t i = 0; i < doc->count; i++)
        if (strcmp(doc->items[i]->key, "metadata") == 0 && doc->items[i]->type == FENCE_DOC_MAP &&
            fence_kind_is_namespaced(number_of(kind)))
            r = fence_doc_set_default(doc->items[i], "namespace", "default");
    return r;
}

static int read_object(struct reader *reader, struct fence_doc *doc, const struct kind *kind,
                       struct fence_err *err)
{
    struct fence_warnings warnings = {0};
    struct fence_field root = {.doc = doc, .null_is_value = kind->custom, .warnings = &warnings};
    struct fence_decoded *decoded;
    struct fence_err reason;
    int r = set_namespace(doc, kind);

    if (r < 0)
        return no_memory(err);
    r = add_decoded(reader, doc, &decoded, err);
    if (r < 0)
        return r;
    r = decode_object(&root, kind, decoded, &reason);
    decoded->warning = warnings.text;
    if (r == 0)
        return finish_object(doc, kind, decoded, err);
    if (r == -ENOMEM)
        return no_memory(err);
    free(decoded->warning);
    reader->list.count--;
    return add_refused(reader, doc, kind, &reason, err);
}

/* ---- lists, ConfigMaps, streams ------------------------------------------------------------- */

static int read_document(struct reader *reader, struct fence_doc *doc, struct fence_err *err);

/* Items of a list of one kind need not repeat what they are. */
static int name_item(struct fence_doc *item, const char *api_version, const char *name)
{
    int r;

    if (!name || item->type != FENCE_DOC_MAP)
        return 0;
    r = fence_doc_set_default(item, "kind", name);
    return r < 0 ? r : fence_doc_set_default(item, "apiVersion", api_version);
}

/* `name` is the kind of the items, NULL when they are of any kind. */
static int read_list(struct reader *reader, struct fence_doc *doc, const char *api_version,
                     const char *name, struct fence_err *err)
{
    struct fence_field root = {.doc = doc};
    struct fence_field items = fence_field_get(&root, "items");
    struct fence_err reason;
    int r = 0;

    if (fence_field_allow(&items, FENCE_DOC_LIST, &reason) < 0)
        return add_refused(reader, doc, NULL, &reason, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&items); i++) {
        r = name_item(items.doc->items[i], api_version, name);
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
static int place_values(struct reader *reader, size_t first, const struct fence_doc *value,
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

static int read_stream(struct reader *reader, const char *data, size_t size, struct fence_err *err)
{
    struct fence_docs docs = {0};
    int r = fence_docs_parse(data, size, &docs, err);

    for (size_t i = 0; r == 0 && i < docs.count; i++)
        r = read_document(reader, docs.items[i], err);
    fence_docs_done(&docs);
    return r;
}

static int read_value(struct reader *reader, const struct fence_field *value, struct fence_err *err)
{
    size_t first = reader->list.count;
    int r;

    reader->inside_config_map = true;
    r = read_stream(reader, value->doc->text, strlen(value->doc->text), err);
    reader->inside_config_map = false;
    if (r < 0)
        return fence_field_prefix(value, r, err);
    return place_values(reader, first, value->doc, err);
}

static int check_config_map(const struct reader *reader, const struct fence_field *root,
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

static int read_config_map(struct reader *reader, struct fence_doc *doc, struct fence_err *err)
{
    struct fence_field root = {.doc = doc};
    struct fence_field data = fence_field_get(&root, "data");
    struct fence_err reason;
    int r = check_config_map(reader, &root, &data, &reason);

    if (r < 0) {
        r = add_refused(reader, doc, NULL, &reason, err);
        /* whatever it held before must not be taken for deleted */
        if (r == 0)
            reader->list.items[reader->list.count - 1].refused = FENCE_REFUSED_ANYONE;
        return r;
    }
    for (size_t i = 0; r == 0 && i < fence_field_count(&data); i++) {
        struct fence_field value = fence_field_get(&data, data.doc->items[i]->key);

        if (value.doc)
            r = read_value(reader, &value, err);
    }
    return r;
}

static int read_unknown(struct reader *reader, struct fence_doc *doc, struct fence_err *err)
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
        refuse_kind(&kind, api_version.doc->text, kind.doc->text, &reason);
    return add_refused(reader, doc, NULL, &reason, err);
}

/* "Pod" for "PodList" and so on; NULL when it is no list of ours. */
static const char *kind_in_list(const char *api_version, const char *name)
{
    const char *tail = strstr(name, "List");
    const struct kind *kind;

    if (!tail || strcmp(tail, "List") != 0)
        return NULL;
    if (strcmp(api_version, "v1") == 0 && strcmp(name, "ConfigMapList") == 0)
        return "ConfigMap";
    kind = find_kind(api_version, name, (size_t)(tail - name));
    return kind ? fence_kind_name(number_of(kind)) : NULL;
}

static int read_document(struct reader *reader, struct fence_doc *doc, struct fence_err *err)
{
    const char *api_version = text_of(doc, "apiVersion");
    const char *name = text_of(doc, "kind");
    const char *in_list = kind_in_list(api_version, name);
    const struct kind *kind = find_kind(api_version, name, strlen(name));

    if (kind)
        return read_object(reader, doc, kind, err);
    if (in_list)
        return read_list(reader, doc, api_version, in_list, err);
    if (strcmp(api_version, "v1") == 0 && strcmp(name, "List") == 0)
        return read_list(reader, doc, NULL, NULL, err);
    if (strcmp(api_version, "v1") == 0 && strcmp(name, "ConfigMap") == 0)
        return read_config_map(reader, doc, err);
    return read_unknown(reader, doc, err);
}

int fence_decode_stream(const char *data, size_t size, struct fence_decoded_list *ret_list,
                        struct fence_err *err)
{
    struct reader reader = {0};
    int r = read_stream(&reader, data, size, err);

    if (r < 0) {
        fence_decoded_list_done(&reader.list);
        return r;
    }
    *ret_list = reader.list;
    return 0;
}
