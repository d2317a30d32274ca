/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/error.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

int fence_cni_fail(struct fence_cni_error *error, enum fence_cni_code code, const char *format, ...)
{
    va_list args;

    error->code = code;
    error->details.text[0] = '\0';
    va_start(args, format);
    vsnprintf(error->msg.text, sizeof(error->msg.text), format, args);
    va_end(args);
    return -EINVAL;
}

int fence_cni_details(struct fence_cni_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->details.text, sizeof(error->details.text), format, args);
    va_end(args);
    return -EINVAL;
}

static bool add_text(cJSON *object, const char *key, const char *text)
{
    FENCE_FREE char *safe = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&safe, &size);

    if (!out)
        return false;
    fence_print_safe(out, text);
    if (fclose(out) != 0)
        return false;
    return cJSON_AddStringToObject(object, key, safe) != NULL;
}

char *fence_cni_error_json(const struct fence_cni_error *error, const char *cni_version)
{
    cJSON *object = cJSON_CreateObject();
    char *text = NULL;

    if (add_text(object, "cniVersion", cni_version) &&
        cJSON_AddNumberToObject(object, "code", error->code) &&
        add_text(object, "msg", error->msg.text) &&
        (!error->details.text[0] || add_text(object, "details", error->details.text)))
        text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}
