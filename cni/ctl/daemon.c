/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/daemon.h"

#include <errno.h>

#include "lib/api/api.h"
#include "lib/base/memory.h"

static int open_socket(const struct ctl *ctl, struct fence_err *err)
{
    int fd = fence_api_connect(ctl->socket, err);

    return fd == -ECONNREFUSED ? -ENOENT : fd;
}

/* Takes `answer` when it is a refusal. */
static int refusal(cJSON **answer, struct fence_err *err)
{
    int r = 0;

    if (!cJSON_IsTrue(ctl_member(*answer, "ok"))) {
        const char *text = ctl_member_text(*answer, "error");

        r = fence_err_set(err, -EPROTO, "the daemon refused: %s", *text ? text : "no reason given");
        cJSON_Delete(*answer);
        *answer = NULL;
    }
    return r;
}

int ctl_daemon_request_within(const struct ctl *ctl, const cJSON *message, int timeout_ms,
                              cJSON **ret_answer, struct fence_err *err)
{
    FENCE_CLOSE int fd = open_socket(ctl, err);
    cJSON *answer = NULL;
    int r;

    if (fd < 0)
        return fd;
    r = fence_api_request(fd, message, timeout_ms, &answer, err);
    if (r == 0)
        r = refusal(&answer, err);
    if (r == 0)
        *ret_answer = answer;
    return r;
}

int ctl_daemon_request(const struct ctl *ctl, const cJSON *message, cJSON **ret_answer,
                       struct fence_err *err)
{
    return ctl_daemon_request_within(ctl, message, CTL_DAEMON_MS, ret_answer, err);
}

int ctl_daemon_ask(const struct ctl *ctl, const char *op, cJSON **ret_answer, struct fence_err *err)
{
    cJSON *message = cJSON_CreateObject();
    int r = -ENOMEM;

    if (cJSON_AddStringToObject(message, "op", op))
        r = ctl_daemon_request(ctl, message, ret_answer, err);
    else
        fence_err_set(err, r, "out of memory");
    cJSON_Delete(message);
    return r;
}

int ctl_daemon_open(const struct ctl *ctl, const cJSON *message, cJSON **ret_answer,
                    struct fence_err *err)
{
    FENCE_CLOSE int fd = open_socket(ctl, err);
    cJSON *answer = NULL;
    int r;

    if (fd < 0)
        return fd;
    r = fence_api_request(fd, message, CTL_DAEMON_MS, &answer, err);
    if (r == 0)
        r = refusal(&answer, err);
    if (r < 0)
        return r;
    *ret_answer = answer;
    return TAKE_FD(fd);
}
