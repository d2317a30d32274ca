/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters are ours by their handle. There are two handles, so that a filter that somebody got
 * ahead of can be put back at the head before the old one is removed. At an equal priority the
 * kernel puts the newest BPF filter first, so sharing priority 1 with another BPF filter is still
 * the head; when another kind of filter owns priority 1, nothing can get ahead of it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach_internal.h"
#include "lib/datapath/program.h"
#include "lib/datapath/tc.h"

#define FILTERS FENCE_CLEANUP(fence_tc_filters_done) struct fence_tc_filters

static bool is_of(const struct fence_hooks *hooks, const struct fence_tc_filter *filter)
{
    return filter->handle == hooks->handles[0] || filter->handle == hooks->handles[1];
}

/* The first of those hooks, or NULL. */
static const struct fence_tc_filter *find_ours(const struct fence_hooks *hooks,
                                               const struct fence_tc_filters *filters)
{
    for (size_t i = 0; i < filters->count; i++)
        if (is_of(hooks, &filters->items[i]))
            return &filters->items[i];
    return NULL;
}

static bool has_handle(const struct fence_tc_filters *filters, __u32 priority, __u32 handle)
{
    for (size_t i = 0; i < filters->count; i++)
        if (filters->items[i].priority == priority && filters->items[i].handle == handle)
            return true;
    return false;
}

static __u32 free_priority(const struct fence_tc_filters *filters)
{
    __u32 priority = 1;

    /* sorted by priority */
    for (size_t i = 0; i < filters->count; i++)
        if (filters->items[i].priority == priority)
            priority++;
    return priority;
}

struct hook {
    const struct fence_hooks *hooks;
    __u32 ifindex;
    enum fence_prog prog;
    int prog_fd;
    __u32 prog_id;
};

static int hook_init(struct hook *hook, const struct fence_pins *pins,
                     const struct fence_place *place, unsigned int number)
{
    enum fence_prog prog = place->hooks->progs[number];

    *hook = (struct hook){
        .hooks = place->hooks,
        .ifindex = place->ifindex,
        .prog = prog,
        .prog_fd = pins->progs[prog],
    };
    return fence_prog_id(hook->prog_fd, &hook->prog_id);
}

static struct bpf_tc_hook tc_hook(const struct hook *hook)
{
    return (struct bpf_tc_hook){
        .sz = sizeof(struct bpf_tc_hook),
        .ifindex = (int)hook->ifindex,
        .attach_point = fence_hook_is_egress(hook->prog) ? BPF_TC_EGRESS : BPF_TC_INGRESS,
    };
}

static int hook_filters(const struct hook *hook, struct fence_tc_filters *ret_filters,
                        struct fence_err *err)
{
    return fence_tc_filters(hook->ifindex, fence_hook_is_egress(hook->prog), ret_filters, err);
}

static int add_filter(const struct hook *hook, __u32 priority, __u32 handle, __u32 flags)
{
    struct bpf_tc_hook tc = tc_hook(hook);
    LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = hook->prog_fd, .priority = priority, .handle = handle,
                .flags = flags);

    return bpf_tc_attach(&tc, &opts);
}

static int remove_filter(const struct hook *hook, const struct fence_tc_filter *filter)
{
    struct bpf_tc_hook tc = tc_hook(hook);
    LIBBPF_OPTS(bpf_tc_opts, opts, .priority = filter->priority, .handle = filter->handle);
    int r = bpf_tc_detach(&tc, &opts);

    FENCE_FAILPOINT("detach.clsact-filter");
    return r == -ENOENT || r == -ENODEV || r == -EINVAL ? 0 : r;
}

static int attach_error(const struct hook *hook, int code, struct fence_err *err)
{
    return fence_err_set(err, code, "attaching %s to interface %u by clsact: %s",
                         fence_prog_name(hook->prog), hook->ifindex, strerror(-code));
}

/* Put a new filter at the head; behind the others when `may_follow` and there is no other way. */
static int add_first(const struct hook *hook, const struct fence_tc_filters *filters,
                     bool may_follow)
{
    const __u32 *handles = hook->hooks->handles;
    __u32 handle = handles[has_handle(filters, 1, handles[0])];
    int r = add_filter(hook, 1, handle, 0);

    if (r == -EINVAL && may_follow)
        r = add_filter(hook, free_priority(filters), handles[0], 0);
    return r;
}

/* All of ours but the first. */
static int remove_spare(const struct hook *hook)
{
    FILTERS filters = {0};
    const struct fence_tc_filter *first;
    int r = hook_filters(hook, &filters, NULL);

    if (r < 0)
        return r;
    first = find_ours(hook->hooks, &filters);
    for (size_t i = 0; i < filters.count && r == 0; i++)
        if (is_of(hook->hooks, &filters.items[i]) && &filters.items[i] != first)
            r = remove_filter(hook, &filters.items[i]);
    return r;
}

static int attach_one(const struct hook *hook, struct fence_err *err)
{
    FILTERS filters = {0};
    const struct fence_tc_filter *ours;
    int r = hook_filters(hook, &filters, err);

    if (r < 0)
        return r;
    ours = find_ours(hook->hooks, &filters);
    if (ours && ours->prog_id != hook->prog_id)
        r = add_filter(hook, ours->priority, ours->handle, BPF_TC_F_REPLACE);
    if (r == 0 && (!ours || ours != filters.items)) {
        r = add_first(hook, &filters, !ours);
        if (ours && r == -EINVAL)
            r = 0; /* stays behind: fence_clsact_check tells */
    }
    FENCE_FAILPOINT("attach.clsact-filter");
    if (r == 0)
        r = remove_spare(hook);
    return r < 0 ? attach_error(hook, r, err) : 0;
}

static int make_qdisc(__u32 ifindex, struct fence_err *err)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
                .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
    enum fence_tc_qdisc qdisc;
    int r = fence_tc_qdisc(ifindex, &qdisc, err);

    if (r < 0)
        return r;
    if (qdisc == FENCE_TC_QDISC_NONE) {
        r = bpf_tc_hook_create(&hook);
        FENCE_FAILPOINT("attach.clsact-qdisc");
        if (r < 0 && r != -EEXIST)
            return fence_err_set(err, r, "making the clsact qdisc of interface %u: %s", ifindex,
                                 strerror(-r));
        r = fence_tc_qdisc(ifindex, &qdisc, err);
        if (r < 0)
            return r;
    }
    if (qdisc != FENCE_TC_QDISC_CLSACT)
        return fence_err_set(
            err, -EEXIST,
            "interface %u has an `ingress` qdisc (the bandwidth plugin makes one), "
            "which takes no egress filter: use attach mode auto or tcx (kernel 6.6 or later), or "
            "limit only what goes to the pod (no egress-bandwidth annotation)",
            ifindex);
    return 0;
}

/* The filter must have landed where it belongs: on some qdiscs both directions are one list. */
static int check_one(const struct hook *hook, struct fence_err *err)
{
    FILTERS filters = {0};
    const struct fence_tc_filter *ours;
    const char *side = fence_hook_is_egress(hook->prog) ? "egress" : "ingress";
    int r = hook_filters(hook, &filters, err);

    if (r < 0)
        return r;
    ours = find_ours(hook->hooks, &filters);
    if (!ours)
        return fence_err_set(err, -ENOENT, "interface %u has no filter of ours at its %s",
                             hook->ifindex, side);
    if (ours->prog_id != hook->prog_id)
        return fence_err_set(err, -EBADF, "our handle %x on interface %u %s holds program %u",
                             ours->handle, hook->ifindex, side, ours->prog_id);
    if (ours != filters.items)
        return fence_err_set(err, -EBUSY,
                             "a filter of priority %u is ahead of ours on interface %u %s",
                             filters.items[0].priority, hook->ifindex, side);
    return 0;
}

int fence_clsact_check(const struct fence_pins *pins, const struct fence_place *place,
                       struct fence_err *err)
{
    enum fence_tc_qdisc qdisc;
    struct hook hook;
    int r = fence_tc_qdisc(place->ifindex, &qdisc, err);

    if (r == 0 && qdisc != FENCE_TC_QDISC_CLSACT)
        r = fence_err_set(err, -ENOENT, "interface %u has no clsact qdisc", place->ifindex);
    for (unsigned int i = 0; i < place->hooks->count && r == 0; i++) {
        r = hook_init(&hook, pins, place, i);
        if (r == 0)
            r = check_one(&hook, err);
    }
    return r;
}

int fence_clsact_attach(const struct fence_pins *pins, const struct fence_place *place,
                        struct fence_err *err)
{
    struct hook hook;
    int r = make_qdisc(place->ifindex, err);

    for (unsigned int i = 0; i < place->hooks->count && r == 0; i++) {
        r = hook_init(&hook, pins, place, i);
        if (r == 0)
            r = attach_one(&hook, err);
    }
    if (r < 0)
        return r;
    r = fence_clsact_check(pins, place, err);
    return r == -EBUSY ? 1 : r;
}

int fence_clsact_detach(const struct fence_place *place, struct fence_err *err)
{
    int first = 0;

    for (unsigned int i = 0; i < place->hooks->count; i++) {
        struct hook hook = {
            .hooks = place->hooks, .ifindex = place->ifindex, .prog = place->hooks->progs[i]};
        FILTERS filters = {0};
        int r = hook_filters(&hook, &filters, first ? NULL : err);

        if (r == -ENODEV)
            return first;
        for (size_t k = 0; k < filters.count && r == 0; k++)
            if (is_of(hook.hooks, &filters.items[k]))
                r = remove_filter(&hook, &filters.items[k]);
        if (r < 0 && first == 0)
            first = fence_err_set(err, r, "removing our filters from interface %u: %s",
                                  place->ifindex, strerror(-r));
    }
    return first;
}

int fence_clsact_refresh(const struct fence_pins *pins, const struct fence_place *place,
                         struct fence_err *err)
{
    for (unsigned int i = 0; i < place->hooks->count; i++) {
        FILTERS filters = {0};
        const struct fence_tc_filter *ours;
        struct hook hook;
        int r = hook_init(&hook, pins, place, i);

        if (r == 0)
            r = hook_filters(&hook, &filters, err);
        if (r == -ENODEV)
            return 0;
        if (r < 0)
            return r;
        ours = find_ours(hook.hooks, &filters);
        if (ours && ours->prog_id != hook.prog_id)
            r = add_filter(&hook, ours->priority, ours->handle, BPF_TC_F_REPLACE);
        FENCE_FAILPOINT("refresh.clsact-filter");
        if (r < 0)
            return attach_error(&hook, r, err);
    }
    return 0;
}

int fence_clsact_others(__u32 ifindex, char ret_what[64])
{
    int r = fence_tc_shaper(ifindex, ret_what);

    for (int egress = 0; r == 0 && egress < 2; egress++) {
        FILTERS filters = {0};

        r = fence_tc_filters(ifindex, egress, &filters, NULL);
        for (size_t i = 0; r == 0 && i < filters.count; i++) {
            if (is_of(&fence_hooks_pod, &filters.items[i]) ||
                is_of(&fence_hooks_device, &filters.items[i]))
                continue;
            snprintf(ret_what, 64, "a filter of priority %u", filters.items[i].priority);
            r = 1;
        }
    }
    return r;
}
