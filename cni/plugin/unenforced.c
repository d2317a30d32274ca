/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plugin/unenforced.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/api/api.h"
#include "lib/base/addr.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/cni/attachments.h"

static char *folder_path(const struct fence_plugin *plugin)
{
    const char *socket = fence_plugin_socket(plugin);
    const char *slash = strrchr(socket, '/');
    char *path = NULL;

    if (asprintf(&path, "%.*s/%s", (int)(slash - socket), socket, FENCE_UNENFORCED_FOLDER) < 0)
        return NULL;
    return path;
}

static char *record_path(const struct fence_plugin *plugin)
{
    FENCE_FREE char *folder = folder_path(plugin);
    char *path = NULL;

    if (!folder ||
        asprintf(&path, "%s/%s:%s", folder, plugin->env.container_id, plugin->env.ifname) < 0)
        return NULL;
    return path;
}

static bool add_addresses(cJSON *object, const struct fence_endpoint *endpoint)
{
    cJSON *list = cJSON_AddArrayToObject(object, "addresses");
    char text[FENCE_ADDR_TEXT];

    for (size_t i = 0; list && i < endpoint->addr_count; i++) {
        cJSON *item = cJSON_CreateString(fence_addr_format(&endpoint->addrs[i], text));

        if (!cJSON_AddItemToArray(list, item)) {
            cJSON_Delete(item);
            return false;
        }
    }
    return list != NULL;
}

/* What the daemon needs to find the interface again without entering a namespace. */
static bool add_interface(cJSON *object, const struct fence_endpoint_record *record)
{
    const __u8 *mac = record->endpoint.mac;
    struct stat own;
    char text[18];

    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    return stat("/proc/self/ns/net", &own) == 0 &&
           cJSON_AddNumberToObject(object, "nodeNetns", (double)own.st_ino) &&
           cJSON_AddNumberToObject(object, "podNetns", (double)record->info.netns) &&
           cJSON_AddNumberToObject(object, "hostIfindex", record->ifindex) &&
           cJSON_AddStringToObject(object, "mac", text);
}

static char *record_text(const struct fence_plugin *plugin,
                         const struct fence_endpoint_record *record, const char *reason)
{
    const struct fence_endpoint_info *info = &record->info;
    const char *const members[][2] = {
        {"containerId", info->container_id},
        {"ifname", info->ifname},
        {"netns", plugin->env.netns},
        {"hostIfname", info->host_ifname},
        {"network", info->network},
        {"namespace", info->namespace_name},
        {"pod", info->pod},
        {"uid", info->uid},
        {"labels", info->labels},
        {"reason", reason},
    };
    cJSON *object = cJSON_CreateObject();
    bool good = cJSON_AddNumberToObject(object, "labelSource", info->label_source) &&
                add_addresses(object, &record->endpoint) && add_interface(object, record);
    char *text;

    for (size_t i = 0; good && i < FENCE_ARRAY_SIZE(members); i++)
        good = cJSON_AddStringToObject(object, members[i][0], members[i][1]);
    text = good ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return text;
}

int fence_unenforced_add(struct fence_plugin *plugin, const struct fence_endpoint_record *record,
                         const char *reason)
{
    FENCE_FREE char *folder = folder_path(plugin);
    FENCE_FREE char *path = record_path(plugin);
    FENCE_FREE char *text = record_text(plugin, record, reason);
    struct fence_err err = {0};
    int r;

    if (!folder || !path || !text)
        return fence_plugin_no_memory(plugin);
    r = fence_mkdirs(folder, 0700, &err);
    if (r == 0)
        r = fence_file_write(path, text, strlen(text), 0600, &err);
    if (r < 0)
        return fence_cni_fail(&plugin->error, FENCE_CNI_IO_FAILURE,
                              "the pod would start unenforced, but that cannot be recorded: %s",
                              err.text);
    return 0;
}

int fence_unenforced_remove(const struct fence_plugin *plugin, struct fence_err *err)
{
    FENCE_FREE char *path = record_path(plugin);

    if (!path)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
        return fence_err_set(err, -errno, "cannot remove %s: %s", path, strerror(errno));
    return 0;
}

bool fence_unenforced_has(const struct fence_plugin *plugin)
{
    FENCE_FREE char *path = record_path(plugin);

    return path && access(path, F_OK) == 0;
}

/* ---- GC ------------------------------------------------------------------------------------- */

static bool is_stale(int folder, const char *name, const char *network, const cJSON *attachments)
{
    FENCE_FREE char *text = NULL;
    const char *colon = strchr(name, ':');
    char id[FENCE_CONTAINER_ID_MAX];
    const cJSON *member;
    cJSON *record;
    size_t size;
    bool stale;

    if (!colon || (size_t)(colon - name) >= sizeof(id) ||
        fence_file_read(folder, name, FENCE_UNENFORCED_MAX, &text, &size, NULL) < 0)
        return false;
    snprintf(id, sizeof(id), "%.*s", (int)(colon - name), name);
    record = fence_json_object(text, size);
    member = fence_json_get(record, "network");
    stale = cJSON_IsString(member) && strcmp(member->valuestring, network) == 0 &&
            !fence_attachments_hold(attachments, id, colon + 1);
    cJSON_Delete(record);
    return stale;
}

int fence_unenforced_collect(const struct fence_plugin *plugin, const cJSON *attachments,
                             struct fence_err *err)
{
    FENCE_FREE char *path = folder_path(plugin);
    const struct dirent *entry;
    DIR *folder;
    int r = 0;

    if (!path)
        return fence_err_set(err, -ENOMEM, "out of memory");
    folder = opendir(path);
    if (!folder)
        return errno == ENOENT
                   ? 0
                   : fence_err_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
    while ((entry = readdir(folder)))
        if (is_stale(dirfd(folder), entry->d_name, plugin->conf.name, attachments) &&
            unlinkat(dirfd(folder), entry->d_name, 0) < 0)
            r = fence_err_set(err, -errno, "cannot remove %s/%s: %s", path, entry->d_name,
                              strerror(errno));
    closedir(folder);
    return r;
}
