/* SPDX-License-Identifier: Apache-2.0 */
/* labelSelector and fieldSelector of a request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

struct version;

struct requirement {
    enum { REQUIRE_IN, REQUIRE_NOT_IN, REQUIRE_EXISTS, REQUIRE_NOT_EXISTS } operator;
    char *key;
    char **values;
    size_t count;
};

struct selector {
    struct requirement *labels;
    size_t label_count, label_capacity;
    struct requirement *fields;
    size_t field_count, field_capacity;
    char *name_space; /* NULL or "" = all */
};

/* Texts may be NULL. -EINVAL with what an API server says, -ENOMEM. */
int selector_parse(const char *labels, const char *fields, const char *name_space,
                   struct selector *ret_selector, struct fence_err *err);
void selector_done(struct selector *selector);
bool selector_matches(const struct selector *selector, const struct version *version);
