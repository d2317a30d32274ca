/* SPDX-License-Identifier: Apache-2.0 */
/* Messages over the daemon's socket. */
#include "lib/api/api.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/memory.h"

static void delete_json(cJSON **json)
{
    cJSON_Delete(*json);
    *json = NULL;
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int fence_api_send_text(int fd, const char *text, size_t size, struct fence_err *err)
{
    ssize_t sent;

    if (size > FENCE_API_MESSAGE_MAX)
        return fence_err_set(err, -EMSGSIZE, "a message of %zu bytes is more than the %u allowed",
                             size, FENCE_API_MESSAGE_MAX);
    do
        sent = send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    if (errno == EAGAIN)
        return fence_err_set(err, -EAGAIN, "the other side does not read its messages");
    return fence_err_set(err, -errno, "cannot send: %s", strerror(errno));
}

int fence_api_send(int fd, const cJSON *message, struct fence_err *err)
{
    FENCE_FREE char *text = cJSON_PrintUnformatted(message);

    if (!text)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return fence_api_send_text(fd, text, strlen(text), err);
}

static int wait_readable(int fd, int timeout_ms, struct fence_err *err)
{
    const long long deadline = now_ms() + timeout_ms;
    struct pollfd poller = {.fd = fd, .events = POLLIN};

    for (;;) {
        long long left = timeout_ms < 0 ? -1 : deadline - now_ms();
        int ready = poll(&poller, 1, timeout_ms >= 0 && left < 0 ? 0 : (int)left);

        if (ready > 0)
            return 0;
        if (ready == 0)
            return fence_err_set(err, -ETIMEDOUT, "no message within %d ms", timeout_ms);
        if (errno != EINTR)
            return fence_err_set(err, -errno, "cannot wait for a message: %s", strerror(errno));
    }
}

/* The next message's size; it stays in the queue. */
static ssize_t next_size(int fd)
{
    char none;
    ssize_t size;

    do
        size = recv(fd, &none, sizeof(none), MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    return size < 0 ? -errno : size;
}

int fence_api_parse(const char *text, size_t size, cJSON **ret_message, struct fence_err *err)
{
    const char *end = NULL;
    FENCE_CLEANUP(delete_json) cJSON *json = cJSON_ParseWithLengthOpts(text, size, &end, 0);

    while (json && end < text + size && strchr(" \t\r\n", *end) && *end)
        end++;
    if (!json || end != text + size || !cJSON_IsObject(json))
        return fence_err_set(err, -EBADMSG, "a message of %zu bytes is not a JSON object", size);
    *ret_message = TAKE_PTR(json);
    return 0;
}

/* An oversized message is taken from the queue, so that the next one can be read. */
static int refuse_oversized(int fd, size_t size, struct fence_err *err)
{
    char none;

    (void)recv(fd, &none, sizeof(none), MSG_DONTWAIT);
    return fence_err_set(err, -EBADMSG, "a message of %zu bytes is more than the %u allowed", size,
                         FENCE_API_MESSAGE_MAX);
}

int fence_api_receive_text(int fd, int timeout_ms, char **ret_text, size_t *ret_size,
                           struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    ssize_t size;
    int result = wait_readable(fd, timeout_ms, err);

    if (result < 0)
        return result;
    size = next_size(fd);
    if (size == -EAGAIN)
        return fence_err_set(err, -ETIMEDOUT, "no message within %d ms", timeout_ms);
    if (size < 0 && size != -ECONNRESET)
        return fence_err_set(err, (int)size, "cannot receive: %s", strerror((int)-size));
    if (size <= 0)
        return fence_err_set(err, -ECONNRESET, "the other side has closed the connection");
    if ((size_t)size > FENCE_API_MESSAGE_MAX)
        return refuse_oversized(fd, (size_t)size, err);
    text = malloc((size_t)size + 1);
    if (!text)
        return fence_err_set(err, -ENOMEM, "out of memory");
    size = recv(fd, text, (size_t)size, MSG_DONTWAIT);
    if (size <= 0)
        return fence_err_set(err, -ECONNRESET, "the message has gone: %s", strerror(errno));
    text[size] = '\0';
    *ret_size = (size_t)size;
    *ret_text = TAKE_PTR(text);
    return 0;
}

int fence_api_receive(int fd, int timeout_ms, cJSON **ret_message, struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    int result = fence_api_receive_text(fd, timeout_ms, &text, &size, err);

    return result < 0 ? result : fence_api_parse(text, size, ret_message, err);
}

/* Takes what `part` holds over into `whole`: lists are joined, objects entered, the rest is kept
 * as the first message said it. Messages nest two levels deep, so the recursion is bounded. */
static void join(cJSON *whole, cJSON *part, unsigned int depth)
{
    cJSON *item, *next;

    for (item = part->child; item; item = next) {
        cJSON *known = cJSON_GetObjectItemCaseSensitive(whole, item->string);

        next = item->next;
        if (!known)
            cJSON_AddItemToObject(whole, item->string, cJSON_DetachItemViaPointer(part, item));
        else if (cJSON_IsArray(known) && cJSON_IsArray(item))
            while (item->child)
                cJSON_AddItemToArray(known, cJSON_DetachItemViaPointer(item, item->child));
        else if (cJSON_IsObject(known) && cJSON_IsObject(item) && depth > 0)
            join(known, item, depth - 1);
    }
}

int fence_api_request(int fd, const cJSON *request, int timeout_ms, cJSON **ret_answer,
                      struct fence_err *err)
{
    const long long deadline = now_ms() + timeout_ms;
    FENCE_CLEANUP(delete_json) cJSON *answer = NULL;
    bool more = true;
    int result = fence_api_send(fd, request, err);

    while (result == 0 && more) {
        FENCE_CLEANUP(delete_json) cJSON *part = NULL;
        long long left = timeout_ms < 0 ? -1 : deadline - now_ms();

        result = fence_api_receive(fd, timeout_ms >= 0 && left < 0 ? 0 : (int)left, &part, err);
        if (result < 0)
            return result;
        more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(part, "more"));
        cJSON_DeleteItemFromObjectCaseSensitive(part, "more");
        if (answer)
            join(answer, part, 2);
        else
            answer = TAKE_PTR(part);
    }
    if (result < 0)
        return result;
    *ret_answer = TAKE_PTR(answer);
    return 0;
}
