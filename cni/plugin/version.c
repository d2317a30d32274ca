/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/version.h"

#include "cni/plugin/plugin.h"

int fence_plugin_version(struct fence_plugin *plugin)
{
    plugin->output = fence_cni_version_json();
    return plugin->output ? 0 : fence_plugin_no_memory(plugin);
}
