/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the plugin, and what its verbs share. */
#pragma once

#include "lib/base/memory.h"
#include "lib/cni/env.h"
#include "lib/cni/netconf.h"
#include "lib/datapath/pins.h"
#include "lib/net/links.h"

struct fence_plugin {
    struct fence_cni_env env;
    struct fence_netconf conf; /* settings are complete, except in DEL after an error */
    const char *version;       /* CNI version to answer in */
    struct fence_cni_error error;
    char *output; /* for standard output, owned; NULL = nothing */
};

/* A verb: 0, or negative with `error` set. */
int fence_plugin_add(struct fence_plugin *plugin);
int fence_plugin_del(struct fence_plugin *plugin);
int fence_plugin_check(struct fence_plugin *plugin);
int fence_plugin_gc(struct fence_plugin *plugin);
int fence_plugin_status(struct fence_plugin *plugin);
int fence_plugin_version(struct fence_plugin *plugin);

/* For an allocation that failed. */
int fence_plugin_no_memory(struct fence_plugin *plugin);

/*
 * Open the pinned data path. -ENOENT: none is there, or the daemon has never finished loading it;
 * other errors: it is damaged or out of reach. `err` gets the remedy too.
 */
int fence_plugin_open_pins(const struct fence_plugin *plugin, struct fence_pins *ret_pins,
                           struct fence_settings *ret_settings, struct fence_err *err);

/* The pod's link, with the CNI code for each way it can fail. */
int fence_plugin_find_link(struct fence_plugin *plugin, struct fence_pod_link *ret_link);

const char *fence_plugin_bpffs(const struct fence_plugin *plugin);
const char *fence_plugin_socket(const struct fence_plugin *plugin);

#define FENCE_PINS FENCE_CLEANUP(fence_pins_close)
