/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request with a short JSON answer: what is written to the API server, and single objects that
 * are read. No time passes and no socket is touched in here: the world does both.
 */
#pragma once

#include <cjson/cJSON.h>

#include "lib/kube/reflector.h"

/* An answer that is longer is an error (-EMSGSIZE). */
#define FENCE_KUBE_ANSWER_MAX (4u << 20)

struct fence_kube_call; /* opaque */

struct fence_kube_request {
    const char *method;       /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *path;         /* encoded */
    const char *content_type; /* of `body`: "application/json", "application/apply-patch+yaml" */
    const char *body;         /* copied; NULL: none */
};

struct fence_kube_answer {
    int code;            /* 0: an answer came, whatever its status is; else -errno */
    long status;         /* 0 when there was no answer */
    long retry_after_ms; /* -1: not said */
    const cJSON *json;   /* NULL when there is none, or the status is no success */
    const char *problem; /* for people: "HTTP 409: ..."; "" after a success */
};

/* Once for each call that was started and not cancelled; the call is freed after it. Nothing is
 * started from inside it: note what is to be done, and do it when next asked. */
typedef void (*fence_kube_answered)(void *context, const struct fence_kube_answer *answer);

/*
 * The strings are copied; the world outlives the call. It is given up after 30 s. After 401 the
 * token is read again. -ENOMEM or what the world says; then there is no call.
 */
int fence_kube_call(const struct fence_reflector_world *world,
                    const struct fence_kube_request *request, fence_kube_answered answered,
                    void *context, struct fence_kube_call **ret_call);
/* `answered` is not called. Not from inside it. */
void fence_kube_call_cancel(struct fence_kube_call **call);
