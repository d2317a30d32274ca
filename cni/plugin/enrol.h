/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a pod under enforcement: endpoint first, then the filters, all of it or nothing. */
#pragma once

#include "cni/plugin/plugin.h"
#include "lib/datapath/endpoints.h"

/*
 * Write `record` as pending and attach. What an earlier ADD of the same container and interface has
 * made is kept; what another one left behind under the same index is removed. A failure undoes
 * everything; otherwise `record` is what is in the map at the end.
 */
int fence_enrol(struct fence_plugin *plugin, const struct fence_pins *pins,
                const struct fence_settings *settings, struct fence_endpoint_record *record);
