/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that were let start without a data path (failurePolicy open, exempt namespaces): one small
 * JSON file each in the folder "unenforced" beside the daemon's socket, for the daemon to enrol
 * when it comes (lib/api/README.md). A file is named <container ID>:<ifname>, since neither part
 * can hold a colon, so two pods never share a file.
 */
#pragma once

#include "cni/plugin/plugin.h"
#include "lib/datapath/endpoints.h"

int fence_unenforced_add(struct fence_plugin *plugin, const struct fence_endpoint_record *record,
                         const char *reason);

/* 0 also when there is none. */
int fence_unenforced_remove(const struct fence_plugin *plugin, struct fence_err *err);

bool fence_unenforced_has(const struct fence_plugin *plugin);

/* Remove those of `network` that the list of attachments does not hold. */
int fence_unenforced_collect(const struct fence_plugin *plugin, const cJSON *attachments,
                             struct fence_err *err);
