/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps of qdiscs and filters of one device by rtnetlink. Inside lib/datapath. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "lib/base/err.h"

enum fence_tc_qdisc {
    FENCE_TC_QDISC_NONE,
    FENCE_TC_QDISC_CLSACT,
    FENCE_TC_QDISC_INGRESS, /* takes no egress filter */
};

/* What sits at the device's ingress hook. -ENODEV when the device has gone. */
int fence_tc_qdisc(__u32 ifindex, enum fence_tc_qdisc *ret_qdisc, struct fence_err *err);

/* 1 when the device has a qdisc that is neither clsact nor the noqueue that every veth begins with:
 * `ret_what` is "qdisc" and its kind. 0: it has none. */
int fence_tc_shaper(__u32 ifindex, char ret_what[64]);

struct fence_tc_filter {
    __u32 priority;
    __u32 handle;
    __u32 prog_id; /* 0 = no BPF filter */
};

/* In the order in which the kernel runs them; chain 0 only, others run by a jump from there. */
struct fence_tc_filters {
    struct fence_tc_filter *items;
    size_t count;
    size_t capacity;
};

/* TC ingress or egress of the device. -ENODEV when it has gone; no qdisc = no filters. */
int fence_tc_filters(__u32 ifindex, bool egress, struct fence_tc_filters *ret_filters,
                     struct fence_err *err);
void fence_tc_filters_done(struct fence_tc_filters *filters);
