/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/takeover.h"

#include "cni/daemon/daemon.h"

#define ADDING_MS 20   /* a pod is just being added to the older layout */
#define RETRY_MS  1000 /* after an error */

static void tell(const struct fence_layout *from, int result, const struct fence_err *err)
{
    fence_log(FENCE_LOG_INFO,
              "took over from podfence %s: layout %d is in force, layout %u removed", from->version,
              FENCE_ABI_VERSION, from->number);
    if (result < 0)
        fence_log(FENCE_LOG_WARNING, "not all of layout %u could be removed: %s", from->number,
                  err->text);
}

void fence_takeover_try(struct fence_daemon *daemon)
{
    struct fence_takeover *takeover = &daemon->takeover;
    const struct fence_layout from = takeover->from;
    struct fence_err err = {""};
    int result;

    if (!from.number || daemon->dirty || !daemon->reconcile.applies ||
        daemon->reconcile.error.text[0])
        return;
    result = fence_takeover_end(takeover, &daemon->pins, &err);
    if (!takeover->from.number) {
        tell(&from, result, &err);
        daemon->dirty = true; /* the start goes on */
        return;
    }
    if (result < 0)
        fence_log(FENCE_LOG_WARNING, "cannot take over from layout %u yet, it stays in force: %s",
                  from.number, err.text);
    fence_timer_after(&daemon->reconcile.retry, result < 0 ? RETRY_MS : ADDING_MS, 0);
}
