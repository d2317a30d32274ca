/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/unenforced_record.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/cni/env.h"
#include "lib/cni/json.h"

#define EXACT_MAX ((double)(1ull << 53)) /* above, JSON's numbers are not exact any more */

/* Interface names, as the kernel has them. */
static bool is_ifname(const char *text)
{
    return *text && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
           !strpbrk(text, "/: \t\n\v\f\r");
}

static bool is_anything(const char *text)
{
    (void)text;
    return true;
}

#define FIELD(member)                                                                              \
    offsetof(struct fence_endpoint_info, member),                                                  \
        sizeof(((struct fence_endpoint_info *)NULL)->member)

static const struct {
    const char *name;
    size_t offset;
    size_t size;
    bool (*is_good)(const char *text);
} texts[] = {
    {"containerId", FIELD(container_id), fence_cni_is_name},
    {"ifname", FIELD(ifname), is_ifname},
    {"hostIfname", FIELD(host_ifname), is_ifname},
    {"network", FIELD(network), fence_cni_is_name},
    {"namespace", FIELD(namespace_name), is_anything},
    {"pod", FIELD(pod), is_anything},
    {"uid", FIELD(uid), is_anything},
    {"labels", FIELD(labels), is_anything},
};

static int take_texts(const cJSON *json, struct fence_endpoint_info *info, struct fence_err *err)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        const char *text = cJSON_GetStringValue(fence_json_get(json, texts[i].name));

        if (!text || strlen(text) >= texts[i].size || !texts[i].is_good(text))
            return fence_err_set(err, -EINVAL, "%s must be a text of at most %zu bytes%s",
                                 texts[i].name, texts[i].size - 1,
                                 text && texts[i].is_good != is_anything ? " and a valid name"
                                                                         : "");
        memcpy((char *)info + texts[i].offset, text, strlen(text) + 1);
    }
    return 0;
}

static int take_number(const cJSON *json, const char *name, double max, __u64 *ret_value,
                       struct fence_err *err)
{
    const cJSON *member = fence_json_get(json, name);

    if (!cJSON_IsNumber(member) || !(member->valuedouble >= 0 && member->valuedouble <= max) ||
        (double)(__u64)member->valuedouble != member->valuedouble)
        return fence_err_set(err, -EINVAL, "%s must be a whole number from 0 to %.0f", name, max);
    *ret_value = (__u64)member->valuedouble;
    return 0;
}

static int take_numbers(const cJSON *json, struct fence_unenforced_record *record,
                        struct fence_err *err)
{
    struct fence_endpoint_record *endpoint = &record->endpoint;
    __u64 ifindex = 0, source = 0;
    int r = take_number(json, "hostIfindex", INT32_MAX, &ifindex, err);

    if (r == 0)
        r = take_number(json, "nodeNetns", EXACT_MAX, &record->node_netns, err);
    if (r == 0)
        r = take_number(json, "podNetns", EXACT_MAX, &endpoint->info.netns, err);
    if (r == 0)
        r = take_number(json, "labelSource", FENCE_LABELS_ANNOTATION, &source, err);
    if (r == 0 && ifindex == 0)
        r = fence_err_set(err, -EINVAL, "hostIfindex is 0");
    endpoint->ifindex = (__u32)ifindex;
    endpoint->info.label_source = (__u32)source;
    return r;
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;

    if (!at)
        return -1;
    return at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

static int take_mac(const cJSON *json, __u8 mac[6], struct fence_err *err)
{
    const char *text = cJSON_GetStringValue(fence_json_get(json, "mac"));
    bool good = text && strlen(text) == 17;

    for (size_t i = 0; i < 6 && good; i++) {
        int high = hex_value(text[3 * i]), low = hex_value(text[3 * i + 1]);

        good = high >= 0 && low >= 0 && (i == 5 || text[3 * i + 2] == ':');
        if (good)
            mac[i] = (__u8)(high << 4 | low);
    }
    return good ? 0 : fence_err_set(err, -EINVAL, "mac must be of the form 02:00:00:00:00:01");
}

static int take_addresses(const cJSON *json, struct fence_endpoint *endpoint, struct fence_err *err)
{
    const cJSON *list = fence_json_get(json, "addresses");
    const cJSON *item;

    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > FENCE_ENDPOINT_ADDRS)
        return fence_err_set(err, -EINVAL, "addresses must be a list of at most %d",
                             FENCE_ENDPOINT_ADDRS);
    cJSON_ArrayForEach(item, list)
    {
        struct fence_addr *addr = &endpoint->addrs[endpoint->addr_count];

        if (!cJSON_IsString(item) || fence_addr_parse(item->valuestring, addr) < 0 ||
            fence_addr_is_none(addr))
            return fence_err_set(err, -EINVAL, "addresses has an entry that is no address");
        endpoint->addr_count++;
    }
    return 0;
}

static int take_reason(const cJSON *json, struct fence_endpoint *endpoint, struct fence_err *err)
{
    const char *reason = cJSON_GetStringValue(fence_json_get(json, "reason"));

    endpoint->identity = FENCE_IDENTITY_PENDING;
    endpoint->flags = FENCE_EP_PENDING;
    if (reason && strcmp(reason, "exempt") == 0)
        endpoint->flags |= FENCE_EP_EXEMPT;
    else if (reason && strcmp(reason, "no-data-path") == 0)
        endpoint->flags |= FENCE_EP_OPEN;
    else
        return fence_err_set(err, -EINVAL, "reason must be no-data-path or exempt");
    return 0;
}

/* A file speaks for its own container and interface only. */
static int check_name(const char *name, const struct fence_endpoint_info *info,
                      struct fence_err *err)
{
    char wanted[sizeof(info->container_id) + sizeof(info->ifname)];

    snprintf(wanted, sizeof(wanted), "%s:%s", info->container_id, info->ifname);
    if (strcmp(name, wanted) == 0)
        return 0;
    return fence_err_set(err, -EINVAL, "its content is for %s", wanted);
}

static int take_all(const char *name, const cJSON *json, struct fence_unenforced_record *record,
                    struct fence_err *err)
{
    struct fence_endpoint_record *endpoint = &record->endpoint;
    int r = take_texts(json, &endpoint->info, err);

    if (r == 0)
        r = check_name(name, &endpoint->info, err);
    if (r == 0)
        r = take_numbers(json, record, err);
    if (r == 0)
        r = take_mac(json, endpoint->endpoint.mac, err);
    if (r == 0)
        r = take_addresses(json, &endpoint->endpoint, err);
    if (r == 0)
        r = take_reason(json, &endpoint->endpoint, err);
    return r;
}

int fence_unenforced_parse(const char *name, const char *text, size_t size,
                           struct fence_unenforced_record *ret_record, struct fence_err *err)
{
    struct fence_unenforced_record record = {0};
    cJSON *json;
    int r;

    if (fence_json_has_nul((struct fence_slice){text, size}))
        return fence_err_set(err, -EINVAL, "it holds a NUL");
    json = fence_json_object(text, size);
    if (!json)
        return fence_err_set(err, -EINVAL, "it is no JSON object");
    r = take_all(name, json, &record, err);
    cJSON_Delete(json);
    if (r == 0)
        *ret_record = record;
    return r;
}
