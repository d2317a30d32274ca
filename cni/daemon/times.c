/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/times.h"

#include <stdio.h>
#include <time.h>

#include "lib/base/clock.h"

int64_t fence_time_now_ms(void)
{
    return (int64_t)(fence_clock_wall_ns() / 1000000);
}

void fence_time_add(cJSON *object, const char *name, int64_t seconds)
{
    const time_t when = (time_t)seconds;
    char text[40];
    struct tm parts;

    if (!seconds || !gmtime_r(&when, &parts) ||
        !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts))
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddStringToObject(object, name, text);
}

void fence_time_add_ms(cJSON *object, const char *name, int64_t ms)
{
    const time_t when = (time_t)(ms / 1000);
    char seconds[40], text[64];
    struct tm parts;

    if (!ms || !gmtime_r(&when, &parts) ||
        !strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &parts)) {
        cJSON_AddNullToObject(object, name);
        return;
    }
    snprintf(text, sizeof(text), "%s.%03dZ", seconds, (int)(ms % 1000));
    cJSON_AddStringToObject(object, name, text);
}
