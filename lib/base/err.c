/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fence_err_set(struct fence_err *err, int code, const char *format, ...)
{
    va_list args;

    if (!err)
        return code;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return code;
}

int fence_err_prefix(struct fence_err *err, int code, const char *format, ...)
{
    struct fence_err context;
    va_list args;
    size_t used;

    if (!err)
        return code;
    va_start(args, format);
    vsnprintf(context.text, sizeof(context.text), format, args);
    va_end(args);
    used = strlen(context.text);
    snprintf(context.text + used, sizeof(context.text) - used, ": %s", err->text);
    memcpy(err->text, context.text, sizeof(err->text));
    return code;
}
