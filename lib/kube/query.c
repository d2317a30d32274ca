/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/query.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 500

bool fence_kube_is_version(const char *version)
{
    return *version && strcmp(version, "0") != 0 && strlen(version) < FENCE_KUBE_VERSION_MAX;
}

/* "&name=value", encoded. */
static void put(FILE *out, const char *name, const char *value)
{
    fprintf(out, "&%s=", name);
    for (; *value; value++)
        fprintf(out, isalnum((unsigned char)*value) || strchr("-._~", *value) ? "%c" : "%%%02X",
                (unsigned char)*value);
}

char *fence_kube_query_path(const struct fence_kube_query *query)
{
    const struct fence_kube_resource *resource = query->resource;
    char *path = NULL;
    size_t size;
    FILE *out = open_memstream(&path, &size);

    if (!out)
        return NULL;
    fprintf(out, "/%s/%s/%s?", strchr(resource->version, '/') ? "apis" : "api", resource->version,
            resource->plural);
    if (query->verb == FENCE_KUBE_PAGE) {
        fprintf(out, "limit=%d", PAGE);
        if (query->token)
            put(out, "continue", query->token);
    } else {
        fprintf(out, "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u", query->timeout_s);
        if (query->verb == FENCE_KUBE_STREAM)
            fputs("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", out);
        else
            put(out, "resourceVersion", query->version);
    }
    if (*resource->selector)
        fprintf(out, "&%s", resource->selector);
    if (fclose(out) != 0) {
        free(path);
        return NULL;
    }
    return path;
}
