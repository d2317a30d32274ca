/* SPDX-License-Identifier: Apache-2.0 */
/* cJSON to YAML. A string is quoted (as in JSON, which YAML reads) unless it is plainly a string.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "cni/ctl/output.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"

/* Words that some YAML reader takes for something else than a string. */
static bool is_word_with_meaning(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on",
                                        "off",  "y",    "n",     "nan", "inf"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(words); i++)
        if (strcasecmp(words[i], text) == 0)
            return true;
    return false;
}

static bool is_plain(const char *text)
{
    if (!isalpha((unsigned char)text[0]) && text[0] != '/')
        return false;
    for (const char *at = text; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("_-./= ", *at))
            return false;
    return text[strlen(text) - 1] != ' ' && !is_word_with_meaning(text);
}

static void print_text(FILE *out, const char *text)
{
    cJSON *item;
    char *quoted;

    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    item = cJSON_CreateStringReference(text);
    quoted = cJSON_PrintUnformatted(item);
    ctl_print_escaped(out, quoted ? quoted : "\"\"");
    cJSON_free(quoted);
    cJSON_Delete(item);
}

static void print_scalar(FILE *out, const cJSON *value)
{
    char *text;

    if (cJSON_IsString(value)) {
        print_text(out, value->valuestring);
        return;
    }
    text = cJSON_PrintUnformatted(value); /* a number, true, false, null, [] or {} */
    fputs(text ? text : "null", out);
    cJSON_free(text);
}

static bool is_scalar(const cJSON *value)
{
    return !(cJSON_IsObject(value) || cJSON_IsArray(value)) || !value->child;
}

static void indent(FILE *out, int depth)
{
    fprintf(out, "%*s", 2 * depth, "");
}

static void print_children(FILE *out, const cJSON *value, int depth, bool first_is_placed)
{
    const cJSON *child;

    cJSON_ArrayForEach(child, value)
    {
        if (!first_is_placed)
            indent(out, depth);
        first_is_placed = false;
        if (cJSON_IsObject(value)) {
            print_text(out, child->string);
            fputc(':', out);
        } else {
            fputc('-', out);
        }
        if (is_scalar(child)) {
            fputc(' ', out);
            print_scalar(out, child);
            fputc('\n', out);
            continue;
        }
        fputc(cJSON_IsObject(value) ? '\n' : ' ', out);
        print_children(out, child, depth + 1, !cJSON_IsObject(value));
    }
}

void ctl_yaml_print(FILE *out, const cJSON *value)
{
    if (!is_scalar(value)) {
        print_children(out, value, 0, false);
        return;
    }
    print_scalar(out, value);
    fputc('\n', out);
}
