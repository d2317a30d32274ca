/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/requests.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cni/daemon/answer.h"
#include "cni/daemon/daemon.h"
#include "cni/daemon/flowbook.h"
#include "cni/daemon/status.h"
#include "cni/daemon/vanished.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/policy/evaluate.h"

/* An end of the connection for those who break the form. */
__attribute__((format(printf, 2, 3))) static void refuse_and_close(struct fence_client *client,
                                                                   const char *format, ...);

static void refuse_and_close(struct fence_client *client, const char *format, ...)
{
    char text[512];
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
    fence_vanished_check(client->daemon); /* sees the new interface, and tidies up */
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

/* A member that must be a whole number up to `max`. */
static bool take_number(struct fence_client *client, const cJSON *request, const char *name,
                        unsigned int max, unsigned int *number)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(request, name);

    if (!cJSON_IsNumber(member) || !(member->valuedouble >= 0 && member->valuedouble <= max)) {
        refuse_and_close(client, "%s must be a number from 0 to %u", name, max);
        return false;
    }
    *number = (unsigned int)member->valuedouble;
    return true;
}

static void handle_nearest(struct fence_client *client, const cJSON *request)
{
    char from[FENCE_ADDR_TEXT], to[FENCE_ADDR_TEXT];
    struct fence_query query = {.from = from, .to = to};
    struct fence_addr from_addr, to_addr;

    if (!take_text(client, request, "from", from, sizeof(from)) ||
        !take_text(client, request, "to", to, sizeof(to)) ||
        !take_number(client, request, "protocol", 255, &query.protocol) ||
        !take_number(client, request, "port", 65535, &query.port))
        return;
    if (fence_addr_parse(from, &from_addr) < 0 || fence_addr_parse(to, &to_addr) < 0 ||
        fence_addr_is_ipv4(&from_addr) != fence_addr_is_ipv4(&to_addr)) {
        refuse_and_close(client, "from and to must be addresses of one family");
        return;
    }
    query.family = fence_addr_is_ipv4(&from_addr) ? 4 : 6;
    fence_answer_send(client, "nearest", fence_nearest_json(client->daemon, &query));
}

/* `readers`: also for members of --socket-group, because it only tells. */
static const struct {
    const char *op;
    void (*handle)(struct fence_client *client, const cJSON *request);
    bool readers;
} operations[] = {
    {"added", handle_added, false},
    {"removed", handle_removed, false},
    {"status", handle_status, true},
    {"policies", handle_policies, true},
    {"nearest", handle_nearest, true},
    {"observe", fence_observers_handle, true},
    {"cut", fence_cuts_handle_cut, false},
    {"cuts", fence_cuts_handle_list, true},
    {"uncut", fence_cuts_handle_uncut, false},
    {"flows", fence_flowbook_answer, true},
    {"wait", fence_inforce_handle_wait, true},
    {"endpoints", fence_inforce_handle_endpoints, true},
    {"alarms", fence_alarms_handle_list, true},
    {"alarms-clear", fence_alarms_handle_clear, false},
};

static void list_operations(char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(operations) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", operations[i].op);
}

void fence_requests_handle(struct fence_client *client, const cJSON *request)
{
    const cJSON *op = cJSON_GetObjectItemCaseSensitive(request, "op");
    char known[256] = "";

    if (!cJSON_IsString(op)) {
        refuse_and_close(client, "op must be a text");
        return;
    }
    client->asked = true;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(operations); i++) {
        if (strcmp(op->valuestring, operations[i].op) != 0)
            continue;
        if (client->is_root || operations[i].readers)
            operations[i].handle(client, request);
        else
            refuse_and_close(client, "%s is for root only", operations[i].op);
        return;
    }
    list_operations(known, sizeof(known));
    refuse_and_close(client, "unknown op \"%.64s\": %s", op->valuestring, known);
}
