/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways of attaching, for attach.c. Return values as in attach.h. */
#pragma once

#include <linux/types.h>

#include "lib/datapath/pins.h"

/* The program of a direction, and how its name reads in a link's pin. */
static inline enum fence_prog fence_attach_prog(enum fence_direction direction)
{
    return direction == FENCE_EGRESS ? FENCE_PROG_FROM_POD : FENCE_PROG_TO_POD;
}

/* -EOPNOTSUPP: the kernel has no TCX. Does not change an order that is wrong: -EBUSY. */
int fence_tcx_attach(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);
int fence_tcx_detach(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);
int fence_tcx_check(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);
/* -EBUSY when any TCX program is attached to the device: it runs before every clsact filter. */
int fence_tcx_absent(__u32 ifindex, struct fence_err *err);
/* As fence_attach_others. */
int fence_tcx_others(const struct fence_pins *pins, __u32 ifindex, char ret_what[64]);
int fence_clsact_others(__u32 ifindex, char ret_what[64]);
/* Move every pinned link to the pinned programs. */
int fence_tcx_refresh(const struct fence_pins *pins, struct fence_err *err);

int fence_clsact_attach(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);
int fence_clsact_detach(__u32 ifindex, struct fence_err *err);
int fence_clsact_check(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);
/* Replace our filters on this device in place, where there are any. */
int fence_clsact_refresh(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);
