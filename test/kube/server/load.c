/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from files, as kubectl prints them and as the API server's lists have them. */
#include "test/kube/server/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/objects/doc.h"

#define FILE_MAX ((size_t)2 << 30)

/* ---- JSON and YAML -------------------------------------------------------------------------- */

static cJSON *yaml_to_json(const struct fence_doc *doc)
{
    FENCE_FREE char *json = fence_doc_to_json(doc);

    return json ? cJSON_Parse(json) : NULL;
}

/* All documents, as one array. */
static cJSON *parse_documents(const char *text, size_t size, struct fence_err *err)
{
    struct fence_docs docs = {.items = NULL};
    cJSON *array, *json = cJSON_ParseWithLength(text, size);

    array = cJSON_CreateArray();
    if (json) {
        cJSON_AddItemToArray(array, json);
        return array;
    }
    if (fence_docs_parse(text, size, &docs, err) < 0) {
        cJSON_Delete(array);
        return NULL;
    }
    for (size_t i = 0; i < docs.count; i++)
        cJSON_AddItemToArray(array, yaml_to_json(docs.items[i]));
    fence_docs_done(&docs);
    return array;
}

cJSON *parse_object(const char *text, size_t size, struct fence_err *err)
{
    cJSON *array = text ? parse_documents(text, size, err) : NULL;
    cJSON *object = array ? cJSON_DetachItemFromArray(array, 0) : NULL;

    cJSON_Delete(array);
    if (object && cJSON_IsObject(object))
        return object;
    cJSON_Delete(object);
    fence_err_set(err, -EINVAL, "the body is no object");
    return NULL;
}

/* ---- objects -------------------------------------------------------------------------------- */

static uint64_t number_of(const cJSON *object)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");

    return strtoull(json_text(metadata, "resourceVersion"), NULL, 10);
}

static int put_quietly(struct server *server, struct resource *resource, cJSON *object,
                       uint64_t number)
{
    struct version *version = version_new(object, number ? number : ++server->number);
    struct version *before = NULL;

    if (!version)
        return -EINVAL;
    if (objects_put(&resource->objects, version, &before) < 0) {
        version_unref(version);
        return -ENOMEM;
    }
    version_unref(before);
    if (number > server->number)
        server->number = number;
    return 0;
}

static int load_object(struct server *server, cJSON *object, struct resource *resource, bool loud)
{
    const uint64_t number = number_of(object);
    struct version *version;

    if (complete_object(resource, object) < 0)
        return -ENOMEM;
    if (!loud)
        return put_quietly(server, resource, object, number);
    return commit_object(server, resource, object, &version);
}

/* Its own kind, or what its list is a list of. */
static int load_item(struct server *server, const cJSON *list, cJSON *item, bool loud,
                     struct fence_err *err)
{
    const char *kind = json_text(item, "kind"), *api_version = json_text(item, "apiVersion");
    const char *list_kind = json_text(list, "kind");
    FENCE_FREE char *of_list = strdup(list_kind);
    struct resource *resource;

    if (of_list && strlen(of_list) > 4)
        of_list[strlen(of_list) - 4] = '\0';
    if (!kind[0] && of_list) {
        kind = of_list;
        api_version = json_text(list, "apiVersion");
    }
    resource = resources_of_kind(server, api_version, kind);
    if (!resource)
        return fence_err_set(err, -EINVAL, "there is no kind \"%s\" of \"%s\"", kind, api_version);
    if (load_object(server, item, resource, loud) < 0)
        return fence_err_set(err, -EINVAL, "%s: an object without a name", kind);
    return 0;
}

static int load_document(struct server *server, cJSON *document, bool loud, struct fence_err *err)
{
    cJSON *items = cJSON_GetObjectItemCaseSensitive(document, "items");
    const uint64_t number = number_of(document);
    cJSON *item;
    int result;

    if (!cJSON_IsArray(items))
        return load_item(server, document, document, loud, err);
    cJSON_ArrayForEach(item, items)
    {
        result = load_item(server, document, item, loud, err);
        if (result < 0)
            return result;
    }
    if (!loud && number > server->number)
        server->number = number;
    return 0;
}

int load_objects(struct server *server, const char *text, size_t size, bool loud,
                 struct fence_err *err)
{
    cJSON *documents = parse_documents(text, size, err), *document;
    int result = documents ? 0 : -EINVAL;

    cJSON_ArrayForEach(document, documents)
    {
        if (result == 0)
            result = load_document(server, document, loud, err);
    }
    cJSON_Delete(documents);
    return result;
}

int load_file(struct server *server, const char *path, struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    int result = fence_file_read(AT_FDCWD, path, FILE_MAX, &text, &size, err);

    if (result == 0)
        result = load_objects(server, text, size, false, err);
    if (result < 0)
        return fence_err_prefix(err, result, "%s", path);
    for (size_t i = 0; i < server->resource_count; i++)
        server->resources[i]->history.forgotten = server->number;
    return 0;
}
