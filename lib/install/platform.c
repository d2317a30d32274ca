/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/install/install.h"

/* The usual one first. Those that share its folder of configurations are found by name only. */
static const struct fence_install_platform platforms[] = {
    {"default", FENCE_INSTALL_CONF_DIR, FENCE_INSTALL_BIN_DIR},
    {"k3s", "/var/lib/rancher/k3s/agent/etc/cni/net.d", "/var/lib/rancher/k3s/data/cni"},
    {"microk8s", "/var/snap/microk8s/current/args/cni-network",
     "/var/snap/microk8s/current/opt/cni/bin"},
    {"openshift", "/etc/cni/multus/net.d", "/var/lib/cni/bin"},
    {"gke", FENCE_INSTALL_CONF_DIR, "/home/kubernetes/bin"},
};
#define COUNT FENCE_ARRAY_SIZE(platforms)

const struct fence_install_platform *fence_install_platforms(size_t *ret_count)
{
    *ret_count = COUNT;
    return platforms;
}

static bool has_configurations(const struct fence_install_platform *platform, const char *root)
{
    FENCE_CLEANUP(fence_netd_names_done) struct fence_netd_names names = {0};
    FENCE_FREE char *path = NULL;

    return asprintf(&path, "%s%s", root, platform->conf_dir) >= 0 &&
           fence_netd_names(path, &names, NULL) == 0 && names.count > 0;
}

static bool is_first_of_its_folder(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(platforms[i].conf_dir, platforms[index].conf_dir) == 0)
            return false;
    return true;
}

static int find_auto(const char *root, const struct fence_install_platform **ret_platform,
                     struct fence_err *err)
{
    const struct fence_install_platform *found = NULL;
    char names[512] = "";
    size_t count = 0;

    for (size_t i = 0; i < COUNT; i++) {
        size_t used = strlen(names);

        if (!is_first_of_its_folder(i) || !has_configurations(&platforms[i], root))
            continue;
        snprintf(names + used, sizeof(names) - used, "%s%s (%s)", used ? ", " : "",
                 platforms[i].name, platforms[i].conf_dir);
        found = &platforms[i];
        count++;
    }
    if (count > 1)
        return fence_err_set(err, -ENOTUNIQ,
                             "there are network configurations of several runtimes: %s; choose "
                             "with --platform NAME, or with --cni-conf-dir and --cni-bin-dir",
                             names);
    *ret_platform = found ? found : &platforms[0];
    return 0;
}

int fence_install_platform_find(const char *name, const char *root,
                                const struct fence_install_platform **ret_platform,
                                struct fence_err *err)
{
    char names[128] = "auto";

    if (strcmp(name, "auto") == 0)
        return find_auto(root, ret_platform, err);
    for (size_t i = 0; i < COUNT; i++) {
        size_t used = strlen(names);

        if (strcmp(platforms[i].name, name) == 0) {
            *ret_platform = &platforms[i];
            return 0;
        }
        snprintf(names + used, sizeof(names) - used, ", %s", platforms[i].name);
    }
    return fence_err_set(err, -EINVAL, "%s is none of %s", name, names);
}
