/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes labels: a sorted list of key and value with the syntax of the API. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

struct fence_label {
    char *key;
    char *value;
};

/* Sorted by key, keys unique. Zeroed = empty. Owns its strings. */
struct fence_labels {
    struct fence_label *items;
    size_t count;
    size_t capacity;
};

void fence_labels_done(struct fence_labels *labels);
int fence_labels_copy(const struct fence_labels *from, struct fence_labels *ret_labels);

/* Add or replace. -ENOMEM only; the syntax is the caller's to check. */
int fence_labels_set(struct fence_labels *labels, const char *key, const char *value);
/* NULL when the key is absent; "" is a value. */
const char *fence_labels_get(const struct fence_labels *labels, const char *key);
bool fence_labels_equal(const struct fence_labels *a, const struct fence_labels *b);

/*
 * Syntax of Kubernetes (apimachinery pkg/util/validation): key is an optional DNS subdomain of at
 * most 253 characters and '/', then a name of at most 63; a value has at most 63 characters and
 * may be empty. -EINVAL with the reason; the text does not repeat the key.
 */
int fence_label_key_check(const char *key, struct fence_err *err);
int fence_label_value_check(const char *value, struct fence_err *err);

/* "key=value,key=value" in key order; a new string, NULL when out of memory. */
char *fence_labels_format(const struct fence_labels *labels);
/* The same text back. -EINVAL when it is not of this form. */
int fence_labels_parse(const char *text, struct fence_labels *ret_labels, struct fence_err *err);

/* The name shown to people: app, app.kubernetes.io/name, k8s-app; NULL when none is there. */
const char *fence_labels_app(const struct fence_labels *labels);
