/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/selector.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/kube/server/store.h"

static void requirement_done(struct requirement *requirement)
{
    free(requirement->key);
    for (size_t i = 0; i < requirement->count; i++)
        free(requirement->values[i]);
    free(requirement->values);
}

void selector_done(struct selector *selector)
{
    for (size_t i = 0; i < selector->label_count; i++)
        requirement_done(&selector->labels[i]);
    for (size_t i = 0; i < selector->field_count; i++)
        requirement_done(&selector->fields[i]);
    free(selector->labels);
    free(selector->fields);
    free(selector->name_space);
    *selector = (struct selector){.labels = NULL};
}

/* ---- parsing -------------------------------------------------------------------------------- */

static void skip_space(const char **at)
{
    while (isspace((unsigned char)**at))
        (*at)++;
}

/* A key or a value, which may be empty. NULL without memory. */
static char *take_word(const char **at)
{
    const char *begin;
    char *word;

    skip_space(at);
    begin = *at;
    while (**at && !strchr(",=!() \t", **at))
        (*at)++;
    word = strndup(begin, (size_t)(*at - begin));
    skip_space(at);
    return word;
}

static bool take(const char **at, const char *token)
{
    skip_space(at);
    if (strncmp(*at, token, strlen(token)) != 0)
        return false;
    *at += strlen(token);
    return true;
}

static int add_value(struct requirement *requirement, const char **at)
{
    FENCE_FREE char *word = take_word(at);
    char **values;

    values = word ? realloc(requirement->values, (requirement->count + 1) * sizeof(*values)) : NULL;
    if (!values)
        return -ENOMEM;
    requirement->values = values;
    values[requirement->count++] = TAKE_PTR(word);
    return 0;
}

/* "(a, b)" */
static int parse_set(struct requirement *requirement, const char **at)
{
    if (!take(at, "("))
        return -EINVAL;
    do
        if (add_value(requirement, at) < 0)
            return -ENOMEM;
    while (take(at, ","));
    return take(at, ")") ? 0 : -EINVAL;
}

static int parse_requirement(struct requirement *requirement, const char **at)
{
    const bool not = take(at, "!");

    requirement->key = take_word(at);
    if (!requirement->key)
        return -ENOMEM;
    if (!requirement->key[0])
        return -EINVAL;
    requirement->operator= not? REQUIRE_NOT_EXISTS : REQUIRE_EXISTS;
    if (not || !**at || **at == ',')
        return 0;
    requirement->operator= REQUIRE_IN;
    if (take(at, "==") || take(at, "="))
        return add_value(requirement, at);
    if (take(at, "in"))
        return parse_set(requirement, at);
    requirement->operator= REQUIRE_NOT_IN;
    if (take(at, "!="))
        return add_value(requirement, at);
    if (take(at, "notin"))
        return parse_set(requirement, at);
    return -EINVAL;
}

static int parse_labels(struct selector *selector, const char *text)
{
    const char *at = text;
    int result;

    while (*at) {
        struct requirement *requirement;

        if (FENCE_GROW(selector->labels, selector->label_capacity, selector->label_count) < 0)
            return -ENOMEM;
        requirement = &selector->labels[selector->label_count++];
        *requirement = (struct requirement){.key = NULL};
        result = parse_requirement(requirement, &at);
        if (result < 0)
            return result;
        if (*at && (!take(&at, ",") || !*at))
            return -EINVAL;
    }
    return 0;
}

static bool is_field(const char *key)
{
    return !strcmp(key, "metadata.name") || !strcmp(key, "metadata.namespace") ||
           !strcmp(key, "spec.nodeName");
}

static int parse_fields(struct selector *selector, const char *text, struct fence_err *err)
{
    struct selector fields = {.labels = NULL};
    int result = parse_labels(&fields, text);

    selector->fields = fields.labels;
    selector->field_count = fields.label_count;
    selector->field_capacity = fields.label_capacity;
    if (result < 0)
        return fence_err_set(err, result, "invalid selector: '%s'; can't understand '%s'", text,
                             text);
    for (size_t i = 0; i < selector->field_count; i++)
        if (!is_field(selector->fields[i].key))
            return fence_err_set(err, -EINVAL, "field label not supported: %s",
                                 selector->fields[i].key);
    return 0;
}

int selector_parse(const char *labels, const char *fields, const char *name_space,
                   struct selector *ret_selector, struct fence_err *err)
{
    FENCE_CLEANUP(selector_done) struct selector selector = {.labels = NULL};
    int result = parse_labels(&selector, labels ? labels : "");

    if (result < 0)
        return fence_err_set(err, result, "unable to parse requirement: found '%s'", labels);
    result = parse_fields(&selector, fields ? fields : "", err);
    if (result < 0)
        return result;
    selector.name_space = strdup(name_space ? name_space : "");
    if (!selector.name_space)
        return -ENOMEM;
    *ret_selector = selector;
    selector = (struct selector){.labels = NULL};
    return 0;
}

/* ---- matching ------------------------------------------------------------------------------- */

/* `value` NULL = there is no such label. */
static bool is_met(const struct requirement *requirement, const char *value)
{
    bool listed = false;

    for (size_t i = 0; value && i < requirement->count && !listed; i++)
        listed = !strcmp(requirement->values[i], value);
    switch (requirement->operator) {
    case REQUIRE_EXISTS:
        return value != NULL;
    case REQUIRE_NOT_EXISTS:
        return value == NULL;
    case REQUIRE_IN:
        return listed;
    case REQUIRE_NOT_IN:
        return !listed;
    }
    return false;
}

static const char *field_of(const struct version *version, const char *key)
{
    if (!strcmp(key, "metadata.name"))
        return version->name;
    return !strcmp(key, "spec.nodeName") ? version->node : version->name_space;
}

bool selector_matches(const struct selector *selector, const struct version *version)
{
    if (selector->name_space && selector->name_space[0] &&
        strcmp(selector->name_space, version->name_space) != 0)
        return false;
    for (size_t i = 0; i < selector->field_count; i++)
        if (!is_met(&selector->fields[i], field_of(version, selector->fields[i].key)))
            return false;
    for (size_t i = 0; i < selector->label_count; i++) {
        const cJSON *label =
            cJSON_GetObjectItemCaseSensitive(version->labels, selector->labels[i].key);

        if (!is_met(&selector->labels[i], cJSON_GetStringValue(label)))
            return false;
    }
    return true;
}
