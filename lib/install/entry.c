/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/cni/chain.h"
#include "lib/cni/netconf.h"
#include "lib/install/install.h"

#define DEFAULT_ENTRY                                                                              \
    "{\"type\":\"" FENCE_PLUGIN_TYPE "\",\"capabilities\":"                                        \
    "{\"io.kubernetes.cri.pod-annotations\":true},\"startMode\":\"hold\","                         \
    "\"failurePolicy\":\"closed\"}"

static void delete_json(cJSON **json)
{
    cJSON_Delete(*json);
}

/* As the plugin reads it: with what the runtime adds. */
static int check(const char *entry, struct fence_err *err)
{
    cJSON *json = cJSON_Parse(entry);
    FENCE_FREE char *text = NULL;
    struct fence_netconf conf = {0};
    struct fence_cni_error error = {0};
    int r;

    cJSON_AddStringToObject(json, "cniVersion", "1.0.0");
    cJSON_AddStringToObject(json, "name", "network");
    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (!text)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = fence_netconf_load(text, strlen(text), &conf, &error);
    if (r == 0) {
        r = fence_netconf_settings(&conf, &error);
        fence_netconf_done(&conf);
    }
    return r < 0 ? fence_err_set(err, -EINVAL, "the chain's entry: %s", error.msg.text) : 0;
}

static int add_text(cJSON *json, const char *key, const char *value)
{
    if (!value || cJSON_HasObjectItem(json, key))
        return 0;
    return cJSON_AddStringToObject(json, key, value) ? 0 : -ENOMEM;
}

/* The runtime says these, for the whole list. */
static int check_keys(const cJSON *json, struct fence_err *err)
{
    static const char *const foreign[] = {"name", "cniVersion", "prevResult", "runtimeConfig"};
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(json, "type");

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(foreign); i++)
        if (cJSON_GetObjectItemCaseSensitive(json, foreign[i]))
            return fence_err_set(err, -EINVAL, "the chain's entry: \"%s\" is the runtime's to say",
                                 foreign[i]);
    if (type && (!cJSON_IsString(type) || strcmp(type->valuestring, FENCE_PLUGIN_TYPE) != 0))
        return fence_err_set(err, -EINVAL, "the chain's entry: \"type\" is not \"%s\"",
                             FENCE_PLUGIN_TYPE);
    return 0;
}

int fence_install_entry(const char *given, const char *bpffs, const char *socket, char **ret_entry,
                        struct fence_err *err)
{
    const char *text = given ? given : DEFAULT_ENTRY;
    FENCE_CLEANUP(delete_json) cJSON *json = fence_json_object(text, strlen(text));
    FENCE_FREE char *entry = NULL;
    int r;

    if (!json)
        return fence_err_set(err, -EINVAL, "the chain's entry is no JSON object: %.128s", text);
    r = check_keys(json, err);
    if (r < 0)
        return r;
    if (add_text(json, "type", FENCE_PLUGIN_TYPE) < 0 || add_text(json, "bpffs", bpffs) < 0 ||
        add_text(json, "socket", socket) < 0 || !(entry = cJSON_PrintUnformatted(json)))
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = check(entry, err);
    if (r == 0)
        *ret_entry = TAKE_PTR(entry);
    return r;
}
