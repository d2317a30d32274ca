/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/explain.h"

#include <cjson/cJSON.h>
#include <string.h>

void fence_kube_collect(char *text, size_t room, const char *data, size_t size)
{
    size_t used = strlen(text);

    if (size > room - 1 - used)
        size = room - 1 - used;
    memcpy(text + used, data, size);
    text[used + size] = '\0';
}

void fence_kube_make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

void fence_kube_explain(long status, const char *body, struct fence_err *ret_err)
{
    cJSON *json = cJSON_Parse(body);
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "message"));
    size_t size = message ? strlen(message) : strcspn(body, "\r\n");

    if (!message)
        message = body;
    fence_err_set(ret_err, 0, "HTTP %ld%s%.*s", status, size ? ": " : "",
                  size < 800 ? (int)size : 800, message);
    cJSON_Delete(json);
    fence_kube_make_printable(ret_err->text);
}
