/* SPDX-License-Identifier: Apache-2.0 */
/* `status --ready` and `--alive`: what probes and scripts ask. They need the daemon, not the pins.
 */
#include <errno.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/status.h"

static int tell_reasons(const struct ctl *ctl, const cJSON *reasons)
{
    const cJSON *reason;

    cJSON_ArrayForEach(reason, reasons)
        ctl_fail(ctl, "not ready: %s", cJSON_IsString(reason) ? reason->valuestring : "");
    return cJSON_GetArraySize(reasons) ? CTL_FAILED : ctl_fail(ctl, "not ready");
}

int ctl_status_ask(const struct ctl *ctl, enum ctl_status_question question)
{
    struct fence_err err = {0};
    cJSON *answer = NULL;
    int r = ctl_daemon_ask(ctl, "status", &answer, &err);

    if (r == -ENOENT)
        return ctl_fail(ctl, "the daemon is not running: nobody serves %s", ctl->socket);
    if (r < 0)
        return ctl_fail(ctl, "the daemon does not answer: %s", err.text);
    if (question == CTL_STATUS_READY && !cJSON_IsTrue(ctl_member(answer, "status.ready")))
        r = tell_reasons(ctl, ctl_member(answer, "status.notReady"));
    cJSON_Delete(answer);
    return r == 0 ? CTL_DONE : CTL_FAILED;
}
