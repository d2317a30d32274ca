/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/result.h"

#include <errno.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"

#define RESULT_KEY "cniVersion"

static int invalid(struct fence_cni_error *error, const char *where, const cJSON *value,
                   const char *expected)
{
    FENCE_FREE char *shown = value ? cJSON_PrintUnformatted(value) : NULL;

    return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "prevResult.%s: %.128s is not %s", where,
                          shown ? shown : "(nothing)", expected);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *value = fence_json_get(object, key);

    return cJSON_IsString(value) ? value->valuestring : "";
}

static int read_interfaces(const cJSON *list, const char *ifname, struct fence_cni_result *result,
                           struct fence_cni_error *error)
{
    const cJSON *item;

    if (list && !cJSON_IsArray(list))
        return invalid(error, "interfaces", list, "a list");
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsObject(item))
            return invalid(error, "interfaces", item, "an object");
        if (*text_of(item, "sandbox") && strcmp(text_of(item, "name"), ifname) == 0)
            result->sandbox = text_of(item, "sandbox");
    }
    result->interfaces = list;
    return 0;
}

/* Whether the address is the pod interface's; -1 when its index leads nowhere. */
static int is_ours(const cJSON *ip, const char *ifname, const struct fence_cni_result *result,
                   struct fence_cni_error *error)
{
    const cJSON *index = fence_json_get(ip, "interface");
    const cJSON *device;
    int count = cJSON_GetArraySize(result->interfaces);

    if (!index)
        return 1;
    if (!cJSON_IsNumber(index) || index->valuedouble < 0 || index->valuedouble >= count ||
        index->valuedouble != (double)(int)index->valuedouble)
        return invalid(error, "ips[].interface", index, "an index in prevResult.interfaces");
    device = cJSON_GetArrayItem(result->interfaces, (int)index->valuedouble);
    return *text_of(device, "sandbox") && strcmp(text_of(device, "name"), ifname) == 0;
}

/* "10.0.0.2/24": the prefix is the network's, the address is what counts. */
static int parse_address(const char *text, struct fence_addr *ret_addr)
{
    struct fence_prefix prefix;
    char host[FENCE_ADDR_TEXT];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : 0;

    if (!slash || length >= sizeof(host) || fence_prefix_parse(text, &prefix, NULL) < 0)
        return -EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    return fence_addr_parse(host, ret_addr);
}

static int add_address(const cJSON *ip, struct fence_cni_result *result,
                       struct fence_cni_error *error)
{
    struct fence_addr addr;

    if (parse_address(text_of(ip, "address"), &addr) < 0)
        return invalid(error, "ips[].address", fence_json_get(ip, "address"),
                       "an address with its prefix length");
    for (size_t i = 0; i < result->addr_count; i++)
        if (fence_addr_equal(&addr, &result->addrs[i]))
            return 0;
    if (result->addr_count == FENCE_ENDPOINT_ADDRS)
        return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG,
                              "prevResult.ips: more than %d addresses for one interface, podfence "
                              "can bind no more",
                              FENCE_ENDPOINT_ADDRS);
    result->addrs[result->addr_count++] = addr;
    return 0;
}

static int read_addresses(const cJSON *list, const char *ifname, struct fence_cni_result *result,
                          struct fence_cni_error *error)
{
    const cJSON *ip;

    if (list && !cJSON_IsArray(list))
        return invalid(error, "ips", list, "a list");
    cJSON_ArrayForEach(ip, list)
    {
        int ours = cJSON_IsObject(ip) ? is_ours(ip, ifname, result, error)
                                      : invalid(error, "ips", ip, "an object");

        if (ours < 0)
            return ours;
        if (ours && add_address(ip, result, error) < 0)
            return -EINVAL;
    }
    return 0;
}

int fence_cni_result_read(const struct fence_netconf *conf, const char *ifname,
                          struct fence_cni_result *ret_result, struct fence_cni_error *error)
{
    struct fence_cni_result result = {0};

    if (!conf->prev_result)
        return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG,
                              "Required prevResult missing: podfence must be called as chained "
                              "plugin, behind the plugin that makes the interface");
    if (read_interfaces(fence_json_get(conf->prev_result, "interfaces"), ifname, &result, error) <
            0 ||
        read_addresses(fence_json_get(conf->prev_result, "ips"), ifname, &result, error) < 0)
        return -EINVAL;
    *ret_result = result;
    return 0;
}

bool fence_cni_result_lists(const struct fence_cni_result *result, const char *host_ifname)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, result->interfaces)
    {
        if (!*text_of(item, "sandbox") && strcmp(text_of(item, "name"), host_ifname) == 0)
            return true;
    }
    return false;
}

/* Text with `part` of it replaced. */
static char *spliced(struct fence_slice text, struct fence_slice part, const char *replacement)
{
    size_t head = (size_t)(part.text - text.text);
    size_t length = strlen(replacement);
    size_t tail = text.size - head - part.size;
    char *out = malloc(head + length + tail + 1);

    if (!out)
        return NULL;
    memcpy(out, text.text, head);
    memcpy(out + head, replacement, length);
    memcpy(out + head + length, part.text + part.size, tail);
    out[head + length + tail] = '\0';
    return out;
}

char *fence_cni_result_text(const struct fence_netconf *conf)
{
    const char *version = text_of(conf->prev_result, RESULT_KEY);
    char replacement[64];
    struct fence_slice whole, part;

    if (!fence_json_slice(conf->json, conf->whole, "prevResult", &whole))
        return NULL;
    if (strcmp(version, conf->version) == 0)
        return strndup(whole.text, whole.size);
    if (fence_json_slice(conf->prev_result, whole, RESULT_KEY, &part)) {
        snprintf(replacement, sizeof(replacement), "\"%s\"", conf->version);
        return spliced(whole, part, replacement);
    }
    snprintf(replacement, sizeof(replacement), "\"" RESULT_KEY "\":\"%s\"%s", conf->version,
             conf->prev_result->child ? "," : "");
    return spliced(whole, (struct fence_slice){whole.text + 1, 0}, replacement);
}
