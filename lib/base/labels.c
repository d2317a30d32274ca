/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/labels.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"

#define PREFIX_MAX 253u
#define NAME_MAX_  63u
#define VALUE_MAX  63u

void fence_labels_done(struct fence_labels *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        free(labels->items[i].key);
        free(labels->items[i].value);
    }
    free(labels->items);
    *labels = (struct fence_labels){0};
}

/* The label of that key, or NULL and where it belongs. */
static struct fence_label *find(const struct fence_labels *labels, const char *key, size_t *ret_at)
{
    size_t low = 0, high = labels->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        struct fence_label *label = &labels->items[middle];
        int order = strcmp(label->key, key);

        if (order == 0)
            return label;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_at = low;
    return NULL;
}

int fence_labels_set(struct fence_labels *labels, const char *key, const char *value)
{
    FENCE_FREE char *new_key = strdup(key);
    FENCE_FREE char *new_value = strdup(value);
    size_t at = 0;
    struct fence_label *label = find(labels, key, &at);

    if (!new_key || !new_value)
        return -ENOMEM;
    if (label) {
        free(label->value);
        label->value = TAKE_PTR(new_value);
        return 0;
    }
    if (FENCE_GROW(labels->items, labels->capacity, labels->count) < 0)
        return -ENOMEM;
    memmove(&labels->items[at + 1], &labels->items[at],
            (labels->count - at) * sizeof(labels->items[0]));
    labels->items[at] =
        (struct fence_label){.key = TAKE_PTR(new_key), .value = TAKE_PTR(new_value)};
    labels->count++;
    return 0;
}

int fence_labels_copy(const struct fence_labels *from, struct fence_labels *ret_labels)
{
    struct fence_labels copy = {0};

    for (size_t i = 0; i < from->count; i++) {
        if (fence_labels_set(&copy, from->items[i].key, from->items[i].value) < 0) {
            fence_labels_done(&copy);
            return -ENOMEM;
        }
    }
    *ret_labels = copy;
    return 0;
}

const char *fence_labels_get(const struct fence_labels *labels, const char *key)
{
    size_t at = 0;
    const struct fence_label *label = find(labels, key, &at);

    return label ? label->value : NULL;
}

bool fence_labels_equal(const struct fence_labels *a, const struct fence_labels *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
            strcmp(a->items[i].value, b->items[i].value) != 0)
            return false;
    return true;
}

/* Letters, digits, '-', '_', '.', beginning and ending with a letter or digit. */
static bool is_qualified(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool edge = i == 0 || i + 1 == length;

        if (!isascii(c) || !(isalnum(c) || (!edge && strchr("-_.", c))))
            return false;
    }
    return length > 0;
}

/* Lower case DNS labels joined by dots. */
static bool is_subdomain(const char *text, size_t length)
{
    char before = '.';

    for (size_t i = 0; i < length; i++) {
        const char c = text[i];
        const char after = (char)(i + 1 < length ? text[i + 1] : '.');
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!plain && !(c == '-' && before != '.' && after != '.') && !(c == '.' && before != '.'))
            return false;
        before = c;
    }
    return length > 0 && before != '.';
}

int fence_label_key_check(const char *key, struct fence_err *err)
{
    const char *slash = strchr(key, '/');
    const char *name = slash ? slash + 1 : key;

    if (slash && (size_t)(slash - key) > PREFIX_MAX)
        return fence_err_set(err, -EINVAL, "the prefix of a label key has at most %u characters",
                             PREFIX_MAX);
    if (slash && !is_subdomain(key, (size_t)(slash - key)))
        return fence_err_set(err, -EINVAL, "the prefix of a label key is a DNS subdomain");
    if (strlen(name) > NAME_MAX_)
        return fence_err_set(err, -EINVAL, "the name of a label key has at most %u characters",
                             NAME_MAX_);
    if (!is_qualified(name, strlen(name)))
        return fence_err_set(err, -EINVAL,
                             "the name of a label key consists of letters, digits, '-', '_' and "
                             "'.' and begins and ends with a letter or digit");
    return 0;
}

int fence_label_value_check(const char *value, struct fence_err *err)
{
    size_t length = strlen(value);

    if (length > VALUE_MAX)
        return fence_err_set(err, -EINVAL, "a label value has at most %u characters, this has %zu",
                             VALUE_MAX, length);
    if (length && !is_qualified(value, length))
        return fence_err_set(err, -EINVAL,
                             "a label value consists of letters, digits, '-', '_' and '.' and "
                             "begins and ends with a letter or digit");
    return 0;
}

char *fence_labels_format(const struct fence_labels *labels)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (size_t i = 0; i < labels->count; i++)
        fprintf(out, "%s%s=%s", i ? "," : "", labels->items[i].key, labels->items[i].value);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int parse_one(char *pair, struct fence_labels *labels, struct fence_err *err)
{
    char *value = strchr(pair, '=');
    int r;

    if (!value)
        return fence_err_set(err, -EINVAL, "'%s' is not of the form key=value", pair);
    *value++ = '\0';
    r = fence_label_key_check(pair, err);
    if (r == 0)
        r = fence_label_value_check(value, err);
    if (r < 0)
        return fence_err_prefix(err, r, "label %s", pair);
    if (fence_labels_get(labels, pair))
        return fence_err_set(err, -EINVAL, "label %s is given twice", pair);
    r = fence_labels_set(labels, pair, value);
    return r < 0 ? fence_err_set(err, r, "out of memory") : 0;
}

int fence_labels_parse(const char *text, struct fence_labels *ret_labels, struct fence_err *err)
{
    FENCE_FREE char *copy = strdup(text);
    struct fence_labels labels = {0};
    char *rest = copy;
    char *pair;
    int r = 0;

    if (!copy)
        return fence_err_set(err, -ENOMEM, "out of memory");
    while (r == 0 && *text && (pair = strsep(&rest, ",")))
        r = parse_one(pair, &labels, err);
    if (r < 0) {
        fence_labels_done(&labels);
        return r;
    }
    *ret_labels = labels;
    return 0;
}

const char *fence_labels_app(const struct fence_labels *labels)
{
    static const char *const keys[] = {"app", "app.kubernetes.io/name", "k8s-app"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys); i++) {
        const char *value = fence_labels_get(labels, keys[i]);

        if (value && *value)
            return value;
    }
    return NULL;
}
