/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/netconf.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "lib/base/memory.h"
#include "lib/cni/env.h"

#define BPFFS_MAX  200u
#define SOCKET_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

#define START_MODES      "\"hold\", \"closed\" or \"open\""
#define FAILURE_POLICIES "\"closed\" or \"open\""
#define LOG_LEVELS       "\"error\", \"warning\", \"info\" or \"debug\""

static const char *const start_modes[] = {
    [FENCE_START_HOLD] = "hold",
    [FENCE_START_CLOSED] = "closed",
    [FENCE_START_OPEN] = "open",
};
static const char *const failure_policies[] = {"closed", "open"};
static const char *const log_levels[] = {
    [FENCE_LOG_ERROR] = "error",
    [FENCE_LOG_WARNING] = "warning",
    [FENCE_LOG_INFO] = "info",
    [FENCE_LOG_DEBUG] = "debug",
};

/* Key and value and what would be right. */
static int refuse(struct fence_cni_error *error, const char *key, const cJSON *value,
                  const char *allowed)
{
    FENCE_FREE char *shown = cJSON_PrintUnformatted(value);

    return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "\"%s\": %.128s is not allowed, use %s",
                          key, shown ? shown : "the value", allowed);
}

/* What others hand over (annotations, say) may hold secrets: its type alone goes into a log. */
static int refuse_foreign(struct fence_cni_error *error, const cJSON *value, const char *allowed)
{
    const char *type = "a boolean";

    if (cJSON_IsString(value))
        type = "a string";
    else if (cJSON_IsNumber(value))
        type = "a number";
    else if (cJSON_IsArray(value))
        type = "a list";
    return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "\"%s\": %s is not allowed, use %s",
                          value->string, type, allowed);
}

static int choose(const cJSON *value, const char *const *names, size_t count,
                  unsigned int *ret_choice)
{
    for (size_t i = 0; cJSON_IsString(value) && i < count; i++) {
        if (strcmp(value->valuestring, names[i]) == 0) {
            *ret_choice = (unsigned int)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* ---- one function a key --------------------------------------------------------------------- */

static int take_start_mode(struct fence_netconf *conf, const cJSON *value,
                           struct fence_cni_error *error)
{
    unsigned int mode;

    if (choose(value, start_modes, FENCE_ARRAY_SIZE(start_modes), &mode) < 0)
        return refuse(error, value->string, value, START_MODES);
    conf->start_mode = mode;
    return 0;
}

static int take_start_modes(struct fence_netconf *conf, const cJSON *value,
                            struct fence_cni_error *error)
{
    const cJSON *member;
    unsigned int mode;

    if (!cJSON_IsObject(value))
        return refuse(error, value->string, value, "an object of namespace to " START_MODES);
    cJSON_ArrayForEach(member, value)
    {
        if (choose(member, start_modes, FENCE_ARRAY_SIZE(start_modes), &mode) < 0) {
            refuse(error, member->string, member, START_MODES);
            fence_err_prefix(&error->msg, 0, "\"%s\"", value->string);
            return -EINVAL;
        }
    }
    conf->start_modes = value;
    return 0;
}

static int take_hold_timeout(struct fence_netconf *conf, const cJSON *value,
                             struct fence_cni_error *error)
{
    double ms = cJSON_IsNumber(value) ? value->valuedouble : -1;

    if (!(ms >= 0 && ms <= FENCE_HOLD_TIMEOUT_MAX_MS) || ms != (double)(unsigned int)ms)
        return refuse(error, value->string, value, "a whole number from 0 to 60000");
    conf->hold_timeout_ms = (unsigned int)ms;
    return 0;
}

static int take_exempt(struct fence_netconf *conf, const cJSON *value,
                       struct fence_cni_error *error)
{
    const cJSON *name;

    if (!cJSON_IsArray(value))
        return refuse(error, value->string, value, "a list of namespaces");
    cJSON_ArrayForEach(name, value)
    {
        if (!cJSON_IsString(name) || !name->valuestring[0])
            return refuse(error, value->string, name, "names of namespaces");
    }
    conf->exempt_namespaces = value;
    return 0;
}

static int take_failure_policy(struct fence_netconf *conf, const cJSON *value,
                               struct fence_cni_error *error)
{
    unsigned int choice;

    if (choose(value, failure_policies, FENCE_ARRAY_SIZE(failure_policies), &choice) < 0)
        return refuse(error, value->string, value, FAILURE_POLICIES);
    conf->fail_open = choice == 1;
    return 0;
}

static int take_log_level(struct fence_netconf *conf, const cJSON *value,
                          struct fence_cni_error *error)
{
    unsigned int level;

    if (choose(value, log_levels, FENCE_ARRAY_SIZE(log_levels), &level) < 0)
        return refuse(error, value->string, value, LOG_LEVELS);
    conf->log_level = level;
    return 0;
}

static bool is_path(const cJSON *value, size_t max)
{
    return cJSON_IsString(value) && value->valuestring[0] == '/' &&
           strlen(value->valuestring) <= max;
}

static int take_bpffs(struct fence_netconf *conf, const cJSON *value, struct fence_cni_error *error)
{
    if (!is_path(value, BPFFS_MAX))
        return refuse(error, value->string, value, "an absolute path of at most 200 characters");
    conf->bpffs = value->valuestring;
    return 0;
}

static int take_socket(struct fence_netconf *conf, const cJSON *value,
                       struct fence_cni_error *error)
{
    if (!is_path(value, SOCKET_MAX))
        return refuse(error, value->string, value, "an absolute path of at most 107 characters");
    conf->socket = value->valuestring;
    return 0;
}

/* The runtime's own; null is as good as absent there. */
static int take_object(struct fence_netconf *conf, const cJSON *value,
                       struct fence_cni_error *error)
{
    (void)conf;
    return cJSON_IsObject(value) || cJSON_IsNull(value) ? 0
                                                        : refuse_foreign(error, value, "an object");
}

static int take_prev_result(struct fence_netconf *conf, const cJSON *value,
                            struct fence_cni_error *error)
{
    if (cJSON_IsNull(value))
        return 0;
    if (!cJSON_IsObject(value))
        return refuse_foreign(error, value, "the result of the plugin before, an object");
    conf->prev_result = value;
    return 0;
}

static int take_type(struct fence_netconf *conf, const cJSON *value, struct fence_cni_error *error)
{
    (void)conf;
    return cJSON_IsString(value) ? 0
                                 : refuse(error, value->string, value, "the name of this program");
}

/* ---- the table ------------------------------------------------------------------------------ */

/* bpffs and socket come first: DEL works with what was taken over before a failure. */
static const struct {
    const char *key;
    int (*take)(struct fence_netconf *conf, const cJSON *value, struct fence_cni_error *error);
    bool foreign;     /* content of somebody else: may hold whatever JSON may hold */
    const char *help; /* NULL = not podfence's own */
} keys[] = {
    {"bpffs", take_bpffs, false, "where the data path is pinned [/sys/fs/bpf/podfence]"},
    {"socket", take_socket, false, "the daemon's socket [/run/podfence/podfenced.sock]"},
    {"logLevel", take_log_level, false,
     "error, warning, info or debug: what is said on standard error [info]"},
    {"startMode", take_start_mode, false,
     "hold: ADD waits until the pod's policy is in force, at most holdTimeoutMs, then goes on\n"
     "as closed; closed: it returns at once, the pod is closed until it is resolved; open: the\n"
     "same, but open until then [hold]"},
    {"startModes", take_start_modes, false,
     "start mode by namespace: {\"kube-system\": \"closed\"} [{}]"},
    {"holdTimeoutMs", take_hold_timeout, false,
     "how long ADD waits, in milliseconds, at most 60000 [2000]"},
    {"exemptNamespaces", take_exempt, false,
     "pods of these are let through unenforced, listed and counted [[]]"},
    {"failurePolicy", take_failure_policy, false,
     "without a pinned data path (podfenced has never run since boot): closed: ADD answers\n"
     "\"try again later\"; open: the pod starts unenforced, which is recorded, and the daemon\n"
     "enrols it when it comes [closed]"},
    {"type", take_type, false, NULL},
    {"args", take_object, false, NULL},
    {"capabilities", take_object, true, NULL},
    {"runtimeConfig", take_object, true, NULL},
    {"prevResult", take_prev_result, true, NULL},
};

void fence_netconf_describe(void (*row)(void *context, const char *key, const char *help),
                            void *context)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys); i++)
        if (keys[i].help)
            row(context, keys[i].key, keys[i].help);
}

/* Keys of the CNI specification and of libcni that mean nothing to podfence. */
static const char *const standard_keys[] = {
    "cniVersion",   "cniVersions", "name",
    "ipam",         "dns",         "ipMasq",
    "disableCheck", "disableGC",   "loadOnlyInlinedPlugins",
};

static int check_once(const struct fence_netconf *conf, const char *key,
                      struct fence_cni_error *error)
{
    if (fence_json_count(conf->json, key) > 1)
        return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "\"%s\" is given twice", key);
    return 0;
}

static int check_text(const struct fence_netconf *conf, const char *key,
                      struct fence_cni_error *error)
{
    struct fence_slice slice;

    if (check_once(conf, key, error) < 0)
        return -EINVAL;
    if (fence_json_slice(conf->json, conf->whole, key, &slice) && fence_json_has_nul(slice))
        return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG,
                              "\"%s\" holds a NUL character, which no value may", key);
    return 0;
}

static int load_name(struct fence_netconf *conf, struct fence_cni_error *error)
{
    const cJSON *name = fence_json_get(conf->json, "name");
    int r = check_text(conf, "name", error);

    if (r < 0)
        return r;
    if (name && !cJSON_IsString(name))
        return refuse(error, "name", name, "the network's name, a string");
    if (!name || !name->valuestring[0])
        return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "missing network name");
    if (!fence_cni_is_name(name->valuestring)) {
        fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "invalid characters found in network name");
        return fence_cni_details(error, "%.256s", name->valuestring);
    }
    if (strlen(name->valuestring) >= FENCE_NETWORK_MAX)
        return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG,
                              "\"name\" has %zu characters, at most %d are allowed",
                              strlen(name->valuestring), FENCE_NETWORK_MAX - 1);
    conf->name = name->valuestring;
    return 0;
}

static int load_version(struct fence_netconf *conf, struct fence_cni_error *error)
{
    const cJSON *version = fence_json_get(conf->json, "cniVersion");
    int r = check_text(conf, "cniVersion", error);

    if (r < 0)
        return r;
    if (version && !cJSON_IsString(version))
        return refuse(error, "cniVersion", version, "a version, a string");
    conf->version = version ? version->valuestring : NULL;
    return 0;
}

int fence_netconf_load(const char *text, size_t size, struct fence_netconf *ret_conf,
                       struct fence_cni_error *error)
{
    struct fence_netconf conf = {
        .json = fence_json_object(text, size),
        .whole = {text, size},
        .hold_timeout_ms = FENCE_HOLD_TIMEOUT_DEFAULT_MS,
        .log_level = FENCE_LOG_INFO,
    };
    int r;

    if (!conf.json)
        return fence_cni_fail(error, FENCE_CNI_DECODING_FAILURE,
                              "error unmarshall network config: standard input is not one valid "
                              "JSON object");
    r = load_version(&conf, error);
    if (r == 0)
        r = load_name(&conf, error);
    if (r < 0) {
        fence_netconf_done(&conf);
        return r;
    }
    *ret_conf = conf;
    return 0;
}

void fence_netconf_done(struct fence_netconf *conf)
{
    cJSON_Delete(conf->json);
    *conf = (struct fence_netconf){0};
}

int fence_netconf_settings(struct fence_netconf *conf, struct fence_cni_error *error)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys); i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(conf->json, keys[i].key);

        if (!value)
            continue;
        if ((keys[i].foreign ? check_once : check_text)(conf, keys[i].key, error) < 0 ||
            keys[i].take(conf, value, error) < 0)
            return -EINVAL;
    }
    return 0;
}

static bool is_known(const char *key)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys); i++)
        if (strcmp(key, keys[i].key) == 0)
            return true;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(standard_keys); i++)
        if (strcmp(key, standard_keys[i]) == 0)
            return true;
    return strncmp(key, "cni.dev/", strlen("cni.dev/")) == 0;
}

void fence_netconf_unknown_keys(const cJSON *entry, void (*report)(void *context, const char *key),
                                void *context)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, entry)
    {
        if (!is_known(member->string))
            report(context, member->string);
    }
}

enum fence_start_mode fence_netconf_start_mode(const struct fence_netconf *conf,
                                               const char *namespace_name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(conf->start_modes, namespace_name);
    unsigned int mode;

    if (choose(value, start_modes, FENCE_ARRAY_SIZE(start_modes), &mode) < 0)
        return conf->start_mode;
    return mode;
}

bool fence_netconf_is_exempt(const struct fence_netconf *conf, const char *namespace_name)
{
    const cJSON *name;

    cJSON_ArrayForEach(name, conf->exempt_namespaces)
    {
        if (strcmp(name->valuestring, namespace_name) == 0)
            return true;
    }
    return false;
}
