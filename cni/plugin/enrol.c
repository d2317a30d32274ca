/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plugin/enrol.h"

#include <errno.h>
#include <string.h>

#include "cni/plugin/log.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"

static int refuse(struct fence_plugin *plugin, const char *what, const struct fence_err *err)
{
    return fence_cni_fail(&plugin->error, FENCE_CNI_TRY_AGAIN, "%s: %s", what, err->text);
}

static bool is_same_owner(const struct fence_endpoint_info *a, const struct fence_endpoint_info *b)
{
    return strcmp(a->container_id, b->container_id) == 0 && strcmp(a->ifname, b->ifname) == 0;
}

/* Left behind by a pod that went without DEL: its connections must not pass for the new pod's. */
static int remove_stale(const struct fence_pins *pins, const struct fence_endpoint_record *stale,
                        struct fence_err *err)
{
    fence_log(FENCE_LOG_INFO, "removing what container %s left behind on index %u",
              stale->info.container_id, stale->ifindex);
    return fence_endpoint_remove(pins, stale->ifindex, err);
}

/* 1 when this very endpoint is there already, 0 when the way is free. Caller holds the lock. */
static int clear_way(const struct fence_pins *pins, const struct fence_endpoint_record *record,
                     struct fence_err *err)
{
    struct fence_endpoint_record other;
    int r = fence_endpoint_find(pins, record->info.container_id, record->info.ifname, &other);

    if (r == 0 && other.ifindex == record->ifindex && other.info.netns == record->info.netns)
        return 1;
    if (r == 0)
        r = remove_stale(pins, &other, err);
    if (r < 0 && r != -ENOENT)
        return r;
    if (fence_endpoint_get(pins, record->ifindex, &other) == 0)
        return remove_stale(pins, &other, err);
    return 0;
}

static int write_pending(struct fence_plugin *plugin, const struct fence_pins *pins,
                         struct fence_endpoint_record *record)
{
    struct fence_err err = {0};
    FENCE_CLOSE int lock = fence_endpoints_lock(pins, &err);
    int r;

    if (lock < 0)
        return refuse(plugin, "cannot lock the endpoints", &err);
    r = clear_way(pins, record, &err);
    if (r < 0)
        return refuse(plugin, "cannot make room for the pod's endpoint", &err);
    if (r == 0 && fence_endpoint_put(pins, record, &err) < 0)
        return refuse(plugin, "cannot write the pod's endpoint", &err);
    return 0;
}

/* The way of attaching is known only now; the daemon may have resolved the endpoint meanwhile. */
static int write_attach(struct fence_plugin *plugin, const struct fence_pins *pins,
                        struct fence_endpoint_record *record, enum fence_attach attach)
{
    struct fence_err err = {0};
    FENCE_CLOSE int lock = fence_endpoints_lock(pins, &err);
    struct fence_endpoint_record current;

    if (lock < 0)
        return refuse(plugin, "cannot lock the endpoints", &err);
    if (fence_endpoint_get(pins, record->ifindex, &current) < 0 ||
        !is_same_owner(&current.info, &record->info))
        return fence_cni_fail(&plugin->error, FENCE_CNI_TRY_AGAIN,
                              "the pod's endpoint was removed while it was being added");
    current.info.attach = attach;
    if (fence_endpoint_put(pins, &current, &err) < 0)
        return refuse(plugin, "cannot write the pod's endpoint", &err);
    *record = current;
    return 0;
}

static void undo(const struct fence_pins *pins, const struct fence_endpoint_record *record)
{
    struct fence_endpoint_record current;
    struct fence_err err = {0};
    FENCE_CLOSE int lock = fence_endpoints_lock(pins, &err);

    if (lock < 0 && lock != -ETIMEDOUT)
        fence_log(FENCE_LOG_WARNING, "undoing without the lock: %s", err.text);
    if (fence_endpoint_get(pins, record->ifindex, &current) == 0 &&
        !is_same_owner(&current.info, &record->info))
        return;
    if (fence_endpoint_remove(pins, record->ifindex, &err) < 0)
        fence_log(FENCE_LOG_WARNING, "cannot undo all of a failed ADD: %s", err.text);
}

int fence_enrol(struct fence_plugin *plugin, const struct fence_pins *pins,
                const struct fence_settings *settings, struct fence_endpoint_record *record)
{
    enum fence_attach attach = FENCE_ATTACH_NONE;
    struct fence_err err = {0};
    int r = write_pending(plugin, pins, record);

    if (r < 0)
        return r;
    /* not under the lock: a TCX attach waits for an RCU grace period */
    r = fence_attach(pins, record->ifindex, settings->attach, &attach, &err);
    if (r < 0)
        refuse(plugin, "cannot attach the filters", &err);
    else
        r = write_attach(plugin, pins, record, attach);
    if (r < 0)
        undo(pins, record);
    return r;
}
