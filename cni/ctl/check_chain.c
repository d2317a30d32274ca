/* SPDX-License-Identifier: Apache-2.0 */
/* Which chain the runtime gives to new pods, and our entry in it. */
#include "cni/ctl/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/api/api.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/cni/chain.h"
#include "lib/cni/json.h"
#include "lib/cni/netconf.h"
#include "lib/cni/version.h"
#include "lib/datapath/attach.h"
#include "lib/install/netd.h"

#define ENTRY_REMEDY                                                                               \
    "podfencectl install-cni, or add {\"type\": \"podfence\"} as the last of its plugins"

#define FIRST        "podfence is the first of the chain: it makes no interface of its own"
#define FIRST_REMEDY "put the main plugin in front of it"

static const char *const folders[] = {
    "/etc/cni/net.d",
    "/var/lib/rancher/k3s/agent/etc/cni/net.d",
    "/var/snap/microk8s/current/args/cni-network",
    "/etc/cni/multus/net.d",
};

/* ---- the effective chain -------------------------------------------------------------------- */

/* Its parts as JSON, both owned. */
struct chain {
    struct fence_netd_effective found;
    cJSON *list; /* or a single plugin */
    cJSON *dropin;
};

static cJSON *read_json(const char *folder, const char *name)
{
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *text = NULL;
    size_t size;

    if (asprintf(&path, "%s/%s", folder, name) < 0 ||
        fence_file_read(AT_FDCWD, path, FENCE_NETD_FILE_MAX, &text, &size, NULL) < 0)
        return NULL;
    return fence_json_object(text, size);
}

static cJSON *read_dropin(const char *folder, const char *network)
{
    FENCE_FREE char *path = NULL;

    return asprintf(&path, "%s/%s", folder, network) < 0 ? NULL
                                                         : read_json(path, FENCE_NETD_DROPIN);
}

static int effective(struct check *check, const char *folder, struct chain *ret_chain)
{
    struct fence_netd_effective *found = &ret_chain->found;
    struct fence_err err = {0};
    int r = fence_netd_effective(folder, NULL, found, &err);

    if (r < 0)
        return r;
    if (*found->broken)
        check_add(check, CHECK_FAIL, "put it right or take it away",
                  "no valid configuration: %s; containerd loads none while it is there, CRI-O "
                  "passes it over",
                  found->why);
    if (!*found->file)
        return -ENOENT;
    ret_chain->list = read_json(folder, found->file);
    if (found->dropin)
        ret_chain->dropin = read_dropin(folder, found->network);
    return ret_chain->list ? 0 : -EAGAIN; /* it has changed this moment */
}

/* ---- our entry in it ------------------------------------------------------------------------ */

static const char *type_of(const cJSON *plugin)
{
    const cJSON *type = fence_json_get(plugin, "type");

    return cJSON_IsString(type) ? type->valuestring : "";
}

/* What follows ours: the runtime calls it when the pod is enforced already. */
static void followers(struct check *check, const cJSON *ours)
{
    for (const cJSON *plugin = ours->next; plugin; plugin = plugin->next) {
        const char *type = type_of(plugin);

        if (strcmp(type, FENCE_PLUGIN_TYPE) == 0)
            check_add(check, CHECK_FAIL, "take the second entry out", "podfence is there twice");
        else if (strcmp(type, "bandwidth") == 0)
            check_add(check, fence_attach_has_tcx() ? CHECK_WARN : CHECK_FAIL,
                      "put podfence behind it",
                      "bandwidth comes after podfence: where filters are attached by clsact, its "
                      "`ingress` qdisc is refused");
        else
            check_add(check, CHECK_WARN, "put podfence behind it",
                      "%s comes after podfence, which does not see what it does", type);
    }
}

static void position(struct check *check, const cJSON *ours)
{
    size_t before = 0;

    /* the first one's prev is the last */
    for (const cJSON *plugin = ours->prev; plugin->next; plugin = plugin->prev) {
        before++;
        if (strcmp(type_of(plugin), "bandwidth") == 0 && fence_attach_has_tcx() == 0)
            check_add(check, CHECK_WARN, "a kernel of 6.6 or later, which has TCX",
                      "pods with a bandwidth limit are refused: its `ingress` qdisc takes no "
                      "clsact filters beside it");
    }
    if (before == 0)
        check_add(check, CHECK_FAIL, FIRST_REMEDY, FIRST);
    else
        check_add(check, CHECK_OK, NULL, "podfence is plugin %zu of the chain, after %s",
                  before + 1, type_of(ours->prev));
    followers(check, ours);
}

static void unknown_key(void *context, const char *key)
{
    check_add(context, CHECK_WARN, "take it out, or write it as the README does",
              "podfence does not know the key \"%s\" of its entry", key);
}

static void same_path(struct check *check, const char *what, const char *entry, const char *ours)
{
    if (strcmp(entry, ours) == 0)
        return;
    check_add(check, CHECK_WARN, "podfenced, podfencectl and the entry have to name the same",
              "the entry's %s is %s, and not %s, which this looks at", what, entry, ours);
}

static void values(struct check *check, const struct fence_netconf *conf,
                   struct fence_cni_error *error)
{
    if (fence_cni_version_check(FENCE_CNI_ADD, conf->version, error) < 0)
        check_add(check, CHECK_FAIL, "set cniVersion of the list to one of them", "%s: %s",
                  error->msg.text, error->details.text);
    same_path(check, "bpffs", conf->bpffs ? conf->bpffs : FENCE_DEFAULT_BPFFS, check->ctl->bpffs);
    same_path(check, "socket", conf->socket ? conf->socket : FENCE_DEFAULT_SOCKET,
              check->ctl->socket);
    if (conf->fail_open)
        check_add(check, CHECK_WARN, NULL,
                  "failurePolicy is open: without a data path pods start unenforced");
}

/* As the plugin will get it: with name and version of the list. */
static void entry(struct check *check, const cJSON *list, const cJSON *ours)
{
    cJSON *whole = cJSON_Duplicate(ours, true);
    const char *const given[] = {"name", "cniVersion"};
    FENCE_CLEANUP(fence_netconf_done) struct fence_netconf conf = {0};
    struct fence_cni_error error = {0};
    FENCE_FREE char *text = NULL;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(given); i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(whole, given[i]);
        if (fence_json_get(list, given[i]))
            cJSON_AddItemToObject(whole, given[i],
                                  cJSON_Duplicate(fence_json_get(list, given[i]), true));
    }
    text = cJSON_PrintUnformatted(whole);
    cJSON_Delete(whole);
    if (!text || fence_netconf_load(text, strlen(text), &conf, &error) < 0 ||
        fence_netconf_settings(&conf, &error) < 0) {
        check_add(check, CHECK_FAIL, "put the value right: with it every pod is refused", "%s",
                  error.msg.text);
        return;
    }
    fence_netconf_unknown_keys(conf.json, unknown_key, check);
    values(check, &conf, &error);
}

/* A file of its own beside the list's plugins. */
static void dropin(struct check *check, const struct chain *chain)
{
    check_add(check, CHECK_OK, NULL,
              "podfence is plugin %d of the chain, by a drop-in (libcni 1.3 and newer)",
              chain->found.position + 1);
    if (chain->dropin)
        entry(check, chain->list, chain->dropin);
}

static void chain(struct check *check, const char *folder, const struct chain *chain)
{
    const struct fence_netd_effective *found = &chain->found;
    const cJSON *plugin, *plugins = fence_json_get(chain->list, "plugins");

    if (!found->ours) {
        check_add(check, CHECK_FAIL, ENTRY_REMEDY,
                  "%s/%s is what new pods get, and has no podfence entry", folder, found->file);
        return;
    }
    check_add(check, CHECK_OK, NULL, "%s/%s is what new pods get, network %s", folder, found->file,
              found->network);
    if (found->dropin) {
        dropin(check, chain);
        return;
    }
    cJSON_ArrayForEach(plugin, plugins)
    {
        if (strcmp(type_of(plugin), FENCE_PLUGIN_TYPE) == 0)
            break;
    }
    if (!plugin) {
        check_add(check, CHECK_FAIL, FIRST_REMEDY, FIRST);
        return;
    }
    position(check, plugin);
    entry(check, chain->list, plugin);
}

void check_chain(struct check *check)
{
    const char *folder = check_folder(check->net_d, folders, FENCE_ARRAY_SIZE(folders));
    struct chain found = {0};
    int r;

    if (!folder) {
        check_add(check, CHECK_FAIL, "name it with --net-d, or install the main CNI plugin first",
                  "there is no folder of network configurations (%s, ...)", folders[0]);
        return;
    }
    r = effective(check, folder, &found);
    if (r == -EACCES || r == -EPERM)
        check_add(check, CHECK_WARN, "run it as root", "%s cannot be read", folder);
    else if (r == -ENOENT)
        check_add(check, CHECK_FAIL, "install the main CNI plugin (Flannel, Calico) first",
                  "%s has no network configuration", folder);
    else if (r < 0)
        check_add(check, CHECK_FAIL, NULL, "%s: %s", folder, strerror(-r));
    else
        chain(check, folder, &found);
    cJSON_Delete(found.list);
    cJSON_Delete(found.dropin);
}
