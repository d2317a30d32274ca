/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cni/plugin/log.h"
#include "cni/plugin/plugin.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/load.h"
#include "lib/datapath/read.h"

/* A node that fails STATUS takes no more pods, so only what really fails may fail it. */

static int no_data_path(struct fence_plugin *plugin, const struct fence_err *err)
{
    if (!plugin->conf.fail_open)
        return fence_cni_fail(&plugin->error, FENCE_CNI_NOT_AVAILABLE,
                              "podfence cannot enforce anything on this node yet: %s", err->text);
    fence_log(FENCE_LOG_WARNING, "pods start unenforced (failurePolicy open): %s", err->text);
    return 0;
}

static int check_room(struct fence_plugin *plugin, const struct fence_pins *pins)
{
    size_t used, max;

    if (fence_map_usage(pins, FENCE_MAP_ENDPOINTS, &used, &max) < 0 || used < max)
        return 0;
    return fence_cni_fail(&plugin->error, FENCE_CNI_NOT_AVAILABLE,
                          "the endpoints map is full (%zu of %zu): no pod can be added; remove "
                          "pods, or " FENCE_MAP_SIZE_REMEDY,
                          used, max, "endpoints", max * 2);
}

/* An ADD or a DEL of this very moment: its pod does not run yet, or no more. */
static bool is_on_its_way(const struct fence_pins *pins, const struct fence_endpoint_record *record)
{
    struct fence_endpoint_record now;

    return fence_endpoint_get(pins, record->ifindex, &now) < 0 ||
           now.endpoint.slot != record->endpoint.slot || now.info.attach == FENCE_ATTACH_NONE ||
           now.info.attach != record->info.attach;
}

/* Filters that are missing or not ours; somebody ahead of us is the daemon's to put right. */
static size_t count_damaged(const struct fence_pins *pins, const struct fence_endpoint_list *list,
                            struct fence_err *ret_first)
{
    size_t damaged = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct fence_endpoint_record *record = &list->items[i];
        struct fence_err err = {0};
        char name[16];
        int r;

        if (fence_link_name(record->ifindex, name) == -ENODEV)
            continue; /* gone without DEL */
        r = fence_attach_check(pins, record->ifindex, record->info.attach, &err);
        if (r == -EBUSY)
            fence_log(FENCE_LOG_WARNING, "%s: %s", name, err.text);
        if (r == 0 || r == -EBUSY || is_on_its_way(pins, record))
            continue;
        if (damaged++ == 0)
            fence_err_set(ret_first, 0, "%s: %s", name, err.text);
    }
    return damaged;
}

static int check_filters(struct fence_plugin *plugin, const struct fence_pins *pins)
{
    struct fence_endpoint_list list = {0};
    struct fence_err err = {0};
    size_t damaged;
    int r = fence_endpoints_list(pins, &list, &err);

    if (r < 0)
        return fence_cni_fail(&plugin->error, FENCE_CNI_LIMITED, "cannot read the endpoints: %s",
                              err.text);
    damaged = count_damaged(pins, &list, &err);
    fence_endpoint_list_done(&list);
    if (!damaged)
        return 0;
    return fence_cni_fail(&plugin->error, FENCE_CNI_LIMITED,
                          "%zu endpoints are not filtered, the first is %s; start podfenced, which "
                          "puts the filters back",
                          damaged, err.text);
}

int fence_plugin_status(struct fence_plugin *plugin)
{
    FENCE_PINS struct fence_pins pins;
    FENCE_CLOSE int daemon = -1;
    struct fence_settings settings;
    struct fence_err err = {0};
    int r;

    fence_pins_init(&pins);
    r = fence_plugin_open_pins(plugin, &pins, &settings, &err);
    if (r == -ENOENT)
        return no_data_path(plugin, &err);
    if (r < 0)
        return fence_cni_fail(&plugin->error, FENCE_CNI_LIMITED,
                              "the pinned data path is damaged: %s", err.text);
    daemon = fence_api_connect(fence_plugin_socket(plugin), &err);
    if (daemon < 0)
        fence_log(FENCE_LOG_WARNING,
                  "podfenced is not there: what is in force stays so, new pods wait: %s", err.text);
    r = check_filters(plugin, &pins);
    return r < 0 ? r : check_room(plugin, &pins);
}
