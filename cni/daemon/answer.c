/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/answer.h"

#include <stdbool.h>
#include <string.h>

#include "cni/daemon/server.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"

/* Left for what stands around the items of a part. */
#define PART_MAX (FENCE_API_MESSAGE_MAX - 1024)

struct answer {
    struct fence_client *client;
    const char *name;
};

static size_t printed_size(const cJSON *json)
{
    FENCE_FREE char *text = cJSON_PrintUnformatted(json);

    return text ? strlen(text) : 0;
}

static cJSON *make_message(const char *name, cJSON *content, bool more)
{
    cJSON *message = cJSON_CreateObject();

    cJSON_AddTrueToObject(message, "ok");
    if (more)
        cJSON_AddTrueToObject(message, "more");
    if (!content || cJSON_AddItemToObject(message, name, content))
        return message;
    cJSON_Delete(content);
    cJSON_Delete(message);
    return NULL;
}

/* `items` under the path that it had in the whole: directly, or as the member `list`. */
static void send_part(const struct answer *answer, const char *list, cJSON *items)
{
    cJSON *content = items;

    if (list) {
        content = cJSON_CreateObject();
        cJSON_AddItemToObject(content, list, items);
    }
    fence_client_send(answer->client, make_message(answer->name, content, true));
}

static void send_list(const struct answer *answer, const char *list, cJSON *whole)
{
    cJSON *part = cJSON_CreateArray();
    size_t used = 0;

    while (whole->child) {
        cJSON *item = cJSON_DetachItemViaPointer(whole, whole->child);
        size_t size = printed_size(item) + 1;

        if (used && used + size > PART_MAX) {
            send_part(answer, list, part);
            part = cJSON_CreateArray();
            used = 0;
        }
        used += size;
        cJSON_AddItemToArray(part, item);
    }
    send_part(answer, list, part);
    cJSON_Delete(whole);
}

/* First what is no list, so that the parts have something to continue; then list by list. */
static void send_object(const struct answer *answer, cJSON *content)
{
    cJSON *lists = cJSON_CreateObject();
    cJSON *member, *next;

    for (member = content->child; member; member = next) {
        next = member->next;
        if (cJSON_IsArray(member))
            cJSON_AddItemToObject(lists, member->string,
                                  cJSON_DetachItemViaPointer(content, member));
    }
    fence_client_send(answer->client, make_message(answer->name, content, true));
    while (lists && lists->child) {
        cJSON *list = cJSON_DetachItemViaPointer(lists, lists->child);

        send_list(answer, list->string, list);
    }
    cJSON_Delete(lists);
}

void fence_answer_send(struct fence_client *client, const char *name, cJSON *content)
{
    const struct answer answer = {.client = client, .name = name};

    if (content && printed_size(content) <= PART_MAX) {
        fence_client_send(client, make_message(name, content, false));
        return;
    }
    if (!content) {
        fence_client_refuse(client, "out of memory");
        return;
    }
    if (cJSON_IsArray(content))
        send_list(&answer, NULL, content);
    else
        send_object(&answer, content);
    fence_client_send(client, make_message(name, NULL, false));
}
