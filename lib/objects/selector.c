/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors (apimachinery pkg/apis/meta/v1/validation, ValidateLabelSelector). */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/decoders.h"

static const char *const operators[] = {
    [FENCE_OP_IN] = "In",
    [FENCE_OP_NOT_IN] = "NotIn",
    [FENCE_OP_EXISTS] = "Exists",
    [FENCE_OP_DOES_NOT_EXIST] = "DoesNotExist",
    NULL,
};

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* A new requirement at the end of the selector, still without values; NULL when out of memory. */
static struct fence_requirement *add_requirement(struct fence_selector *selector, const char *key)
{
    struct fence_requirement item = {.key = fence_shared_string(key)};

    if (!item.key || FENCE_GROW(selector->items, selector->capacity, selector->count) < 0) {
        fence_shared_string_unref(&item.key);
        return NULL;
    }
    selector->items[selector->count] = item;
    return &selector->items[selector->count++];
}

static int set_values(struct fence_requirement *item, size_t count, struct fence_err *err)
{
    item->values = calloc(count, sizeof(char *));
    return item->values ? 0 : no_memory(err);
}

static int add_value(const struct fence_field *field, struct fence_requirement *item,
                     struct fence_err *err)
{
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    r = fence_label_value_check(field->doc->text, err);
    if (r < 0)
        return fence_field_prefix(field, r, err);
    item->values[item->value_count] = fence_shared_string(field->doc->text);
    return item->values[item->value_count++] ? 0 : no_memory(err);
}

static int decode_match_label(const struct fence_field *field, struct fence_selector *selector,
                              struct fence_err *err)
{
    struct fence_requirement *item;
    int r = fence_label_key_check(field->key, err);

    if (r < 0)
        return fence_field_prefix(field, r, err);
    item = add_requirement(selector, field->key);
    if (!item)
        return no_memory(err);
    r = set_values(item, 1, err);
    return r < 0 ? r : add_value(field, item, err);
}

static int decode_values(const struct fence_field *field, struct fence_requirement *item,
                         struct fence_err *err)
{
    bool wanted = item->op == FENCE_OP_IN || item->op == FENCE_OP_NOT_IN;
    size_t count = fence_field_count(field);
    int r = fence_field_allow(field, FENCE_DOC_LIST, err);

    if (r < 0)
        return r;
    if (wanted && count == 0)
        return fence_field_refuse(field, err, "must have a value for the operator %s",
                                  operators[item->op]);
    if (!wanted && count > 0)
        return fence_field_refuse(field, err, "must be absent for the operator %s",
                                  operators[item->op]);
    if (count > 0)
        r = set_values(item, count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct fence_field value = fence_field_item(field, i);

        r = add_value(&value, item, err);
    }
    return r;
}

static int decode_expression(const struct fence_field *field, struct fence_selector *selector,
                             struct fence_err *err)
{
    static const char *const known[] = {"key", "operator", "values", NULL};
    struct fence_field key = fence_field_get(field, "key");
    struct fence_field op = fence_field_get(field, "operator");
    struct fence_field values = fence_field_get(field, "values");
    struct fence_requirement *item;
    unsigned int choice = 0;
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_expect(&key, FENCE_DOC_STRING, err);
    if (r == 0)
        r = fence_field_choice(&op, operators, &choice, err);
    if (r < 0)
        return r;
    r = fence_label_key_check(key.doc->text, err);
    if (r < 0)
        return fence_field_prefix(&key, r, err);
    fence_field_warn_unknown(field, known);
    item = add_requirement(selector, key.doc->text);
    if (!item)
        return no_memory(err);
    item->op = (enum fence_operator)choice;
    return decode_values(&values, item, err);
}

int fence_decode_selector(const struct fence_field *field, struct fence_selector *selector,
                          struct fence_err *err)
{
    static const char *const known[] = {"matchLabels", "matchExpressions", NULL};
    struct fence_field labels = fence_field_get(field, "matchLabels");
    struct fence_field expressions = fence_field_get(field, "matchExpressions");
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_allow(&labels, FENCE_DOC_MAP, err);
    if (r == 0)
        r = fence_field_allow(&expressions, FENCE_DOC_LIST, err);
    if (r < 0)
        return r;
    fence_field_warn_unknown(field, known);
    for (size_t i = 0; r == 0 && i < fence_field_count(&labels); i++) {
        struct fence_field label = fence_field_get(&labels, labels.doc->items[i]->key);

        label.doc = labels.doc->items[i];
        r = decode_match_label(&label, selector, err);
    }
    for (size_t i = 0; r == 0 && i < fence_field_count(&expressions); i++) {
        struct fence_field expression = fence_field_item(&expressions, i);

        r = decode_expression(&expression, selector, err);
    }
    return r;
}

int fence_decode_new_selector(const struct fence_field *field, struct fence_selector **ret_selector,
                              struct fence_err *err)
{
    struct fence_selector *selector = calloc(1, sizeof(*selector));
    int r;

    if (!selector)
        return no_memory(err);
    r = fence_decode_selector(field, selector, err);
    if (r < 0) {
        fence_selector_done(selector);
        free(selector);
        return r;
    }
    *ret_selector = selector;
    return 0;
}
