/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/requests.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cni/daemon/answer.h"
#include "cni/daemon/daemon.h"
#include "cni/daemon/status.h"
#include "cni/daemon/vanished.h"
#include "lib/base/memory.h"

/* An end of the connection for those who break the form. */
__attribute__((format(printf, 2, 3))) static void refuse_and_close(struct fence_client *client,
                                                                   const char *format, ...);

static void refuse_and_close(struct fence_client *client, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fence_client_refuse(client, "%s", text);
    client->closing = true;
}

/* A member that must be a text of less than `size` bytes. */
static bool take_text(struct fence_client *client, const cJSON *request, const char *name,
                      char *text, size_t size)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(request, name);

    if (!cJSON_IsString(member) || !*member->valuestring || strlen(member->valuestring) >= size) {
        refuse_and_close(client, "%s must be a text of 1 to %zu bytes", name, size - 1);
        return false;
    }
    snprintf(text, size, "%s", member->valuestring);
    return true;
}

static void handle_added(struct fence_client *client, const cJSON *request)
{
    const cJSON *ifindex = cJSON_GetObjectItemCaseSensitive(request, "ifindex");
    const cJSON *wait = cJSON_GetObjectItemCaseSensitive(request, "wait");
    struct fence_waiter waiter = {0};

    if (!cJSON_IsNumber(ifindex) || ifindex->valuedouble < 1 || ifindex->valuedouble > INT32_MAX) {
        refuse_and_close(client, "ifindex must be a number from 1 to %d", INT32_MAX);
        return;
    }
    if (!take_text(client, request, "containerId", waiter.container_id,
                   sizeof(waiter.container_id)) ||
        !take_text(client, request, "ifname", waiter.ifname, sizeof(waiter.ifname)))
        return;
    client->daemon->dirty = true;
    fence_vanished_remove(client->daemon); /* sees the new interface, and tidies up */
    if (!cJSON_IsTrue(wait))
        return;
    waiter.ifindex = (uint32_t)ifindex->valuedouble;
    client->waiter = waiter;
}

static void handle_removed(struct fence_client *client, const cJSON *request)
{
    (void)request;
    client->daemon->dirty = true;
}

static void handle_status(struct fence_client *client, const cJSON *request)
{
    (void)request;
    fence_answer_send(client, "status", fence_status_json(client->daemon));
}

static void handle_policies(struct fence_client *client, const cJSON *request)
{
    (void)request;
    fence_answer_send(client, "policies", fence_policies_json(client->daemon));
}

static void handle_observe(struct fence_client *client, const cJSON *request)
{
    cJSON *answer = cJSON_CreateObject();

    (void)request;
    cJSON_AddTrueToObject(answer, "ok");
    if (!client->observing)
        client->daemon->server.observers++;
    client->observing = true;
    fence_client_send(client, answer);
}

static const struct {
    const char *op;
    void (*handle)(struct fence_client *client, const cJSON *request);
} operations[] = {
    {"added", handle_added},       {"removed", handle_removed}, {"status", handle_status},
    {"policies", handle_policies}, {"observe", handle_observe},
};

void fence_requests_handle(struct fence_client *client, const cJSON *request)
{
    const cJSON *op = cJSON_GetObjectItemCaseSensitive(request, "op");

    if (!cJSON_IsString(op)) {
        refuse_and_close(client, "op must be a text");
        return;
    }
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(operations); i++)
        if (!strcmp(op->valuestring, operations[i].op)) {
            operations[i].handle(client, request);
            return;
        }
    refuse_and_close(client, "unknown op \"%.64s\": added, removed, status, policies, observe",
                     op->valuestring);
}
