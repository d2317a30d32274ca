/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/cache.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/cni/env.h"
#include "lib/cni/result.h"

#define KIND "cniCacheV1"
#define TYPE "podfence"

/* Interface names, as the kernel has them. */
static bool is_ifname(const char *text)
{
    return *text && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
           !strpbrk(text, "/: \t\n\v\f\r");
}

static bool is_path(const char *text)
{
    return *text == '/';
}

static int take_text(const char *what, const char *text, char *to, size_t size,
                     struct fence_err *err)
{
    if (!text || strlen(text) >= size)
        return fence_err_set(err, -EINVAL, "%s must be a text of at most %zu bytes", what,
                             size - 1);
    memcpy(to, text, strlen(text) + 1);
    return 0;
}

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(fence_json_get(object, key));
}

/* ---- the chain ------------------------------------------------------------------------------ */

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* RFC 4648 with padding, as Go writes bytes. NULL: it is none, or out of memory. */
static char *decode_base64(const char *text, size_t *ret_size)
{
    size_t length = strlen(text), size = 0, digits = length;
    FENCE_FREE char *bytes = malloc(length / 4 * 3 + 1);
    unsigned int bits = 0;

    while (digits && length - digits < 2 && text[digits - 1] == '=')
        digits--;
    if (!bytes || length % 4)
        return NULL;
    for (size_t i = 0; i < digits; i++) {
        int value = sextet(text[i]);

        if (value < 0)
            return NULL;
        bits = bits << 6 | (unsigned int)value;
        if (i % 4)
            bytes[size++] = (char)(bits >> (6 - i % 4 * 2) & 0xff);
    }
    bytes[size] = '\0';
    *ret_size = size;
    return TAKE_PTR(bytes);
}

/* The configuration as the runtime had it: a list of plugins, or one plugin alone. */
static cJSON *decode_config(const cJSON *cache)
{
    const char *text = text_of(cache, "config");
    FENCE_FREE char *bytes = NULL;
    size_t size = 0;

    if (text)
        bytes = decode_base64(text, &size);
    if (!bytes || fence_json_has_nul((struct fence_slice){bytes, size}))
        return NULL;
    return fence_json_object(bytes, size);
}

static bool is_our_entry(const cJSON *plugin)
{
    const char *type = text_of(plugin, "type");

    return type && strcmp(type, TYPE) == 0;
}

static const cJSON *find_our_entry(const cJSON *config)
{
    const cJSON *plugin;

    cJSON_ArrayForEach(plugin, fence_json_get(config, "plugins"))
    {
        if (is_our_entry(plugin))
            return plugin;
    }
    return is_our_entry(config) ? config : NULL;
}

/* Outside Kubernetes a container is in the namespace "default", as the plugin has it. */
static bool is_exempt(const cJSON *entry, const char *namespace_name)
{
    const cJSON *name;

    if (!*namespace_name)
        namespace_name = "default";

    cJSON_ArrayForEach(name, fence_json_get(entry, "exemptNamespaces"))
    {
        if (cJSON_IsString(name) && strcmp(name->valuestring, namespace_name) == 0)
            return true;
    }
    return false;
}

/* As the plugin would have read them; what it would have refused counts as none. */
static void take_labels(const cJSON *cache, const cJSON *entry, struct fence_cni_cached *cached)
{
    struct fence_netconf conf = {.json = cJSON_CreateObject()};
    const cJSON *args = fence_json_get(entry, "args");
    const cJSON *capabilities = fence_json_get(cache, "capabilityArgs");
    struct fence_cni_error error = {0};

    if (args)
        cJSON_AddItemToObject(conf.json, "args", cJSON_Duplicate(args, true));
    if (capabilities)
        cJSON_AddItemToObject(conf.json, "runtimeConfig", cJSON_Duplicate(capabilities, true));
    if (fence_netconf_labels(&conf, cached->labels, &cached->label_source, &error) < 0)
        cached->labels[0] = '\0';
    cJSON_Delete(conf.json);
}

static void take_chain(const cJSON *cache, struct fence_cni_cached *cached)
{
    cJSON *config = decode_config(cache);
    const cJSON *entry = find_our_entry(config);

    cached->chained = entry != NULL;
    cached->exempt = is_exempt(entry, cached->args.namespace_name);
    take_labels(cache, entry, cached);
    cJSON_Delete(config);
}

/* ---- who ------------------------------------------------------------------------------------ */

#define ARG(member)                                                                                \
    offsetof(struct fence_cni_args, member), sizeof(((struct fence_cni_args *)NULL)->member)

static const struct {
    const char *key;
    size_t offset;
    size_t size;
} args[] = {
    {"K8S_POD_NAMESPACE", ARG(namespace_name)},
    {"K8S_POD_NAME", ARG(pod)},
    {"K8S_POD_UID", ARG(uid)},
};

/* [["KEY", "VALUE"], ...]; the last of equal keys wins. */
static int take_args(const cJSON *list, struct fence_cni_args *ret_args, struct fence_err *err)
{
    const cJSON *pair;

    if (list && !cJSON_IsArray(list))
        return fence_err_set(err, -EINVAL, "cniArgs must be a list of pairs");
    cJSON_ArrayForEach(pair, list)
    {
        const char *key = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0));
        const char *value = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1));

        if (!key || !value || cJSON_GetArraySize(pair) != 2)
            return fence_err_set(err, -EINVAL, "cniArgs must be a list of pairs of texts");
        for (size_t i = 0; i < FENCE_ARRAY_SIZE(args); i++)
            if (strcmp(key, args[i].key) == 0 &&
                take_text(key, value, (char *)ret_args + args[i].offset, args[i].size, err) < 0)
                return -EINVAL;
    }
    return 0;
}

static int check(const char *what, const char *text, bool (*is_good)(const char *text),
                 struct fence_err *err)
{
    return is_good(text) ? 0 : fence_err_set(err, -EINVAL, "%s \"%s\" is not valid", what, text);
}

static int take_names(const cJSON *cache, struct fence_cni_cached *cached, struct fence_err *err)
{
    const char *netns = text_of(cache, "netns");
    int r = take_text("containerId", text_of(cache, "containerId"), cached->container_id,
                      sizeof(cached->container_id), err);

    if (r == 0)
        r = take_text("ifName", text_of(cache, "ifName"), cached->ifname, sizeof(cached->ifname),
                      err);
    if (r == 0)
        r = take_text("networkName", text_of(cache, "networkName"), cached->network,
                      sizeof(cached->network), err);
    if (r == 0)
        r = take_text("netns", netns ? netns : "", cached->netns, sizeof(cached->netns), err);
    return r;
}

/* ---- the result ----------------------------------------------------------------------------- */

/*
 * "ips" of a result of CNI 0.2.0 or 0.1.0, which has "ip4" and "ip6" instead, each with one
 * address; NULL: it has neither. The caller's. A pod may have one from before its network's list
 * was given a version that podfence speaks.
 */
static cJSON *ips_of_old(const cJSON *result)
{
    static const char *const families[] = {"ip4", "ip6"};
    cJSON *ips = NULL;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(families); i++) {
        const cJSON *of = cJSON_GetObjectItemCaseSensitive(result, families[i]);
        cJSON *ip = of ? cJSON_CreateObject() : NULL;

        if (!ip)
            continue;
        if (!ips)
            ips = cJSON_CreateArray();
        cJSON_AddItemToObject(ip, "address", cJSON_Duplicate(fence_json_get(of, "ip"), true));
        cJSON_AddItemToArray(ips, ip);
    }
    return ips;
}

static int read_result(const cJSON *result, struct fence_cni_cached *cached, struct fence_err *err)
{
    const struct fence_netconf conf = {.prev_result = result};
    struct fence_cni_result read = {0};
    struct fence_cni_error error = {0};

    if (fence_cni_result_read(&conf, cached->ifname, &read, &error) < 0)
        return fence_err_set(err, -EINVAL, "result: %s", error.msg.text);
    memcpy(cached->addrs, read.addrs, sizeof(cached->addrs));
    cached->addr_count = read.addr_count;
    return 0;
}

static int take_result(const cJSON *result, struct fence_cni_cached *cached, struct fence_err *err)
{
    cJSON *ips, *modern;
    int r;

    if (!cJSON_IsObject(result))
        return fence_err_set(err, -EINVAL, "result must be an object");
    ips = fence_json_get(result, "ips") ? NULL : ips_of_old(result);
    if (!ips)
        return read_result(result, cached, err);
    modern = cJSON_CreateObject();
    cJSON_AddItemToObject(modern, "ips", ips);
    r = read_result(modern, cached, err);
    cJSON_Delete(modern);
    return r;
}

static bool ends_in(const char *name, const char *ifname)
{
    size_t length = strlen(name), tail = strlen(ifname);

    return tail && length > tail + 1 && name[length - tail - 1] == '-' &&
           strcmp(name + length - tail, ifname) == 0;
}

/*
 * A bare result does not say whose it is: the file's name does, <network>-<container>-<interface>,
 * where each part may hold a '-'. The interface is one of those that the result puts in a sandbox;
 * a container ID of a runtime has none.
 */
static int take_bare_names(const char *name, const cJSON *result, struct fence_cni_cached *cached,
                           struct fence_err *err)
{
    const cJSON *device;
    char rest[FENCE_NETWORK_MAX + FENCE_CONTAINER_ID_MAX];
    char *dash = NULL;

    cJSON_ArrayForEach(device, fence_json_get(result, "interfaces"))
    {
        const char *ifname = text_of(device, "name"), *sandbox = text_of(device, "sandbox");

        if (!ifname || !sandbox || !*sandbox || !ends_in(name, ifname))
            continue;
        if (take_text("sandbox", sandbox, cached->netns, sizeof(cached->netns), err) < 0 ||
            take_text("name", ifname, cached->ifname, sizeof(cached->ifname), err) < 0)
            return -EINVAL;
    }
    if (!*cached->ifname || strlen(name) >= sizeof(rest) + strlen(cached->ifname))
        return fence_err_set(err, -EINVAL,
                             "it is neither " KIND " nor the result for an interface in a sandbox "
                             "that the file's name ends in");
    snprintf(rest, sizeof(rest), "%.*s", (int)(strlen(name) - strlen(cached->ifname) - 1), name);
    dash = strrchr(rest, '-');
    if (!dash)
        return fence_err_set(err, -EINVAL, "its name is not NETWORK-CONTAINER-INTERFACE");
    *dash = '\0';
    if (take_text("network name", rest, cached->network, sizeof(cached->network), err) < 0)
        return -EINVAL;
    return take_text("container ID", dash + 1, cached->container_id, sizeof(cached->container_id),
                     err);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* A file speaks for its own attachment only. */
static int check_names(const char *name, const struct fence_cni_cached *cached,
                       struct fence_err *err)
{
    char wanted[sizeof(cached->network) + sizeof(cached->container_id) + sizeof(cached->ifname)];
    int r = check("container ID", cached->container_id, fence_cni_is_name, err);

    if (r == 0)
        r = check("network name", cached->network, fence_cni_is_name, err);
    if (r == 0)
        r = check("interface", cached->ifname, is_ifname, err);
    if (r == 0 && *cached->netns)
        r = check("netns", cached->netns, is_path, err);
    if (r < 0)
        return r;
    snprintf(wanted, sizeof(wanted), "%s-%s-%s", cached->network, cached->container_id,
             cached->ifname);
    if (strcmp(name, wanted) == 0)
        return 0;
    return fence_err_set(err, -EINVAL, "its content is for %s", wanted);
}

static int take_all(const char *name, const cJSON *json, struct fence_cni_cached *cached,
                    struct fence_err *err)
{
    const char *kind = text_of(json, "kind");
    const bool bare = !kind || strcmp(kind, KIND) != 0;
    int r;

    cached->bare = bare;
    r = bare ? take_bare_names(name, json, cached, err) : take_names(json, cached, err);

    if (r == 0)
        r = check_names(name, cached, err);
    if (r == 0 && !bare)
        r = take_args(fence_json_get(json, "cniArgs"), &cached->args, err);
    if (r == 0)
        r = take_result(bare ? json : fence_json_get(json, "result"), cached, err);
    if (r == 0 && !bare)
        take_chain(json, cached);
    return r;
}

int fence_cni_cached_parse(const char *name, const char *text, size_t size,
                           struct fence_cni_cached *ret_cached, struct fence_err *err)
{
    struct fence_cni_cached cached = {0};
    cJSON *json;
    int r;

    if (fence_json_has_nul((struct fence_slice){text, size}))
        return fence_err_set(err, -EINVAL, "it holds a NUL");
    json = fence_json_object(text, size);
    if (!json)
        return fence_err_set(err, -EINVAL, "it is no JSON object");
    r = take_all(name, json, &cached, err);
    cJSON_Delete(json);
    if (r == 0)
        *ret_cached = cached;
    return r;
}
