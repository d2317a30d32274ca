/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/args.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "lib/base/memory.h"

#define FIELD(member)                                                                              \
    offsetof(struct fence_cni_args, member), sizeof(((struct fence_cni_args *)NULL)->member)

/* Size 0: known, but not kept. */
static const struct {
    const char *key;
    size_t offset;
    size_t size;
} known[] = {
    {"K8S_POD_NAMESPACE", FIELD(namespace_name)},
    {"K8S_POD_NAME", FIELD(pod)},
    {"K8S_POD_UID", FIELD(uid)},
    {"K8S_POD_INFRA_CONTAINER_ID", 0, 0},
};

struct parsing {
    struct fence_cni_args args;
    bool ignore_unknown;
    struct fence_err unknown; /* the first unknown pair */
};

static int parse_bool(const char *text, bool *ret_value)
{
    if (strcmp(text, "1") == 0 || strcasecmp(text, "true") == 0)
        *ret_value = true;
    else if (strcmp(text, "0") == 0 || strcasecmp(text, "false") == 0)
        *ret_value = false;
    else
        return -EINVAL;
    return 0;
}

static int keep(struct parsing *parsing, size_t index, const char *value,
                struct fence_cni_error *error)
{
    size_t length = strlen(value);

    if (!known[index].size)
        return 0;
    if (length >= known[index].size)
        return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT,
                              "ARGS: %s has %zu characters, at most %zu are allowed",
                              known[index].key, length, known[index].size - 1);
    memcpy((char *)&parsing->args + known[index].offset, value, length + 1);
    return 0;
}

static int take_pair(struct parsing *parsing, char *pair, struct fence_cni_error *error)
{
    char *value = strchr(pair, '=');

    if (!value || strchr(value + 1, '='))
        return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT,
                              "ARGS: invalid pair \"%.128s\": KEY=VALUE is expected", pair);
    *value++ = '\0';
    if (strcmp(pair, "IgnoreUnknown") == 0) {
        if (parse_bool(value, &parsing->ignore_unknown) < 0)
            return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT,
                                  "ARGS: error parsing value of pair \"%s=%.64s\": boolean "
                                  "unmarshal error: invalid input %.64s",
                                  pair, value, value);
        return 0;
    }
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(known); i++)
        if (strcmp(pair, known[i].key) == 0)
            return keep(parsing, i, value, error);
    if (!parsing->unknown.text[0])
        fence_err_set(&parsing->unknown, 0, "%.128s=%.128s", pair, value);
    return 0;
}

static int take_pairs(struct parsing *parsing, char *text, struct fence_cni_error *error)
{
    char *pair;
    int r = 0;

    while (r == 0 && (pair = strsep(&text, ";")))
        r = take_pair(parsing, pair, error);
    return r;
}

int fence_cni_args_parse(const char *text, struct fence_cni_args *ret_args,
                         struct fence_cni_error *error)
{
    char *copy = strdup(text);
    struct parsing parsing = {0};
    int r;

    if (!copy)
        return fence_cni_fail(error, FENCE_CNI_INTERNAL, "out of memory");
    r = *copy ? take_pairs(&parsing, copy, error) : 0;
    free(copy);
    if (r < 0)
        return r;
    if (parsing.unknown.text[0] && !parsing.ignore_unknown)
        return fence_cni_fail(error, FENCE_CNI_BAD_ENVIRONMENT,
                              "ARGS: unknown args [\"%s\"] (and IgnoreUnknown is not set)",
                              parsing.unknown.text);
    *ret_args = parsing.args;
    return 0;
}
