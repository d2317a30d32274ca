/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cni/plugin/log.h"
#include "cni/plugin/plugin.h"
#include "cni/plugin/unenforced.h"
#include "lib/base/memory.h"
#include "lib/cni/attachments.h"
#include "lib/datapath/endpoints.h"

static bool is_stale(const struct fence_plugin *plugin, const cJSON *attachments,
                     const struct fence_endpoint_info *info)
{
    return strcmp(info->network, plugin->conf.name) == 0 &&
           !fence_attachments_hold(attachments, info->container_id, info->ifname);
}

/* Goes on after an error and returns the last. */
static int remove_of(const struct fence_plugin *plugin, const struct fence_pins *pins,
                     const struct fence_endpoint_list *list, const cJSON *attachments,
                     struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct fence_endpoint_record *record = &list->items[i];
        int removed;

        if (!is_stale(plugin, attachments, &record->info))
            continue;
        fence_log(FENCE_LOG_INFO, "removing the endpoint of container %s, which has gone",
                  record->info.container_id);
        removed = fence_endpoint_remove(pins, record->ifindex, err);
        r = removed < 0 ? removed : r;
    }
    return r;
}

static int remove_stale(const struct fence_plugin *plugin, const struct fence_pins *pins,
                        const cJSON *attachments, struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list whole = {0};
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list leftover = {0};
    int r = fence_endpoints_list(pins, &whole, err);

    if (r == 0)
        r = fence_endpoints_leftover(pins, &leftover, err);
    if (r == 0)
        r = remove_of(plugin, pins, &whole, attachments, err);
    if (r == 0)
        r = remove_of(plugin, pins, &leftover, attachments, err);
    return r;
}

int fence_plugin_gc(struct fence_plugin *plugin)
{
    FENCE_PINS struct fence_pins pins;
    const cJSON *attachments = NULL;
    struct fence_err err = {0};
    struct fence_err file_err = {0};
    int endpoints, files;

    fence_pins_init(&pins);
    if (fence_attachments_read(&plugin->conf, &attachments, &plugin->error) < 0)
        return -EINVAL;
    if (!attachments) {
        fence_log(FENCE_LOG_WARNING, "GC without a list of attachments removes nothing");
        return 0;
    }
    endpoints = fence_pins_open(fence_plugin_bpffs(plugin), &pins, &err);
    if (endpoints == 0)
        endpoints = remove_stale(plugin, &pins, attachments, &err);
    else if (endpoints == -ENOENT)
        endpoints = 0;
    files = fence_unenforced_collect(plugin, attachments, &file_err);
    if (endpoints < 0 || files < 0)
        return fence_cni_fail(&plugin->error, FENCE_CNI_IO_FAILURE,
                              "not all that is stale could be removed: %s",
                              endpoints < 0 ? err.text : file_err.text);
    return 0;
}
