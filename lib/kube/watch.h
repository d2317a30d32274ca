/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a watch, in pieces: one JSON object a line, `{"type": ..., "object": ...}`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum fence_kube_event_type {
    FENCE_KUBE_ADDED,
    FENCE_KUBE_MODIFIED,
    FENCE_KUBE_DELETED,
    FENCE_KUBE_BOOKMARK,
    FENCE_KUBE_ERROR,
};

struct fence_kube_event {
    enum fence_kube_event_type type;
    char *object; /* its JSON, ended by NUL; the reader's */
    size_t size;
    const char *version; /* metadata.resourceVersion; "" when absent */
    bool initial_end;    /* a bookmark that ends the initial events of a streaming list */
    long status;         /* FENCE_KUBE_ERROR: code of its Status, else 0 */
    const char *message; /* and its message, "" when absent */
    long retry_after_ms; /* and details.retryAfterSeconds, -1 when absent */
};

struct fence_kube_watch; /* opaque */

struct fence_kube_watch_ops {
    /* Below 0 ends the reading with that code. */
    int (*event)(void *context, struct fence_kube_event *event, struct fence_err *err);
};

int fence_kube_watch_new(const struct fence_kube_watch_ops *ops, void *context,
                         struct fence_kube_watch **ret_watch);
void fence_kube_watch_free(struct fence_kube_watch **watch);
/* -EBADMSG: a line that is no event; -EMSGSIZE: one longer than FENCE_KUBE_OBJECT_MAX; or what
 * `event` returned. */
int fence_kube_watch_feed(struct fence_kube_watch *watch, const char *data, size_t size,
                          struct fence_err *err);
/* Is a line begun? What comes of a server that died in the middle of one: it is no event. */
bool fence_kube_watch_is_cut(const struct fence_kube_watch *watch);
