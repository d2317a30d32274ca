/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/cni/netconf.h"

#define ANNOTATIONS "io.kubernetes.cri.pod-annotations"
#define ANNOTATION  "podfence.io/labels"
#define LIMIT       "kubernetes.io/egress-bandwidth"
#define ARGS_LABELS "args.cni.labels"
#define ARGS_LABELS_FORM                                                                           \
    ARGS_LABELS " is a list of {\"key\": ..., \"value\": ...} or an object of strings"

static int add_label(struct fence_labels *labels, const char *key, const char *value,
                     struct fence_err *err)
{
    int r = fence_label_key_check(key, err);

    if (r == 0)
        r = fence_label_value_check(value, err);
    if (r < 0)
        return fence_err_prefix(err, r, "label %.128s", key);
    if (fence_labels_get(labels, key))
        return fence_err_set(err, -EINVAL, "label %s is given twice", key);
    r = fence_labels_set(labels, key, value);
    return r < 0 ? fence_err_set(err, r, "out of memory") : 0;
}

/* In a list { "key": k, "value": v }, in an object the member k: v. */
static int take_label(struct fence_labels *labels, const cJSON *item, bool in_list,
                      struct fence_err *err)
{
    const cJSON *value = in_list ? fence_json_get(item, "value") : item;
    const cJSON *key = in_list ? fence_json_get(item, "key") : NULL;

    if (!cJSON_IsString(value) || (in_list && !cJSON_IsString(key)))
        return fence_err_set(err, -EINVAL, ARGS_LABELS_FORM);
    return add_label(labels, in_list ? key->valuestring : item->string, value->valuestring, err);
}

static int from_args(const cJSON *given, struct fence_labels *labels, struct fence_err *err)
{
    const cJSON *item;
    int r;

    if (!cJSON_IsArray(given) && !cJSON_IsObject(given))
        return fence_err_set(err, -EINVAL, ARGS_LABELS_FORM);
    cJSON_ArrayForEach(item, given)
    {
        r = take_label(labels, item, cJSON_IsArray(given), err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int from_annotation(const cJSON *given, struct fence_labels *labels, struct fence_err *err)
{
    if (!cJSON_IsString(given))
        return fence_err_set(err, -EINVAL, "is not a string");
    return fence_labels_parse(given->valuestring, labels, err);
}

static int render(const struct fence_labels *labels, char text[FENCE_LABELS_MAX],
                  struct fence_err *err)
{
    FENCE_FREE char *all = fence_labels_format(labels);

    if (!all)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (strlen(all) >= FENCE_LABELS_MAX)
        return fence_err_set(err, -E2BIG,
                             "the labels have %zu characters together, at most %d are allowed",
                             strlen(all), FENCE_LABELS_MAX - 1);
    memcpy(text, all, strlen(all) + 1);
    return 0;
}

int fence_netconf_labels(const struct fence_netconf *conf, char ret_text[FENCE_LABELS_MAX],
                         enum fence_label_source *ret_source, struct fence_cni_error *error)
{
    const cJSON *args =
        fence_json_get(fence_json_get(fence_json_get(conf->json, "args"), "cni"), "labels");
    const cJSON *annotation = fence_json_get(
        fence_json_get(fence_json_get(conf->json, "runtimeConfig"), ANNOTATIONS), ANNOTATION);
    struct fence_labels labels = {0};
    struct fence_err err = {0};
    int r = 0;

    if (args)
        r = from_args(args, &labels, &err);
    else if (annotation)
        r = from_annotation(annotation, &labels, &err);
    if (r == 0)
        r = render(&labels, ret_text, &err);
    fence_labels_done(&labels);
    if (r < 0)
        return fence_cni_fail(error, FENCE_CNI_INVALID_CONFIG, "%s: %s",
                              args ? ARGS_LABELS : "annotation " ANNOTATION, err.text);
    *ret_source = FENCE_LABELS_NONE;
    if (args)
        *ret_source = FENCE_LABELS_ARGS;
    else if (annotation)
        *ret_source = FENCE_LABELS_ANNOTATION;
    return 0;
}

bool fence_netconf_is_limited(const struct fence_netconf *conf)
{
    const cJSON *runtime = fence_json_get(conf->json, "runtimeConfig");

    return fence_json_get(fence_json_get(runtime, ANNOTATIONS), LIMIT) ||
           fence_json_get(fence_json_get(runtime, "bandwidth"), "egressRate");
}
