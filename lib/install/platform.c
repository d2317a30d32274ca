/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/install/install.h"

/* The usual one first. Of rows with the same folder of configurations, the first counts whose
 * folder of plugins is there. */
static const struct fence_install_platform platforms[] = {
    {"default", FENCE_INSTALL_CONF_DIR, FENCE_INSTALL_BIN_DIR},
    {"k3s", "/var/lib/rancher/k3s/agent/etc/cni/net.d", "/var/lib/rancher/k3s/data/cni"},
    {"k3s", "/var/lib/rancher/k3s/agent/etc/cni/net.d", "/var/lib/rancher/k3s/data/current/bin"},
    {"microk8s", "/var/snap/microk8s/current/args/cni-network",
     "/var/snap/microk8s/current/opt/cni/bin"},
    {"openshift", "/etc/cni/multus/net.d", "/var/lib/cni/bin"},
    {"gke", FENCE_INSTALL_CONF_DIR, "/home/kubernetes/bin"},
};
#define COUNT FENCE_ARRAY_SIZE(platforms)

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

/* Of the row and those behind it with the same folder (and name, unless it is NULL). */
static const struct fence_install_platform *with_plugins(size_t row, const char *name,
                                                         const char *root)
{
    for (size_t i = row; i < COUNT; i++) {
        FENCE_FREE char *path = NULL;

        if (strcmp(platforms[i].conf_dir, platforms[row].conf_dir) != 0 ||
            (name && strcmp(platforms[i].name, name) != 0))
            continue;
        if (asprintf(&path, "%s%s", root, platforms[i].bin_dir) >= 0 && access(path, F_OK) == 0)
            return &platforms[i];
    }
    return &platforms[row];
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
        found = with_plugins(i, NULL, root);
        count++;
    }
    if (count > 1)
        return fence_err_set(err, -ENOTUNIQ,
                             "there are network configurations of several runtimes: %s; choose "
                             "with --platform NAME, or with --cni-conf-dir and --cni-bin-dir",
                             names);
    *ret_platform = found ? found : with_plugins(0, NULL, root);
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
            *ret_platform = with_plugins(i, name, root);
            return 0;
        }
        if (!i || strcmp(platforms[i].name, platforms[i - 1].name) != 0)
            snprintf(names + used, sizeof(names) - used, ", %s", platforms[i].name);
    }
    return fence_err_set(err, -EINVAL, "%s is none of %s", name, names);
}
