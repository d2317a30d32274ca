/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/http_retry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "lib/base/clock.h"

/* What a server asks for beyond is cut: a day. */
#define RETRY_AFTER_MAX_S 86400L
/* No date is longer. */
#define TEXT_MAX          64u

long fence_http_retry_after_ms(const char *data, size_t size)
{
    char text[TEXT_MAX];
    char *end;
    long seconds;

    for (; size > 0 && (*data == ' ' || *data == '\t'); data++)
        size--;
    while (size > 0 && strchr(" \t\r\n", data[size - 1]))
        size--;
    if (size == 0 || size >= sizeof(text))
        return -1;
    memcpy(text, data, size);
    text[size] = '\0';
    errno = 0;
    seconds = strtol(text, &end, 10);
    if (*end != '\0' || errno != 0) {
        time_t at = curl_getdate(text, NULL);

        if (at == -1)
            return -1;
        seconds = (long)(at - (time_t)(fence_clock_wall_ns() / 1000000000u));
    }
    if (seconds > RETRY_AFTER_MAX_S)
        seconds = RETRY_AFTER_MAX_S;
    return seconds < 0 ? 0 : seconds * 1000;
}
