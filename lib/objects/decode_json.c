/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the API: read by the quick reader, then by the decoders of everything else. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decode_internal.h"

#define READ_NAME "apiVersion", "kind", "metadata.name", "metadata.namespace"

const char *const fence_reader_name_paths[] = {READ_NAME, NULL};
static const char *const read_of_config_map[] = {READ_NAME, "data", NULL};

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* The text of a member, "" when it is none. */
static const char *text_of(const struct fence_doc *doc, const char *key)
{
    const struct fence_doc *member = fence_doc_get(doc, key);

    return member && member->type == FENCE_DOC_STRING ? member->text : "";
}

int fence_reader_check(struct fence_doc *doc, const char *api_version, const char *name,
                       struct fence_err *err)
{
    if (fence_reader_name(doc, api_version, name) < 0)
        return no_memory(err);
    if (strcmp(text_of(doc, "kind"), name) != 0 ||
        strcmp(text_of(doc, "apiVersion"), api_version) != 0)
        return fence_err_set(err, -EINVAL, "\"%.80s\" of apiVersion \"%.80s\" is not a %s (%s)",
                             text_of(doc, "kind"), text_of(doc, "apiVersion"), name, api_version);
    if (!*text_of(fence_doc_get(doc, "metadata"), "name"))
        return fence_err_set(err, -EINVAL, "metadata.name: is missing");
    return 0;
}

static int parse(const struct fence_json *json, const struct fence_object_kind *kind,
                 const char *const *read, struct fence_doc **ret_doc, struct fence_err *err)
{
    int r = fence_doc_parse_json(json, read, ret_doc, err);

    if (r < 0)
        return r;
    r = fence_reader_check(*ret_doc, fence_object_kind_version(kind),
                           fence_kind_name(fence_object_kind_number(kind)), err);
    if (r < 0)
        fence_doc_free(ret_doc);
    return r;
}

/* Take the document's name for what was refused because of `reason`. */
static int refuse(struct fence_doc *doc, const struct fence_object_kind *kind, const char *reason,
                  struct fence_decoded *ret_decoded)
{
    char *text = strdup(reason);
    char *id = NULL;

    if (!text || fence_reader_id(doc, kind, &id) < 0) {
        free(text);
        return -ENOMEM;
    }
    *ret_decoded = (struct fence_decoded){.refused = FENCE_REFUSED_ONE, .id = id, .error = text};
    return 0;
}

/* An object that somebody made too deep to be read still has a name, and must not stand for any. */
static int refuse_by_name(const struct fence_object_kind *kind, const struct fence_json *json,
                          const struct fence_err *reason, struct fence_decoded *ret_decoded)
{
    FENCE_CLEANUP(fence_doc_free) struct fence_doc *doc = NULL;
    int r = parse(json, kind, fence_reader_name_paths, &doc, NULL);

    return r < 0 ? r : refuse(doc, kind, reason->text, ret_decoded);
}

int fence_decode_json(enum fence_kind kind, const struct fence_json *json,
                      struct fence_decoded *ret_decoded, struct fence_err *err)
{
    const struct fence_object_kind *of = fence_object_kind_get(kind);
    FENCE_CLEANUP(fence_doc_free) struct fence_doc *doc = NULL;
    struct fence_reader reader = {0};
    struct fence_err reason;
    int r = parse(json, of, fence_object_kind_read(of), &doc, &reason);

    if (r < 0 && r != -ENOMEM && refuse_by_name(of, json, &reason, ret_decoded) == 0)
        return 0;
    if (r < 0)
        return fence_err_set(err, r, "%s", reason.text);
    r = fence_reader_object(&reader, doc, of, err);
    free(reader.lines);
    if (r < 0 || !reader.list.items) {
        fence_decoded_list_done(&reader.list);
        return r;
    }
    *ret_decoded = reader.list.items[0];
    free(reader.list.items);
    if (ret_decoded->error)
        ret_decoded->refused = FENCE_REFUSED_ONE;
    return 0;
}

int fence_decode_gone(enum fence_kind kind, const struct fence_json *json,
                      struct fence_decoded *ret_decoded, struct fence_err *err)
{
    const struct fence_object_kind *of = fence_object_kind_get(kind);
    FENCE_CLEANUP(fence_doc_free) struct fence_doc *doc = NULL;
    char *id = NULL;
    int r = parse(json, of, fence_reader_name_paths, &doc, err);

    if (r < 0)
        return r;
    if (fence_reader_id(doc, of, &id) < 0)
        return no_memory(err);
    *ret_decoded = (struct fence_decoded){.gone = true, .id = id};
    return 0;
}

/* ---- ConfigMaps ----------------------------------------------------------------------------- */

void fence_config_map_done(struct fence_config_map *config_map)
{
    free(config_map->namespace_name);
    free(config_map->name);
    *config_map = (struct fence_config_map){0};
}

static int name_config_map(const struct fence_doc *doc, struct fence_config_map *config_map)
{
    const struct fence_doc *metadata = fence_doc_get(doc, "metadata");
    const char *namespace_name = text_of(metadata, "namespace");

    config_map->namespace_name = strdup(*namespace_name ? namespace_name : "default");
    config_map->name = strdup(text_of(metadata, "name"));
    return config_map->namespace_name && config_map->name ? 0 : -ENOMEM;
}

int fence_decode_config_map(const struct fence_json *json, struct fence_config_map *ret_config_map,
                            struct fence_decoded_list *ret_list, struct fence_err *err)
{
    FENCE_CLEANUP(fence_config_map_done) struct fence_config_map config_map = {0};
    FENCE_CLEANUP(fence_doc_free) struct fence_doc *doc = NULL;
    struct fence_reader reader = {0};
    int r = fence_doc_parse_json(json, ret_list ? read_of_config_map : fence_reader_name_paths,
                                 &doc, err);

    if (r == 0)
        r = fence_reader_check(doc, "v1", "ConfigMap", err);
    if (r == 0 && name_config_map(doc, &config_map) < 0)
        r = no_memory(err);
    if (r == 0 && ret_list) {
        r = fence_reader_config_map(&reader, doc, err);
        r = fence_reader_end(&reader, r, ret_list, err);
    }
    if (r < 0)
        return r;
    *ret_config_map = config_map;
    config_map = (struct fence_config_map){0};
    return 0;
}
