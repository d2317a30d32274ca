/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plain scalar means: as sigs.k8s.io/yaml (YAML 1.1 for booleans and octal numbers), so that
 * a file means the same here and when it is given to kubectl. Timestamps are texts there too.
 */
#include <ctype.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/doc.h"

static const char *const null_words[] = {"", "~", "null", "Null", "NULL"};
static const char *const true_words[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                         "True", "TRUE", "on",  "On",  "ON"};
static const char *const false_words[] = {"n",     "N",     "no",  "No",  "NO", "false",
                                          "False", "FALSE", "off", "Off", "OFF"};
static const char *const special_numbers[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};

static bool is_word(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* Behind 0x, 0o and 0b. */
static bool is_based_integer(const char *text)
{
    const char *digits = "01_";

    if (text[0] != '0' || !text[1] || !strchr("xob", text[1]) || !text[2])
        return false;
    if (text[1] == 'x')
        digits = "0123456789abcdefABCDEF_";
    else if (text[1] == 'o')
        digits = "01234567_";
    return strspn(text + 2, digits) == strlen(text + 2);
}

static bool is_decimal(const char *text)
{
    size_t whole = strspn(text, "0123456789_");
    size_t digits = whole;

    text += whole;
    if (*text == '.') {
        size_t fraction = strspn(text + 1, "0123456789_");

        digits += fraction;
        text += 1 + fraction;
    }
    if (digits == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text += 1 + (text[1] == '+' || text[1] == '-');
        if (!isdigit((unsigned char)*text))
            return false;
        text += strspn(text, "0123456789");
    }
    return *text == '\0';
}

static bool is_number(const char *text)
{
    if (*text == '+' || *text == '-')
        text++;
    if (is_word(text, special_numbers, FENCE_ARRAY_SIZE(special_numbers)))
        return true;
    return *text != '_' && (is_based_integer(text) || is_decimal(text));
}

enum fence_doc_type fence_doc_plain_type(const char *text)
{
    if (is_word(text, null_words, FENCE_ARRAY_SIZE(null_words)))
        return FENCE_DOC_NULL;
    if (is_word(text, true_words, FENCE_ARRAY_SIZE(true_words)) ||
        is_word(text, false_words, FENCE_ARRAY_SIZE(false_words)))
        return FENCE_DOC_BOOL;
    return is_number(text) ? FENCE_DOC_NUMBER : FENCE_DOC_STRING;
}

bool fence_doc_is_true(const struct fence_doc *doc)
{
    return is_word(doc->text, true_words, FENCE_ARRAY_SIZE(true_words));
}

const char *fence_doc_type_name(enum fence_doc_type type)
{
    static const char *const names[] = {
        [FENCE_DOC_NULL] = "null",       [FENCE_DOC_BOOL] = "a boolean",
        [FENCE_DOC_NUMBER] = "a number", [FENCE_DOC_STRING] = "a text",
        [FENCE_DOC_LIST] = "a list",     [FENCE_DOC_MAP] = "an object",
    };

    _Static_assert(FENCE_ARRAY_SIZE(names) == FENCE_DOC_TYPES, "a name for every type");
    return names[type];
}
