/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/attachments.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"

static const char *const keys[] = {"cni.dev/valid-attachments", "cni.dev/attachments"};

static bool is_attachment(const cJSON *item)
{
    return cJSON_IsString(fence_json_get(item, "containerID")) &&
           cJSON_IsString(fence_json_get(item, "ifname"));
}

static int check_list(const cJSON *list, struct fence_cni_error *error)
{
    const cJSON *item;

    if (cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsArray(list))
        return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "\"%s\" is not a list",
                              list->string);
    cJSON_ArrayForEach(item, list)
    {
        if (!is_attachment(item))
            return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG,
                                  "\"%s\" has an entry without the strings containerID and ifname; "
                                  "nothing was removed",
                                  list->string);
    }
    return 0;
}

int fence_attachments_read(const struct fence_netconf *conf, const cJSON **ret_list,
                           struct fence_cni_error *error)
{
    const cJSON *list = NULL;
    int r;

    for (size_t i = 0; !list && i < FENCE_ARRAY_SIZE(keys); i++) {
        list = fence_json_get(conf->json, keys[i]);
        if (fence_json_count(conf->json, keys[i]) > 1)
            return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "\"%s\" is given twice",
                                  keys[i]);
    }
    for (size_t i = 0; !list && i < FENCE_ARRAY_SIZE(keys); i++)
        list = cJSON_GetObjectItemCaseSensitive(conf->json, keys[i]); /* null */
    r = list ? check_list(list, error) : 0;
    if (r < 0)
        return r;
    *ret_list = list;
    return 0;
}

bool fence_attachments_hold(const cJSON *list, const char *container_id, const char *ifname)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (strcmp(fence_json_get(item, "containerID")->valuestring, container_id) == 0 &&
            strcmp(fence_json_get(item, "ifname")->valuestring, ifname) == 0)
            return true;
    }
    return false;
}
