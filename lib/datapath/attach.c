/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCX programs run before clsact filters, and each kind in its own order. Only ever one of the two
 * is ours: whatever is new is attached before the old one goes, so a change of mode or of order
 * leaves no packet unjudged (for a moment both judge it, which changes nothing).
 *
 * A packet costs less through TCX, but each TCX attach or detach waits about 12 ms for an RCU grace
 * period, under the RTNL lock that every other pod's start needs too; a clsact filter takes 0.1 ms.
 * So `auto` starts a pod by clsact where nobody else is in the way, and the daemon moves it to TCX
 * when the pod has lived for a while and no other is starting (fence_attach_settle).
 */
#include "lib/datapath/attach.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/attach_internal.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/refresh.h"

const struct fence_hooks fence_hooks_pod = {
    .progs = {FENCE_PROG_FROM_POD, FENCE_PROG_TO_POD},
    .count = 2,
    .handles = {0x706f, 0x7066},
};

const struct fence_hooks fence_hooks_device = {
    .progs = {FENCE_PROG_TO_NETWORK},
    .count = 1,
    .handles = {0x706e, 0x7065},
};

int fence_attach_mode_parse(const char *text, enum fence_attach_mode *ret_mode)
{
    static const char *const names[] = {
        [FENCE_ATTACH_MODE_AUTO] = "auto",
        [FENCE_ATTACH_MODE_TCX] = "tcx",
        [FENCE_ATTACH_MODE_CLSACT] = "clsact",
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_mode = (enum fence_attach_mode)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* The kernel refuses one program twice at a hook, so moving ours to the head takes it away for a
 * moment: clsact filters stand in meanwhile. */
static int reorder_tcx(const struct fence_pins *pins, const struct fence_place *place,
                       struct fence_err *err)
{
    int r = fence_clsact_attach(pins, place, err);

    if (r < 0) /* behind somebody it stands in as well */
        return fence_err_prefix(err, r, "no stand-in while the TCX program is put first again");
    r = fence_tcx_detach(pins, place, err);
    if (r == 0)
        r = fence_tcx_attach(pins, place, err);
    if (r < 0)
        return r; /* the stand-in stays */
    return fence_clsact_detach(place, err);
}

static int attach_tcx(const struct fence_pins *pins, const struct fence_place *place,
                      struct fence_err *err)
{
    int r = fence_tcx_attach(pins, place, err);

    if (r < 0)
        return r;
    r = fence_tcx_check(pins, place, err);
    if (r == -EBUSY)
        return reorder_tcx(pins, place, err);
    return r < 0 ? r : fence_clsact_detach(place, err);
}

/* 1: in force, but somebody is ahead. */
static int attach_clsact(const struct fence_pins *pins, const struct fence_place *place,
                         struct fence_err *err)
{
    int first = fence_clsact_attach(pins, place, err);
    int r = first < 0 ? first : fence_tcx_detach(pins, place, err);

    return r < 0 ? r : first;
}

/* What is best in the long run. */
static int attach_lasting(const struct fence_pins *pins, const struct fence_place *place,
                          enum fence_attach *ret_attach, struct fence_err *err)
{
    int r = attach_tcx(pins, place, err);

    *ret_attach = r == -EOPNOTSUPP ? FENCE_ATTACH_CLSACT : FENCE_ATTACH_TCX;
    return r == -EOPNOTSUPP ? attach_clsact(pins, place, err) : r;
}

/* What is done soonest: clsact, unless TCX is there already or clsact would not be first. */
static int attach_soon(const struct fence_pins *pins, const struct fence_place *place,
                       enum fence_attach *ret_attach, struct fence_err *err)
{
    int tcx = fence_tcx_check(pins, place, NULL);

    if (tcx != 0 && tcx != -EBUSY && fence_tcx_is_first(pins, place, NULL) == 0 &&
        attach_clsact(pins, place, NULL) == 0) {
        *ret_attach = FENCE_ATTACH_CLSACT;
        return 0;
    }
    return attach_lasting(pins, place, ret_attach, err);
}

static int attach_by_mode(const struct fence_pins *pins, const struct fence_place *place,
                          enum fence_attach_mode mode, enum fence_attach *ret_attach,
                          struct fence_err *err)
{
    enum fence_attach attach = FENCE_ATTACH_TCX;
    int r;

    if (mode == FENCE_ATTACH_MODE_TCX) {
        r = attach_tcx(pins, place, err);
    } else if (mode == FENCE_ATTACH_MODE_CLSACT) {
        attach = FENCE_ATTACH_CLSACT;
        r = attach_clsact(pins, place, err);
    } else if (place->hooks == &fence_hooks_pod) {
        r = attach_soon(pins, place, &attach, err);
    } else {
        r = attach_lasting(pins, place, &attach, err);
    }
    if (r < 0)
        return r;
    *ret_attach = attach;
    return 0;
}

/* Whole and in force, though perhaps not first. */
static bool is_attached(const struct fence_pins *pins, const struct fence_place *place)
{
    int tcx = fence_tcx_check(pins, place, NULL);
    int clsact = fence_clsact_check(pins, place, NULL);

    return tcx == 0 || tcx == -EBUSY || clsact == 0 || clsact == -EBUSY;
}

static bool has_gone(__u32 ifindex)
{
    char name[IF_NAMESIZE];

    return !if_indextoname(ifindex, name) && errno == ENXIO;
}

/* Of detach: both ways of attaching are undone. Filters go with their interface, and asking for
 * them would wait for the RTNL lock, which is in great demand where many pods end. */
static int detach_place(const struct fence_pins *pins, const struct fence_place *place,
                        struct fence_err *err)
{
    int tcx = fence_tcx_detach(pins, place, err);
    int clsact = 0;

    if (!has_gone(place->ifindex))
        clsact = fence_clsact_detach(place, tcx < 0 ? NULL : err);
    return tcx < 0 ? tcx : clsact;
}

static int attach_place(const struct fence_pins *pins, const struct fence_place *place,
                        enum fence_attach_mode mode, enum fence_attach *ret_attach,
                        struct fence_err *err)
{
    bool before = is_attached(pins, place);
    int r = attach_by_mode(pins, place, mode, ret_attach, err);

    /* What enforced before this call goes on enforcing. */
    if (r < 0 && !before)
        detach_place(pins, place, NULL);
    return r;
}

int fence_attach(const struct fence_pins *pins, __u32 ifindex, enum fence_attach_mode mode,
                 enum fence_attach *ret_attach, struct fence_err *err)
{
    const struct fence_place place = {&fence_hooks_pod, ifindex};

    return attach_place(pins, &place, mode, ret_attach, err);
}

int fence_detach(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err)
{
    const struct fence_place place = {&fence_hooks_pod, ifindex};

    return detach_place(pins, &place, err);
}

int fence_attach_check(const struct fence_pins *pins, __u32 ifindex, enum fence_attach attach,
                       struct fence_err *err)
{
    const struct fence_place place = {&fence_hooks_pod, ifindex};
    int r;

    if (attach == FENCE_ATTACH_TCX)
        return fence_tcx_check(pins, &place, err);
    if (attach != FENCE_ATTACH_CLSACT)
        return fence_err_set(err, -ENOENT, "nothing is attached to interface %u", ifindex);
    r = fence_clsact_check(pins, &place, err);
    if (r == 0)
        r = fence_tcx_is_first(pins, &place, err);
    /* just being moved to TCX, and the endpoint does not say so yet */
    return r < 0 && fence_tcx_check(pins, &place, NULL) == 0 ? 0 : r;
}

int fence_attach_settle(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err)
{
    const struct fence_place place = {&fence_hooks_pod, ifindex};
    enum fence_attach unused;

    return attach_place(pins, &place, FENCE_ATTACH_MODE_TCX, &unused, err);
}

int fence_attach_device(const struct fence_pins *pins, __u32 ifindex, enum fence_attach_mode mode,
                        struct fence_err *err)
{
    const struct fence_place place = {&fence_hooks_device, ifindex};
    enum fence_attach unused;

    if (fence_tcx_check(pins, &place, NULL) == 0 || (fence_clsact_check(pins, &place, NULL) == 0 &&
                                                     fence_tcx_is_first(pins, &place, NULL) == 0))
        return 0;
    return attach_place(pins, &place, mode, &unused, err);
}

int fence_detach_device(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err)
{
    const struct fence_place place = {&fence_hooks_device, ifindex};

    return detach_place(pins, &place, err);
}

int fence_attach_refresh(const struct fence_pins *pins, struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list list = {0};
    struct fence_place place = {.hooks = &fence_hooks_pod};
    int first = fence_tcx_refresh(pins, err);
    int r = fence_endpoints_list(pins, &list, first ? NULL : err);

    if (first == 0)
        first = r;
    for (size_t i = 0; i < list.count; i++) {
        /* one that is being added does not say yet how it is attached */
        if (list.items[i].info.attach == FENCE_ATTACH_TCX)
            continue;
        place.ifindex = list.items[i].ifindex;
        r = fence_clsact_refresh(pins, &place, first ? NULL : err);
        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}

int fence_attach_others(const struct fence_pins *pins, __u32 ifindex, char ret_what[64])
{
    int r = fence_tcx_others(pins, ifindex, ret_what);

    return r ? r : fence_clsact_others(ifindex, ret_what);
}
