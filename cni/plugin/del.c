/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cni/plugin/daemon.h"
#include "cni/plugin/plugin.h"
#include "cni/plugin/unenforced.h"
#include "lib/base/failpoint.h"
#include "lib/datapath/endpoints.h"

static int remove_endpoint(const struct fence_plugin *plugin, const struct fence_pins *pins,
                           struct fence_err *err)
{
    struct fence_endpoint_record record;
    int r = fence_endpoint_find(pins, plugin->env.container_id, plugin->env.ifname, &record);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return fence_err_set(err, r, "cannot look for the endpoint of container %s",
                             plugin->env.container_id);
    return fence_endpoint_remove(pins, record.ifindex, err);
}

int fence_plugin_del(struct fence_plugin *plugin)
{
    FENCE_PINS struct fence_pins pins;
    struct fence_err err = {0};
    int record, r;

    fence_pins_init(&pins);
    record = fence_unenforced_remove(plugin, &err);
    if (record < 0)
        fence_cni_fail(&plugin->error, FENCE_CNI_IO_FAILURE, "%s", err.text);
    r = fence_pins_open(fence_plugin_bpffs(plugin), &pins, &err);
    if (r == 0)
        r = remove_endpoint(plugin, &pins, &err);
    else if (r == -ENOENT)
        return record; /* no data path, so there is nothing in it */
    if (r < 0)
        fence_cni_fail(&plugin->error, FENCE_CNI_IO_FAILURE, "%s", err.text);
    FENCE_FAILPOINT("del.removed");
    fence_daemon_tell_removed(plugin);
    return r < 0 ? r : record;
}
