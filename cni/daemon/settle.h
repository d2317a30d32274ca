/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods start by clsact filters where `--attach auto` lets them (lib/datapath/attach.c says why),
 * and those that stay are moved to TCX here: a few at a time, and only when no pod is starting,
 * because each move holds the RTNL lock for two RCU grace periods.
 */
#pragma once

#include "lib/datapath/endpoints.h"

struct fence_daemon;

/* One step of it, of those in the list; called every two seconds. */
void fence_settle(const struct fence_daemon *daemon, const struct fence_endpoint_list *list);
