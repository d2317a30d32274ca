/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/settle.h"

#include <errno.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/log.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"

#define NS_IN_S 1000000000ull

/* A job that ends sooner is not worth two waits more, and two again when it ends. */
#define SETTLED_AFTER_NS (15 * NS_IN_S)
/* That long no pod has been added. */
#define QUIET_NS         (5 * NS_IN_S)
/* About 25 ms each, in which the daemon answers nobody. */
#define AT_ONCE          2

static bool is_quiet(const struct fence_endpoint_list *list, __u64 now)
{
    for (size_t i = 0; i < list->count; i++)
        if (now - list->items[i].info.created_ns < QUIET_NS)
            return false;
    return true;
}

/* What has been attached belongs to the endpoint, or to nobody when that has been removed
 * meanwhile. */
static int write_moved(const struct fence_daemon *daemon, const struct fence_endpoint_record *seen,
                       struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(&daemon->pins, err);
    struct fence_endpoint_record now;

    if (lock < 0)
        return lock;
    if (fence_endpoint_get(&daemon->pins, seen->ifindex, &now) < 0)
        return fence_detach(&daemon->pins, seen->ifindex, err);
    if (now.info.created_ns != seen->info.created_ns)
        return 0; /* a new pod, which is being added */
    now.info.attach = FENCE_ATTACH_TCX;
    return fence_endpoint_put(&daemon->pins, &now, err);
}

/* Not under the lock, which ADD waits for: the kernel may take long. Until it is written down, both
 * the endpoint's word and the filters are right (fence_attach_check). */
static int move(const struct fence_daemon *daemon, const struct fence_endpoint_record *record,
                struct fence_err *err)
{
    int r = fence_attach_settle(&daemon->pins, record->ifindex, err);

    return r < 0 ? r : write_moved(daemon, record, err);
}

void fence_settle(const struct fence_daemon *daemon, const struct fence_endpoint_list *list)
{
    __u64 now = fence_clock_boot_ns();
    unsigned int moved = 0;

    if (daemon->options.attach != FENCE_ATTACH_MODE_AUTO || !is_quiet(list, now) ||
        fence_attach_has_tcx() <= 0)
        return;
    for (size_t i = 0; i < list->count && moved < AT_ONCE; i++) {
        const struct fence_endpoint_record *record = &list->items[i];
        struct fence_err err = {""};
        int r;

        if (record->info.attach != FENCE_ATTACH_CLSACT ||
            now - record->info.created_ns < SETTLED_AFTER_NS)
            continue;
        r = move(daemon, record, &err);
        /* an interface that goes at this moment is no news */
        fence_log(r < 0 && r != -ENODEV ? FENCE_LOG_WARNING : FENCE_LOG_DEBUG,
                  "filters of %s/%s: %s", record->info.namespace_name, record->info.pod,
                  r < 0 ? err.text : "moved to TCX");
        moved++;
    }
}
