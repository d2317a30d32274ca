/* SPDX-License-Identifier: Apache-2.0 */
#include "test/objects/same.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "lib/objects/object.h"
#include "test/objects/dump.h"

static const char *text_of(const struct fence_doc *doc, const char *key)
{
    const struct fence_doc *member = fence_doc_get(doc, key);

    return member && member->type == FENCE_DOC_STRING ? member->text : "";
}

static const struct fence_object_kind *kind_of(const char *json)
{
    const struct fence_object_kind *kind = NULL;
    struct fence_docs docs = {0};

    if (fence_docs_parse(json, strlen(json), &docs, NULL) == 0 && docs.count == 1) {
        const char *name = text_of(docs.items[0], "kind");

        kind = fence_object_kind_find(text_of(docs.items[0], "apiVersion"), name, strlen(name));
    }
    fence_docs_done(&docs);
    return kind;
}

/* Without "line 12: ", wherever it is. A new string, "" for NULL. */
static char *without_lines(const char *text)
{
    char *copy = strdup(text ? text : "");
    char *to = copy;

    if (!copy)
        abort();
    for (const char *from = copy; *from;) {
        size_t digits = strncmp(from, "line ", 5) == 0 ? strspn(from + 5, "0123456789") : 0;

        if (digits && strncmp(from + 5 + digits, ": ", 2) == 0)
            from += 5 + digits + 2;
        else
            *to++ = *from++;
    }
    *to = '\0';
    return copy;
}

static char *difference(const char *what, const char *file, const char *api)
{
    char *text = NULL;

    if (strcmp(file, api) == 0)
        return NULL;
    if (asprintf(&text, "%s: in a file\n%s\nby the API\n%s", what, file, api) < 0)
        abort();
    return text;
}

static char *compare_texts(const char *what, const char *file, const char *api)
{
    FENCE_FREE char *left = without_lines(file);
    FENCE_FREE char *right = without_lines(api);

    return difference(what, left, right);
}

static char *compare_objects(const struct fence_decoded *file, const struct fence_decoded *api)
{
    FENCE_FREE char *left = file->object ? dump_object(file->object) : strdup("refused");
    FENCE_FREE char *right = api->object ? dump_object(api->object) : strdup("refused");

    return difference("object", left, right);
}

static char *compare(const struct fence_decoded *file, const struct fence_decoded *api)
{
    FENCE_FREE char *left = fence_decoded_id(file);
    FENCE_FREE char *right = fence_decoded_id(api);
    char *found = compare_objects(file, api);

    if (!found)
        found = difference("id", left, right);
    if (!found)
        found = compare_texts("reason", file->error, api->error);
    if (!found)
        found = compare_texts("warning", file->warning, api->warning);
    if (!found && file->text != api->text)
        found = strdup("the canonical text differs");
    if (!found && (api->line || (api->error && strstr(api->error, "line "))))
        found = strdup("the API gives lines");
    return found;
}

/* What has no name to know it by is not even refused. */
static char *compare_unreadable(const struct fence_decoded *file, const struct fence_err *reason)
{
    char *text = NULL;

    if (file->refused == FENCE_REFUSED_ANYONE)
        return NULL;
    if (asprintf(&text, "the API cannot read it: %s", reason->text) < 0)
        abort();
    return text;
}

char *same_decoding(const char *json, bool *ret_read)
{
    const struct fence_object_kind *kind = kind_of(json);
    const struct fence_json text = {json, strlen(json)};
    struct fence_decoded_list list = {0};
    struct fence_decoded api = {0};
    struct fence_err err = {""};
    char *found;

    *ret_read = kind != NULL;
    if (!kind)
        return NULL;
    if (fence_decode_stream(json, strlen(json), &list, &err) < 0 || list.count != 1)
        return strdup("in a file it is not one object");
    if (fence_decode_json(fence_object_kind_number(kind), &text, &api, &err) < 0)
        found = compare_unreadable(&list.items[0], &err);
    else
        found = compare(&list.items[0], &api);
    fence_decoded_done(&api);
    fence_decoded_list_done(&list);
    return found;
}
