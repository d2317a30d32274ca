/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/enrol.h"

#include <errno.h>
#include <string.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"

static bool is_same_owner(const struct fence_endpoint_info *a, const struct fence_endpoint_info *b)
{
    return strcmp(a->container_id, b->container_id) == 0 && strcmp(a->ifname, b->ifname) == 0;
}

/* Half written or half removed by somebody who was killed: no endpoint has the slot 0. */
static bool is_whole(const struct fence_endpoint_record *record)
{
    return record->endpoint.slot != 0;
}

/*
 * 1 when this very endpoint is there already, 0 when the way is free. What a pod that went without
 * DEL has left must go: its connections must not pass for the new pod's. Caller holds the lock.
 */
static int clear_way(const struct fence_pins *pins, const struct fence_endpoint_record *record,
                     struct fence_err *err)
{
    struct fence_endpoint_record other;
    int r = fence_endpoint_find(pins, record->info.container_id, record->info.ifname, &other);

    if (r == 0 && is_whole(&other) && other.ifindex == record->ifindex &&
        other.info.netns == record->info.netns)
        return 1;
    if (r == 0)
        r = fence_endpoint_remove(pins, other.ifindex, err);
    else if (r != -ENOENT)
        return fence_err_set(err, r, "reading the endpoint_info map: %s", strerror(-r));
    if (r < 0 && r != -ENOENT)
        return r;
    if (fence_endpoint_get(pins, record->ifindex, &other) == 0)
        return fence_endpoint_remove(pins, other.ifindex, err);
    return 0;
}

/* 1 when it was there already, 0 when it has been written. */
static int write_pending(const struct fence_pins *pins, struct fence_endpoint_record *record,
                         struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(pins, err);
    int r;

    if (lock < 0)
        return fence_err_prefix(err, lock, "cannot lock the endpoints");
    r = clear_way(pins, record, err);
    if (r < 0)
        return fence_err_prefix(err, r, "cannot make room for the pod's endpoint");
    if (r > 0)
        return 1;
    r = fence_endpoint_put(pins, record, err);
    return r < 0 ? fence_err_prefix(err, r, "cannot write the pod's endpoint") : 0;
}

/* The way of attaching is known only now; the daemon may have resolved the endpoint meanwhile. */
static int write_attach(const struct fence_pins *pins, struct fence_endpoint_record *record,
                        enum fence_attach attach, struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(pins, err);
    struct fence_endpoint_record current;
    int r;

    if (lock < 0)
        return fence_err_prefix(err, lock, "cannot lock the endpoints");
    r = fence_endpoint_get(pins, record->ifindex, &current);
    if (r < 0 || !is_same_owner(&current.info, &record->info))
        return fence_err_set(err, -ENOENT,
                             "the pod's endpoint was removed while it was being added");
    current.info.attach = attach;
    r = fence_endpoint_put(pins, &current, err);
    if (r < 0)
        return fence_err_prefix(err, r, "cannot write the pod's endpoint");
    *record = current;
    return 0;
}

/* Without the lock too, if it cannot be had: the removal itself needs none. */
static int undo(const struct fence_pins *pins, const struct fence_endpoint_record *record,
                struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(pins, NULL);
    struct fence_endpoint_record current;

    (void)lock;
    if (fence_endpoint_get(pins, record->ifindex, &current) == 0 &&
        !is_same_owner(&current.info, &record->info))
        return 0;
    return fence_endpoint_remove(pins, record->ifindex, err);
}

int fence_endpoint_enrol(const struct fence_pins *pins, enum fence_attach_mode mode,
                         struct fence_endpoint_record *record, struct fence_err *err)
{
    enum fence_attach attach = FENCE_ATTACH_NONE;
    struct fence_err why = {""}, left = {""};
    bool was_there;
    int r = write_pending(pins, record, &why);

    if (r < 0)
        return fence_err_set(err, r, "%s", why.text);
    FENCE_FAILPOINT("enrol.pending");
    was_there = r > 0;
    /* not under the lock: a TCX attach waits for an RCU grace period */
    r = fence_attach(pins, record->ifindex, mode, &attach, &why);
    FENCE_FAILPOINT("enrol.attached");
    if (r < 0)
        fence_err_prefix(&why, r, "cannot attach the filters");
    else
        r = write_attach(pins, record, attach, &why);
    FENCE_FAILPOINT("enrol.done");
    if (r == 0)
        return 0;
    if (was_there || undo(pins, record, &left) == 0)
        return fence_err_set(err, r, "%s", why.text);
    return fence_err_set(err, r, "%.480s; and not all could be undone: %.480s", why.text,
                         left.text);
}
