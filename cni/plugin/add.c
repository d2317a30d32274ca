/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cni/plugin/daemon.h"
#include "cni/plugin/log.h"
#include "cni/plugin/plugin.h"
#include "cni/plugin/unenforced.h"
#include "lib/base/clock.h"
#include "lib/base/failpoint.h"
#include "lib/cni/args.h"
#include "lib/cni/result.h"
#include "lib/datapath/enrol.h"

/* What one ADD is about. */
struct addition {
    struct fence_cni_args args;
    struct fence_cni_result result;
    struct fence_pod_link link;
    struct fence_endpoint_record record;
    bool exempt;
};

/* All texts have been checked against these sizes before. */
static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}
#define COPY_TEXT(to, from) copy_text(to, sizeof(to), from)

static bool is_same_file(const char *a, const char *b)
{
    struct stat first, second;

    return strcmp(a, b) == 0 || (stat(a, &first) == 0 && stat(b, &second) == 0 &&
                                 first.st_dev == second.st_dev && first.st_ino == second.st_ino);
}

/* prevResult against what the kernel says. The link was found by the kernel's word alone. */
static int cross_check(struct fence_plugin *plugin, const struct addition *addition)
{
    const struct fence_cni_result *result = &addition->result;
    const char *host_ifname = addition->link.host_ifname;

    if (result->sandbox && !is_same_file(result->sandbox, plugin->env.netns))
        return fence_cni_fail(&plugin->error, FENCE_CNI_INVALID_CONFIG,
                              "prevResult says that %s is in %s, but CNI_NETNS is %s",
                              plugin->env.ifname, result->sandbox, plugin->env.netns);
    if (!result->addr_count)
        fence_log(FENCE_LOG_WARNING,
                  "prevResult has no address for %s: the pod can use its link-local one only",
                  plugin->env.ifname);
    if (cJSON_GetArraySize(result->interfaces) && !fence_cni_result_lists(result, host_ifname))
        fence_log(FENCE_LOG_WARNING,
                  "prevResult does not list %s, which is the other end of the pod's %s",
                  host_ifname, plugin->env.ifname);
    return 0;
}

static int gather(struct fence_plugin *plugin, struct addition *addition)
{
    const struct fence_cni_env *env = &plugin->env;

    if (fence_cni_args_parse(env->args, &addition->args, &plugin->error) < 0)
        return -EINVAL;
    /* outside Kubernetes: policies are namespaced, so the pod has to be somewhere */
    if (!addition->args.namespace_name[0])
        COPY_TEXT(addition->args.namespace_name, "default");
    if (fence_cni_result_read(&plugin->conf, env->ifname, &addition->result, &plugin->error) < 0 ||
        fence_netconf_labels(&plugin->conf, addition->record.info.labels,
                             &addition->record.info.label_source, &plugin->error) < 0 ||
        fence_plugin_find_link(plugin, &addition->link) < 0)
        return -EINVAL;
    addition->exempt = fence_netconf_is_exempt(&plugin->conf, addition->args.namespace_name);
    return cross_check(plugin, addition);
}

static void fill_info(const struct fence_plugin *plugin, struct addition *addition)
{
    struct fence_endpoint_info *info = &addition->record.info;

    info->created_ns = fence_clock_boot_ns();
    info->netns = addition->link.netns;
    COPY_TEXT(info->ifname, plugin->env.ifname);
    COPY_TEXT(info->host_ifname, addition->link.host_ifname);
    COPY_TEXT(info->container_id, plugin->env.container_id);
    COPY_TEXT(info->network, plugin->conf.name);
    COPY_TEXT(info->namespace_name, addition->args.namespace_name);
    COPY_TEXT(info->pod, addition->args.pod);
    COPY_TEXT(info->uid, addition->args.uid);
}

static void fill_endpoint(struct addition *addition)
{
    struct fence_endpoint *endpoint = &addition->record.endpoint;
    const struct fence_cni_result *result = &addition->result;

    endpoint->identity = FENCE_IDENTITY_PENDING;
    endpoint->flags = FENCE_EP_PENDING;
    endpoint->addr_count = (__u16)result->addr_count;
    memcpy(endpoint->addrs, result->addrs, result->addr_count * sizeof(result->addrs[0]));
    memcpy(endpoint->mac, addition->link.mac, sizeof(endpoint->mac));
    endpoint->bridge = addition->link.host_bridge;
    addition->record.ifindex = addition->link.host_ifindex;
}

/* `auto` may make a clsact qdisc, where the bandwidth plugin's cannot be any more. */
static enum fence_attach_mode attach_mode(const struct fence_plugin *plugin,
                                          const struct fence_settings *settings)
{
    if (settings->attach == FENCE_ATTACH_MODE_AUTO && fence_netconf_is_limited(&plugin->conf) &&
        fence_attach_has_tcx() > 0)
        return FENCE_ATTACH_MODE_TCX;
    return settings->attach;
}

static int enforce(struct fence_plugin *plugin, const struct fence_pins *pins,
                   const struct fence_settings *settings, struct addition *addition)
{
    enum fence_start_mode mode =
        fence_netconf_start_mode(&plugin->conf, addition->args.namespace_name);
    struct fence_endpoint *endpoint = &addition->record.endpoint;
    struct fence_err err = {0};
    int r;

    endpoint->flags |= settings->source_flags & (FENCE_EP_SOURCE_REPORT | FENCE_EP_SOURCE_OFF);
    if (mode == FENCE_START_OPEN)
        endpoint->flags |= FENCE_EP_OPEN;
    if (addition->exempt)
        endpoint->flags |= FENCE_EP_EXEMPT;
    r = fence_endpoint_enrol(pins, attach_mode(plugin, settings), &addition->record, &err);
    if (r < 0)
        return fence_cni_fail(&plugin->error, FENCE_CNI_TRY_AGAIN, "%s", err.text);
    FENCE_FAILPOINT("add.enrolled");
    if (fence_unenforced_remove(plugin, &err) < 0)
        fence_log(FENCE_LOG_WARNING, "%s", err.text);
    fence_daemon_tell_added(plugin, pins, &addition->record,
                            mode == FENCE_START_HOLD && !addition->exempt);
    return 0;
}

/* No data path is pinned: DESIGN 4.1, failurePolicy. */
static int go_without(struct fence_plugin *plugin, const struct addition *addition,
                      const struct fence_err *why)
{
    if (!addition->exempt && !plugin->conf.fail_open) {
        fence_cni_fail(&plugin->error, FENCE_CNI_TRY_AGAIN,
                       "try again later: podfence cannot enforce anything on this node yet: %s",
                       why->text);
        return fence_cni_details(&plugin->error, "failurePolicy is closed");
    }
    fence_log(FENCE_LOG_WARNING, "the pod starts unenforced (%s): %s",
              addition->exempt ? "exempt namespace" : "failurePolicy open", why->text);
    return fence_unenforced_add(plugin, &addition->record,
                                addition->exempt ? "exempt" : "no-data-path");
}

int fence_plugin_add(struct fence_plugin *plugin)
{
    FENCE_PINS struct fence_pins pins;
    struct addition addition = {0};
    struct fence_settings settings;
    struct fence_err err = {0};
    int r = gather(plugin, &addition);

    fence_pins_init(&pins);
    if (r < 0)
        return r;
    fill_info(plugin, &addition);
    fill_endpoint(&addition);
    r = fence_plugin_open_pins(plugin, &pins, &settings, &err);
    if (r == 0)
        r = enforce(plugin, &pins, &settings, &addition);
    else if (r == -ENOENT)
        r = go_without(plugin, &addition, &err);
    else
        fence_cni_fail(&plugin->error, FENCE_CNI_TRY_AGAIN, "try again later: %s", err.text);
    if (r < 0)
        return r;
    FENCE_FAILPOINT("add.told");
    plugin->output = fence_cni_result_text(&plugin->conf);
    return plugin->output ? 0 : fence_plugin_no_memory(plugin);
}
