/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/kube/explain.h"

#define TOTAL_MS 30000u

struct fence_kube_call {
    const struct fence_reflector_world *world;
    fence_kube_answered answered;
    void *context;
    struct fence_http_exchange *exchange;
    struct fence_kube_answer answer;
    int failed; /* what a handler returned */
    char *body;
    size_t size;
};

static int on_head(void *context, const struct fence_http_head *head)
{
    struct fence_kube_call *call = context;

    call->answer.retry_after_ms = head->retry_after_ms;
    return 0;
}

static int on_body(void *context, const char *data, size_t size)
{
    struct fence_kube_call *call = context;
    char *longer;

    if (size > FENCE_KUBE_ANSWER_MAX - call->size) {
        call->failed = -EMSGSIZE;
        return call->failed;
    }
    longer = realloc(call->body, call->size + size + 1);
    if (!longer) {
        call->failed = -ENOMEM;
        return call->failed;
    }
    call->body = longer;
    memcpy(call->body + call->size, data, size);
    call->size += size;
    call->body[call->size] = '\0';
    return 0;
}

static void free_call(struct fence_kube_call **call)
{
    if (!*call)
        return;
    free((*call)->body);
    free(*call);
    *call = NULL;
}

static bool is_success(const struct fence_kube_answer *answer)
{
    return answer->code == 0 && answer->status >= 200 && answer->status < 300;
}

static void on_end(void *context, const struct fence_http_end *end)
{
    struct fence_kube_call *call = context;
    struct fence_err problem = {""};
    cJSON *json = call->body ? cJSON_ParseWithLength(call->body, call->size) : NULL;

    call->exchange = NULL;
    call->answer.code = call->failed ? call->failed : end->code;
    call->answer.status = end->status;
    if (call->answer.code == 0 && end->status == 401)
        call->world->renew_token(call->world->context);
    if (is_success(&call->answer) && !json && call->size)
        call->answer.code = fence_err_set(&problem, -EBADMSG, "the answer is no JSON");
    else if (call->failed)
        fence_err_set(&problem, 0, "the answer cannot be kept: %s", strerror(-call->failed));
    else if (end->code)
        fence_err_set(&problem, 0, "%.800s", end->message);
    else if (!is_success(&call->answer))
        fence_kube_explain(end->status, call->body ? call->body : "", &problem);
    call->answer.problem = problem.text;
    call->answer.json = is_success(&call->answer) ? json : NULL;
    call->answered(call->context, &call->answer);
    cJSON_Delete(json);
    free_call(&call);
}

static const struct fence_http_ops http_ops = {.head = on_head, .body = on_body, .end = on_end};

int fence_kube_call(const struct fence_reflector_world *world,
                    const struct fence_kube_request *request, fence_kube_answered answered,
                    void *context, struct fence_kube_call **ret_call)
{
    struct fence_http_request http = {.method = request->method,
                                      .path = request->path,
                                      .accept = "application/json",
                                      .content_type = request->content_type,
                                      .body = request->body,
                                      .body_size = request->body ? strlen(request->body) : 0,
                                      .total_ms = TOTAL_MS};
    FENCE_CLEANUP(free_call) struct fence_kube_call *call = calloc(1, sizeof(*call));
    int r;

    if (!call)
        return -ENOMEM;
    call->world = world;
    call->answered = answered;
    call->context = context;
    call->answer.retry_after_ms = -1;
    r = world->start(world->context, &http, &http_ops, call, &call->exchange);
    if (r < 0)
        return r;
    *ret_call = TAKE_PTR(call);
    return 0;
}

void fence_kube_call_cancel(struct fence_kube_call **call)
{
    if (!*call)
        return;
    (*call)->world->cancel((*call)->world->context, &(*call)->exchange);
    free_call(call);
}
