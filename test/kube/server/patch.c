/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/patch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/kube/server/store.h"

/* Lists whose elements have a name by which a strategic patch means them (patchMergeKey in the
 * API's types). All others are replaced. */
static const struct {
    const char *list, *key;
} keyed[] = {
    {"containers", "name"},
    {"initContainers", "name"},
    {"env", "name"},
    {"volumes", "name"},
    {"imagePullSecrets", "name"},
    {"ports", "containerPort"},
    {"ports", "port"},
    {"volumeMounts", "mountPath"},
    {"conditions", "type"},
    {"podIPs", "ip"},
    {"hostIPs", "ip"},
    {"addresses", "type"},
    {"ownerReferences", "uid"},
    {"taints", "key"},
};

static const char *key_of(const char *list, const cJSON *patch)
{
    const cJSON *first = patch->child;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keyed); i++)
        if (!strcmp(keyed[i].list, list) &&
            cJSON_GetObjectItemCaseSensitive(first, keyed[i].key) != NULL)
            return keyed[i].key;
    return NULL;
}

static cJSON *find_element(cJSON *list, const char *key, const cJSON *value)
{
    cJSON *element;

    cJSON_ArrayForEach(element, list)
    {
        if (cJSON_Compare(cJSON_GetObjectItemCaseSensitive(element, key), value, true))
            return element;
    }
    return NULL;
}

static int merge_elements(cJSON *list, const cJSON *patch, const char *key)
{
    const cJSON *element;

    cJSON_ArrayForEach(element, patch)
    {
        cJSON *found = find_element(list, key, cJSON_GetObjectItemCaseSensitive(element, key));
        int result = 0;

        if (!strcmp(json_text(element, "$patch"), "delete"))
            cJSON_Delete(cJSON_DetachItemViaPointer(list, found));
        else if (found)
            result = patch_merge(found, element, true);
        else if (!cJSON_AddItemToArray(list, cJSON_Duplicate(element, true)))
            result = -ENOMEM;
        if (result < 0)
            return result;
    }
    return 0;
}

static int merge_member(cJSON *target, const cJSON *member, bool strategic)
{
    cJSON *there = cJSON_GetObjectItemCaseSensitive(target, member->string);
    const char *key = NULL;

    if (strategic && member->string[0] == '$') /* $setElementOrder/..., $retainKeys */
        return 0;
    if (cJSON_IsNull(member)) {
        cJSON_DeleteItemFromObjectCaseSensitive(target, member->string);
        return 0;
    }
    if (strategic && cJSON_IsArray(member) && cJSON_IsArray(there))
        key = key_of(member->string, member);
    if (key)
        return merge_elements(there, member, key);
    if (!cJSON_IsObject(member))
        return json_set(target, member->string, cJSON_Duplicate(member, true));
    there = json_object(target, member->string);
    return there ? patch_merge(there, member, strategic) : -ENOMEM;
}

/* The depth is that of the patch, which cJSON's parser has bounded. */
int patch_merge(cJSON *target, const cJSON *patch, bool strategic)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, patch)
    {
        int result = merge_member(target, member, strategic);

        if (result < 0)
            return result;
    }
    return 0;
}
