/* SPDX-License-Identifier: Apache-2.0 */
/* The member of the status, and the answer to {"op":"flows"}: written as text, part by part, since
 * it may have thousands. */
#include <errno.h>
#include <stdio.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/flowbook.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"

/* A part is sent when it has so many bytes; the largest flow fits behind it. */
#define PART_BYTES (FENCE_API_MESSAGE_MAX - 48u * 1024)

struct answer {
    struct fence_client *client;
    const struct fence_flow_book *book;
    FILE *out;
    char *text;
    size_t size;
    size_t count; /* flows in this part */
    bool first;
};

static int part_begin(struct answer *answer)
{
    struct fence_flow_losses losses = fence_flow_book_losses(answer->book);
    char since[FENCE_FLOW_TIME];

    answer->out = open_memstream(&answer->text, &answer->size);
    if (!answer->out)
        return -ENOMEM;
    answer->count = 0;
    fputs("{\"ok\":true,", answer->out);
    if (answer->first)
        fprintf(answer->out,
                "\"since\":\"%s\",\"lost\":%llu,\"losses\":{\"pushedOut\":%llu,\"unnamed\":%llu,"
                "\"vanished\":%llu},",
                fence_flow_time_format(fence_flow_book_since(answer->book), since),
                (unsigned long long)(losses.pushed_out + losses.unnamed + losses.vanished),
                (unsigned long long)losses.pushed_out, (unsigned long long)losses.unnamed,
                (unsigned long long)losses.vanished);
    fputs("\"flows\":[", answer->out);
    answer->first = false;
    return 0;
}

static int part_end(struct answer *answer, bool more)
{
    int r;

    fputs(more ? "],\"more\":true}" : "]}", answer->out);
    r = fclose(answer->out) == 0 ? 0 : -ENOMEM;
    answer->out = NULL;
    if (r == 0)
        fence_client_send_text(answer->client, answer->text, answer->size);
    free(answer->text);
    answer->text = NULL;
    return r;
}

static int add_flow(void *context, const struct fence_flow_seen *flow)
{
    struct answer *answer = context;
    int r = 0;

    if (answer->count++)
        fputc(',', answer->out);
    fence_flow_print(answer->out, flow);
    if (ftell(answer->out) < (long)PART_BYTES)
        return 0;
    r = part_end(answer, true);
    return r == 0 ? part_begin(answer) : r;
}

static void send_flows(struct fence_client *client, uint64_t since_ns)
{
    struct answer answer = {.client = client, .book = client->daemon->flowbook.book, .first = true};
    int r = part_begin(&answer);

    if (r == 0)
        r = fence_flow_book_each(answer.book, since_ns, add_flow, &answer);
    if (r == 0)
        r = part_end(&answer, false);
    if (r < 0) {
        fence_client_refuse(client, "out of memory");
        client->closing = true;
    }
}

void fence_flowbook_add_status(cJSON *status, const struct fence_daemon *daemon)
{
    const struct fence_flowbook *flowbook = &daemon->flowbook;
    cJSON *object = cJSON_AddObjectToObject(status, "flows");
    struct fence_flow_losses losses;
    char since[FENCE_FLOW_TIME];

    if (!flowbook->book)
        return;
    losses = fence_flow_book_losses(flowbook->book);
    cJSON_AddNumberToObject(object, "count", (double)fence_flow_book_size(flowbook->book));
    cJSON_AddStringToObject(object, "since",
                            fence_flow_time_format(fence_flow_book_since(flowbook->book), since));
    cJSON_AddNumberToObject(object, "pushedOut", (double)losses.pushed_out);
    cJSON_AddNumberToObject(object, "unnamed", (double)losses.unnamed);
    cJSON_AddNumberToObject(object, "vanished", (double)losses.vanished);
    cJSON_AddNumberToObject(object, "lookMicroseconds", (double)flowbook->looked_us);
    cJSON_AddBoolToObject(object, "kept", !flowbook->cannot_save);
}

void fence_flowbook_answer(struct fence_client *client, const cJSON *request)
{
    const cJSON *since = cJSON_GetObjectItemCaseSensitive(request, "since");
    uint64_t since_ns = 0;

    if (since &&
        (!cJSON_IsNumber(since) || !(since->valuedouble >= 0 && since->valuedouble < 1e10))) {
        fence_client_refuse(client, "since must be a number of seconds since 1970");
        client->closing = true;
        return;
    }
    if (!client->daemon->flowbook.book) {
        fence_client_refuse(client, "there is no flow book: the daemon was out of memory");
        return;
    }
    if (since)
        since_ns = (uint64_t)(since->valuedouble * 1e9);
    fence_flowbook_look(client->daemon);
    send_flows(client, since_ns);
}
