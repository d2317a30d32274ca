/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways of attaching, for attach.c. Return values as in attach.h. */
#pragma once

#include <stdbool.h>

#include <linux/types.h>

#include "lib/datapath/pins.h"

/* What is attached to a device of a kind, and the handles of its clsact filters. */
struct fence_hooks {
    enum fence_prog progs[2];
    unsigned int count;
    __u32 handles[2];
};

/* Of a pod's host veth, and of any other device. */
extern const struct fence_hooks fence_hooks_pod;
extern const struct fence_hooks fence_hooks_device;

struct fence_place {
    const struct fence_hooks *hooks;
    __u32 ifindex;
};

/* At TC egress of the device; else at TC ingress. */
static inline bool fence_hook_is_egress(enum fence_prog prog)
{
    return prog != FENCE_PROG_FROM_POD;
}

/* -EOPNOTSUPP: the kernel has no TCX. Does not change an order that is wrong: -EBUSY. */
int fence_tcx_attach(const struct fence_pins *pins, const struct fence_place *place,
                     struct fence_err *err);
int fence_tcx_detach(const struct fence_pins *pins, const struct fence_place *place,
                     struct fence_err *err);
int fence_tcx_check(const struct fence_pins *pins, const struct fence_place *place,
                    struct fence_err *err);
/* -EBUSY when somebody else's TCX program is the first at the place: it runs before every clsact
 * filter. No TCX at all: 0. */
int fence_tcx_is_first(const struct fence_pins *pins, const struct fence_place *place,
                       struct fence_err *err);
/* As fence_attach_others. */
int fence_tcx_others(const struct fence_pins *pins, __u32 ifindex, char ret_what[64]);
int fence_clsact_others(__u32 ifindex, char ret_what[64]);
/* Move every pinned link to the pinned programs. */
int fence_tcx_refresh(const struct fence_pins *pins, struct fence_err *err);

/* 1: attached, but somebody is ahead and cannot be overtaken. */
int fence_clsact_attach(const struct fence_pins *pins, const struct fence_place *place,
                        struct fence_err *err);
int fence_clsact_detach(const struct fence_place *place, struct fence_err *err);
int fence_clsact_check(const struct fence_pins *pins, const struct fence_place *place,
                       struct fence_err *err);
/* Replace our filters there in place, where there are any. */
int fence_clsact_refresh(const struct fence_pins *pins, const struct fence_place *place,
                         struct fence_err *err);
