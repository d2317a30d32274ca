/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/env.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bpf/abi.h"
#include "lib/base/memory.h"

#define IFNAME_MAX 15u

#define BIT(verb)    (1u << (verb))
#define ATTACHMENT   (BIT(FENCE_CNI_ADD) | BIT(FENCE_CNI_CHECK) | BIT(FENCE_CNI_DEL))
#define WITH_NETNS   (BIT(FENCE_CNI_ADD) | BIT(FENCE_CNI_CHECK))
/* the reference library wants it in DEL too; DEL has to do what it can without */
#define WITH_PATH    (WITH_NETNS | BIT(FENCE_CNI_GC) | BIT(FENCE_CNI_STATUS))
#define MISSING_TEXT 128

static const struct {
    const char *name;
    unsigned int required; /* bits of verbs */
    size_t offset;
} variables[] = {
    {"CNI_CONTAINERID", ATTACHMENT, offsetof(struct fence_cni_env, container_id)},
    {"CNI_NETNS", WITH_NETNS, offsetof(struct fence_cni_env, netns)},
    {"CNI_IFNAME", ATTACHMENT, offsetof(struct fence_cni_env, ifname)},
    {"CNI_ARGS", 0, offsetof(struct fence_cni_env, args)},
};

const char *fence_cni_verb_name(enum fence_cni_verb verb)
{
    static const char *const names[] = {
        [FENCE_CNI_ADD] = "ADD", [FENCE_CNI_DEL] = "DEL",       [FENCE_CNI_CHECK] = "CHECK",
        [FENCE_CNI_GC] = "GC",   [FENCE_CNI_STATUS] = "STATUS", [FENCE_CNI_VERSION] = "VERSION",
    };
    _Static_assert(FENCE_ARRAY_SIZE(names) == FENCE_CNI_VERB_COUNT, "a name for each verb");

    return names[verb];
}

static const char *value_of(fence_cni_getenv get, const char *name)
{
    const char *value = get(name);

    return value ? value : "";
}

int fence_cni_verb_read(fence_cni_getenv get, enum fence_cni_verb *ret_verb,
                        struct fence_cni_error *error)
{
    const char *text = value_of(get, "CNI_COMMAND");

    if (!*text)
        return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT,
                              "required env variables [CNI_COMMAND] missing");
    for (unsigned int verb = 0; verb < FENCE_CNI_VERB_COUNT; verb++) {
        if (strcmp(text, fence_cni_verb_name(verb)) == 0) {
            *ret_verb = verb;
            return 0;
        }
    }
    return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT, "unknown CNI_COMMAND: %.64s", text);
}

static void note_missing(char missing[MISSING_TEXT], const char *name)
{
    size_t used = strlen(missing);

    snprintf(missing + used, MISSING_TEXT - used, "%s%s", used ? "," : "", name);
}

bool fence_cni_is_name(const char *text)
{
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;

        if (!isascii(c) || !(isalnum(c) || (at != text && strchr("_.-", c))))
            return false;
    }
    return *text != '\0';
}

static int check_container_id(const char *id, struct fence_cni_error *error)
{
    if (!fence_cni_is_name(id)) {
        fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT, "invalid characters in containerID");
        return fence_cni_details(error, "%.256s", id);
    }
    if (strlen(id) >= FENCE_CONTAINER_ID_MAX)
        return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT,
                              "CNI_CONTAINERID has %zu characters, podfence can keep %d",
                              strlen(id), FENCE_CONTAINER_ID_MAX - 1);
    return 0;
}

static int check_ifname(const char *name, struct fence_cni_error *error)
{
    if (strlen(name) > IFNAME_MAX) {
        fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT, "interface name is too long");
        return fence_cni_details(error, "interface name should be less than %u characters",
                                 IFNAME_MAX + 1);
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT, "interface name is . or ..");
    if (strpbrk(name, "/: \t\n\v\f\r"))
        return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT,
                              "interface name contains / or : or whitespace characters");
    return 0;
}

static bool is_true(const char *text)
{
    return strcmp(text, "1") == 0 || strcasecmp(text, "true") == 0;
}

int fence_cni_env_read(fence_cni_getenv get, enum fence_cni_verb verb,
                       struct fence_cni_env *ret_env, struct fence_cni_error *error)
{
    struct fence_cni_env env = {.verb = verb};
    char missing[MISSING_TEXT] = "";
    int r = 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(variables); i++) {
        const char *value = value_of(get, variables[i].name);

        *(const char **)((char *)&env + variables[i].offset) = value;
        if (!*value && (variables[i].required & BIT(verb)))
            note_missing(missing, variables[i].name);
    }
    if ((WITH_PATH & BIT(verb)) && !*value_of(get, "CNI_PATH"))
        note_missing(missing, "CNI_PATH");
    if (*missing)
        return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT,
                              "required env variables [%s] missing", missing);
    env.netns_override = is_true(value_of(get, "CNI_NETNS_OVERRIDE"));
    if (ATTACHMENT & BIT(verb)) {
        r = check_container_id(env.container_id, error);
        if (r == 0)
            r = check_ifname(env.ifname, error);
    }
    if (r < 0)
        return r;
    *ret_env = env;
    return 0;
}
