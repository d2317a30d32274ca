/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kind: listed, then watched, for ever. What it needs of the world is a table of functions, so
 * that tests need no network and no time. Nothing is started from inside a handler of an exchange:
 * handlers set when fence_reflector_tick is due.
 */
#pragma once

#include "lib/kube/http.h"
#include "lib/kube/kube.h"

struct fence_reflector; /* opaque */

/* As the functions of http.h. */
struct fence_reflector_world {
    int (*start)(void *context, const struct fence_http_request *request,
                 const struct fence_http_ops *ops, void *handler,
                 struct fence_http_exchange **ret_exchange);
    const struct fence_err *start_err; /* why the last `start` failed; NULL: it does not say */
    void (*cancel)(void *context, struct fence_http_exchange **exchange);
    void (*renew_token)(void *context);
    uint64_t (*now_ns)(void *context); /* boot time */
    uint32_t (*random)(void *context);
    void *context;
};

/* All that it points to outlives the reflector. `settled` is not called. */
struct fence_reflector_options {
    const struct fence_kube_resource *resource;
    unsigned int index; /* of the resource, for `ops` */
    const struct fence_kube_ops *ops;
    void *context;           /* of `ops` */
    unsigned int silence_ms; /* a watch without a byte for so long hangs; 0: 100 s */
    const struct fence_reflector_world *world;
};

/* -ENOMEM. Its first list is due at once. */
int fence_reflector_new(const struct fence_reflector_options *options,
                        struct fence_reflector **ret_reflector);
void fence_reflector_free(struct fence_reflector **reflector);

/* Boot time at which fence_reflector_tick is to be called; UINT64_MAX: not by time. */
uint64_t fence_reflector_due_ns(const struct fence_reflector *reflector);
/* Does what is due; nothing before. */
void fence_reflector_tick(struct fence_reflector *reflector);
void fence_reflector_state(const struct fence_reflector *reflector,
                           struct fence_kube_state *ret_state);
