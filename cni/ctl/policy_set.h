/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled tables of one policy set in readable form. */
#pragma once

#include "cni/ctl/ctl.h"

/* Show it; the exit status. */
int ctl_policy_set(struct ctl *ctl, __u32 set);

/* Positions low to high (both included) as texts such as "TCP 80-90", "ICMP type 8", "any". */
cJSON *ctl_positions(__u32 low, __u32 high);
