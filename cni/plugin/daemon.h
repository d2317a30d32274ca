/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the daemon, and waiting for it in start mode hold. */
#pragma once

#include "cni/plugin/plugin.h"
#include "lib/datapath/endpoints.h"

/*
 * {"op":"added"}; in hold, wait until the endpoint is no longer pending, at most as long as the
 * configuration says and not at all when no daemon is there. The map is the truth, not the answer.
 */
void fence_daemon_tell_added(const struct fence_plugin *plugin, const struct fence_pins *pins,
                             const struct fence_endpoint_record *record, bool hold);

/* {"op":"removed"} */
void fence_daemon_tell_removed(const struct fence_plugin *plugin);
