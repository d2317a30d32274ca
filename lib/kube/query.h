/* SPDX-License-Identifier: Apache-2.0 */
/* What a reflector asks for: the path of its next request. */
#pragma once

#include "lib/kube/kube.h"

#define FENCE_KUBE_VERSION_MAX 128u /* bytes of a resourceVersion, with its NUL */

enum fence_kube_verb {
    FENCE_KUBE_STREAM, /* a list as a watch, which goes on as one */
    FENCE_KUBE_PAGE,   /* of a list */
    FENCE_KUBE_WATCH,
};

struct fence_kube_query {
    const struct fence_kube_resource *resource;
    enum fence_kube_verb verb;
    const char *version;    /* of a watch: from here */
    const char *token;      /* of a page: not the first; NULL: the first */
    unsigned int timeout_s; /* not of a page: the server ends it after so long */
};

/* One from which a watch can go on: not empty, not too long, and not "0", which means any. */
bool fence_kube_is_version(const char *version);
/* Encoded, the caller's. NULL: no memory. */
char *fence_kube_query_path(const struct fence_kube_query *query);
