/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/learn/workloads.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decoders.h"
#include "lib/policy/compiler.h"
#include "lib/policy/lookup.h"

/* In this order, as fence_labels_app shows them. */
static const char *const naming_keys[] = {"app", "app.kubernetes.io/name", "k8s-app"};

int fence_learn_texts_add(struct fence_learn_texts *texts, const char *format, ...)
{
    char *text = NULL;
    va_list list;
    int length;

    if (FENCE_GROW(texts->items, texts->capacity, texts->count) < 0)
        return -ENOMEM;
    va_start(list, format);
    length = vasprintf(&text, format, list);
    va_end(list);
    if (length < 0)
        return -ENOMEM;
    texts->items[texts->count++] = text;
    return 0;
}

void fence_learn_texts_done(struct fence_learn_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
    *texts = (struct fence_learn_texts){0};
}

/* Labels that a release changes tell versions apart, not applications. */
static bool is_of_release(const char *key)
{
    static const char *const keys[] = {"app.kubernetes.io/version", "app.kubernetes.io/managed-by",
                                       "helm.sh/chart"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return fence_label_is_system(key);
}

static const struct fence_labels none;

static const char *naming_key(const struct fence_labels *labels)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(naming_keys); i++) {
        const char *value = fence_labels_get(labels, naming_keys[i]);

        if (value && *value)
            return naming_keys[i];
    }
    return NULL;
}

static bool is_sayable(const char *namespace_name, const struct fence_labels *labels)
{
    if (!fence_name_is_label(namespace_name))
        return false;
    for (size_t i = 0; i < labels->count; i++)
        if (fence_label_key_check(labels->items[i].key, NULL) < 0 ||
            fence_label_value_check(labels->items[i].value, NULL) < 0)
            return false;
    return true;
}

/* matchLabels of the workload: the label that names it, or all that say something. */
static int choose_match(const struct fence_labels *labels, struct fence_labels *match)
{
    const char *key = naming_key(labels);
    int r = 0;

    if (key)
        return fence_labels_set(match, key, fence_labels_get(labels, key));
    for (size_t i = 0; r == 0 && i < labels->count; i++)
        if (!is_of_release(labels->items[i].key))
            r = fence_labels_set(match, labels->items[i].key, labels->items[i].value);
    return r;
}

static int add_absent(struct fence_learn_workload *workload, const char *key)
{
    for (size_t i = 0; i < workload->absent.count; i++)
        if (strcmp(workload->absent.items[i], key) == 0)
            return 0;
    return fence_learn_texts_add(&workload->absent, "%s", key);
}

/* Pods that nothing names: no pod with a name belongs to them. */
static int exclude_named(struct fence_learn_workload *workload)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(naming_keys); i++)
        if (!fence_labels_get(&workload->match, naming_keys[i]))
            r = add_absent(workload, naming_keys[i]);
    return r;
}

static void workload_done(struct fence_learn_workload *workload)
{
    free(workload->namespace_name);
    free(workload->name);
    fence_labels_done(&workload->match);
    fence_learn_texts_done(&workload->absent);
    free(workload->members);
}

static int fill(struct fence_learn_workload *workload, const char *namespace_name,
                const struct fence_labels *labels, const char *key)
{
    int r = choose_match(labels, &workload->match);
    const char *app = key ? fence_labels_get(&workload->match, key) : NULL;

    if (r == 0 && !key)
        r = exclude_named(workload);
    workload->app = app;
    workload->namespace_name = strdup(namespace_name);
    if (app) {
        if (asprintf(&workload->name, "%s/%s", namespace_name, app) < 0)
            workload->name = NULL;
    } else {
        FENCE_FREE char *text = fence_labels_format(&workload->match);

        if (!text || asprintf(&workload->name, "%s/{%s}", namespace_name, text) < 0)
            workload->name = NULL;
    }
    return r == 0 && workload->namespace_name && workload->name ? 0 : -ENOMEM;
}

/* A text that tells workloads apart: no key holds a tab. */
static char *key_text(const char *namespace_name, const struct fence_labels *labels,
                      const char *key)
{
    struct fence_labels match = {0};
    FENCE_FREE char *list = NULL;
    char *text = NULL;

    if (choose_match(labels, &match) == 0)
        list = fence_labels_format(&match);
    fence_labels_done(&match);
    if (!list || asprintf(&text, "%s\t%s\t%s", namespace_name, key ? key : "", list) < 0)
        return NULL;
    return text;
}

static int add_member(struct fence_learn_workload *workload, const struct fence_labels *labels)
{
    for (size_t i = 0; i < workload->member_count; i++)
        if (workload->members[i] == labels || fence_labels_equal(workload->members[i], labels))
            return 0;
    if (fence_array_grow((void **)&workload->members, &workload->member_capacity,
                         workload->member_count, sizeof(void *)) < 0)
        return -ENOMEM;
    workload->members[workload->member_count++] = labels;
    return 0;
}

static int add_workload(struct fence_learn_workloads *workloads,
                        struct fence_learn_workload *workload)
{
    if (FENCE_GROW(workloads->items, workloads->capacity, workloads->count) < 0)
        return -ENOMEM;
    workloads->items[workloads->count++] = *workload;
    *workload = (struct fence_learn_workload){0};
    return 0;
}

int fence_learn_workload_of(struct fence_learn_workloads *workloads, const char *namespace_name,
                            const struct fence_labels *labels, uint32_t *ret_number)
{
    const struct fence_labels *known = labels ? labels : &none;
    const char *key = naming_key(known);
    FENCE_FREE char *text = NULL;
    struct fence_learn_workload workload = {0};
    uint32_t number = 0;
    int r;

    if (!is_sayable(namespace_name, known))
        return -EINVAL;
    text = key_text(namespace_name, known, key);
    if (!text)
        return -ENOMEM;
    if (!fence_intern_find(&workloads->keys, text, strlen(text), &number)) {
        number = (uint32_t)workloads->count;
        r = fill(&workload, namespace_name, known, key);
        if (r == 0)
            r = add_workload(workloads, &workload);
        workload_done(&workload);
        if (r == 0)
            r = fence_intern_put(&workloads->keys, text, strlen(text), number, &number);
        if (r < 0)
            return r;
    }
    r = add_member(&workloads->items[number], known);
    if (r == 0)
        *ret_number = number;
    return r;
}

uint32_t fence_learn_workload_find(const struct fence_learn_workloads *workloads,
                                   const char *namespace_name, const struct fence_labels *labels)
{
    const struct fence_labels *known = labels ? labels : &none;
    FENCE_FREE char *text = key_text(namespace_name, known, naming_key(known));
    uint32_t number = 0;

    if (text && fence_intern_find(&workloads->keys, text, strlen(text), &number))
        return number;
    return FENCE_LEARN_NOBODY;
}

int fence_learn_workloads_add_pods(struct fence_learn_workloads *workloads,
                                   const struct fence_world *world)
{
    struct fence_object_range pods = fence_world_kind(world, FENCE_OBJECT_POD);

    for (size_t i = 0; i < pods.count; i++) {
        const struct fence_object *pod = pods.items[i];
        uint32_t number;
        int r = pod->pod.host_network ? 0
                                      : fence_learn_workload_of(workloads, pod->namespace_name,
                                                                pod->pod.labels, &number);

        if (r == -ENOMEM)
            return r;
    }
    return 0;
}

/* ---- selectors that hold nobody else -------------------------------------------------------- */

static bool holds(const struct fence_learn_workload *workload, const struct fence_labels *labels)
{
    for (size_t i = 0; i < workload->match.count; i++) {
        const char *value = fence_labels_get(labels, workload->match.items[i].key);

        if (!value || strcmp(value, workload->match.items[i].value) != 0)
            return false;
    }
    for (size_t i = 0; i < workload->absent.count; i++)
        if (fence_labels_get(labels, workload->absent.items[i]))
            return false;
    return true;
}

static bool some_member_has(const struct fence_learn_workload *workload, const char *key)
{
    for (size_t i = 0; i < workload->member_count; i++)
        if (fence_labels_get(workload->members[i], key))
            return true;
    return false;
}

/* A label of `labels` that no pod of the workload has; those that name come first. */
static const char *telling_key(const struct fence_learn_workload *workload,
                               const struct fence_labels *labels)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(naming_keys); i++)
        if (fence_labels_get(labels, naming_keys[i]) && !some_member_has(workload, naming_keys[i]))
            return naming_keys[i];
    for (size_t i = 0; i < labels->count; i++)
        if (!is_of_release(labels->items[i].key) &&
            !some_member_has(workload, labels->items[i].key))
            return labels->items[i].key;
    return NULL;
}

/* All pods of the workload have the empty value of a key that names others. */
static int match_empty(struct fence_learn_workload *workload)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(naming_keys); i++) {
        bool all = workload->member_count > 0;

        for (size_t j = 0; all && j < workload->member_count; j++) {
            const char *value = fence_labels_get(workload->members[j], naming_keys[i]);

            all = value && !*value;
        }
        if (all)
            r = fence_labels_set(&workload->match, naming_keys[i], "");
    }
    return r;
}

static int tell_apart(struct fence_learn_workload *workload,
                      const struct fence_learn_workload *other)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < other->member_count; i++) {
        const char *key;

        if (!holds(workload, other->members[i]))
            continue;
        key = telling_key(workload, other->members[i]);
        r = key ? add_absent(workload, key) : match_empty(workload);
    }
    return r;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int fence_learn_workloads_settle(struct fence_learn_workloads *workloads)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < workloads->count; i++) {
        struct fence_learn_workload *workload = &workloads->items[i];

        for (size_t j = 0; r == 0 && j < workloads->count; j++)
            if (j != i && strcmp(workload->namespace_name, workloads->items[j].namespace_name) == 0)
                r = tell_apart(workload, &workloads->items[j]);
        /* setting a label may have moved the texts */
        if (workload->app)
            workload->app = fence_labels_app(&workload->match);
        if (workload->absent.count)
            qsort(workload->absent.items, workload->absent.count, sizeof(char *), by_text);
    }
    return r;
}

void fence_learn_workloads_done(struct fence_learn_workloads *workloads)
{
    for (size_t i = 0; i < workloads->count; i++)
        workload_done(&workloads->items[i]);
    free(workloads->items);
    fence_intern_done(&workloads->keys);
    *workloads = (struct fence_learn_workloads){0};
}

int fence_learn_workload_compare(const struct fence_learn_workload *a,
                                 const struct fence_learn_workload *b)
{
    int order = strcmp(a->namespace_name, b->namespace_name);

    if (order == 0)
        order = strcmp(a->name, b->name);
    if (order == 0 && a->match.count && b->match.count)
        order = strcmp(a->match.items[0].key, b->match.items[0].key);
    return order;
}
