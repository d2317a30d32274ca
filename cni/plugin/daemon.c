/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plugin/daemon.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cni/plugin/log.h"
#include "lib/api/api.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define POLL_MS  20
#define NS_IN_MS 1000000ull

static cJSON *request(const struct fence_plugin *plugin, const char *op)
{
    cJSON *message = cJSON_CreateObject();

    if (cJSON_AddStringToObject(message, "op", op) &&
        cJSON_AddStringToObject(message, "containerId", plugin->env.container_id) &&
        cJSON_AddStringToObject(message, "ifname", plugin->env.ifname))
        return message;
    cJSON_Delete(message);
    return NULL;
}

/* A connection on which `message` has been sent, or a negative errno. */
static int send_request(const struct fence_plugin *plugin, const cJSON *message,
                        struct fence_err *err)
{
    FENCE_CLOSE int fd = message ? fence_api_connect(fence_plugin_socket(plugin), err)
                                 : fence_err_set(err, -ENOMEM, "out of memory");
    int r;

    if (fd < 0)
        return fd;
    r = fence_api_send(fd, message, err);
    return r < 0 ? r : TAKE_FD(fd);
}

static bool is_pending(const struct fence_pins *pins, __u32 ifindex)
{
    struct fence_endpoint_record record;

    return fence_endpoint_get(pins, ifindex, &record) == 0 &&
           (record.endpoint.flags & FENCE_EP_PENDING);
}

enum answer { NO_ANSWER, RESOLVED, REFUSED };

static enum answer receive(int fd, int timeout_ms)
{
    struct fence_err err = {0};
    cJSON *message = NULL;
    int r = fence_api_receive(fd, timeout_ms, &message, &err);
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(message, "error");
    enum answer answer = REFUSED;

    if (r == -ETIMEDOUT)
        return NO_ANSWER;
    if (r == 0 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(message, "ok")))
        answer = RESOLVED;
    else
        fence_log(FENCE_LOG_WARNING, "the daemon cannot resolve the pod: %s; it stays closed",
                  cJSON_IsString(text) ? text->valuestring : err.text);
    cJSON_Delete(message);
    return answer;
}

/* The answer and the map may come in either order, so after a good answer only the map counts. */
static void hold(const struct fence_plugin *plugin, const struct fence_pins *pins, __u32 ifindex,
                 int fd)
{
    unsigned int limit_ms = plugin->conf.hold_timeout_ms;
    __u64 deadline = fence_clock_boot_ns() + limit_ms * NS_IN_MS;
    enum answer answer = NO_ANSWER;

    /* the watchdog's time comes on top, and only where a pod is really held */
    alarm(alarm(0) + (limit_ms + 999) / 1000);
    while (answer != REFUSED && is_pending(pins, ifindex)) {
        __u64 now = fence_clock_boot_ns();
        int step_ms = now + POLL_MS * NS_IN_MS > deadline ? 1 : POLL_MS;

        if (now >= deadline) {
            fence_log(FENCE_LOG_WARNING,
                      "not resolved within %u ms; the pod stays closed until it is", limit_ms);
            return;
        }
        if (answer == NO_ANSWER)
            answer = receive(fd, step_ms);
        else
            poll(NULL, 0, step_ms);
    }
}

/* What is in force as long as the daemon does nothing. */
static const char *without_daemon(__u32 flags)
{
    if (flags & FENCE_EP_EXEMPT)
        return "the pod is exempt";
    if (!(flags & FENCE_EP_PENDING))
        return "the pod has been resolved before";
    if (flags & FENCE_EP_OPEN)
        return "the pod stays open until the daemon has resolved it";
    return "the pod stays closed until the daemon has resolved it";
}

void fence_daemon_tell_added(const struct fence_plugin *plugin, const struct fence_pins *pins,
                             const struct fence_endpoint_record *record, bool wait)
{
    struct fence_err err = {0};
    cJSON *message = request(plugin, "added");
    FENCE_CLOSE int fd = -1;

    if (!cJSON_AddNumberToObject(message, "ifindex", record->ifindex) ||
        !cJSON_AddBoolToObject(message, "wait", wait)) {
        cJSON_Delete(message);
        message = NULL;
    }
    fd = send_request(plugin, message, &err);
    cJSON_Delete(message);
    if (fd < 0)
        fence_log(FENCE_LOG_WARNING, "the daemon was not told of the pod: %s; %s", err.text,
                  without_daemon(record->endpoint.flags));
    else if (wait)
        hold(plugin, pins, record->ifindex, fd);
}

void fence_daemon_tell_removed(const struct fence_plugin *plugin)
{
    struct fence_err err = {0};
    cJSON *message = request(plugin, "removed");
    FENCE_CLOSE int fd = send_request(plugin, message, &err);

    cJSON_Delete(message);
    if (fd < 0)
        fence_log(FENCE_LOG_DEBUG, "the daemon was not told of the removal: %s", err.text);
}
