/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cni/plugin/log.h"
#include "cni/plugin/plugin.h"
#include "cni/plugin/unenforced.h"
#include "lib/base/addr.h"
#include "lib/cni/result.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"

#define REMEDY "podfenced puts filters back within seconds; recreate the pod if it cannot"

static int not_enforced(struct fence_plugin *plugin, const char *what)
{
    fence_cni_fail(&plugin->error, FENCE_CNI_NOT_ENFORCED, "%s of container %s: %s",
                   plugin->env.ifname, plugin->env.container_id, what);
    return fence_cni_details(&plugin->error, REMEDY);
}

static int check_link(struct fence_plugin *plugin, const struct fence_endpoint_record *record)
{
    struct fence_pod_link link;
    struct fence_err what;

    if (fence_plugin_find_link(plugin, &link) < 0)
        return -EINVAL;
    if (link.host_ifindex == record->ifindex && link.netns == record->info.netns &&
        strcmp(link.host_ifname, record->info.host_ifname) == 0)
        return 0;
    fence_err_set(&what, 0,
                  "its endpoint is %s (index %u, namespace %llu), but its host veth is %s (index "
                  "%u, namespace %llu)",
                  record->info.host_ifname, record->ifindex, (unsigned long long)record->info.netns,
                  link.host_ifname, link.host_ifindex, (unsigned long long)link.netns);
    return not_enforced(plugin, what.text);
}

static bool has_address(const struct fence_endpoint *endpoint, const struct fence_addr *addr)
{
    for (size_t i = 0; i < endpoint->addr_count && i < FENCE_ENDPOINT_ADDRS; i++)
        if (fence_addr_equal(&endpoint->addrs[i], addr))
            return true;
    return false;
}

static int check_addresses(struct fence_plugin *plugin, const struct fence_cni_result *result,
                           const struct fence_endpoint_record *record)
{
    char text[FENCE_ADDR_TEXT];
    struct fence_err what;

    for (size_t i = 0; i < result->addr_count; i++) {
        if (has_address(&record->endpoint, &result->addrs[i]))
            continue;
        fence_err_set(&what, 0, "its endpoint does not have the address %s of prevResult",
                      fence_addr_format(&result->addrs[i], text));
        return not_enforced(plugin, what.text);
    }
    return 0;
}

static int check_endpoint(struct fence_plugin *plugin, const struct fence_pins *pins,
                          const struct fence_cni_result *result)
{
    const struct fence_cni_env *env = &plugin->env;
    struct fence_endpoint_record record;
    struct fence_err err = {0};

    if (fence_endpoint_find(pins, env->container_id, env->ifname, &record) < 0) {
        if (!fence_unenforced_has(plugin))
            return not_enforced(plugin, "it has no endpoint");
        fence_log(FENCE_LOG_WARNING, "%s of container %s was let start unenforced", env->ifname,
                  env->container_id);
        return 0;
    }
    if (check_link(plugin, &record) < 0 || check_addresses(plugin, result, &record) < 0)
        return -EINVAL;
    if (fence_attach_check(pins, record.ifindex, record.info.attach, &err) < 0)
        return not_enforced(plugin, err.text);
    return 0;
}

int fence_plugin_check(struct fence_plugin *plugin)
{
    FENCE_PINS struct fence_pins pins;
    struct fence_cni_result result;
    struct fence_settings settings;
    struct fence_err err = {0};
    int r;

    fence_pins_init(&pins);
    if (fence_cni_result_read(&plugin->conf, plugin->env.ifname, &result, &plugin->error) < 0)
        return -EINVAL;
    r = fence_plugin_open_pins(plugin, &pins, &settings, &err);
    if (r == 0)
        return check_endpoint(plugin, &pins, &result);
    if (r == -ENOENT && fence_unenforced_has(plugin)) {
        fence_log(FENCE_LOG_WARNING, "%s of container %s was let start unenforced: %s",
                  plugin->env.ifname, plugin->env.container_id, err.text);
        return 0;
    }
    return not_enforced(plugin, err.text);
}
