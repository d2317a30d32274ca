/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a list answer, in pieces: each element of `items` as soon as it is there, so that no
 * more than one object is held. Also finds what the client needs of the list's own metadata.
 */
#pragma once

#include <stddef.h>

#include "lib/base/err.h"

/* An object may have so many bytes of JSON: etcd refuses larger ones than 1.5 MB, and JSON has some
 * more. */
#define FENCE_KUBE_OBJECT_MAX (8u << 20)

struct fence_kube_list; /* opaque */

struct fence_kube_list_ops {
    /* `json` is ended by NUL, and the reader's. Below 0 ends the reading with that code. */
    int (*item)(void *context, char *json, size_t size, struct fence_err *err);
};

int fence_kube_list_new(const struct fence_kube_list_ops *ops, void *context,
                        struct fence_kube_list **ret_list);
void fence_kube_list_free(struct fence_kube_list **list);
/* -EBADMSG: no JSON, or no list; -EMSGSIZE: an object too large; or what `item` returned. */
int fence_kube_list_feed(struct fence_kube_list *list, const char *data, size_t size,
                         struct fence_err *err);
/* The body has ended: -EBADMSG when the list has not. */
int fence_kube_list_end(struct fence_kube_list *list, struct fence_err *err);

/* Known after the end, as order of members is the server's choice; "" when absent. */
const char *fence_kube_list_version(const struct fence_kube_list *list);
const char *fence_kube_list_continue(const struct fence_kube_list *list);
