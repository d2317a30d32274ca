/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/slices.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "cni/daemon/daemon.h"

/* What is wrong is logged once when it changes. */
static void set_problem(struct fence_daemon *daemon, const char *text)
{
    if (strcmp(daemon->slices.problem.text, text) == 0)
        return;
    fence_err_set(&daemon->slices.problem, 0, "%s", text);
    daemon->reconcile.problems_changed = true;
}

static void publisher_ready(void *context, uint32_t events)
{
    struct fence_daemon *daemon = context;
    struct fence_publisher_state state;

    (void)events;
    if (!daemon->slices.publisher)
        return;
    fence_publisher_handle(daemon->slices.publisher);
    fence_publisher_state(daemon->slices.publisher, &state);
    set_problem(daemon, state.problem);
}

static void stop(struct fence_daemon *daemon)
{
    if (!daemon->slices.publisher)
        return;
    fence_loop_forget(&daemon->loop, &daemon->slices.watch);
    fence_publisher_free(&daemon->slices.publisher);
    set_problem(daemon, "");
}

void fence_slices_done(struct fence_daemon *daemon)
{
    stop(daemon);
}

void fence_slices_lead(struct fence_daemon *daemon, bool held)
{
    struct fence_slices *slices = &daemon->slices;
    struct fence_err err = {""};

    stop(daemon);
    if (!held || !daemon->options.address_slices)
        return;
    if (fence_publisher_new(&daemon->sources.kube_config, &slices->publisher, &err) < 0) {
        set_problem(daemon, err.text);
        return;
    }
    slices->watch = (struct fence_fd_watch){
        .fd = fence_publisher_fd(slices->publisher), .ready = publisher_ready, .context = daemon};
    if (fence_loop_watch(&daemon->loop, &slices->watch, EPOLLIN, &err) < 0) {
        stop(daemon);
        set_problem(daemon, err.text);
    }
}

void fence_slices_problem(const struct fence_daemon *daemon, char *text, size_t size)
{
    const char *problem = daemon->slices.problem.text;
    struct fence_publisher_state state = {0};

    if (daemon->slices.publisher)
        fence_publisher_state(daemon->slices.publisher, &state);
    *text = '\0';
    if (*problem)
        snprintf(text, size, "address slices: %s", problem);
    else if (state.count.too_large)
        snprintf(text, size,
                 "address slices: %zu pods or nodes are left out: their labels and ports are more "
                 "than %u KiB; other nodes do not know them",
                 state.count.too_large, FENCE_SLICE_ENTRY_MAX >> 10);
}

cJSON *fence_slices_json(const struct fence_daemon *daemon)
{
    struct fence_publisher_state state = {0};
    cJSON *json;

    if (!daemon->options.address_slices)
        return cJSON_CreateNull();
    if (daemon->slices.publisher)
        fence_publisher_state(daemon->slices.publisher, &state);
    json = cJSON_CreateObject();
    cJSON_AddBoolToObject(json, "publishes", daemon->slices.publisher != NULL);
    cJSON_AddBoolToObject(json, "complete", state.count.complete);
    cJSON_AddNumberToObject(json, "slices", (double)state.count.slices);
    cJSON_AddNumberToObject(json, "pods", (double)state.count.pods);
    cJSON_AddNumberToObject(json, "nodes", (double)state.count.nodes);
    cJSON_AddNumberToObject(json, "pending", (double)state.count.pending);
    cJSON_AddNumberToObject(json, "tooLarge", (double)state.count.too_large);
    cJSON_AddNumberToObject(json, "writes", (double)state.writes);
    cJSON_AddNumberToObject(json, "failures", (double)state.failures);
    cJSON_AddStringToObject(json, "problem", daemon->slices.problem.text);
    return json;
}
