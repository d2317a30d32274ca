/* SPDX-License-Identifier: Apache-2.0 */
/* diff --live: what would break if the Audit policies were enforced, by what was seen. */
#pragma once

#include "cni/ctl/flows.h"

/* `expect_none`: CTL_OTHERWISE when there is anything. The exit status. */
int diff_live(struct ctl *ctl, const struct ctl_flows_wanted *wanted, bool expect_none);
