/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plugin/plugin.h"

#include <errno.h>
#include <string.h>

#include "cni/plugin/log.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"

const char *fence_plugin_bpffs(const struct fence_plugin *plugin)
{
    return plugin->conf.bpffs ? plugin->conf.bpffs : FENCE_DEFAULT_BPFFS;
}

const char *fence_plugin_socket(const struct fence_plugin *plugin)
{
    return plugin->conf.socket ? plugin->conf.socket : FENCE_DEFAULT_SOCKET;
}

int fence_plugin_no_memory(struct fence_plugin *plugin)
{
    return fence_cni_fail(&plugin->error, FENCE_CNI_INTERNAL, "out of memory");
}

/* The same layout, so it works; but somebody forgot to install a part. */
static void warn_version(const struct fence_pins *pins)
{
    char text[256];

    fence_about_compare(pins, text);
    if (text[0])
        fence_log(FENCE_LOG_WARNING, "%s", text);
}

int fence_plugin_open_pins(const struct fence_plugin *plugin, struct fence_pins *ret_pins,
                           struct fence_settings *ret_settings, struct fence_err *err)
{
    const char *bpffs = fence_plugin_bpffs(plugin);
    FENCE_PINS struct fence_pins pins;
    int r;

    fence_pins_init(&pins);
    r = fence_pins_open(bpffs, &pins, err);
    if (r < 0)
        return r;
    r = fence_settings_read(&pins, ret_settings);
    if (r < 0)
        return fence_err_set(err, r == -ENOENT ? -EIO : r,
                             "cannot read the settings map under %s: %s", bpffs, strerror(-r));
    if (!ret_settings->hz)
        return fence_err_set(err, -ENOENT,
                             "the data path under %s has not been loaded to the end; start "
                             "podfenced, or run podfencectl load",
                             bpffs);
    warn_version(&pins);
    *ret_pins = pins;
    fence_pins_init(&pins);
    return 0;
}

int fence_plugin_find_link(struct fence_plugin *plugin, struct fence_pod_link *ret_link)
{
    static const struct {
        int error;
        enum fence_cni_code code;
    } codes[] = {{-ENOENT, FENCE_CNI_INVALID_NETNS},
                 {-EXDEV, FENCE_CNI_INVALID_NETNS},
                 {-ENODEV, FENCE_CNI_INVALID_CONFIG},
                 {-ENOTUNIQ, FENCE_CNI_INVALID_CONFIG},
                 {-EMEDIUMTYPE, FENCE_CNI_INVALID_CONFIG}};
    const struct fence_cni_env *env = &plugin->env;
    enum fence_cni_code code = FENCE_CNI_IO_FAILURE;
    struct fence_err err = {0};
    int r = fence_pod_link_find(env->netns, env->ifname, ret_link, &err);

    if (r == -EXDEV && env->netns_override)
        r = fence_own_link_find(env->ifname, ret_link, &err);
    if (r == 0)
        return 0;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(codes); i++)
        if (codes[i].error == r)
            code = codes[i].code;
    if (r != -EXDEV)
        return fence_cni_fail(&plugin->error, code, "%s", err.text);
    fence_cni_fail(&plugin->error, code,
                   "plugin's netns and netns from CNI_NETNS should not be the same");
    return fence_cni_details(&plugin->error, "%s", err.text);
}
