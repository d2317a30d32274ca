/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/output.h"

#include <errno.h>
#include <string.h>

#include "cni/ctl/text.h"
#include "lib/base/memory.h"

int ctl_format_parse(const char *text, enum ctl_format *ret_format)
{
    static const char *const names[] = {
        [CTL_TEXT] = "text",
        [CTL_JSON] = "json",
        [CTL_YAML] = "yaml",
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_format = (enum ctl_format)i;
            return 0;
        }
    }
    return -EINVAL;
}

int ctl_json_print(FILE *out, const cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);

    if (!text)
        return -ENOMEM;
    ctl_print_escaped(out, text);
    fputc('\n', out);
    cJSON_free(text);
    return 0;
}

int ctl_print_value(struct ctl_output *output, const cJSON *value)
{
    if (output->format == CTL_JSON)
        return ctl_json_print(stdout, value);
    if (output->documents)
        fputs("---\n", stdout);
    output->documents = true;
    ctl_yaml_print(stdout, value);
    return 0;
}

const cJSON *ctl_member(const cJSON *object, const char *path)
{
    while (object) {
        size_t length = strcspn(path, ".");
        char name[64];

        snprintf(name, sizeof(name), "%.*s", (int)length, path);
        object = cJSON_GetObjectItemCaseSensitive(object, name);
        if (!path[length])
            return object;
        path += length + 1;
    }
    return NULL;
}

const char *ctl_member_text(const cJSON *object, const char *path)
{
    const cJSON *member = ctl_member(object, path);

    return cJSON_IsString(member) ? member->valuestring : "";
}

double ctl_member_number(const cJSON *object, const char *path)
{
    const cJSON *member = ctl_member(object, path);

    return cJSON_IsNumber(member) ? member->valuedouble : 0;
}
